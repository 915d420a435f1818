"""Python functions: events, context, errors, endings."""

import base64
import json
import re

import pytest

from kiln import PYTHON, REGION, unique

LAB = '''
import json, logging, os, sys, time

log = logging.getLogger()
log.setLevel(logging.INFO)
count = 0


class Odd(Exception):
    pass


def handler(event, context):
    global count
    count += 1
    do = event["do"]
    if do == "count":
        return count
    if do == "raise":
        raise Odd("something odd")
    if do == "chain":
        try:
            {}["x"]
        except KeyError as e:
            raise ValueError("outer") from e
    if do == "set":
        return {1, 2}
    if do == "none":
        return None
    if do == "print":
        print("to stdout")
        print("to stderr", file=sys.stderr)
        log.info("to the logger")
        return "printed"
    if do == "many lines":
        for i in range(2000):
            print(f"line {i}")
        return "done"
    if do == "context":
        return {
            "aws_request_id": context.aws_request_id,
            "function_name": context.function_name,
            "function_version": context.function_version,
            "invoked_function_arn": context.invoked_function_arn,
            "memory_limit_in_mb": context.memory_limit_in_mb,
            "log_group_name": context.log_group_name,
            "log_stream_name": context.log_stream_name,
            "remaining": context.get_remaining_time_in_millis(),
            "client_context": None if context.client_context is None else {
                "custom": context.client_context.custom,
                "env": context.client_context.env,
            },
        }
    if do == "remaining":
        first = context.get_remaining_time_in_millis()
        time.sleep(0.05)
        return [first, context.get_remaining_time_in_millis()]
    if do == "environ":
        return dict(os.environ)
    if do == "sleep":
        time.sleep(event["seconds"])
        return "slept"
    if do == "exit":
        sys.exit(event["status"])
    if do == "hard exit":
        os._exit(event["status"])
    if do == "memory":
        return len(bytearray(event["mib"] << 20)) >> 20
    if do == "answer":
        return "x" * event["bytes"]
    if do == "size":
        return len(event["data"])
'''


@pytest.fixture(scope="module")
def lab(module_deploy):
    return module_deploy({"index.py": LAB}, MemorySize=256, Timeout=10)


def test_an_exception_has_the_shape_of_aws(lab):
    """HC-12, INV-6: 200, `Unhandled`, and the four members of Python."""
    answer = lab({"do": "raise"})
    assert (answer.status, answer.error) == (200, "Unhandled")
    body = answer.json
    assert set(body) == {"errorMessage", "errorType", "requestId", "stackTrace"}
    assert body["errorMessage"] == "something odd"
    assert body["errorType"] == "Odd"
    assert body["requestId"] == answer.request_id
    assert len(body["stackTrace"]) == 1
    assert re.match(
        r'  File "/var/task/index\.py", line \d+, in handler\n    raise Odd', body["stackTrace"][0]
    )
    assert "[ERROR] Odd: something odd" in answer.log
    assert f"END RequestId: {answer.request_id}\n" in answer.log


def test_the_environment_lives_on_after_an_exception(lab):
    """HC-11: an error of the handler does not end the environment."""
    before = lab({"do": "count"}).value
    assert lab({"do": "raise"}).error
    assert lab({"do": "count"}).value == before + 2


def test_the_outermost_exception_is_reported(lab):
    """HC-12."""
    body = lab({"do": "chain"}).json
    assert (body["errorType"], body["errorMessage"]) == ("ValueError", "outer")


def test_a_result_that_is_no_json_is_a_marshal_error(lab):
    """HC-8, section 4.8."""
    answer = lab({"do": "set"})
    assert answer.error == "Unhandled"
    assert answer.json["errorType"] == "Runtime.MarshalError"
    assert "set is not JSON serializable" in answer.json["errorMessage"]


def test_no_result_is_null(lab):
    """INV-12."""
    assert lab({"do": "none"}).body == b"null"


def test_the_context_says_what_is_true(lab):
    """HC-2, HC-3, HC-4."""
    answer = lab({"do": "context"})
    context = answer.value
    assert context["aws_request_id"] == answer.request_id
    assert context["function_name"] == lab.name
    assert context["function_version"] == "$LATEST"
    assert context["invoked_function_arn"] == lab.arn
    assert context["memory_limit_in_mb"] == "256"
    assert context["log_group_name"] == f"/aws/lambda/{lab.name}"
    assert re.match(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}$", context["log_stream_name"])
    assert 5_000 < context["remaining"] <= 10_000
    assert context["client_context"] is None


