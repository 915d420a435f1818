"""Every error type of a function that an invocation can end with, produced once.  [section 4.8]

Those of streams (`Runtime.TruncatedResponse`, `Runtime.InvalidResponseModeHeader`,
`Runtime.StreamError`) are in test_streaming.py.
"""

import json
import re
import sys

import pytest

from kiln import NODE

PYTHON_LAB = """
import os, signal, time
def handler(event, context):
    do = event["do"]
    if do == "sleep":
        time.sleep(60)
    if do == "exit":
        os._exit(event["code"])
    if do == "signal":
        os.kill(os.getpid(), event["number"])
        time.sleep(60)
    if do == "large":
        return "x" * event["bytes"]
    if do == "object":
        return object()
    if do == "raise":
        raise KeyError("mine")
    class Odd(Exception):
        pass
    raise Odd("of the user")
"""

NODE_LAB = """
exports.handler = async (event) => {
  switch (event.do) {
    case 'reject': Promise.reject(new Error('nobody waits')); return new Promise(() => {});
    case 'hang': return new Promise(() => {});
    case 'circle': { const a = {}; a.a = a; return a; }
    case 'exit': process.exit(event.code);
    case 'throw': throw new RangeError('mine');
    case 'odd': { class Odd extends Error {}; const e = new Odd('of the user'); e.name = 'Odd'; throw e; }
  }
};
"""

#: A custom runtime whose init fails with the type that its handler names.
REPORTER = """#!/bin/sh
for python in "$PYTHON_OF_THE_TEST" /usr/bin/python3 /usr/local/bin/python3; do
  [ -x "$python" ] && exec "$python" /var/task/report.py
done
exit 90
"""

REPORTER_PY = """
import json, os, urllib.request
kind = os.environ["_HANDLER"]
request = urllib.request.Request(
    f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/init/error",
    json.dumps({"errorType": kind, "errorMessage": "of the runtime"}).encode(),
    {"Lambda-Runtime-Function-Error-Type": kind},
)
assert urllib.request.urlopen(request).status == 202
"""

RAW = "#!/bin/sh\nexit 0\n"


@pytest.fixture(scope="module")
def python(module_deploy):
    return module_deploy({"index.py": PYTHON_LAB}, Timeout=5, MemorySize=256)


@pytest.fixture(scope="module")
def node(module_deploy):
    if NODE is None:
        pytest.skip("no Node.js on this host")
    return module_deploy({"index.js": NODE_LAB}, runtime=NODE, Timeout=5, MemorySize=256)


def check(function, event, kind, text):
    """INV-6: the answer is 200 with a header; type and message are in the payload."""
    answer = function(event)
    assert (answer.status, answer.error) == (200, "Unhandled"), answer.body
    assert answer.json["errorType"] == kind, answer.json
    message = answer.json["errorMessage"]
    assert text.replace("<id>", answer.request_id) in message, message
    return answer


@pytest.mark.parametrize(
    ("event", "kind", "text"),
    [
        (
            {"do": "exit", "code": 0},
            "Runtime.ExitError",
            "RequestId: <id> Error: Runtime exited without providing a reason",
        ),
        (
            {"do": "exit", "code": 1},
            "Runtime.ExitError",
            "RequestId: <id> Error: Runtime exited with error: exit status 1",
        ),
        (
            {"do": "signal", "number": 9},
            "Runtime.ExitError",
            "RequestId: <id> Error: Runtime exited with error: signal: killed",
        ),
        (
            {"do": "signal", "number": 11},
            "Runtime.ExitError",
            "Runtime exited with error: signal: segmentation fault",
        ),
        (
            {"do": "large", "bytes": 6_291_557},
            "Function.ResponseSizeTooLarge",
            "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
        ),
        ({"do": "object"}, "Runtime.MarshalError", "Unable to marshal response"),
        ({"do": "raise"}, "KeyError", "'mine'"),
        ({"do": "own"}, "Odd", "of the user"),
    ],
)
def test_a_python_function_can_end_with(python, event, kind, text):
    """Section 4.8: `Runtime.ExitError`, `Function.ResponseSizeTooLarge`, `Runtime.MarshalError`, and what
    users raise."""
    check(python, event, kind, text)


