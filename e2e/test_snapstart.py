"""SnapStart: a version is initialised once; its environments are forks of that."""

import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

from kiln import code_of, eventually, unique, zipped

#: SnapStart begins with Python 3.12.
NEWER = next((p for p in ("python3.14", "python3.13", "python3.12") if shutil.which(p)), None)
needs_python = pytest.mark.skipif(NEWER is None, reason="no Python here that has SnapStart")

APPLY = {"ApplyOn": "PublishedVersions"}


def configuration(kiln, name, version="1"):
    return kiln.lambda_.get_function_configuration(FunctionName=name, Qualifier=version)


def publish(kiln, function):
    """The version's number once it is no longer pending, and its configuration."""
    made = kiln.lambda_.publish_version(FunctionName=function.name)
    assert (made["State"], made["StateReasonCode"]) == ("Pending", "Creating")
    number = made["Version"]

    def settled():
        now = configuration(kiln, function.name, number)
        return now if now["State"] != "Pending" else None

    return number, eventually(settled, 30)


def deploy_version(kiln, deploy, code, **more):
    function = deploy({"index.py": code}, runtime=NEWER, SnapStart=APPLY, **more)
    number, config = publish(kiln, function)
    assert config["State"] == "Active", config
    return function, number, config["SnapStart"]


def messages(kiln, function, wanted):
    """The lines of the log, stream by stream, once `wanted` is among them."""

    logs, group = kiln.client("logs"), f"/aws/lambda/{function.name}"

    def stream(name):
        events = logs.get_log_events(logGroupName=group, logStreamName=name, startFromHead=True)
        return [event["message"] for event in events["events"]]

    def lines():
        streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
        found = {s["logStreamName"]: stream(s["logStreamName"]) for s in streams}
        return found if any(wanted in m for ms in found.values() for m in ms) else None

    return eventually(lines)


def test_runtimes_without_snapstart_are_refused(deploy):
    """LIFE-11: Java, Python 3.12 and .NET 8 only; no large /tmp."""
    for runtime, files in (("provided.al2023", {"bootstrap*": ""}), ("ruby3.3", {"index.rb": ""})):
        with pytest.raises(ClientError) as refused:
            deploy(files, runtime=runtime, SnapStart=APPLY)
        assert code_of(refused) == (
            "InvalidParameterValueException",
            400,
            f"{runtime} is not supported for SnapStart enabled functions.",
        )
    with pytest.raises(ClientError) as refused:
        deploy(
            {"index.py": ""}, runtime="python3.13", SnapStart=APPLY, EphemeralStorage={"Size": 513}
        )
    assert code_of(refused)[:2] == ("InvalidParameterValueException", 400)


@needs_python
def test_a_restored_environment_goes_on_where_init_ended(kiln, deploy):
    """LIFE-11, section 4.4: init ran once, before the first call; the state it left is there."""
    function, number, snap_start = deploy_version(
        kiln,
        deploy,
        "import os, time\n"
        "open('/tmp/inits', 'a').write('x')\n"
        "began = time.time()\n"
        "time.sleep(1)\n"
        "def handler(event, context):\n"
        "    return [began, time.time(), open('/tmp/inits').read(),\n"
        "            os.environ['AWS_LAMBDA_INITIALIZATION_TYPE'], os.getpid() > 1, os.getcwd()]\n",
    )
    assert snap_start == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"}
    published = time.time()
    first = function(Qualifier=number)
    began, now, inits, kind, _, where = first.value
    assert began < published <= now
    assert (inits, kind, where) == ("x", "snap-start", "/var/task")
    assert time.time() - published < 1, "the init phase of a second did not run again"
    assert function().value[3] == "on-demand"
    latest = kiln.lambda_.get_function_configuration(FunctionName=function.name)["SnapStart"]
    assert latest["OptimizationStatus"] == "Off"


