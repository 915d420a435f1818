"""The phases of an environment's life and what each leaves for the next."""

import json
import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kiln import binary, eventually
from test_restart import descendants_of

KEEPER = """
import os, time, uuid
me = uuid.uuid4().hex
count = 0
def handler(event, context):
    global count
    count += 1
    seen = sorted(os.listdir("/tmp"))
    os.makedirs("/tmp/cache", exist_ok=True)
    with open("/tmp/cache/" + event.get("name", "file"), "w") as file:
        file.write(me)
    do = event.get("do")
    if do == "exit":
        os._exit(1)
    if do == "sleep":
        time.sleep(60)
    if do == "eat":
        return len(bytes(400 << 20).replace(b"\\0", b"x"))
    return {"me": me, "count": count, "seen": seen, "files": sorted(os.listdir("/tmp/cache"))}
"""


@pytest.fixture(scope="module")
def keeper(module_deploy):
    return module_deploy({"index.py": KEEPER}, Timeout=2, MemorySize=256)


def test_globals_and_tmp_stay_between_calls(keeper):
    """LIFE-2: the next call finds what the one before left in memory and in /tmp."""
    first = keeper({"name": "first"}).value
    second = keeper({}).value
    assert (second["me"], second["count"]) == (first["me"], first["count"] + 1)
    assert "cache" in second["seen"] and "first" in second["files"]


@pytest.mark.parametrize(
    ("do", "kind"),
    [("exit", "Runtime.ExitError"), ("sleep", "Sandbox.Timedout"), ("eat", "Runtime.ExitError")],
)
def test_a_reset_keeps_tmp_and_loses_globals(keeper, do, kind):
    """LIFE-7: after a crash, a timeout and too much memory; the environment is initialised again."""
    before = keeper({}).value
    failed = keeper({"do": do, "name": do})
    assert failed.json["errorType"] == kind
    again = keeper({})
    assert "Init Duration" in again.log
    after = again.value
    assert (after["me"] != before["me"], after["count"]) == (True, 1)
    assert {"file", do} <= set(after["files"])


def test_a_reset_keeps_tmp_of_node(deploy, node_runtime):
    """LIFE-7: also where the next environment is a process that waited."""
    code = """
    const fs = require('fs');
    let count = 0;
    exports.handler = async (event) => {
      count += 1;
      fs.writeFileSync('/tmp/' + event.name, event.name);
      if (event.do === 'exit') process.exit(3);
      return [count, fs.readdirSync('/tmp').sort()];
    };
    """
    function = deploy({"index.js": code}, runtime=node_runtime)
    assert function({"name": "a"}).value == [1, ["a"]]
    assert function({"name": "b", "do": "exit"}).json["errorType"] == "Runtime.ExitError"
    assert function({"name": "c"}).value == [1, ["a", "b", "c"]]


def test_another_function_or_code_never_finds_what_is_left(kiln, deploy):
    """LIFE-7: what a failure leaves is for the same version of the same function only."""
    function = deploy({"index.py": KEEPER}, Timeout=2)
    assert function({"do": "exit"}).json["errorType"] == "Runtime.ExitError"
    other = deploy({"index.py": KEEPER}, Timeout=2)
    assert other({}).value["seen"] == []
    function.code({"index.py": KEEPER + "\n"})
    assert function({}).value["seen"] == []


SLOW_INIT = """
import os, time
mark = "/tmp/begun"
if not os.path.exists(mark):
    open(mark, "w").close()
    time.sleep(60)
def handler(event, context):
    return context.get_remaining_time_in_millis()
"""