def test_a_function_can_take_too_long(deploy):
    """Section 4.8: `Sandbox.Timedout`, two decimals."""
    slow = deploy({"index.py": PYTHON_LAB}, Timeout=1)
    text = "RequestId: <id> Error: Task timed out after 1.00 seconds"
    answer = check(slow, {"do": "sleep"}, "Sandbox.Timedout", text)
    assert "Status: timeout" in answer.log


@pytest.mark.parametrize(
    ("event", "kind", "text"),
    [
        ({"do": "reject"}, "Runtime.UnhandledPromiseRejection", "nobody waits"),
        ({"do": "hang"}, "Runtime.NodeJsExit", ""),
        ({"do": "exit", "code": 0}, "Runtime.ExitError", "without providing a reason"),
        ({"do": "exit", "code": 7}, "Runtime.ExitError", "exit status 7"),
        ({"do": "throw"}, "RangeError", "mine"),
        ({"do": "odd"}, "Odd", "of the user"),
    ],
)
def test_a_node_function_can_end_with(node, event, kind, text):
    """Section 4.8: `Runtime.UnhandledPromiseRejection`, `Runtime.NodeJsExit`, `Runtime.ExitError`."""
    check(node, event, kind, text)


@pytest.mark.parametrize(
    ("files", "handler", "kind", "text"),
    [
        (
            {"index.py": "def other(e, c): pass\n"},
            "index.handler",
            "Runtime.HandlerNotFound",
            "Handler 'handler' missing on module 'index'",
        ),
        (
            {"index.py": "import nowhere_at_all\n"},
            "index.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'index': No module named 'nowhere_at_all'",
        ),
        ({"index.py": ""}, "index", "Runtime.MalformedHandlerName", "Bad handler 'index'"),
        (
            {"index.py": "def handler(:\n"},
            "index.handler",
            "Runtime.UserCodeSyntaxError",
            "Syntax error in module 'index'",
        ),
    ],
)
def test_a_python_function_that_cannot_be_loaded(deploy, files, handler, kind, text):
    """Section 4.8: `Runtime.HandlerNotFound`, `Runtime.ImportModuleError`, `Runtime.MalformedHandlerName`,
    `Runtime.UserCodeSyntaxError`: the init phase fails, and again within the invocation."""
    answer = check(deploy(files, handler), None, kind, text)
    assert f"Error Type: {kind}" in answer.log


@pytest.mark.parametrize(
    ("code", "handler", "kind", "text"),
    [
        ("exports.other = 1", "index.handler", "Runtime.HandlerNotFound", "undefined or not exported"),
        ("require('nowhere-at-all')", "index.handler", "Runtime.ImportModuleError", "nowhere-at-all"),
        ("", "index", "Runtime.MalformedHandlerName", "Bad handler"),
        ("exports.handler = (", "index.handler", "Runtime.UserCodeSyntaxError", "Unexpected"),
    ],
)
def test_a_node_function_that_cannot_be_loaded(deploy, node_runtime, code, handler, kind, text):
    """Section 4.8: `Runtime.HandlerNotFound`, `Runtime.ImportModuleError`, `Runtime.MalformedHandlerName`,
    `Runtime.UserCodeSyntaxError`."""
    function = deploy({"index.js": code}, handler, runtime=node_runtime)
    check(function, None, kind, text)


def test_a_type_that_no_runtime_has_is_unknown_in_the_log(deploy):
    """Section 4.8: an init error of another type is `Runtime.Unknown` in the report."""
    broken = deploy({"index.py": "raise ValueError('while loading')\n"})
    answer = check(broken, None, "ValueError", "while loading")
    assert "Error Type: Runtime.Unknown" in answer.log


