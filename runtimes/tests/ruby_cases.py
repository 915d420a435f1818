"""What every Ruby runtime must do. Each case is one process; the name says what is expected."""

import json
import os
import re

import mock

ECHO = "def handler(event:, context:)\n  event\nend\n"


def body(text):
    return "def handler(event:, context:)\n  %s\nend\n" % text


class Cases:
    def __init__(self, ruby, version):
        self.ruby = ruby
        self.version = version

    def run(self, bootstrap, code=ECHO, handler="f.handler", files=None, **kwargs):
        kwargs.setdefault("version", "AWS_Lambda_ruby3.4")
        return mock.run([self.ruby, bootstrap], handler, files or {"f.rb": code}, **kwargs)

    def any_json_goes_in_and_out(self, b):
        values = [{"a": [1, 2.5, None, True, "x"]}, "text", 7, [], None, {"é": "\u2028 🥳"}, False]
        run = self.run(b, events=values)
        assert [json.loads(text) for _, _, text in run.answers] == values, (run.answers, run.stderr)
        attempts = [headers["lambda-runtime-invocation-id"] for _, headers, _ in run.answers]
        assert attempts == [str(n) for n in range(len(values))], attempts

    def a_large_event_and_answer_pass(self, b):
        run = self.run(b, events=["x" * 5_000_000, "é" * 2_000_000])
        assert [len(text) for _, _, text in run.answers] == [5_000_002, 4_000_002]

    def a_handler_may_be_a_method_of_a_class_or_module(self, b):
        code = "module A\n class B\n  def self.go(event:, context:) = [event, context.function_name]\n end\nend"
        assert self.run(b, code, handler="f.A::B.go", events=[1]).answer() == ("response", [1, "f"])
        files = {"d/f.rb": "require 'help'\n" + body("help"), "help.rb": "def help = 'helped'"}
        assert self.run(b, handler="d/f.handler", files=files).answer() == ("response", "helped")
        # A name that the runtime's own objects have too.
        code = "def call(event:, context:) = 'mine'"
        assert self.run(b, code, handler="f.call").answer() == ("response", "mine")

    def an_exception_shows_its_type_message_and_stack(self, b):
        code = "def g\n  raise ArgumentError, 'no'\nend\n" + body("g")
        run = self.run(b, code, events=[1, 2])
        kind, error = run.answer()
        assert kind == "error" and len(run.answers) == 2 and run.exit is None
        assert (error["errorType"], error["errorMessage"]) == ("Function<ArgumentError>", "no"), error
        assert len(error["stackTrace"]) == 2, error
        assert re.fullmatch(r"/var/task/f.rb:2:in .*g'", error["stackTrace"][0]), error
        assert run.answers[0][1]["lambda-runtime-function-error-type"] == "Function<ArgumentError>"
        title, logged = run.stdout.split("\n", 1)
        assert title == "Error raised from handler method", run.stdout
        assert '"errorType": "Function<ArgumentError>"' in logged, run.stdout
        run = self.run(b, "class Odd < StandardError; end\n" + body("raise Odd, 'x'"))
        assert run.answer()[1]["errorType"] == "Function<Odd>"
        named = run.answers[0][1]["lambda-runtime-function-error-type"]
        assert named == "Function<UserException>", named

    def a_missing_method_and_an_exit_end_the_process(self, b):
        for code, handler, kind in [
            (ECHO, "f.nope", "Function<NoMethodError>"),
            (body("exit(3)"), "f.handler", "Function<SystemExit>"),
            (body("nowhere_defined"), "f.handler", "Function<NameError>"),
        ]:
            run = self.run(b, code, handler=handler, events=[1, 2])
            got, error = run.answer()
            assert (got, error["errorType"]) == ("error", kind), error
            assert len(run.answers) == 1 and run.exit == 255, run.exit
            assert run.stdout.startswith("Critical exception from handler\n"), run.stdout
        assert self.run(b, body("exit!(4)")).exit == 4

    def loading_problems_are_init_errors(self, b):
        for code, handler, kind, message in [
            (ECHO, "x.handler", "LoadError", "cannot load such file -- x"),
            ("require 'nope'", "f.handler", "LoadError", "cannot load such file -- nope"),
            ("raise TypeError, 'boot'", "f.handler", "TypeError", "boot"),
            ("def", "f.handler", "SyntaxError", None),
            (ECHO, "handler", "ArgumentError", None),
        ]:
            run = self.run(b, code, handler=handler)
            _, error = run.init_error
            assert run.exit == 252 and not run.answers, run.exit
            assert error["errorType"] == "Init<%s>" % kind, error
            assert message is None or error["errorMessage"] == message, error
            assert run.stdout.startswith("Init error when loading handler "), run.stdout
        assert error["errorMessage"].startswith('Invalid handler ["handler"], must be of form FILENAME.METHOD'), error

    def what_has_no_json_is_an_error(self, b):
        run = self.run(b, body("x = []; x << x; x"), events=[1])
        kind, error = run.answer()
        assert kind == "error" and error["errorType"] == "Function<JSON::NestingError>", error

    def an_io_is_the_answer_itself(self, b):
        run = self.run(b, body("StringIO.new(\"\\x00raw\")"))
        _, headers, text = run.answers[0]
        assert (text, headers["content-type"]) == (b"\x00raw", "application/unknown"), run.answers

    def a_function_may_marshal_by_itself(self, b):
        code = (
            "module AwsLambda\n class Marshaller\n  def self.marshall_request(raw) = raw['Content-Type'] + raw.body\n"
            "  def self.marshall_response(it) = [it.upcase, 'text/plain']\n end\nend\n" + ECHO
        )
        _, headers, text = self.run(b, code, events=[7]).answers[0]
        assert (text, headers["content-type"]) == (b"APPLICATION/JSON7", "text/plain"), text

    def the_context_is_complete(self, b):
        code = body(
            "c = context; [c.aws_request_id, c.function_name, c.function_version, c.memory_limit_in_mb,"
            " c.log_group_name, c.log_stream_name, c.invoked_function_arn, c.deadline_ms,"
            " c.get_remaining_time_in_millis > 10**9, c.identity, c.client_context, c.tenant_id]"
        )
        fixed = [mock.REQUEST, "f", "$LATEST", "128", "/aws/lambda/f", "stream", mock.ARN, 9999999999999, True]
        assert self.run(b, code).answer()[1] == fixed + [None] * 3
        run = self.run(
            b,
            code,
            headers={
                "Lambda-Runtime-Client-Context": '{"custom":{"k":"v"}}',
                "Lambda-Runtime-Cognito-Identity": '{"cognitoIdentityId":"i"}',
                "Lambda-Runtime-Aws-Tenant-Id": "blue",
            },
        )
        assert run.answer()[1] == fixed + [{"cognitoIdentityId": "i"}, {"custom": {"k": "v"}}, "blue"]

    def the_trace_header_is_in_the_environment(self, b):
        run = self.run(b, body("ENV['_X_AMZN_TRACE_ID']"), events=[1, 2])
        assert [run.answer(0)[1], run.answer(1)[1]] == ["Root=1-0-0;Sampled=0", "Root=1-0-0;Sampled=1"]

    def globals_live_as_long_as_the_process(self, b):
        run = self.run(b, "$n = 0\n" + body("$n += 1"), events=[0, 0, 0])
        assert [run.answer(i)[1] for i in range(3)] == [1, 2, 3]

    def what_is_printed_comes_at_once(self, b):
        run = self.run(b, body("puts 'a', 'b'; print 'c'; $stdout.puts 'd'"))
        assert run.stdout == "a\nb\ncd\n", run.stdout

    def the_logger_names_the_request(self, b):
        code = "require 'logger'\nLOG = Logger.new($stdout, progname: 'p')\n" + body("LOG.info('hi'); LOG.debug { 'lazy' }")
        first, second = self.run(b, code).stdout.splitlines()
        assert re.fullmatch(r"I, \[[^ ]+ #\d+\]  INFO %s -- p: hi" % mock.REQUEST, first), first
        assert first.startswith("I, [20") and second.endswith(": lazy"), second

    def the_logger_writes_the_json_format(self, b):
        code = (
            "LOG = Logger.new($stdout)\n"
            + body("LOG.debug('no'); LOG.info('hi'); begin; raise TypeError, 'bad'; rescue => e; LOG.error(e); end")
        )
        env = {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "INFO"}
        first, second = map(json.loads, self.run(b, code, env=env).stdout.splitlines())
        del first["timestamp"]
        assert first == {"level": "INFO", "message": "hi", "requestId": mock.REQUEST}, first
        assert (second["errorType"], second["message"], second["level"]) == ("TypeError", "bad", "ERROR"), second

    def framed_messages_go_to_their_own_descriptor(self, b):
        code = body("raise 'set' if ENV.key?('_LAMBDA_TELEMETRY_LOG_FD'); puts \"a\\nb\"; print 'plain'; Logger.new($stdout).warn('w')")
        run = self.run(b, code, framed=True)
        assert run.stdout == "plain", run.stdout
        (kind, text), (level, line) = run.frames
        assert (kind, text) == (0xA55A0003, "a\nb\n"), run.frames
        assert level == 0xA55A0013 and line.endswith(": w\n"), run.frames
        env = {"AWS_LAMBDA_LOG_FORMAT": "JSON"}
        run = self.run(b, body("raise 'x'"), framed=True, env=env)
        ((kind, line),) = run.frames
        assert kind == 0xA55A0016 and json.loads(line)["errorType"] == "Function<RuntimeError>", run.frames

    def gems_of_the_function_are_found(self, b):
        spec = (
            "Gem::Specification.new { |s| s.name = 'mine'; s.version = '1.0'; s.summary = 's';"
            " s.authors = ['a']; s.files = ['lib/mine.rb']; s.require_paths = ['lib'] }"
        )
        home = "vendor/bundle/ruby/3.4.0/"
        files = {
            "f.rb": "require 'mine'\n" + body("MINE"),
            home + "specifications/mine-1.0.gemspec": spec,
            home + "gems/mine-1.0/lib/mine.rb": "MINE = 'gem'",
        }
        for waiting in (False, True):
            run = self.run(b, files=files, env={"GEM_PATH": home, "GEM_HOME": "/nowhere"}, waiting=waiting)
            assert run.answer() == ("response", "gem"), (run.init_error, run.stderr)

    def libraries_of_the_runtime_need_no_require(self, b):
        run = self.run(b, body("[Net::HTTP.name, URI('http://a/b').path, JSON.name, Logger.name]"))
        assert run.answer()[1] == ["Net::HTTP", "/b", "JSON", "Logger"], run.answers

    def text_is_utf_8_whatever_the_locale(self, b):
        run = self.run(b, body("[Encoding.default_external.name, File.read(__FILE__).valid_encoding?] # é"), env={"LANG": "C"})
        assert run.answer()[1] == ["UTF-8", True], run.answers

    def a_waiting_process_becomes_the_function_it_is_told(self, b):
        code = "puts 'up'\n" + body("[event, ENV.to_h, Dir.pwd, __FILE__, Time.at(0).utc_offset]")
        env = {"MINE": "a=b\nc", "EMPTY": "", "AWS_LAMBDA_LOG_FORMAT": "JSON"}
        run = self.run(b, code, events=[1], env=env, waiting=True, framed=True)
        event, seen, folder, file, offset = run.answer()[1]
        assert (event, folder, file, offset) == (1, "/var/task", "/var/task/f.rb", 0), run.answers
        assert {name: seen[name] for name in env} == env, seen
        assert not {"_KILN_WAIT_FD", "ONLY_GENERIC", "_LAMBDA_TELEMETRY_LOG_FD"} & set(seen), seen
        assert run.frames == [(0xA55A0003, "up\n")], run.frames

    def a_waiting_process_that_is_told_nothing_ends(self, b):
        assert mock.wait_for_nothing([self.ruby, b]) == (0, b"", b"")