def test_an_init_phase_over_ten_seconds_is_done_again_in_the_call(deploy):
    """LIFE-6, section 4.4: told as a timeout; the second try counts to the call."""
    function = deploy({"index.py": SLOW_INIT}, Timeout=20)
    answer = function({})
    left = answer.value
    logs = function.kiln.client("logs")
    group = f"/aws/lambda/{function.name}"

    def reported():
        lines = [e["message"] for e in logs.filter_log_events(logGroupName=group)["events"]]
        return next((line for line in lines if line.startswith("INIT_REPORT")), None)

    report = eventually(reported).rstrip("\n")
    duration, phase, status = report.removeprefix("INIT_REPORT Init Duration: ").split("\t")
    assert 10_000 <= float(duration.removesuffix(" ms")) < 15_000, report
    assert (phase, status) == ("Phase: init", "Status: timeout")
    # The time of the second init is the function's.
    assert 0 < left < 20_000
    lines = answer.log.splitlines()
    assert lines[0] == report and lines[-1].startswith("REPORT")
    assert "Init Duration" not in lines[-1]


def test_the_platform_tells_its_phases_in_json(kiln, deploy):
    """OBS-15, LIFE-10, section 4.7: with system logs at DEBUG init, invocation and report are told apart."""
    code = "import time\ndef handler(e, c):\n    print('x')\n    time.sleep(e)\n    return 'four'\n"
    function = deploy(
        {"index.py": code},
        Timeout=2,
        LoggingConfig={
            "LogFormat": "JSON",
            "SystemLogLevel": "DEBUG",
            "ApplicationLogLevel": "INFO",
        },
    )
    good, slow = function(0), function(30)
    assert slow.json["errorType"] == "Sandbox.Timedout"

    def told(request=None):
        group = f"/aws/lambda/{function.name}"
        lines = kiln.client("logs").filter_log_events(logGroupName=group)["events"]
        events = [json.loads(e["message"]) for e in lines if e["message"].startswith("{")]
        events = [e for e in events if e.get("type", "").startswith("platform.")]
        of = [e for e in events if e["record"].get("requestId") == request]
        by_type = {e["type"]: e["record"] for e in of}
        return by_type if request is None or "platform.report" in by_type else None

    record = eventually(lambda: told(good.request_id))
    assert list(record) == ["platform.start", "platform.runtimeDone", "platform.report"]
    done, report = record["platform.runtimeDone"], record["platform.report"]
    assert (done["status"], done["metrics"]["producedBytes"]) == ("success", len('"four"'))
    assert [span["name"] for span in done["spans"]] == ["responseLatency", "responseDuration"]
    parts = sum(span["durationMs"] for span in done["spans"])
    assert abs(parts - done["metrics"]["durationMs"]) < 0.01
    init = told()
    begun, ended = init["platform.initStart"], init["platform.initReport"]
    assert (begun["initializationType"], begun["phase"]) == ("on-demand", "init")
    assert init["platform.initRuntimeDone"]["status"] == ended["status"] == "success"
    assert report["metrics"]["initDurationMs"] == ended["metrics"]["durationMs"]
    failed = eventually(lambda: told(slow.request_id))
    for kind in ("platform.runtimeDone", "platform.report"):
        assert failed[kind]["status"] == "timeout", failed
    assert "spans" not in failed["platform.runtimeDone"], "no answer began"


def test_the_tail_of_a_first_call_begins_with_its_init_phase(deploy):
    """INV-5, section 4.7: what the init phase printed is in `LogResult` of the call that waited for it."""
    code = "print('while loading')\ndef handler(event, context):\n    print('in call')\n"
    function = deploy({"index.py": code})
    first, second = function({}).log.splitlines(), function({}).log.splitlines()
    assert first[0] == "while loading" and first[1].startswith("START RequestId: ")
    assert second[0].startswith("START RequestId: ") and "while loading" not in second
    assert not [line for line in first if line.startswith("INIT_START")]


BURN = """
import time
def handler(event, context):
    # What this process may use of a core while a second of it passes.
    used, begun = time.process_time(), time.monotonic()
    while time.monotonic() - begun < 1:
        sum(range(10_000))
    return (time.process_time() - used) / (time.monotonic() - begun)
"""


