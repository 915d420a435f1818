"""Execution environments: reuse, parallel use, separation, the file system."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from kiln import eventually

WHO = """
import os, time, uuid
me = uuid.uuid4().hex
count = 0
def handler(event, context):
    global count
    count += 1
    time.sleep(event.get("seconds", 0))
    return [me, count]
"""

FILES = """
import errno, os
def handler(event, context):
    do = event["do"]
    if do == "write":
        try:
            with open(event["path"], "w") as f:
                f.write("x")
            return "written"
        except OSError as e:
            return errno.errorcode[e.errno]
    if do == "exists":
        return os.path.exists(event["path"])
    if do == "fill":
        piece, written = bytes(1 << 20), 0
        try:
            with open("/tmp/big", "wb", buffering=0) as f:
                for _ in range(event["mib"]):
                    written += f.write(piece)
            return ["fits", written >> 20]
        except OSError as e:
            return [errno.errorcode[e.errno], written >> 20]
        finally:
            os.unlink("/tmp/big")
    if do == "place":
        return {
            "cwd": os.getcwd(),
            "uid": os.getuid(),
            "root": sorted(os.listdir("/")),
            "task": sorted(os.listdir("/var/task")),
            "tmp": os.stat("/tmp").st_mode & 0o7777,
            "owners": {
                path: [os.stat(path).st_uid, os.stat(path).st_gid]
                for path in ("/var/task", "/var/task/index.py", "/opt", "/var/runtime", "/lambda-entrypoint.sh")
            },
        }
    if do == "run":
        import subprocess
        return subprocess.run(event["args"], capture_output=True, text=True).stdout
"""


@pytest.fixture(scope="module")
def files(module_deploy):
    return module_deploy(
        {"index.py": FILES, "tool*": "#!/bin/sh\necho run by $0\n"}, MemorySize=1024
    )


def test_a_warm_environment_is_used_again(deploy):
    """HC-11: module code ran once; calls one after the other share an environment."""
    function = deploy({"index.py": WHO})
    answers = [function({}).value for _ in range(5)]
    assert len({me for me, _ in answers}) == 1
    assert [count for _, count in answers] == [1, 2, 3, 4, 5]


def test_parallel_calls_get_environments_of_their_own(deploy):
    """CON-2: one environment serves one invocation at a time; N calls make N environments."""
    function = deploy({"index.py": WHO})
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: function({"seconds": 1.5}).value, range(4)))
    assert len({me for me, _ in answers}) == 4
    assert {count for _, count in answers} == {1}


def test_versions_never_share_an_environment(kiln, deploy):
    """VER-6."""
    function = deploy({"index.py": WHO})
    kiln.lambda_.publish_version(FunctionName=function.name)
    latest, _ = function({}).value
    first, count = function({}, Qualifier="1").value
    assert first != latest and count == 1
    assert function({}).value == [latest, 2]


def test_an_update_retires_the_old_environment(deploy):
    """FN-10, ENV-3."""
    function = deploy({"index.py": WHO})
    before, _ = function({}).value
    function.update(Environment={"Variables": {"NEW": "1"}})
    after, count = function({}).value
    assert after != before and count == 1


def test_a_call_in_flight_ends_on_the_old_code(kiln, deploy):
    """FN-10."""
    old = "import time\ndef handler(e, c):\n    print('begun', e)\n    time.sleep(e)\n    return 'old'\n"
    function = deploy({"index.py": old})
    function(0)
    logs = kiln.client("logs")
    begun = {"logGroupName": f"/aws/lambda/{function.name}", "filterPattern": '"begun 3"'}
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(function, 3)
        assert eventually(lambda: logs.filter_log_events(**begun)["events"])
        function.code({"index.py": old.replace("old", "new")})
        assert function(0).value == "new"
        assert running.result().value == "old"


def test_only_the_temporary_folder_is_writable(files):
    """Section 4.5."""
    assert files({"do": "write", "path": "/tmp/a"}).value == "written"
    for path in ("/var/task/a", "/a", "/etc/a", "/usr/a", "/opt/a"):
        assert files({"do": "write", "path": path}).value in ("EROFS", "EACCES", "EPERM", "ENOENT")


def test_the_temporary_folder_stays_over_warm_calls_and_is_not_shared(files, deploy):
    """Section 4.5."""
    assert files({"do": "write", "path": "/tmp/stays"}).value == "written"
    assert files({"do": "exists", "path": "/tmp/stays"}).value is True
    other = deploy({"index.py": FILES})
    assert other({"do": "exists", "path": "/tmp/stays"}).value is False


def test_the_temporary_folder_has_its_size(files):
    """FN-16, LIM-3: 512 MB hold 400 and not 600."""
    assert files({"do": "fill", "mib": 400}).value == ["fits", 400]
    what, written = files({"do": "fill", "mib": 600}).value
    assert what == "ENOSPC"
    assert 400 < written <= 512


def test_the_view_is_that_of_lambda(files):
    """Section 4.5: working folder, no root, the zip's files."""
    place = files({"do": "place"}).value
    assert place["cwd"] == "/var/task"
    assert place["uid"] != 0
    assert place["task"] == ["index.py", "tool"]
    assert place["tmp"] == 0o1777
    assert "root" not in place["root"] and "home" not in place["root"]


@pytest.mark.skipif(os.geteuid() != 0, reason="files on the host are not root's")
def test_what_the_platform_brings_belongs_to_root(files):
    """Section 4.5: `/var/task` is owned by root."""
    owners = files({"do": "place"}).value["owners"]
    assert set(map(tuple, owners.values())) == {(0, 0)}, owners


def test_programs_of_the_zip_keep_their_exec_bit(files):
    """FN-4, HC-10."""
    assert files({"do": "run", "args": ["/var/task/tool"]}).value == "run by /var/task/tool\n"


def test_symbolic_links_of_the_zip_are_kept(deploy):
    """FN-4."""
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("real.py", "def handler(e, c): return 'linked'\n")
        link = zipfile.ZipInfo("index.py")
        link.create_system = 3
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "real.py")
    assert deploy(buffer.getvalue())().value == "linked"


def test_a_dry_run_does_not_run(kiln, deploy):
    """INV-3."""
    function = deploy({"index.py": WHO})
    answer = kiln.lambda_.invoke(FunctionName=function.name, InvocationType="DryRun")
    assert answer["StatusCode"] == 204
    assert answer["Payload"].read() == b""
    assert function({}).value[1] == 1
    with pytest.raises(kiln.lambda_.exceptions.ResourceNotFoundException):
        kiln.lambda_.invoke(FunctionName="nothing-here", InvocationType="DryRun")


def test_an_event_is_accepted_and_run(kiln, deploy):
    """INV-2: 202 without body and version; the function runs."""
    function = deploy({"index.py": "def handler(e, c): print('seen', e['mark'])\n"})
    answer = kiln.lambda_.invoke(
        FunctionName=function.name, InvocationType="Event", Payload=b'{"mark": "m-7"}'
    )
    assert answer["StatusCode"] == 202
    assert answer["Payload"].read() == b""
    assert "ExecutedVersion" not in answer
    logs = kiln.client("logs")

    def lines():
        try:
            found = logs.filter_log_events(logGroupName=f"/aws/lambda/{function.name}")["events"]
        except logs.exceptions.ResourceNotFoundException:
            return False
        return any("seen m-7" in event["message"] for event in found)

    assert eventually(lines)