def test_the_invoked_arn_is_as_it_was_called(lab):
    """HC-4: `:$LATEST` only if the caller said so."""
    answer = lab({"do": "context"}, Qualifier="$LATEST")
    assert answer.value["invoked_function_arn"] == f"{lab.arn}:$LATEST"


def test_the_remaining_time_counts_down(lab):
    """HC-3."""
    first, second = lab({"do": "remaining"}).value
    assert 30 <= first - second < 2_000


def test_the_client_context_arrives(lab):
    """HC-9."""
    sent = {"custom": {"a": "b"}, "env": {"c": "d"}, "client": {}}
    encoded = base64.b64encode(json.dumps(sent).encode()).decode()
    got = lab({"do": "context"}, ClientContext=encoded).value["client_context"]
    assert got == {"custom": {"a": "b"}, "env": {"c": "d"}}


def test_output_reaches_the_log_tail(lab):
    """HC-5, INV-5, OBS-13, OBS-15: START, lines, END and REPORT of this invocation."""
    answer = lab({"do": "print"})
    log, request = answer.log, answer.request_id
    start = log.index(f"START RequestId: {request} Version: $LATEST\n")
    end = log.index(f"END RequestId: {request}\n")
    inside = log[start:end]
    assert "to stdout\n" in inside and "to stderr\n" in inside
    assert re.search(rf"\[INFO\]\t\d{{4}}-\S+Z\t{request}\tto the logger\n", inside)
    assert re.search(
        rf"REPORT RequestId: {request}\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms\t"
        r"Memory Size: 256 MB\tMax Memory Used: \d+ MB\t",
        log[end:],
    )


def test_the_log_tail_is_the_last_four_kilobytes(lab):
    """INV-5, LIM-18."""
    answer = lab({"do": "many lines"})
    assert len(answer.log.encode()) <= 4_096
    assert "line 1999\n" in answer.log and "line 10\n" not in answer.log
    assert "REPORT RequestId" in answer.log
    assert "LogResult" not in lab({"do": "print"}, LogType="None").raw


def test_the_system_variables_are_there(lab):
    """ENV-4, section 4.6."""
    got = lab({"do": "environ"}).value
    assert {
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{PYTHON}",
        "AWS_LAMBDA_FUNCTION_NAME": lab.name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{lab.name}",
        "LAMBDA_TASK_ROOT": "/var/task",
        "_HANDLER": "index.handler",
        "TZ": ":UTC",
    }.items() <= got.items()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "LANG"):
        assert got.get(name), name
    assert not [name for name in got if name.startswith("KILN_")]


def test_a_timeout_ends_the_invocation_and_the_next_one_works(deploy):
    """FN-14, section 4.8: the new style, two decimals."""
    function = deploy({"index.py": LAB}, Timeout=1)
    answer = function({"do": "sleep", "seconds": 30})
    assert (answer.status, answer.error) == (200, "Unhandled")
    assert answer.json == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {answer.request_id} Error: Task timed out after 1.00 seconds",
    }
    assert "Status: timeout" in answer.log
    assert function({"do": "count"}).value == 1


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (0, "Runtime exited without providing a reason"),
        (3, "Runtime exited with error: exit status 3"),
    ],
)
def test_an_exit_of_the_handler_is_an_exit_error(deploy, status, message):
    """Section 4.8: `Runtime.ExitError`; the next call gets a new environment."""
    function = deploy({"index.py": LAB})
    answer = function({"do": "hard exit", "status": status})
    assert answer.error == "Unhandled"
    assert answer.json == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {answer.request_id} Error: {message}",
    }
    assert function({"do": "count"}).value == 1


def test_too_much_memory_kills_the_environment(deploy):
    """FN-15: a hard limit, `signal: killed`."""
    function = deploy({"index.py": LAB}, MemorySize=128)
    assert function({"do": "memory", "mib": 16}).value == 16
    answer = function({"do": "memory", "mib": 512})
    if answer.json.get("errorType") == "MemoryError":
        # without cgroups the limit is on the address space, and Python sees it itself
        return
    assert answer.error == "Unhandled"
    assert answer.json == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {answer.request_id} Error: Runtime exited with error: "
        "signal: killed",
    }
    assert function({"do": "memory", "mib": 16}).value == 16


