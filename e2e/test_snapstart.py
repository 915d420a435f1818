"""SnapStart: the init phase of a version runs before the version is active."""

import shutil

import pytest
from botocore.exceptions import ClientError

from kiln import code_of, eventually

#: SnapStart begins with Python 3.12.
NEWER = next((p for p in ("python3.14", "python3.13", "python3.12") if shutil.which(p)), None)
needs_python = pytest.mark.skipif(NEWER is None, reason="no Python here that has SnapStart")

APPLY = {"ApplyOn": "PublishedVersions"}


def test_runtimes_without_snapstart_are_refused(deploy):
    """LIFE-11: Java, Python 3.12 and .NET 8 only; no large /tmp."""
    with pytest.raises(ClientError) as refused:
        deploy({"bootstrap*": ""}, runtime="provided.al2023", SnapStart=APPLY)
    assert code_of(refused) == (
        "InvalidParameterValueException",
        400,
        "provided.al2023 is not supported for SnapStart enabled functions.",
    )
    with pytest.raises(ClientError) as refused:
        deploy(
            {"index.py": ""}, runtime="python3.13", SnapStart=APPLY, EphemeralStorage={"Size": 513}
        )
    assert code_of(refused)[:2] == ("InvalidParameterValueException", 400)


@needs_python
def test_a_version_becomes_active_after_its_init_phase(kiln, deploy):
    """LIFE-11, section 4.6: Pending, then Active; the hooks around a snapshot run."""
    function = deploy(
        {
            "index.py": "import os\nseen = []\nimport snapshot_restore_py as s\n"
            "s.register_before_snapshot(seen.append, 'before')\n"
            "s.register_after_restore(seen.append, 'after')\n"
            "def handler(event, context):\n"
            "    return [seen, os.environ['AWS_LAMBDA_INITIALIZATION_TYPE']]\n",
            "snapshot_restore_py.py": "before, after = [], []\n"
            "def register_before_snapshot(f, *a, **k): before.append((f, a, k))\n"
            "def register_after_restore(f, *a, **k): after.append((f, a, k))\n"
            "def get_before_snapshot(): return before\n"
            "def get_after_restore(): return after\n",
        },
        runtime=NEWER,
        SnapStart=APPLY,
    )
    assert function().value == [[], "on-demand"]
    made = kiln.lambda_.publish_version(FunctionName=function.name)
    assert (made["State"], made["StateReasonCode"]) == ("Pending", "Creating")
    kiln.lambda_.get_waiter("published_version_active").wait(
        FunctionName=function.name, Qualifier="1", WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    assert function(Qualifier="1").value == [["before", "after"], "snap-start"]


@needs_python
def test_a_version_whose_init_phase_fails_is_failed(kiln, deploy):
    """LIFE-11: the state tells what the runtime reported; the version cannot be called."""
    function = deploy(
        {"index.py": "raise KeyError('no such key')"}, runtime=NEWER, SnapStart=APPLY
    )
    kiln.lambda_.publish_version(FunctionName=function.name)
    def state():
        now = kiln.lambda_.get_function_configuration(FunctionName=function.name, Qualifier="1")
        return now if now["State"] != "Pending" else None

    failed = eventually(state)
    assert failed["State"] == "Failed"
    assert failed["StateReasonCode"] == "FunctionError.RuntimeInitError"
    assert "no such key" in failed["StateReason"]
    with pytest.raises(ClientError) as refused:
        function(Qualifier="1")
    assert code_of(refused)[:2] == ("ResourceConflictException", 409)