@needs_python
def test_provisioned_concurrency_is_refused(kiln, deploy):
    """LIFE-11, CON-14: a version is restored or provisioned, not both."""
    function, number, _ = deploy_version(kiln, deploy, "def handler(event, context): pass\n")
    with pytest.raises(ClientError) as refused:
        kiln.lambda_.put_provisioned_concurrency_config(
            FunctionName=function.name, Qualifier=number, ProvisionedConcurrentExecutions=1
        )
    assert code_of(refused)[:2] == ("InvalidParameterValueException", 400)


@needs_python
def test_hooks_run_around_the_snapshot(kiln, deploy):
    """LIFE-11: before-hooks in reverse, once; after-hooks in order, in each environment."""
    function, number, _ = deploy_version(
        kiln,
        deploy,
        "import snapshot_restore_py as s\n"
        "seen = []\n"
        "s.register_before_snapshot(seen.append, 'second')\n"
        "@s.register_before_snapshot\n"
        "def first(): seen.append('first')\n"
        "s.register_after_restore(seen.append, 'third')\n"
        "s.register_after_restore(seen.append, 'fourth')\n"
        "def handler(event, context):\n"
        "    return seen\n",
    )
    assert function(Qualifier=number).value == ["first", "second", "third", "fourth"]


@needs_python
def test_the_log_tells_the_restore(kiln, deploy):
    """LIFE-11, section 4.7: init where the version was made, restore where it is called."""
    function, number, _ = deploy_version(
        kiln, deploy, "print('at init')\ndef handler(event, context):\n    print('in call')\n"
    )
    tail = function(Qualifier=number, LogType="Tail").log
    report = next(line for line in tail.splitlines() if line.startswith("REPORT"))
    assert "Init Duration" not in report
    parts = dict(p.split(": ", 1) for p in report.split("\t")[1:] if p)
    restore = float(parts["Restore Duration"].removesuffix(" ms"))
    billed = int(parts["Billed Restore Duration"].removesuffix(" ms"))
    assert 0 < restore < 1_000 and 0 < billed <= restore + 1
    assert int(parts["Billed Duration"].removesuffix(" ms")) >= billed
    assert "Restore Duration" not in function(Qualifier=number, LogType="Tail").log
    streams = messages(kiln, function, "RESTORE_REPORT")
    (called,) = [ms for ms in streams.values() if any("in call" in m for m in ms)]
    assert called[0].startswith("RESTORE_START Runtime Version: ")
    assert called[1].startswith("RESTORE_REPORT Restore Duration: ")
    assert not any("at init" in m for m in called)
    (made,) = [ms for ms in streams.values() if any("at init" in m for m in ms)]
    assert any(m.startswith("INIT_START Runtime Version: ") for m in made)
    assert any(m.startswith("INIT_REPORT Init Duration: ") for m in made)


@needs_python
def test_clones_share_nothing_that_must_be_unique(kiln, deploy):
    """S10, LIFE-11: two environments of one snapshot draw other numbers and keep their own files."""
    function, number, _ = deploy_version(
        kiln,
        deploy,
        "import os, random, secrets, ssl, tempfile, time, uuid\n"
        "uuid.uuid1(); random.random(); tempfile.gettempdir(); ssl.RAND_bytes(1)\n"
        "drawn = random.random()\n"
        "calls = []\n"
        "def handler(event, context):\n"
        "    calls.append(event)\n"
        "    open('/tmp/calls', 'a').write(event)\n"
        "    time.sleep(0.7)\n"
        "    return {'init': drawn, 'calls': calls, 'file': open('/tmp/calls').read(), 'unique': [\n"
        "        random.random(), secrets.token_hex(), ssl.RAND_bytes(8).hex(), os.urandom(8).hex(),\n"
        "        str(uuid.uuid1()), str(uuid.uuid4()), next(tempfile._get_candidate_names()),\n"
        "        context.log_stream_name]}\n",
        Timeout=10,
    )
    with ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(function, c, Qualifier=number) for c in "abc"]
        a, b, c = (call.result().value for call in calls)
    assert a["init"] == b["init"] == c["init"]
    for name, one in zip("abc", (a, b, c)):
        assert one["calls"] == [name] and one["file"] == name
    for values in zip(a["unique"][:-1], b["unique"], c["unique"]):
        assert len(set(values)) == 3, values
    assert a["unique"][-1] is None, "its name is not known when the snapshot is made"