@pytest.mark.parametrize(
    ("told", "logged"),
    [
        ("Runtime.OutOfMemory", "Runtime.OutOfMemory"),
        ("Function.TooHot", "Function.TooHot"),
        ("Function.1", "Function.Unknown"),
        ("Odd", "Runtime.Unknown"),
    ],
)
def test_a_type_that_a_runtime_reports(deploy, told, logged):
    """Section 4.8: `Runtime.OutOfMemory`, `Function.Unknown`, `Runtime.Unknown`: the caller gets what the
    runtime said; the log keeps the names of `Runtime` and `Function` only."""
    function = deploy(
        {"bootstrap*": REPORTER, "report.py": REPORTER_PY},
        told,
        runtime="provided.al2023",
        MemorySize=256,
        Environment={"Variables": {"PYTHON_OF_THE_TEST": sys.executable}},
    )
    answer = function({})
    assert (answer.status, answer.error) == (200, "Unhandled")
    assert answer.json == {"errorType": told, "errorMessage": "of the runtime"}
    assert answer.log.rstrip().endswith(f"Status: error\tError Type: {logged}")


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("bootstrap", RAW, "fork/exec /var/task/bootstrap: permission denied"),
        ("bootstrap*", "\x7fELF no", "fork/exec /var/task/bootstrap: exec format error"),
        ("bootstrap*", "#!/no/shell\n", "fork/exec /var/task/bootstrap: no such file or directory"),
    ],
)
def test_a_bootstrap_that_cannot_be_started(deploy, name, content, text):
    """Section 4.8: `Runtime.InvalidEntrypoint`."""
    broken = deploy({name: content}, "any", runtime="provided.al2023")
    check(broken, None, "Runtime.InvalidEntrypoint", f"RequestId: <id> Error: {text}")


def test_a_bootstrap_that_is_not_there(deploy):
    """Section 4.8: `Runtime.InvalidEntrypoint`."""
    empty = deploy({"readme": "nothing"}, "any", runtime="provided.al2023")
    text = "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"
    check(empty, None, "Runtime.InvalidEntrypoint", text)


def test_a_bootstrap_that_ends_at_once(deploy):
    """Section 4.7, 4.8: `Runtime.ExitError` of the init phase, which is told twice."""
    short = deploy({"bootstrap*": RAW}, "any", runtime="provided.al2023")
    answer = check(short, None, "Runtime.ExitError", "Runtime exited without providing a reason")
    lines = re.sub(r"\d+\.\d\d ms", "N ms", answer.log).splitlines()
    # Both init phases come before the call.
    assert lines[:-1] == [
        "INIT_REPORT Init Duration: N ms\tPhase: init\tStatus: error\tError Type: Runtime.ExitError",
        "INIT_REPORT Init Duration: N ms\tPhase: invoke\tStatus: error\tError Type: Runtime.ExitError",
        f"START RequestId: {answer.request_id} Version: $LATEST",
        f"RequestId: {answer.request_id} Error: Runtime exited without providing a reason",
        "Runtime.ExitError",
        f"END RequestId: {answer.request_id}",
    ]
    assert lines[-1].startswith(f"REPORT RequestId: {answer.request_id}\tDuration: N ms\t")


def test_an_event_that_is_no_text_for_its_runtime(deploy):
    """Section 4.8: `Runtime.UnmarshalError`; JSON allows a number that Python's reader does not."""
    function = deploy({"index.py": "def handler(e, c): return 1\n"})
    raw = function.client.invoke(FunctionName=function.name, Payload=b'"\\ud800' + b"9" * 5_000 + b'"')
    assert raw.get("FunctionError") is None
    raw = function.client.invoke(FunctionName=function.name, Payload=b"9" * 5_000)
    body = json.loads(raw["Payload"].read())
    assert (raw["FunctionError"], body["errorType"]) == ("Unhandled", "Runtime.UnmarshalError")
