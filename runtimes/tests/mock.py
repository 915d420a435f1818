"""A Runtime API of the simplest kind, and a run of one runtime process against it."""

import base64
import ctypes
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading

REQUEST = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"

# What a process sees that waits for a function.
GENERIC = {"PATH": os.environ["PATH"], "LANG": "en_US.UTF-8", "TZ": ":UTC", "NODE_PATH": "/nowhere", "ONLY_GENERIC": "1"}


class Run:
    """What a runtime did: its answers, init error, output and exit code."""

    def __init__(self):
        self.answers = []  # (kind, headers, body) for each event
        self.init_error = None
        self.stdout = self.stderr = ""
        self.frames = []
        self.exit = None

    def answer(self, at=0):
        kind, _, body = self.answers[at]
        return kind, json.loads(body)


class Connection:
    def __init__(self, sock):
        self.sock, self.data = sock, b""

    def line(self):
        while b"\r\n" not in self.data:
            more = self.sock.recv(65536)
            if not more:
                raise EOFError
            self.data += more
        line, _, self.data = self.data.partition(b"\r\n")
        return line.decode()

    def take(self, n):
        while len(self.data) < n:
            more = self.sock.recv(65536)
            if not more:
                raise EOFError
            self.data += more
        out, self.data = self.data[:n], self.data[n:]
        return out

    def headers(self):
        found = {}
        while True:
            line = self.line()
            if not line:
                return found
            name, _, value = line.partition(":")
            found[name.lower()] = value.strip()

    def request(self):
        method, path, _ = self.line().split(" ")
        headers = self.headers()
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while True:
                size = int(self.line().split(";")[0], 16)
                if size == 0:
                    headers.update(self.headers())
                    break
                body += self.take(size)
                self.take(2)
        else:
            body = self.take(int(headers.get("content-length", 0)))
        return method, path, headers, body

    def reply(self, status, headers, body):
        head = "".join("%s: %s\r\n" % item for item in headers.items())
        text = "HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n" % (status, len(body), head)
        self.sock.sendall(text.encode() + body)


class Api(threading.Thread):
    def __init__(self, run, events, headers):
        super().__init__(daemon=True)
        self.run_, self.events, self.extra = run, list(events), headers
        self.server = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.server.getsockname()[1]
        self.done = threading.Event()
        self.at = 0

    def run(self):
        while True:
            try:
                sock, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(Connection(sock),), daemon=True).start()

    def serve(self, connection):
        try:
            while True:
                self.step(connection)
        except (EOFError, OSError):
            pass

    def step(self, c):
        method, path, headers, body = c.request()
        what = path.removeprefix("/2018-06-01/runtime/")
        if what == "invocation/next":
            if self.at == len(self.events):
                self.done.set()
                return
            event = self.events[self.at]
            c.reply(
                "200 OK",
                {
                    "Content-Type": "application/json",
                    "Lambda-Runtime-Aws-Request-Id": REQUEST,
                    "Lambda-Runtime-Invocation-Id": str(self.at),
                    "Lambda-Runtime-Deadline-Ms": "9999999999999",
                    "Lambda-Runtime-Invoked-Function-Arn": ARN,
                    "Lambda-Runtime-Trace-Id": "Root=1-0-0;Sampled=%d" % self.at,
                    **self.extra,
                },
                event if isinstance(event, bytes) else json.dumps(event).encode(),
            )
            return
        if what == "init/error":
            self.run_.init_error = (headers, json.loads(body))
        elif what == "restore/next":
            self.run_.answers.append(("restore", headers, b"null"))
            c.reply("200 OK", {}, b"")
            return
        elif what.startswith("invocation/%s/" % REQUEST):
            # Custom runtimes need not send it back.
            assert headers.get("lambda-runtime-invocation-id", str(self.at)) == str(self.at), headers
            self.run_.answers.append((what.rsplit("/", 1)[1], headers, body))
            self.at += 1
        else:
            raise AssertionError(path)
        c.reply("202 Accepted", {"Content-Type": "application/json"}, b'{"status":"OK"}\n')


def frames(data):
    found = []
    while data:
        kind, length, _ = struct.unpack(">IIQ", data[:16])
        found.append((kind, data[16 : 16 + length].decode()))
        data = data[16 + length :]
    return found