@needs_python
def test_credentials_are_asked_for(kiln, deploy):
    """Section 4.6: no keys in the variables; each environment gets its own from the Runtime API."""
    function, number, _ = deploy_version(
        kiln,
        deploy,
        "import json, os, urllib.error, urllib.request\n"
        "def get(token):\n"
        "    url = os.environ['AWS_CONTAINER_CREDENTIALS_FULL_URI']\n"
        "    request = urllib.request.Request(url, headers={'Authorization': token})\n"
        "    try:\n"
        "        return json.load(urllib.request.urlopen(request))\n"
        "    except urllib.error.HTTPError as error:\n"
        "        return error.code\n"
        "def handler(event, context):\n"
        "    keys = [n for n in os.environ if n.startswith(('AWS_ACCESS', 'AWS_SECRET', 'AWS_SESSION'))]\n"
        "    return [keys, get(os.environ['AWS_CONTAINER_AUTHORIZATION_TOKEN']), get('wrong'),\n"
        "            os.environ['AWS_CONTAINER_CREDENTIALS_FULL_URI']]\n",
    )
    keys, given, wrong, url = function(Qualifier=number).value
    assert keys == [] and wrong == 404
    assert sorted(given) == ["AccessKeyId", "Expiration", "SecretAccessKey", "Token"]
    assert given["AccessKeyId"].startswith("ASIA")
    assert url == "http://127.0.0.1:9001/2021-04-23/credentials"


@needs_python
def test_what_cannot_be_forked_runs_its_own_init(kiln, deploy):
    """LIFE-11: with a thread there is no snapshot, the status says so, and the function works."""
    function, number, snap_start = deploy_version(
        kiln,
        deploy,
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
        "def handler(event, context):\n"
        "    return threading.active_count()\n",
    )
    assert snap_start["OptimizationStatus"] == "Off"
    answer = function(Qualifier=number, LogType="Tail")
    assert answer.value == 2
    assert "Init Duration" in answer.log


@needs_python
def test_connections_of_init_are_dead_and_their_numbers_taken(kiln, deploy):
    """LIFE-11: as on AWS a connection does not survive; the client sees that and connects anew."""
    function, number, snap_start = deploy_version(
        kiln,
        deploy,
        "import os, socket\n"
        "server = socket.create_server(('127.0.0.1', 0))\n"
        "client = socket.create_connection(server.getsockname())\n"
        "def handler(event, context):\n"
        "    try:\n"
        "        client.send(b'x')\n"
        "        return 'sent'\n"
        "    except OSError as error:\n"
        "        return type(error).__name__\n",
    )
    assert snap_start["OptimizationStatus"] == "On"
    assert function(Qualifier=number).value in ("BrokenPipeError", "ConnectionResetError")


@needs_python
def test_a_hook_that_fails_after_the_restore_fails_the_call(kiln, deploy):
    """LIFE-11, section 4.9: SnapStartException with status 400; the log names the error."""
    function, number, _ = deploy_version(
        kiln,
        deploy,
        "import snapshot_restore_py as s\n"
        "@s.register_after_restore\n"
        "def after(): raise KeyError('not restored')\n"
        "def handler(event, context): pass\n",
    )
    with pytest.raises(ClientError) as refused:
        function(Qualifier=number)
    assert code_of(refused)[:2] == ("SnapStartException", 400)
    lines = [m for ms in messages(kiln, function, "RESTORE_REPORT").values() for m in ms]
    assert any("not restored" in m for m in lines)
    assert any(m.startswith("RESTORE_REPORT") and "Status: error" in m for m in lines)