def test_more_memory_is_more_cpu(kiln, deploy):
    """CON-20, section 4.11: a quarter of the memory is at most about a quarter of the time."""
    if not enforced("cpu limit"):
        pytest.skip("this host limits no CPU")
    functions = [deploy({"index.py": BURN}, MemorySize=memory) for memory in (221, 884)]

    def measure():
        small, large = (function({}).value for function in functions)
        # A busy host gives less than the limit, never more.
        assert small < 0.125 * 1.3 and large < 0.5 * 1.3, (small, large)
        return large > small * 1.5

    assert any(measure() for _ in range(5))


def enforced(what):
    """Whether this host enforces it, as `kiln doctor` says."""
    done = subprocess.run([binary(), "doctor", "--json"], capture_output=True, text=True)
    rows = json.loads(done.stdout)["isolation"]
    return any(what in row["what"] and row["state"] == "Enforced" for row in rows)


def test_environments_come_and_go_with_the_calls(start_kiln):
    """LIFE-8, CON-3: nobody provisions; after the configured time without calls none is left."""
    settings = {"IDLE_KEEP_SECS": "1", "POOL_SANDBOXES": "0", "TEMPLATES": "false"}
    server = start_kiln(env={f"KILN_{name}": value for name, value in settings.items()})
    function = server.deploy("scales", {"index.py": KEEPER})

    first = function({}).value
    assert functions_of(server)
    assert eventually(lambda: not functions_of(server))
    again = function({}).value
    assert again["me"] != first["me"] and again["seen"] == []


IN_CALL = """
import ctypes, time
def handler(event, context):
    ctypes.CDLL(None).prctl(15, b"in-the-call")
    time.sleep(event)
    return "done"
"""


def test_the_end_of_a_sandbox_is_no_fault_of_its_function(start_kiln):
    """Section 4.8, R10: `Sandbox.Failure` if the first process of an environment is killed, which nothing
    inside can do; the next call has another one."""
    settings = {"POOL_SANDBOXES": "0", "TEMPLATES": "false"}
    server = start_kiln(env={f"KILN_{name}": value for name, value in settings.items()})
    function = server.deploy("victim", {"index.py": IN_CALL}, Timeout=60)

    def in_call():
        for pid in functions_of(server):
            if Path(f"/proc/{pid}/comm").read_text() == "in-the-call\n":
                return pid
        return None

    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(function, 50)
        runtime = eventually(in_call, 30)
        status = Path(f"/proc/{runtime}/status").read_text()
        first = int(status.split("PPid:")[1].split()[0])
        os.kill(first, signal.SIGKILL)
        answer = call.result()
    assert (answer.status, answer.error) == (200, "Unhandled")
    assert answer.json == {
        "errorType": "Sandbox.Failure",
        "errorMessage": f"RequestId: {answer.request_id} Error: The sandbox has ended",
    }
    assert answer.log.rstrip().endswith("Status: error\tError Type: Sandbox.Failure")
    assert function(0).value == "done"


def test_a_busy_environment_does_not_live_for_ever(start_kiln):
    """LIFE-9: after its lifetime it gets no more calls, however busy it is."""
    server = start_kiln(env={"KILN_LIFETIME_SECS": "1"})
    function = server.deploy("busy", {"index.py": KEEPER})
    first = function({}).value

    def other():
        # It is never idle for long: each look is a call.
        now = function({}).value
        return now if now["me"] != first["me"] else None

    later = eventually(other)
    assert (later["count"], later["seen"]) == (1, []), "it is another one, with a /tmp of its own"


def test_the_address_of_kiln_can_be_left_out(start_kiln):
    """Section 4.6: then a function sees the variables of Lambda and no other."""
    server = start_kiln(env={"KILN_ENDPOINT_VARIABLE": "false"})
    code = "import os\ndef handler(e, c): return sorted(n for n in os.environ if n.startswith('AWS_E'))\n"
    function = server.deploy("plain", {"index.py": code})
    assert function({}).value == ["AWS_EXECUTION_ENV"]


def functions_of(server):
    """The processes below the server that stand in the code of a function."""
    found = set()
    for pid in descendants_of(server.process.pid):
        try:
            if os.readlink(f"/proc/{pid}/cwd") == "/var/task":
                found.add(pid)
        except OSError:
            continue
    return found
