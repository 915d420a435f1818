"""Extensions: started from a layer, told of calls and of the end, and fed with telemetry."""

import json
import time

import pytest

from kiln import eventually, unique, zipped

#: Speaks the APIs with the standard library alone. It notes what it hears in /tmp and in its output.
EXTENSION = """#!/usr/bin/env python3
import http.client, json, os, sys, threading
from http.server import BaseHTTPRequestHandler, HTTPServer

MODE = os.environ.get("MODE", "")
NAME = os.path.basename(sys.argv[0])


def note(**what):
    text = json.dumps(what)
    with open("/tmp/notes", "a") as file:
        file.write(text + "\\n")
    print("NOTE " + text, flush=True)


def ask(method, path, headers, body=None):
    api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    api.request(method, path, body, headers)
    answer = api.getresponse()
    return answer.status, answer.headers, answer.read()


class Listener(BaseHTTPRequestHandler):
    def do_POST(self):
        for event in json.loads(self.rfile.read(int(self.headers["content-length"]))):
            note(type=event["type"], record=event["record"])
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


root = "/2020-01-01/extension/"
status, headers, body = ask(
    "POST",
    root + "register",
    {"Lambda-Extension-Name": NAME, "Lambda-Extension-Accept-Feature": "accountId"},
    json.dumps({"events": ["INVOKE", "SHUTDOWN"]}),
)
assert status == 200, body
mine = {"Lambda-Extension-Identifier": headers["Lambda-Extension-Identifier"]}
note(registered=json.loads(body), variables=sorted(os.environ))
if MODE == "crash":
    sys.exit(3)
if MODE == "init_error":
    fatal = {**mine, "Lambda-Extension-Function-Error-Type": "Extension.NoKey"}
    ask("POST", root + "init/error", fatal)
    sys.exit(0)
if MODE == "telemetry":
    server = HTTPServer(("sandbox.localdomain", 8080), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    status, _, body = ask(
        "PUT",
        "/2022-07-01/telemetry",
        mine,
        json.dumps(
            {
                "schemaVersion": "2022-12-13",
                "types": ["platform", "function", "extension"],
                "buffering": {"timeoutMs": 25},
                "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:8080/"},
            }
        ),
    )
    note(subscribed=status)
while True:
    _, _, body = ask("GET", root + "event/next", mine)
    event = json.loads(body)
    note(event=event)
    if event["eventType"] == "SHUTDOWN":
        sys.exit(0)
    if MODE == "exit_error":
        fatal = {**mine, "Lambda-Extension-Function-Error-Type": "Extension.NoMore"}
        ask("POST", root + "exit/error", fatal)
        sys.exit(4)
    if MODE == "slow":
        import time

        time.sleep(60)
"""

FUNCTION = """
import json, os, time

def handler(event, context):
    print("a line")
    time.sleep(event.get("sleep", 0))
    try:
        notes = [json.loads(line) for line in open("/tmp/notes")]
    except OSError:
        notes = []
    return {"notes": notes, "deadline": context.get_remaining_time_in_millis()}
"""


@pytest.fixture
def with_extension(kiln, deploy):
    layers = []

    def make(mode="", files=None, **settings):
        layer = kiln.lambda_.publish_layer_version(
            LayerName=unique("ext"),
            Content={"ZipFile": zipped(files or {"extensions/watcher*": EXTENSION})},
        )
        layers.append(layer)
        return deploy(
            {"index.py": FUNCTION},
            Layers=[layer["LayerVersionArn"]],
            Environment={"Variables": {"MODE": mode, "MINE": "1"}},
            **{"Timeout": 10, **settings},
        )

    yield make
    for layer in layers:
        name = layer["LayerArn"].rsplit(":", 1)[1]
        kiln.lambda_.delete_layer_version(LayerName=name, VersionNumber=layer["Version"])


