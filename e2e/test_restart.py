"""What was acknowledged is there after the server ended, however it ended."""

import os
import signal

from kiln import eventually

CODE = "import os\ndef handler(e, c): return [{n}, os.environ.get('WHO')]\n"


def test_an_orderly_stop_keeps_everything(start_kiln):
    """FN-1, VER-2, IAM-1: SIGTERM ends with 0, the next start knows it all."""
    kiln = start_kiln()
    function = kiln.deploy(
        "keeps", {"index.py": CODE.replace("{n}", "1")}, Environment={"Variables": {"WHO": "me"}}
    )
    assert function().value == [1, "me"]
    kiln.lambda_.publish_version(FunctionName="keeps")
    function.code({"index.py": CODE.replace("{n}", "2")})
    before = kiln.lambda_.get_function_configuration(FunctionName="keeps")
    assert kiln.stop() == 0, kiln.log()
    kiln.start()
    after = kiln.lambda_.get_function_configuration(FunctionName="keeps")
    for answer in (before, after):
        answer.pop("ResponseMetadata")
    assert after == before
    function.client = kiln.lambda_
    assert function().value == [2, "me"]
    assert function(Qualifier="1").value == [1, "me"]


def test_a_killed_server_leaves_no_process_and_loses_nothing(start_kiln):
    """FN-1: kill -9 with a busy environment."""
    kiln = start_kiln()
    pid_code = "import os, time\ndef handler(e, c):\n    time.sleep(e)\n    return os.getpid()\n"
    function = kiln.deploy("dies", {"index.py": pid_code})
    function(0)
    server = kiln.process.pid
    assert children_of(server), "an environment is alive"
    tree = descendants_of(server)
    kiln.stop(signal.SIGKILL)
    assert eventually(lambda: not [pid for pid in tree if running(pid)], 5), tree
    kiln.start()
    function.client = kiln.lambda_
    assert function(0).error is None


def parents():
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as stat:
                    text = stat.read()
            except OSError:
                continue
            found[int(entry)] = int(text.rpartition(")")[2].split()[1])
    return found


def children_of(pid):
    return [child for child, parent in parents().items() if parent == pid]


def descendants_of(pid):
    tree, known = [], parents()
    new = [pid]
    while new:
        new = [child for child, parent in known.items() if parent in new]
        tree += new
    return tree


def running(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