def test_an_error_while_loading_is_told(deploy):
    """FN-2, FN-3, section 4.8: what is wrong with the handler's name or module."""
    cases = [
        (
            {"folder/index.py": "x = 1"},
            "index.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'index': No module named 'index'",
        ),
        (
            {"index.py": "x = 1"},
            "index.handler",
            "Runtime.HandlerNotFound",
            "Handler 'handler' missing on module 'index'",
        ),
        (
            {"index.py": "x = 1"},
            "handler",
            "Runtime.MalformedHandlerName",
            "Bad handler 'handler': not enough values to unpack (expected 2, got 1)",
        ),
        (
            {"index.py": "import nothing_like_it"},
            "index.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'index': No module named 'nothing_like_it'",
        ),
    ]
    for files, handler, kind, message in cases:
        answer = deploy(files, handler)({})
        assert answer.error == "Unhandled"
        assert answer.json["errorType"] == kind
        assert answer.json["errorMessage"] == message


def test_broken_syntax_is_told(deploy):
    """Section 4.8: `Runtime.UserCodeSyntaxError`."""
    answer = deploy({"index.py": "def handler(:\n"})({})
    assert answer.error == "Unhandled"
    assert answer.json["errorType"] == "Runtime.UserCodeSyntaxError"
    assert answer.json["errorMessage"].startswith("Syntax error in module 'index': ")


def test_an_exception_while_loading_is_the_functions_error(deploy):
    """HC-11, HC-12: module code fails."""
    answer = deploy({"index.py": "raise ValueError('at the top')\ndef handler(e, c): pass\n"})({})
    assert answer.error == "Unhandled"
    assert (answer.json["errorType"], answer.json["errorMessage"]) == ("ValueError", "at the top")


def test_an_exit_while_loading_is_an_exit_error(deploy):
    """Section 4.8: the runtime ends before it asks for work."""
    answer = deploy({"index.py": "import os; os._exit(7)\ndef handler(e, c): pass\n"})({})
    assert answer.error == "Unhandled"
    assert answer.json["errorType"] == "Runtime.ExitError"
    assert answer.json["errorMessage"].endswith("Error: Runtime exited with error: exit status 7")


def test_packages_and_submodules_of_the_zip_are_importable(deploy):
    """FN-3, FN-4, section 4.10: `/` and `.` in the handler's module."""
    files = {
        "pkg/__init__.py": "",
        "pkg/deep/__init__.py": "",
        "pkg/deep/main.py": "from pkg.other import value\ndef run(e, c): return value\n",
        "pkg/other.py": "value = 42\n",
    }
    for handler in ("pkg/deep/main.run", "pkg.deep.main.run"):
        assert deploy(files, handler)().value == 42


def test_a_large_event_and_a_large_result_pass_and_larger_ones_do_not(lab):
    """INV-14, INV-15, LIM-5: 6 MiB in, 6 MiB and 100 bytes out."""
    frame = len(json.dumps({"do": "size", "data": ""}))
    fits = 6_291_456 - frame
    assert lab({"do": "size", "data": "x" * fits}).value == fits
    with pytest.raises(lab.client.exceptions.RequestTooLargeException) as error:
        lab({"do": "size", "data": "x" * (fits + 1)})
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert error.value.response["Error"]["Message"] == (
        "6291457 byte payload is too large for the RequestResponse invocation type "
        "(limit 6291456 bytes)"
    )
    largest = 6_291_556 - 2
    assert len(lab({"do": "answer", "bytes": largest}).value) == largest
    answer = lab({"do": "answer", "bytes": largest + 1})
    assert answer.error == "Unhandled"
    assert answer.json == {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": "Response payload size exceeded maximum allowed payload size "
        "(6291556 bytes).",
    }
    assert lab({"do": "none"}).body == b"null"


def test_a_runtime_that_the_host_lacks_is_told(kiln):
    """FN-21: the error says what to install, at create or at invoke."""
    client = kiln.lambda_
    name = unique()
    try:
        function = kiln.deploy(name, {"index.py": LAB}, runtime="python3.14", wait=False)
    except client.exceptions.ClientError as error:
        assert "python3.14" in str(error)
        return
    try:
        if kiln.settle(name)["State"] == "Active":
            try:
                answer = function({"do": "none"})
                assert answer.error is None or "python3.14" in answer.body.decode()
            except client.exceptions.ClientError as error:
                assert "python3.14" in str(error)
    finally:
        function.delete()