def run(argv, handler, files, events=(None,), env=None, headers=None, framed=False, version="", waiting=False, template=False):
    """Runs `argv` with `files` as its code until all events are answered or it ends. `waiting`: it is
    started elsewhere and before its function is known, which it learns through a pipe. `template`: it
    is a fork of an interpreter that was started like this."""
    result = Run()
    api = Api(result, events, headers or {})
    api.start()
    with tempfile.TemporaryDirectory() as task:
        for name, text in files.items():
            path = os.path.join(task, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(text if isinstance(text, bytes) else text.encode())
        environ = {
            "PATH": os.environ["PATH"],
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "LAMBDA_TASK_ROOT": task,
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "AWS_LAMBDA_FUNCTION_NAME": "f",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/f",
            "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
            "AWS_EXECUTION_ENV": version,
            "_HANDLER": handler,
            **(env or {}),
        }
        fds = ()
        if framed:
            read, write = os.pipe()
            environ["_LAMBDA_TELEMETRY_LOG_FD"] = "3" if template else str(write)
            fds = (write,)
        folder, variables = task, environ
        if waiting:
            told, tell = os.pipe()
            folder, variables = "/", {**GENERIC, "_KILN_WAIT_FD": str(told)}
            fds += (told,)
        if template:
            process = Template(argv).fork(task, environ, write if framed else None)
        else:
            process = subprocess.Popen(
                argv, cwd=folder, env=variables, pass_fds=fds, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
        if waiting:
            os.close(told)
            with os.fdopen(tell, "wb") as pipe:
                pipe.write(b"".join(("%s=%s\0" % item).encode() for item in environ.items()))
        if framed:
            os.close(write)
        watch = threading.Thread(target=lambda: (api.done.wait(30), process.kill()), daemon=True)
        watch.start()
        out, err = process.communicate(timeout=60)
        result.exit = None if api.done.is_set() else process.returncode
        if framed:
            with os.fdopen(read, "rb") as file:
                result.frames = frames(file.read())
        result.stdout = out.decode().replace(task, "/var/task")
        result.stderr = err.decode().replace(task, "/var/task")
        result.answers = [
            (kind, heads, body.replace(os.path.realpath(task).encode(), b"/var/task"))
            for kind, heads, body in result.answers
        ]
        if result.init_error:
            heads, body = result.init_error
            text = json.dumps(body).replace(os.path.realpath(task), "/var/task")
            result.init_error = (heads, json.loads(text))
    api.server.close()
    return result


def wait_for_nothing(argv):
    """Runs a process that waits for a function and is never told one: exit code, stdout, stderr."""
    with open(os.devnull, "rb") as nothing:
        env = {**GENERIC, "_KILN_WAIT_FD": str(nothing.fileno())}
        done = subprocess.run(argv, env=env, pass_fds=[nothing.fileno()], capture_output=True, timeout=30)
    return done.returncode, done.stdout, done.stderr


class Template:
    """An interpreter that is forked for functions, as the sandbox keeps them."""

    SUBREAPER = 36  # prctl: forks whose parent went become children of this process
    CHDIR = {"x86_64": 80, "aarch64": 49}[os.uname().machine]
    CLOSE_RANGE, CLONE = 436, 435

    def __init__(self, argv):
        ctypes.CDLL(None).prctl(self.SUBREAPER, 1, 0, 0, 0)
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        out, put = os.pipe()
        null = os.open(os.devnull, os.O_RDWR)
        # As in the sandbox: pipes for output, nothing below the control socket that could be given out.
        high = fcntl.fcntl(theirs.fileno(), fcntl.F_DUPFD, 20)
        script = (
            "import os, sys\nfor n in range(3, 6): os.dup2(0, n)\nos.dup2(%d, 6)\n"
            "os.closerange(7, 100)\nos.environ.pop('LC_CTYPE', None)\nos.execv(sys.argv[1], sys.argv[1:])" % high
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, *argv], cwd="/", stdin=null, stdout=put,
            env={**GENERIC, "_KILN_TEMPLATE_FD": "6"}, pass_fds=(high,),
        )
        os.close(high)
        for fd in (out, put, null):
            os.close(fd)
        theirs.close()
        assert self.control.recv(100) == b'"Ready"'

    def fork(self, task, environ, framed):
        return Fork(self, task, environ, framed)

    def end(self):
        self.control.close()
        assert self.process.wait(30) == 0


class Fork:
    """Looks like a `Popen` of what a template became."""

    def __init__(self, template, task, environ, framed):
        self.template, self.returncode = template, None
        reply, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        reply.settimeout(10)
        variables = os.memfd_create("variables")
        os.write(variables, b"".join(("%s=%s\0" % item).encode() for item in environ.items()))
        os.lseek(variables, 0, os.SEEK_SET)
        self.out, put = os.pipe()
        self.err, cry = os.pipe()
        null = os.open(os.devnull, os.O_RDWR)
        fds = [theirs.fileno(), variables, put, cry, null if framed is None else framed]
        to_task = {"name": "chdir", "call": template.CHDIR, "args": [{"Bytes": (task + "\0").encode().hex()}], "may": 0}
        close = {"name": "close", "call": template.CLOSE_RANGE, "args": [6, 2**31 - 1, 0], "may": 0}
        order = {"before": [], "clone": template.CLONE, "into": None, "after": [to_task, close]}
        socket.send_fds(template.control, [json.dumps(order).encode()], fds)
        for fd in (variables, put, cry, null):
            os.close(fd)
        theirs.close()
        self.pid = json.loads(reply.recv(1000))["Pid"]
        assert reply.recv(1000) == b'"Bound"'
        reply.send(b"1")
        assert reply.recv(1) == b""
        reply.close()

    def kill(self):
        try:
            os.kill(self.pid, 9)
        except ProcessLookupError:
            pass

    def communicate(self, timeout):
        texts = self.output(timeout)
        self.template.end()
        return texts

    def output(self, timeout):
        texts = {}

        def read(fd):
            with os.fdopen(fd, "rb") as file:
                texts[fd] = file.read()

        readers = [threading.Thread(target=read, args=(fd,), daemon=True) for fd in (self.out, self.err)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(timeout)
        _, status = os.waitpid(self.pid, 0)
        self.returncode = os.waitstatus_to_exitcode(status)
        return texts[self.out], texts[self.err]


def context(custom):
    return {"Lambda-Runtime-Client-Context": json.dumps(custom)}


def decoded(text):
    return json.loads(base64.b64decode(text))