def noted(kiln, function, wanted):
    """The notes of the log, once one fits."""

    def found():
        client = kiln.client("logs")
        group = f"/aws/lambda/{function.name}"
        lines = client.filter_log_events(logGroupName=group, filterPattern="NOTE")["events"]
        notes = [json.loads(line["message"].split("NOTE ", 1)[1]) for line in lines]
        return notes if any(wanted(note) for note in notes) else None

    return eventually(found)


def test_an_external_extension_sees_each_call(with_extension):
    """LIFE-1, spec 4.2: registered before the function runs, told of every call, seen in the log."""
    function = with_extension()
    first = function({})
    second = function({}).value["notes"]
    assert first.value["notes"][0]["registered"] == {
        "functionName": function.name,
        "functionVersion": "$LATEST",
        "handler": "index.handler",
        "accountId": function.arn.split(":")[4],
    }
    variables = second[0]["variables"]
    assert {"MINE", "AWS_ACCESS_KEY_ID", "AWS_LAMBDA_FUNCTION_NAME"} <= set(variables)
    hidden = {"AWS_EXECUTION_ENV", "AWS_LAMBDA_LOG_GROUP_NAME", "LAMBDA_TASK_ROOT"}
    assert not hidden & set(variables)
    assert not [name for name in variables if name.startswith("_") and name != "_"]
    event = next(note["event"] for note in second if "event" in note)
    assert event["eventType"] == "INVOKE"
    assert event["requestId"] == first.request_id
    assert event["invokedFunctionArn"] == function.arn
    assert event["tracing"]["type"] == "X-Amzn-Trace-Id"
    left = event["deadlineMs"] - time.time() * 1000
    assert 0 < left <= 10_000
    group = f"/aws/lambda/{function.name}"
    line = "EXTENSION\tName: watcher\tState: Ready\tEvents: [INVOKE, SHUTDOWN]"

    def logged():
        client = function.kiln.client("logs")
        events = client.filter_log_events(logGroupName=group)["events"]
        return line in [event["message"].rstrip("\n") for event in events]

    assert eventually(logged)


def test_extensions_are_told_of_the_end_and_why(kiln, with_extension):
    """Spec 4.4: spindown if the environment is not needed, timeout after a call without end."""
    function = with_extension()
    function({})
    function.update(Description="another")

    def is_shutdown(reason):
        return lambda note: note.get("event", {}).get("shutdownReason") == reason

    assert noted(kiln, function, is_shutdown("spindown"))
    function = with_extension(Timeout=1)
    assert function({"sleep": 30}).json["errorType"] == "Sandbox.Timedout"
    assert noted(kiln, function, is_shutdown("timeout"))


def test_a_subscriber_gets_telemetry_in_order(with_extension):
    """LIFE-10, spec 4.3: platform events, lines of the function and of extensions; init, invocation and
    overhead are told apart."""
    function = with_extension("telemetry")
    request = function({}).request_id

    def told():
        # An environment may stand still between calls: the next one lets its extension go on.
        notes = function({}).value["notes"]
        reports = [n["record"] for n in notes if n.get("type") == "platform.report"]
        return notes if any(report["requestId"] == request for report in reports) else None

    notes = eventually(told)
    assert {"subscribed": 200} in notes
    events = [note for note in notes if "type" in note and "." in note["type"]]
    types = [event["type"] for event in events]
    wanted = [
        "platform.initStart",
        "platform.telemetrySubscription",
        "platform.extension",
        "platform.initRuntimeDone",
        "platform.initReport",
        "platform.start",
        "platform.runtimeDone",
        "platform.report",
    ]
    assert [kind for kind in types if kind in wanted][: len(wanted)] == wanted
    record = {}
    for event in events:
        record.setdefault(event["type"], event["record"])
    assert record["platform.start"]["requestId"] == request
    assert record["platform.runtimeDone"]["status"] == "success"
    assert record["platform.runtimeDone"]["metrics"]["producedBytes"] > 0
    assert record["platform.report"]["metrics"]["memorySizeMB"] == 128
    spans = record["platform.runtimeDone"]["spans"]
    names = ["responseLatency", "responseDuration", "runtimeOverhead"]
    assert [span["name"] for span in spans] == names
    starts = [span["start"] for span in spans]
    assert starts == sorted(starts) and all(start.endswith("Z") for start in starts)
    parts = sum(span["durationMs"] for span in spans)
    whole = record["platform.runtimeDone"]["metrics"]["durationMs"]
    assert abs(parts - whole) < 1, (parts, whole)
    [overhead] = record["platform.report"]["spans"]
    assert overhead["name"] == "extensionOverhead"
    metrics = record["platform.report"]["metrics"]
    assert metrics["initDurationMs"] == record["platform.initReport"]["metrics"]["durationMs"]
    lines = [note["record"] for note in notes if note.get("type") == "function"]
    assert any("a line" in line for line in lines)


