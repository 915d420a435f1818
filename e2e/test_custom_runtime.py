"""Custom runtimes: a bootstrap of the function's own, and AWS's own Python client."""

import importlib.util
import sys
from pathlib import Path

import pytest

from kiln import PYTHON

PROVIDED = "provided.al2023"

#: A complete runtime in plain Python, on whichever Python the environment has.
LOOP = """#!/bin/sh
for python in "$PYTHON_OF_THE_TEST" /usr/bin/python3 /usr/local/bin/python3; do
  [ -x "$python" ] && exec "$python" /var/task/loop.py
done
exit 90
"""

LOOP_PY = """
import json, os, urllib.request
base = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime"

def post(path, body, **headers):
    request = urllib.request.Request(base + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 202, answer.status

while True:
    with urllib.request.urlopen(base + "/invocation/next") as answer:
        id = answer.headers["Lambda-Runtime-Aws-Request-Id"]
        event = json.load(answer)
        headers = {k.lower(): v for k, v in answer.headers.items()}
    if event == "fail":
        post(f"/invocation/{id}/error", {"errorType": "My.Error", "errorMessage": "on purpose"})
    elif event == "headers":
        post(f"/invocation/{id}/response", headers)
    else:
        post(f"/invocation/{id}/response", {"handler": os.environ["_HANDLER"], "event": event})
"""


@pytest.fixture(scope="module")
def loop(module_deploy):
    return module_deploy(
        {"bootstrap*": LOOP, "loop.py": LOOP_PY},
        "any.thing",
        runtime=PROVIDED,
        MemorySize=256,
        Environment={"Variables": {"PYTHON_OF_THE_TEST": sys.executable}},
    )


def test_a_bootstrap_of_the_zip_is_the_runtime(loop):
    """FN-27, RT-3, section 4.10: `bootstrap` in /var/task, any handler text."""
    assert loop({"a": 1}).value == {"handler": "any.thing", "event": {"a": 1}}
    assert loop([2]).value == {"handler": "any.thing", "event": [2]}


def test_an_error_that_a_runtime_posts_is_passed_on(loop):
    """Section 4.1: `/invocation/{id}/error`."""
    answer = loop("fail")
    assert answer.error == "Unhandled"
    assert answer.json == {"errorType": "My.Error", "errorMessage": "on purpose"}


def test_the_headers_of_the_next_event_are_complete(loop):
    """Section 4.1."""
    answer = loop("headers")
    headers = answer.value
    assert headers["lambda-runtime-aws-request-id"] == answer.request_id
    assert headers["lambda-runtime-invoked-function-arn"] == loop.arn
    assert int(headers["lambda-runtime-deadline-ms"]) > 1_700_000_000_000
    assert headers["lambda-runtime-trace-id"].startswith("Root=1-")
    assert headers["content-type"] == "application/json"


def test_a_zip_without_bootstrap_is_an_invalid_entrypoint(deploy):
    """FN-27, section 4.8."""
    answer = deploy({"readme": "nothing here"}, "x", runtime=PROVIDED)({})
    assert answer.error == "Unhandled"
    assert answer.json["errorType"] == "Runtime.InvalidEntrypoint"
    assert "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]" in (
        answer.json["errorMessage"]
    )


def test_a_bootstrap_that_ends_is_an_exit_error(deploy):
    """Section 4.8."""
    answer = deploy({"bootstrap*": "#!/bin/sh\nexit 9\n"}, "x", runtime=PROVIDED)({})
    assert answer.error == "Unhandled"
    assert answer.json["errorType"] == "Runtime.ExitError"
    assert answer.json["errorMessage"].endswith("Runtime exited with error: exit status 9")


CLIENT_HANDLER = """
def handler(event, context):
    if event == "fail":
        raise KeyError("lost")
    return {"id": context.aws_request_id, "event": event, "version": context.function_version}
"""


def client_package():
    """AWS's runtime interface client as it is installed here, with the function beside it."""
    site = Path(importlib.util.find_spec("awslambdaric").origin).parent.parent
    files = {"app.py": CLIENT_HANDLER}
    wanted = ["awslambdaric", "simplejson"]
    loose = [*site.glob("runtime_client*.so"), *site.glob("snapshot_restore_py*.py")]
    for folder in wanted:
        for path in sorted((site / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                files[str(path.relative_to(site))] = path.read_bytes()
    for path in loose:
        files[path.name] = path.read_bytes()
    return files


def test_the_python_client_of_aws_runs_unmodified(deploy):
    """FN-27: awslambdaric as the runtime, as in a container image."""
    # the wrapper replaces the start of the managed runtime, so the interpreter is surely there
    wrapper = (
        "#!/bin/sh\n"
        'for python in "$1" "$PYTHON_OF_THE_TEST" /usr/bin/python3; do\n'
        '  [ -x "$python" ] && PYTHONPATH=/var/task exec "$python" -m awslambdaric "$_HANDLER"\n'
        "done\nexit 90\n"
    )
    files = {**client_package(), "wrapper*": wrapper}
    function = deploy(
        files,
        "app.handler",
        runtime=PYTHON,
        MemorySize=256,
        Environment={
            "Variables": {
                "AWS_LAMBDA_EXEC_WRAPPER": "/var/task/wrapper",
                "PYTHON_OF_THE_TEST": sys.executable,
            }
        },
    )
    answer = function({"a": [1]})
    assert answer.value == {"id": answer.request_id, "event": {"a": [1]}, "version": "$LATEST"}
    failed = function("fail")
    assert failed.error == "Unhandled"
    assert failed.json["errorType"] == "KeyError"
    assert failed.json["requestId"] == failed.request_id
    assert function(1).value["event"] == 1
