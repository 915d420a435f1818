"""What every Python runtime must do. Each case is one process; the name says what is expected."""

import json
import os
import subprocess
import tempfile
import time

import mock

BASE = {"l.py": "def f(event, context):\n    return event\n"}


# What a function could find out about how its interpreter was started.
FINGERPRINT = """
import gc, locale, os, signal, site, sys, threading, time, warnings
def stream(s):
    return [s.encoding, s.errors, s.line_buffering, s.write_through, s.seekable(), s.isatty(), s.mode, s.name, s.newlines]
SEEN = {
    "argv": [sys.argv, getattr(sys, "orig_argv", None), sys.executable, sys.prefix],
    "path": sys.path[1:],
    "meta": [type(f).__name__ for f in sys.meta_path if type(f).__name__ != "_Watch"] + [len(sys.path_hooks)],
    "flags": repr(sys.flags), "warnings": repr(warnings.filters),
    "streams": [stream(s) for s in (sys.stdin, sys.stdout, sys.stderr)],
    "same streams": [sys.stdout is sys.__stdout__, sys.stdin is sys.__stdin__],
    "fds": len(os.listdir("/proc/self/fd")), "cwd": os.getcwd() == os.environ["LAMBDA_TASK_ROOT"],
    "environ": sorted(n for n in os.environ if n != "LC_CTYPE"), "umask": os.umask(0o22),
    "gc": [gc.isenabled(), gc.get_threshold()],
    "signals": [repr(signal.getsignal(n)) for n in sorted(signal.valid_signals())],
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "locale": [locale.setlocale(locale.LC_ALL), sys.getfilesystemencoding(), locale.getpreferredencoding()],
    "zone": [time.tzname, time.timezone], "recursion": sys.getrecursionlimit(), "switch": sys.getswitchinterval(),
    "threads": [t.name for t in threading.enumerate()], "main": threading.current_thread() is threading.main_thread(),
    "stack": len(__import__("inspect").stack()), "tracing": [sys.gettrace(), sys.getprofile()],
    "site": [site.ENABLE_USER_SITE], "stdin": os.readlink("/proc/self/fd/0"),
}
def f(event, context):
    return SEEN
"""

# Prints what must differ from fork to fork, and what it finds of other functions in its memory.
CHANCE = """
import json, os, random, re, secrets, ssl, sys, tempfile, time, uuid
def found():
    mark, out = b"secret" + b"-of-", set()
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as mem:
        for line in maps:
            place, rights = line.split()[:2]
            if "rw" not in rights or "[v" in line:
                continue
            begin, end = (int(n, 16) for n in place.split("-"))
            mem.seek(begin)
            out.update(re.findall(mark + rb"[0-9]+-(?=[0-9a-f]{16})", mem.read(end - begin)))
    return sorted(s.decode() for s in out)
print(json.dumps({
    "key": os.environ["KEY"], "time": time.time(), "secrets": found(),
    "random": random.random(), "system": random.SystemRandom().random(), "urandom": os.urandom(8).hex(),
    "uuid1": str(uuid.uuid1()), "uuid4": str(uuid.uuid4()), "token": secrets.token_hex(8),
    "ssl": ssl.RAND_bytes(8).hex(), "name": next(tempfile._get_candidate_names()),
}))
sys.stdout.flush()
os._exit(0)
"""


def one(body):
    """A module `l` whose `f(event, context)` has this body."""
    lines = "".join("    %s\n" % line for line in body.splitlines())
    return {"l.py": "def f(event, context):\n" + lines}


