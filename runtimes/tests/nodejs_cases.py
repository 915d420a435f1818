"""What every Node.js runtime must do. Each case is one process; the name says what is expected."""

import base64
import json
import pathlib
import re
import tempfile

import mock

ECHO = "exports.h = async (event) => event;"


class Cases:
    def __init__(self, node, version):
        self.node = node
        self.version = version

    def run(self, bootstrap, code=ECHO, handler="i.h", files=None, name="i.js", mode=22, **kwargs):
        files = files or {name: code}
        kwargs.setdefault("version", "AWS_Lambda_nodejs%d.x" % mode)
        return mock.run([self.node, bootstrap], handler, files, **kwargs)

    def _answer(self, bootstrap, code, **kwargs):
        return self.run(bootstrap, code, **kwargs).answer()

    def any_json_goes_in_and_out(self, b):
        values = [{"a": [1, 2.5, None, True, "x"]}, "text", 7, [], None, {"é": "\u2028"}, 1e100]
        for mode in (22, 24):
            run = self.run(b, events=values, mode=mode)
            assert [json.loads(body) for _, _, body in run.answers] == values, run.answers
            attempts = [headers["lambda-runtime-invocation-id"] for _, headers, _ in run.answers]
            assert attempts == [str(n) for n in range(len(values))], attempts

    def a_large_event_and_answer_pass(self, b):
        run = self.run(b, events=["x" * 5_000_000, "é" * 2_000_000])
        assert [len(body) for _, _, body in run.answers] == [5_000_002, 4_000_002]

    def every_kind_of_module_is_found(self, b):
        package = '{"type": "module"}'
        for handler, files in [
            ("i.h", {"i.js": ECHO}),
            ("i.h", {"i.cjs": ECHO}),
            ("i.h", {"i.mjs": "export const h = async (e) => e;"}),
            ("i.h", {"i.js": "export const h = async (e) => e;", "package.json": package}),
            ("d/e/i.h", {"d/e/i.js": ECHO}),
            ("i.a.b", {"i.js": "exports.a = { b: async (e) => e };"}),
            ("i.h", {"i/index.js": ECHO}),
            ("i.h", {"node_modules/i/index.js": ECHO}),
            ("i.h", {"i.mjs": "const x = await Promise.resolve(1); export const h = async (e) => e;"}),
            ("i.h", {"i.js": "const m = require('./m'); exports.h = m.h;", "m.js": ECHO}),
        ]:
            run = self.run(b, handler=handler, files=files, events=[5])
            assert run.answer() == ("response", 5), (files, run.stdout, run.stderr)

    def loading_problems_are_init_errors(self, b):
        for handler, code, kind, message in [
            (
                "x.h", "", "ImportModuleError",
                "Error: Cannot find module 'x'\nRequire stack:\n- /var/runtime/index.mjs",
            ),
            (
                "i.h", "require('nope')", "ImportModuleError",
                "Error: Cannot find module 'nope'\nRequire stack:\n- /var/task/i.js\n"
                "- /var/runtime/index.mjs",
            ),
            ("i.y", ECHO, "HandlerNotFound", "i.y is undefined or not exported"),
            ("i.h", "exports.h = 7", "HandlerNotFound", "i.h is not a function"),
            ("ih", ECHO, "MalformedHandlerName", "Bad handler"),
            ("../i.h", ECHO, "MalformedHandlerName", None),
            ("i.h", "1 1", "UserCodeSyntaxError", "SyntaxError: Unexpected number"),
        ]:
            run = self.run(b, code, handler=handler)
            headers, error = run.init_error
            assert run.exit == 129 and not run.answers, run.exit
            assert error["errorType"] == "Runtime." + kind, error
            assert headers["lambda-runtime-function-error-type"] == "Runtime." + kind
            assert message is None or error["errorMessage"] == message, error
            assert error["trace"][0].startswith("Runtime.%s: " % kind), error
            assert "\tundefined\tERROR\tUncaught Exception \t{" in run.stdout, run.stdout

    def an_exception_in_the_module_is_an_init_error(self, b):
        run = self.run(b, "throw new TypeError('boot')")
        _, error = run.init_error
        assert (error["errorType"], error["errorMessage"]) == ("TypeError", "boot")
        assert error["trace"][0] == "TypeError: boot" and "/var/task/i.js:1" in error["trace"][1]
        run = self.run(b, "export const h = 1; await new Promise(() => {});", name="i.mjs")
        assert run.init_error[1]["errorType"] == "Runtime.NodeJsExit", run.init_error

    def thrown_errors_show_type_message_and_trace(self, b):
        code = "exports.handler = async () => { throw new RangeError('no') }"
        for mode in (22, 24):
            run = self.run(b, code, handler="i.handler", mode=mode, events=[1, 2])
            kind, error = run.answer()
            assert kind == "error" and len(run.answers) == 2
            assert (error["errorType"], error["errorMessage"]) == ("RangeError", "no"), error
            assert error["trace"][:1] == ["RangeError: no"]
            # Before Node.js 18 a frame names the object that the function was called on.
            frame = r"    at (\w+\.)?exports\.handler \(/var/task/i\.js:1:"
            assert re.match(frame, error["trace"][1]), error
            assert run.answers[0][1]["lambda-runtime-function-error-type"] == "RangeError"
            line = run.stdout.splitlines()[0].split("\t")
            assert line[1:4] == [mock.REQUEST, "ERROR", "Invoke Error "], line
            logged = json.loads(line[4])
            assert logged["errorType"] == "RangeError" and logged["stack"] == error["trace"], logged

    def other_thrown_values_show_their_type(self, b):
        for code, kind, message in [
            ("throw 'text'", "string", "text"),
            ("throw 7", "number", "7"),
            ("throw {a: 1}", "object", "[object Object]"),
        ]:
            got, error = self._answer(b, "exports.h = async () => { %s }" % code)
            assert got == "error"
            assert error == {"errorType": kind, "errorMessage": message, "trace": []}, error

    def callbacks_answer(self, b):
        for code, want in [
            ("(e, c, cb) => cb(null, 'ok')", ("response", "ok")),
            ("(e, c, cb) => { setTimeout(() => cb(null, e), 5) }", ("response", None)),
            ("(e, c) => c.succeed('s')", ("response", "s")),
            ("(e, c) => c.done(null, 'd')", ("response", "d")),
            ("(e, c, cb) => { cb(null, 1); cb(null, 2) }", ("response", 1)),
            ("(e, c, cb) => {}", ("response", None)),
            ("(e) => 'ignored'", ("response", None)),
            ("(e) => Promise.resolve('then')", ("response", "then")),
        ]:
            got = self._answer(b, "exports.h = " + code)
            assert got == want, (code, got)
        for code, kind, message in [
            ("(e, c, cb) => cb(new TypeError('t'))", "TypeError", "t"),
            ("(e, c, cb) => cb('text')", "string", "text"),
            ("(e, c) => c.fail(new TypeError('f'))", "TypeError", "f"),
            ("(e, c) => c.fail()", "string", "handled"),
            ("() => { throw new TypeError('sync') }", "TypeError", "sync"),
        ]:
            got, error = self._answer(b, "exports.h = " + code)
            assert (got, error["errorType"], error["errorMessage"]) == ("error", kind, message)

    def a_callback_waits_for_the_event_loop_unless_told_otherwise(self, b):
        code = (
            "let late = 'not yet'; exports.h = (e, c, cb) => { c.callbackWaitsForEmptyEventLoop = e;"
            " setTimeout(() => { late = 'late' }, 60); cb(null, { toJSON: () => late }) }"
        )
        run = self.run(b, code, events=[True])
        assert run.answer()[1] == "late", run.answers
        run = self.run(b, code, events=[False])
        assert run.answer()[1] == "not yet", run.answers

    def newer_runtimes_refuse_callbacks(self, b):
        run = self.run(b, "exports.h = (e, c, cb) => cb(null, 1)", mode=24)
        _, error = run.init_error
        assert error["errorType"] == "Runtime.CallbackHandlerDeprecated", error
        assert "has removed support for callback-based function handlers" in error["errorMessage"]
        assert self._answer(b, "exports.h = (e, c) => [typeof c.done]", mode=24)[1] == ["undefined"]

    def promises_that_never_settle_are_an_exit(self, b):
        for mode in (22, 24):
            run = self.run(b, "exports.h = async () => new Promise(() => {})", mode=mode, events=[1, 2])
            assert [run.answer(i)[1]["errorType"] for i in (0, 1)] == ["Runtime.NodeJsExit"] * 2

    def unhandled_rejections_end_the_process(self, b):
        code = "exports.h = () => new Promise(() => { Promise.reject(new Error('lost')) })"
        run = self.run(b, code)
        kind, error = run.answer()
        assert kind == "error" and run.exit == 128
        assert error["errorType"] == "Runtime.UnhandledPromiseRejection", error
        assert error["errorMessage"] == "Error: lost"
        assert "\tERROR\tUnhandled Promise Rejection \t{" in run.stdout

    def a_result_that_is_ready_wins_over_a_rejection_before_node_24(self, b):
        code = "exports.h = async () => { Promise.reject(new Error('lost')); return 'done' }"
        run = self.run(b, code)
        assert run.answer() == ("response", "done") and run.exit == 128
        run = self.run(b, code, mode=24)
        assert run.answer()[1]["errorType"] == "Runtime.UnhandledPromiseRejection" and run.exit == 128

    def uncaught_exceptions_end_the_process(self, b):
        code = "exports.h = () => new Promise(() => { setTimeout(() => { throw new Error('late') }, 1) })"
        run = self.run(b, code)
        kind, error = run.answer()
        assert (kind, error["errorMessage"], run.exit) == ("error", "late", 129)
        assert self.run(b, "exports.h = () => process.exit(7)").exit == 7

    def a_result_without_json_is_an_error(self, b):
        for mode, kind in [(22, "Error"), (24, "Runtime.JSONStringifyError")]:
            got, error = self._answer(b, "exports.h = async () => 1n", mode=mode)
            assert got == "error"
            assert (error["errorType"], error["errorMessage"]) == (
                kind, "Unable to stringify response body",
            ), error

    def the_context_is_complete(self, b):
        code = (
            "exports.h = async (e, c) => [c.awsRequestId, c.functionName, c.functionVersion,"
            " c.memoryLimitInMB, c.logGroupName, c.logStreamName, c.invokedFunctionArn, c.tenantId,"
            " c.identity, c.clientContext, c.getRemainingTimeInMillis() > 1e9,"
            " process.env._X_AMZN_TRACE_ID]"
        )
        fixed = [mock.REQUEST, "f", "$LATEST", "128", "/aws/lambda/f", "stream", mock.ARN]
        end = [True, "Root=1-0-0;Sampled=0"]
        for mode in (22, 24):
            assert self._answer(b, code, mode=mode)[1] == fixed + [None] * 3 + end
            got = self._answer(
                b,
                code,
                mode=mode,
                headers={
                    "Lambda-Runtime-Client-Context": '{"custom":{"k":"v"}}',
                    "Lambda-Runtime-Cognito-Identity": '{"cognitoIdentityId":"i"}',
                    "Lambda-Runtime-Aws-Tenant-Id": "blue",
                },
            )[1]
            extra = ["blue", {"cognitoIdentityId": "i"}, {"custom": {"k": "v"}}]
            assert got == fixed + extra + end, got

    def the_console_writes_the_text_format(self, b):
        code = "exports.h = async () => { console.log('a %d', 1, {b: 2}); console.error('x\\ny') }"
        lines = self.run(b, code).stdout.split("\n")
        first, second = lines[0].split("\t"), lines[1].split("\t")
        assert first[1:] == [mock.REQUEST, "INFO", "a 1 { b: 2 }"], first
        assert second[1:] == [mock.REQUEST, "ERROR", "x\ry"] and first[0].endswith("Z"), second

    def the_console_writes_the_json_format(self, b):
        code = (
            "exports.h = async () => { console.log({a: 1}); console.warn('w', 2);"
            " console.error('e', new RangeError('r')); console.debug('hidden') }"
        )
        env = {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "INFO"}
        one, two, three = map(json.loads, self.run(b, code, env=env).stdout.splitlines())
        assert one["message"] == {"a": 1} and one["level"] == "INFO" and one["requestId"] == mock.REQUEST
        assert two["message"] == "w 2" and two["level"] == "WARN"
        assert three["errorType"] == "RangeError" and three["errorMessage"] == "r", three

    def framed_messages_go_to_their_own_descriptor(self, b):
        code = (
            "exports.h = async () => { console.log('a\\nb'); process.stdout.write('plain\\n');"
            " return process.env._LAMBDA_TELEMETRY_LOG_FD === undefined }"
        )
        run = self.run(b, code, framed=True)
        assert run.answer()[1] is True and run.stdout == "plain\n"
        ((kind, message),) = run.frames
        assert kind == 0xA55A000F and message.endswith("\tINFO\ta\nb\n"), run.frames
        run = self.run(b, code, framed=True, env={"AWS_LAMBDA_LOG_FORMAT": "JSON"})
        ((kind, message),) = run.frames
        assert kind == 0xA55A000E and json.loads(message)["message"] == "a\nb", run.frames

    def streamed_answers_are_chunked(self, b):
        code = (
            "exports.h = awslambda.streamifyResponse(async (e, s, c) => { s.setContentType('text/x');"
            " s.write('a'); s.write({b: 1}); s.end(Buffer.from('c')) })"
        )
        for mode in (22, 24):
            run = self.run(b, code, mode=mode, events=[1, 2])
            kind, headers, body = run.answers[1]
            assert (kind, body) == ("response", b'a{"b":1}c'), run.answers
            assert headers["lambda-runtime-function-response-mode"] == "streaming"
            assert headers["content-type"] == "text/x"

    def streamed_answers_may_have_a_prelude(self, b):
        code = (
            "const { pipeline } = require('stream/promises'); const { Readable } = require('stream');"
            "exports.h = awslambda.streamifyResponse(async (e, s) => {"
            " s = awslambda.HttpResponseStream.from(s, { statusCode: 201 });"
            " await pipeline(Readable.from(['x', 'y']), s) })"
        )
        _, headers, body = self.run(b, code).answers[0]
        assert body == b'{"statusCode":201}' + bytes(8) + b"xy", body
        assert headers["content-type"] == "application/vnd.awslambda.http-integration-response"

    def errors_of_streams_are_in_the_trailers(self, b):
        for code, message in [
            ("async (e, s) => { s.write('a'); throw new RangeError('mid') }", "mid"),
            ("async (e, s) => { throw new RangeError('mid') }", "mid"),
            ("async (e, s) => { s.write('a') }", "Response stream is not finished."),
            ("(e, s) => { s.end('a') }", "Streaming does not support non-async handlers."),
        ]:
            run = self.run(b, "exports.h = awslambda.streamifyResponse(%s)" % code, events=[1, 2])
            assert len(run.answers) == 2, (code, run.stdout, run.stderr)
            headers = run.answers[0][1]
            if code.startswith("(e"):
                # The answer was complete before the error was found.
                continue
            error = json.loads(base64.b64decode(headers["lambda-runtime-function-error-body"]))
            assert error["errorMessage"] == message, error
            assert headers["lambda-runtime-function-error-type"] == error["errorType"]

    def globals_live_as_long_as_the_process(self, b):
        run = self.run(b, "let n = 0; exports.h = async () => ++n", events=[0, 0, 0])
        assert [run.answer(i)[1] for i in range(3)] == [1, 2, 3]

    def a_waiting_process_becomes_the_function_it_is_told(self, b):
        code = (
            "console.log('up'); const dep = require('dep');"
            "exports.h = async (e) => [e, dep, process.env, process.cwd(), __filename]"
        )
        with tempfile.TemporaryDirectory() as library:
            pathlib.Path(library, "dep.js").write_text("module.exports = 'found'")
            env = {"NODE_PATH": library, "MINE": "a=b\nc", "EMPTY": "", "AWS_LAMBDA_LOG_FORMAT": "JSON"}
            for mode in (22, 24):
                run = self.run(b, code, events=[1], mode=mode, env=env, waiting=True, framed=True)
                event, dep, seen, folder, file = run.answer()[1]
                assert (event, dep, folder, file) == (1, "found", "/var/task", "/var/task/i.js"), run.answers
                assert {name: seen[name] for name in env} == env, seen
                assert not {"_KILN_WAIT_FD", "ONLY_GENERIC", "_LAMBDA_TELEMETRY_LOG_FD"} & set(seen), seen
                (kind, line), = run.frames
                assert kind & 3 == 2 and json.loads(line)["message"] == "up", run.frames

    def a_waiting_process_serves_every_kind_of_module(self, b):
        for name, code in [
            ("i.mjs", "export const h = async (e) => e;"),
            ("i.cjs", ECHO),
            ("i.mjs", "import { x } from './x.mjs'; export const h = async (e) => x;"),
        ]:
            files = {name: code, "x.mjs": "export const x = 5;"}
            run = self.run(b, files=files, events=[5], waiting=True)
            assert run.answer() == ("response", 5), (name, run.stdout, run.stderr)
        run = self.run(b, "throw new TypeError('boot')", waiting=True)
        assert run.init_error[1]["errorType"] == "TypeError", run.init_error

    def a_waiting_process_that_is_told_nothing_ends(self, b):
        assert mock.wait_for_nothing([self.node, b]) == (0, b"", b"")
