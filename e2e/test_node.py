"""Node.js functions: callbacks, promises, modules, errors."""

import re

import pytest

LAB = """
let count = 0;
console.log('loading');
exports.handler = async (event, context) => {
  count += 1;
  switch (event.do) {
    case 'count': return count;
    case 'echo': return event;
    case 'nothing': return undefined;
    case 'throw': throw new TypeError('not like this');
    case 'string': throw 'a text';
    case 'reject later': Promise.reject(new RangeError('nobody waits')); await new Promise(() => {});
    case 'log':
      console.log('to the log', { a: 1 }); console.error('an error');
      process.stdout.write('raw\\n');
      return 'logged';
    case 'context': return {
      awsRequestId: context.awsRequestId, functionName: context.functionName,
      functionVersion: context.functionVersion, invokedFunctionArn: context.invokedFunctionArn,
      memoryLimitInMB: context.memoryLimitInMB, logGroupName: context.logGroupName,
      logStreamName: context.logStreamName, remaining: context.getRemainingTimeInMillis(),
      waits: context.callbackWaitsForEmptyEventLoop,
    };
    case 'exit': process.exit(event.status);
    case 'sleep': await new Promise((r) => setTimeout(r, event.ms)); return 'slept';
    case 'environment': return process.env;
  }
};
"""

CALLBACK = """
exports.handler = (event, context, callback) => {
  if (event.fail) return callback(new Error('called back'));
  if (event.wait) context.callbackWaitsForEmptyEventLoop = false;
  setTimeout(() => {}, event.wait ? 60000 : 0);
  callback(null, { got: event });
};
"""


@pytest.fixture(scope="module")
def lab(module_deploy):
    from kiln import NODE

    if NODE is None:
        pytest.skip("no Node.js on this host")
    return module_deploy({"index.js": LAB}, runtime=NODE, MemorySize=256)


def test_a_node_function_echoes_and_counts(lab):
    """HC-1, HC-7, HC-11, INV-1."""
    event = {"do": "echo", "text": "grüße", "list": [1, None, {"a": 1.5}]}
    assert lab(event).value == event
    first = lab({"do": "count"}).value
    assert lab({"do": "count"}).value == first + 1


def test_no_result_of_node_is_null(lab):
    """INV-12."""
    assert lab({"do": "nothing"}).body == b"null"


def test_a_thrown_error_has_the_shape_of_node(lab):
    """HC-12: errorType, errorMessage and trace."""
    answer = lab({"do": "throw"})
    assert (answer.status, answer.error) == (200, "Unhandled")
    body = answer.json
    assert set(body) == {"errorType", "errorMessage", "trace"}
    assert (body["errorType"], body["errorMessage"]) == ("TypeError", "not like this")
    assert body["trace"][0] == "TypeError: not like this"
    assert re.match(r"    at .*/var/task/index\.js:\d+:\d+\)?$", body["trace"][1])


def test_a_rejection_that_nobody_awaits_ends_the_environment(lab):
    """HC-7."""
    answer = lab({"do": "reject later"})
    assert answer.error == "Unhandled"
    assert answer.json["errorType"] == "Runtime.UnhandledPromiseRejection"
    assert answer.json["errorMessage"] == "RangeError: nobody waits"
    assert lab({"do": "count"}).value == 1


def test_the_context_of_node_says_what_is_true(lab):
    """HC-2, HC-3, HC-4, HC-6."""
    answer = lab({"do": "context"})
    context = answer.value
    assert context["awsRequestId"] == answer.request_id
    assert context["functionName"] == lab.name
    assert context["invokedFunctionArn"] == lab.arn
    assert context["memoryLimitInMB"] == "256"
    assert context["logGroupName"] == f"/aws/lambda/{lab.name}"
    assert 5_000 < context["remaining"] <= 15_000
    assert context["waits"] is True


def test_console_lines_carry_the_request_id(lab):
    """HC-5, OBS-15: time, id, level, text."""
    answer = lab({"do": "log"})
    stamp = rf"\d{{4}}-\d\d-\d\dT\S+Z\t{answer.request_id}"
    assert re.search(rf"{stamp}\tINFO\tto the log {{ a: 1 }}\n", answer.log)
    assert re.search(rf"{stamp}\tERROR\tan error\n", answer.log)
    assert "\nraw\n" in answer.log


def test_an_exit_of_node_is_an_exit_error(lab):
    """Section 4.8."""
    answer = lab({"do": "exit", "status": 5})
    assert answer.error == "Unhandled"
    assert answer.json == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {answer.request_id} Error: Runtime exited with error: "
        "exit status 5",
    }


def test_the_variables_of_node_are_there(lab):
    """ENV-4."""
    got = lab({"do": "environment"}).value
    assert got["AWS_LAMBDA_FUNCTION_NAME"] == lab.name
    assert got["AWS_EXECUTION_ENV"] == f"AWS_Lambda_{lab.created['Runtime']}"
    assert "/opt/nodejs/node_modules" in got["NODE_PATH"]


def test_callbacks_work_where_aws_has_them(deploy, node_runtime):
    """HC-6: nodejs22.x and older."""
    function = deploy({"index.js": CALLBACK}, runtime=node_runtime)
    if int(node_runtime.removeprefix("nodejs").split(".")[0]) > 22:
        assert function({}).error == "Unhandled"
        return
    assert function({"a": 1}).value == {"got": {"a": 1}}
    failed = function({"fail": True})
    assert failed.error == "Unhandled"
    assert failed.json["errorMessage"] == "called back"
    assert function({"wait": True}).value == {"got": {"wait": True}}


def test_modules_of_every_kind_load(deploy, node_runtime):
    """FN-3, FN-4, section 4.10: CommonJS, ECMAScript modules, folders and nested exports."""
    for files, handler in (
        ({"index.mjs": "export const handler = async () => 'esm';"}, "index.handler"),
        ({"index.cjs": "exports.handler = async () => 'cjs';"}, "index.handler"),
        (
            {
                "package.json": '{"type": "module"}',
                "src/main.js": "import { x } from './x.js'; export const run = async () => x;",
                "src/x.js": "export const x = 'package';",
            },
            "src/main.run",
        ),
        (
            {"index.js": "const x = require('./x'); exports.a = { b: async () => x };",
             "x.js": "module.exports = 'nested';"},
            "index.a.b",
        ),
    ):
        value = deploy(files, handler, runtime=node_runtime)().value
        assert value in ("esm", "cjs", "package", "nested")


def test_errors_while_loading_node_are_told(deploy, node_runtime):
    """FN-2, FN-3, section 4.8."""
    for files, kind, message in (
        (
            {"folder/index.js": ""},
            "Runtime.ImportModuleError",
            "Error: Cannot find module 'index'",
        ),
        (
            {"index.js": "exports.other = 1;"},
            "Runtime.HandlerNotFound",
            "index.handler is undefined or not exported",
        ),
        ({"index.js": "exports.handler = (;"}, "Runtime.UserCodeSyntaxError", "SyntaxError: "),
    ):
        answer = deploy(files, runtime=node_runtime)({})
        assert answer.error == "Unhandled"
        assert answer.json["errorType"] == kind, answer.json
        assert answer.json["errorMessage"].startswith(message), answer.json


def test_a_node_timeout_is_a_timeout(deploy, node_runtime):
    """FN-14."""
    function = deploy({"index.js": LAB}, runtime=node_runtime, Timeout=1)
    answer = function({"do": "sleep", "ms": 30_000})
    assert answer.json["errorType"] == "Sandbox.Timedout"
    assert answer.json["errorMessage"].endswith("Task timed out after 1.00 seconds")