class Cases:
    def __init__(self, python, version, template=False):
        self.python = python
        self.version = version
        self.template = template

    def run(self, bootstrap, handler="l.f", files=None, **kwargs):
        kwargs.setdefault("version", "AWS_Lambda_python" + ".".join(map(str, self.version)))
        kwargs.setdefault("template", self.template)
        return mock.run([self.python, bootstrap], handler, files or BASE, **kwargs)

    def any_json_goes_in_and_out(self, b):
        values = [{"a": [1, 2.5, None, True, "x"]}, "text", 7, [], None, {"é": "\u2028"}, 1e100]
        run = self.run(b, events=values)
        assert [json.loads(body) for _, _, body in run.answers] == values, run.answers
        attempts = [headers["lambda-runtime-invocation-id"] for _, headers, _ in run.answers]
        assert attempts == [str(n) for n in range(len(values))], attempts

    def a_large_event_and_answer_pass(self, b):
        run = self.run(b, events=["x" * 5_000_000, "y" * 5_000_000])
        assert [len(body) for _, _, body in run.answers] == [5_000_002] * 2

    def only_newer_runtimes_leave_other_scripts_unescaped(self, b):
        run = self.run(b, events=["é"])
        want = '"é"' if self.version >= (3, 12) else '"\\u00e9"'
        assert run.answers[0][2].decode() == want, run.answers

    def decimals_named_tuples_and_bytes_have_json_forms(self, b):
        files = one(
            "from decimal import Decimal as D\n"
            "from collections import namedtuple, OrderedDict\n"
            "N = namedtuple('N', 'a b')\n"
            "return OrderedDict(d=D('1.10'), n=[N(1, (2,))], b=b'x', f=float('nan'), k={1: 2})"
        )
        body = self.run(b, files=files).answers[0][2].decode()
        want = '{"d": 1.10, "n": [{"a": 1, "b": [2]}], "b": "x", "f": NaN, "k": {"1": 2}}'
        assert body == want, body

    def bytes_are_the_answer_itself(self, b):
        assert self.run(b, files=one("return b'\\x00raw'")).answers[0][2] == b"\x00raw"

    def other_values_are_marshal_errors(self, b):
        for text, message in [
            ("{1}", "Object of type set is not JSON serializable"),
            ("{(1,): 2}", "keys must be str, int, float, bool or None, not tuple"),
            ("object()", "Object of type object is not JSON serializable"),
        ]:
            kind, error = self.run(b, files=one("return " + text)).answer()
            assert kind == "error"
            assert error == {
                "errorMessage": "Unable to marshal response: " + message,
                "errorType": "Runtime.MarshalError",
                "requestId": mock.REQUEST,
                "stackTrace": [],
            }, error
        kind, error = self.run(b, files=one("x = []\nx.append(x)\nreturn x")).answer()
        assert error["errorMessage"] == "Unable to marshal response: Circular reference detected"

    def an_exception_shows_its_type_message_and_stack(self, b):
        files = {"l.py": "def g():\n    raise ValueError('no')\n\ndef f(event, context):\n    g()\n"}
        run = self.run(b, files=files, events=[1, 2])
        kind, error = run.answer()
        assert kind == "error"
        assert error == {
            "errorMessage": "no",
            "errorType": "ValueError",
            "requestId": mock.REQUEST,
            "stackTrace": [
                '  File "/var/task/l.py", line 5, in f\n    g()\n',
                '  File "/var/task/l.py", line 2, in g\n    raise ValueError(\'no\')\n',
            ],
        }, error
        assert run.answers[0][1]["lambda-runtime-function-error-type"] == "ValueError"
        assert len(run.answers) == 2 and run.exit is None
        log = (
            "[ERROR] ValueError: no\rTraceback (most recent call last):\r"
            '\u00a0\u00a0File "/var/task/l.py", line 5, in f\r\u00a0\u00a0\u00a0\u00a0g()\r'
            '\u00a0\u00a0File "/var/task/l.py", line 2, in g\r'
            "\u00a0\u00a0\u00a0\u00a0raise ValueError('no')\n"
        )
        assert run.stdout == log * 2, run.stdout

    def loading_problems_are_init_errors(self, b):
        syntax = "invalid syntax (l.py, line 1)"
        for handler, files, kind, message in [
            ("x.f", {}, "ImportModuleError", "Unable to import module 'x': No module named 'x'"),
            ("d/x.f", {}, "ImportModuleError", "Unable to import module 'd/x': No module named 'd'"),
            (
                "l.f",
                {"l.py": "import nope"},
                "ImportModuleError",
                "Unable to import module 'l': No module named 'nope'",
            ),
            ("l.g", BASE, "HandlerNotFound", "Handler 'g' missing on module 'l'"),
            (
                "lf",
                BASE,
                "MalformedHandlerName",
                "Bad handler 'lf': not enough values to unpack (expected 2, got 1)",
            ),
            ("time.f", {}, "BuiltInModuleConflict", None),
            ("l.f", {"l.py": "1 1"}, "UserCodeSyntaxError", "Syntax error in module 'l': " + syntax),
        ]:
            run = self.run(b, handler=handler, files=files or {"none.py": ""})
            headers, error = run.init_error
            assert run.exit == 1 and not run.answers
            assert headers["lambda-runtime-function-error-type"] == "Runtime." + kind
            assert error["errorType"] == "Runtime." + kind and error["requestId"] == "", error
            if kind == "UserCodeSyntaxError":
                assert error["errorMessage"].startswith("Syntax error in module 'l': "), error
                assert error["stackTrace"][0].startswith('  File "/var/task/l.py" Line 1\n    1 1')
            elif message:
                assert error["errorMessage"] == message, error
            assert "LAMBDA_WARNING: Unhandled exception." in run.stdout, run.stdout
            assert "[ERROR] Runtime.%s: " % kind in run.stdout, run.stdout

    def an_exception_in_the_module_is_an_init_error(self, b):
        run = self.run(b, files={"l.py": "raise KeyError('boot')"})
        _, error = run.init_error
        assert error["errorType"] == "KeyError" and error["errorMessage"] == "'boot'"
        assert error["stackTrace"][-1] == (
            '  File "/var/task/l.py", line 1, in <module>\n    raise KeyError(\'boot\')\n'
        ), error
        assert "importlib" in error["stackTrace"][0], error

    def a_handler_may_lie_in_a_package(self, b):
        files = {"pkg/__init__.py": "", "pkg/m.py": "def f(e, c): return 'deep'"}
        for handler in ["pkg/m.f", "pkg.m.f"]:
            assert self.run(b, handler=handler, files=files).answer() == ("response", "deep")

    def the_functions_own_code_comes_first_on_the_path(self, b):
        path = self.run(b, files=one("import sys; return [p.rstrip('/') for p in sys.path[:4]]"))
        layer = "/opt/python/lib/python%d.%d/site-packages" % self.version
        want = ["/var/task", layer, "/opt/python", os.path.dirname(b)]
        assert path.answer()[1] == want, path.answers

    def exits_end_the_process(self, b):
        assert self.run(b, files=one("import sys; sys.exit(3)")).exit == 3
        assert self.run(b, files=one("import os; os._exit(4)")).exit == 4
        assert self.run(b, files={"l.py": "import sys; sys.exit(5)"}).exit == 5

    def the_context_is_complete(self, b):
        files = one(
            "c = context\n"
            "return [c.aws_request_id, c.function_name, c.function_version, c.memory_limit_in_mb,\n"
            " c.log_group_name, c.log_stream_name, c.invoked_function_arn, c.tenant_id,\n"
            " c.identity.cognito_identity_id, c.client_context and c.client_context.custom,\n"
            " c.client_context and c.client_context.client.app_title,\n"
            " c.get_remaining_time_in_millis() > 10**9, repr(c)[:30]]"
        )
        fixed = [mock.REQUEST, "f", "$LATEST", "128", "/aws/lambda/f", "stream", mock.ARN]
        start = "LambdaContext([aws_request_id="
        assert self.run(b, files=files).answer()[1] == fixed + [None] * 4 + [True, start]
        run = self.run(
            b,
            files=files,
            headers={
                "Lambda-Runtime-Client-Context": '{"custom":{"k":"v"},"client":{"app_title":"t"}}',
                "Lambda-Runtime-Cognito-Identity": '{"cognitoIdentityId":"i"}',
                "Lambda-Runtime-Aws-Tenant-Id": "blue",
            },
        )
        assert run.answer()[1] == fixed + ["blue", "i", {"k": "v"}, "t", True, start], run.answers

    def the_trace_header_is_in_the_environment(self, b):
        run = self.run(b, files=one("import os; return os.environ['_X_AMZN_TRACE_ID']"), events=[1, 2])
        assert [run.answer(0)[1], run.answer(1)[1]] == ["Root=1-0-0;Sampled=0", "Root=1-0-0;Sampled=1"]

    def globals_live_as_long_as_the_process(self, b):
        files = {"l.py": "n = 0\ndef f(e, c):\n    global n\n    n += 1\n    return n\n"}
        run = self.run(b, files=files, events=[0, 0, 0])
        assert [run.answer(i)[1] for i in range(3)] == [1, 2, 3]

    def what_is_printed_comes_line_by_line_before_the_answer(self, b):
        run = self.run(b, files=one("print('a', 'b'); print('no newline', end='')"))
        assert run.stdout == "a b\nno newline", run.stdout

    def the_logger_writes_the_text_format(self, b):
        files = {
            "l.py": "import logging\nlogging.warning('early')\nlog = logging.getLogger()\n"
            "log.setLevel('INFO')\ndef f(e, c):\n    log.info('hi %s', 1)\n    log.debug('no')\n"
        }
        run = self.run(b, files=files)
        early, late = run.stdout.splitlines()
        assert early.startswith("[WARNING]\t20") and early.endswith("Z\t\tearly"), early
        level, stamp, request, message = late.split("\t")
        assert (level, request, message) == ("[INFO]", mock.REQUEST, "hi 1"), late
        assert len(stamp) == len("2026-01-01T00:00:00.000Z") and stamp[10] == "T"
        assert run.stderr == "", run.stderr

    def the_logger_writes_the_json_format(self, b):
        files = one(
            "import logging\n"
            "try: 1/0\n"
            "except Exception: logging.exception('bad', extra={'k': 1})\n"
            "logging.info('shown')"
        )
        env = {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "INFO"}
        run = self.run(b, files=files, env=env)
        first, second = map(json.loads, run.stdout.splitlines())
        assert first["level"] == "ERROR" and first["errorType"] == "ZeroDivisionError"
        assert first["k"] == 1 and first["requestId"] == mock.REQUEST
        assert first["location"].endswith("l.py:f:4"), first
        del second["timestamp"]
        assert second == {
            "level": "INFO", "message": "shown", "logger": "root", "requestId": mock.REQUEST,
        }, second

    def errors_are_json_in_the_json_format(self, b):
        env = {"AWS_LAMBDA_LOG_FORMAT": "JSON"}
        run = self.run(b, files=one("raise ValueError('x')"), env=env)
        line = json.loads(run.stdout)
        assert line["level"] == "ERROR" and line["errorType"] == "ValueError", line

    def framed_messages_go_to_their_own_descriptor(self, b):
        files = one(
            "import logging, os\nassert '_LAMBDA_TELEMETRY_LOG_FD' not in os.environ\n"
            "print('plain'); logging.error('a\\nb'); raise KeyError('k')"
        )
        run = self.run(b, files=files, framed=True)
        assert run.stdout == "plain\n"
        (one_kind, message), (kind, error) = run.frames
        assert one_kind == 0xA55A0003 and message.endswith("\ta\nb\n"), run.frames
        assert kind == 0xA55A0017 and error.startswith("[ERROR] KeyError: 'k'\nTraceback"), error
        env = {"AWS_LAMBDA_LOG_FORMAT": "JSON"}
        run = self.run(b, files=files, framed=True, env=env)
        assert [kind for kind, _ in run.frames] == [0xA55A0016] * 2, run.frames

    def nothing_heavy_is_imported_for_the_function(self, b):
        if self.template:
            return  # it has what it has at no cost
        files = {"l.py": "import sys\nSEEN = list(sys.modules)\ndef f(e, c): return SEEN\n"}
        seen = self.run(b, files=files).answer()[1]
        command = [self.python, "-c", "import sys; print(*sys.modules)"]
        bare = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        heavy = {"json", "re", "logging", "socket", "http", "traceback", "enum"} & set(seen)
        heavy -= set(bare)
        assert not heavy, heavy

    def a_fork_is_like_a_start_of_its_own(self, b):
        if self.version < (3, 9):
            return  # it cannot be forked
        seen = [
            self.run(b, files={"l.py": FINGERPRINT}, template=template, framed=True).answer()[1]
            for template in (False, True)
        ]
        for name in seen[0]:
            assert seen[0][name] == seen[1][name], (name, seen[0][name], seen[1][name])

    def a_module_of_the_function_wins_over_one_that_is_loaded(self, b):
        files = {
            "uuid.py": "OWN = 'uuid'\n",
            "queue/__init__.py": "OWN = 'queue'\n",
            "l.py": "import logging, queue, uuid\n"
            "def f(e, c):\n    logging.error('x')\n    return [uuid.OWN, queue.OWN]\n",
        }
        run = self.run(b, files=files)
        assert run.answer() == ("response", ["uuid", "queue"]), run.answers
        assert run.stdout.startswith("[ERROR]\t"), run.stdout

    def forks_share_neither_chance_nor_variables_nor_time(self, b):
        """S10. KILN_FORKS=10000 for the whole of it."""
        if not self.template:
            return
        template = mock.Template([self.python, b])
        seen = {}
        with tempfile.TemporaryDirectory() as task:
            with open(os.path.join(task, "l.py"), "w") as file:
                file.write(CHANCE)
            for n in range(int(os.environ.get("KILN_FORKS", "40"))):
                secret = "secret-of-%d-" % n + os.urandom(8).hex()
                before = time.time()
                environ = {"LAMBDA_TASK_ROOT": task, "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9", "_HANDLER": "l.f"}
                fork = template.fork(task, {**environ, "KEY": secret}, None)
                out, err = fork.output(10)
                assert fork.returncode == 0, (out, err)
                told = json.loads(out)
                assert told.pop("key") == secret
                assert before - 0.1 <= told.pop("time") <= time.time() + 0.1
                assert told.pop("secrets") == ["secret-of-%d-" % n], told
                for name, value in told.items():
                    assert value not in seen.setdefault(name, set()), (n, name, value)
                    seen[name].add(value)
        template.end()

    def snapshot_hooks_run_around_the_restore(self, b):
        env = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
        hooks = (
            "B, A = [], []\n"
            "def get_before_snapshot(): return B\n"
            "def get_after_restore(): return A\n"
        )
        files = {
            "snapshot_restore_py.py": hooks,
            "l.py": "import snapshot_restore_py as s\nlog = []\n"
            "s.B += [(log.append, (1,), {}), (log.append, (2,), {})]\n"
            "s.A += [(log.append, (3,), {})]\ndef f(e, c): return log\n",
        }
        run = self.run(b, files=files, env=env)
        assert [kind for kind, _, _ in run.answers] == ["restore", "response"]
        assert run.answer(1)[1] == [2, 1, 3]