@pytest.mark.parametrize(
    "mode, kind, text",
    [
        ("crash", "Extension.Crash", "exit status 3"),
        ("init_error", "Extension.InitError", "exit code 0"),
    ],
)
def test_an_extension_that_does_not_come_up_fails_the_call(with_extension, mode, kind, text):
    """Spec 4.8: `Extension.Crash`, `Extension.InitError`: the error of the extension is the function's."""
    answer = with_extension(mode)({})
    assert answer.error == "Unhandled"
    assert answer.json["errorType"] == kind
    assert answer.json["errorMessage"].endswith(f"Error: {text}")
    assert f"Error Type: {kind}" in answer.log


def test_an_extension_that_gives_up_during_a_call_fails_it(with_extension):
    """Spec 4.8: `Extension.ExitError`: it said so with `/exit/error` before it ended."""
    answer = with_extension("exit_error")({"sleep": 30})
    assert answer.error == "Unhandled"
    assert answer.json == {
        "errorType": "Extension.ExitError",
        "errorMessage": f"RequestId: {answer.request_id} Error: exit status 4",
    }
    assert "Status: error\tError Type: Extension.ExitError" in answer.log


@pytest.mark.parametrize(
    "files, text, why",
    [
        (
            {"extensions/broken*": "\x7fELF nothing"},
            "fork/exec /opt/extensions/broken: exec format error",
            "broken UnknownError",
        ),
        (
            {"extensions/closed": EXTENSION},
            "fork/exec /opt/extensions/closed: permission denied",
            "closed PermissionDenied",
        ),
        (
            {f"extensions/e{n:02}*": EXTENSION for n in range(11)},
            "ErrTooManyExtensions",
            "e10 TooManyExtensions",
        ),
    ],
)
def test_an_extension_that_cannot_be_started_fails_the_call(with_extension, files, text, why):
    """Spec 4.2, 4.8: `Extension.LaunchError`; in the log, why: `PermissionDenied`, `TooManyExtensions`."""
    function = with_extension(files=files)
    answer = function({})
    assert answer.error == "Unhandled"
    assert answer.json == {
        "errorType": "Extension.LaunchError",
        "errorMessage": f"RequestId: {answer.request_id} Error: {text}",
    }
    name, kind = why.split()
    line = f"EXTENSION\tName: {name}\tState: LaunchError\tEvents: []\tError Type: {kind}"

    def logged():
        logs, group = function.kiln.client("logs"), f"/aws/lambda/{function.name}"
        events = logs.filter_log_events(logGroupName=group)["events"]
        return line in [event["message"].rstrip("\n") for event in events]

    assert eventually(logged)


def test_the_caller_does_not_wait_for_extensions(with_extension):
    """Spec 4.4: the answer goes out as soon as the function gives it."""
    function = with_extension("slow", Timeout=3)
    begin = time.monotonic()
    # The call with the log's tail would wait for the report.
    assert function({}, LogType="None").value["notes"]
    assert time.monotonic() - begin < 2.5


def test_extensions_can_be_turned_off(with_extension):
    """Spec 4.2: a file of a layer."""
    files = {"extensions/watcher*": EXTENSION, "disable-extensions-jwigqn8j": ""}
    assert with_extension(files=files)({}).value["notes"] == []