@needs_python
def test_a_restore_has_ten_seconds(kiln, deploy):
    """LIFE-11, section 4.4: SnapStartTimeoutException with status 408."""
    function, number, _ = deploy_version(
        kiln,
        deploy,
        "import snapshot_restore_py as s, time\n"
        "s.register_after_restore(time.sleep, 60)\n"
        "def handler(event, context): pass\n",
    )
    with pytest.raises(ClientError) as refused:
        function(Qualifier=number)
    assert code_of(refused) == (
        "SnapStartTimeoutException",
        408,
        "Lambda couldn't restore the snapshot within the timeout limit.",
    )


@needs_python
def test_a_snapshot_is_made_again_after_a_restart(start_kiln):
    """LIFE-11: the status is durable; the first call of a new server makes the snapshot again."""
    kiln = start_kiln()
    code = (
        "import os\nopen('/tmp/inits', 'a').write('x')\n"
        "def handler(event, context):\n    return open('/tmp/inits').read()\n"
    )
    function = kiln.deploy("again", {"index.py": code}, runtime=NEWER, SnapStart=APPLY)
    number, config = publish(kiln, function)
    assert config["SnapStart"]["OptimizationStatus"] == "On"
    kiln.stop(signal.SIGKILL)
    kiln.start()
    again = configuration(kiln, function.name, number)["SnapStart"]
    assert again["OptimizationStatus"] == "On"
    function.client = kiln.lambda_
    answer = function(Qualifier=number)
    assert answer.value == "x"
    assert "Restore Duration" in answer.log


@needs_python
def test_a_version_whose_init_phase_fails_is_failed(kiln, deploy):
    """LIFE-11: the state tells what the runtime reported; the version cannot be called."""
    function = deploy(
        {"index.py": "raise KeyError('no such key')"}, runtime=NEWER, SnapStart=APPLY
    )
    number, failed = publish(kiln, function)
    assert failed["State"] == "Failed"
    assert failed["StateReasonCode"] == "FunctionError.RuntimeInitError"
    assert "no such key" in failed["StateReason"]
    with pytest.raises(ClientError) as refused:
        function(Qualifier=number)
    assert code_of(refused)[:2] == ("ResourceConflictException", 409)


#: An external extension that stays until the end.
STAYS = """#!/bin/sh
api="http://$AWS_LAMBDA_RUNTIME_API/2020-01-01/extension"
id=$(curl -sS -D - -o /dev/null -H 'Lambda-Extension-Name: stays' -d '{"events": ["INVOKE"]}' "$api/register" |
  tr -d '\\r' | sed -n 's/^lambda-extension-identifier: *//Ip')
while curl -sS -o /dev/null -H "Lambda-Extension-Identifier: $id" "$api/event/next"; do
  echo seen >> /tmp/seen
done
"""


@needs_python
@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this host")
def test_with_an_external_extension_init_runs_in_each_environment(kiln, deploy):
    """LIFE-11: an extension is a second program and cannot be forked; the status says so."""
    layer = kiln.lambda_.publish_layer_version(
        LayerName=unique("stays"), Content={"ZipFile": zipped({"extensions/stays*": STAYS})}
    )
    function, number, snap_start = deploy_version(
        kiln,
        deploy,
        "import os\ndef handler(event, context):\n    return os.path.exists('/tmp/seen')\n",
        Layers=[layer["LayerVersionArn"]],
    )
    assert snap_start == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}
    first = function(Qualifier=number, LogType="Tail")
    assert first.error is None and "Init Duration" in first.log
    # It lives beside the function and sees its calls.
    assert eventually(lambda: function(Qualifier=number).value)


def test_java_is_prepared_and_not_restored(kiln, deploy):
    """LIFE-11: no JDK of a distribution can checkpoint; accepted as on AWS, and the status says so."""
    created = deploy({"readme": ""}, "a.B::c", runtime="java21", SnapStart=APPLY)
    assert created.created["SnapStart"] == {
        "ApplyOn": "PublishedVersions",
        "OptimizationStatus": "Off",
    }
    _, config = publish(kiln, created)
    assert config["SnapStart"]["OptimizationStatus"] == "Off"
