"""An interpreter that is kept to be forked into environments.

It was started like every other one but knows no function. It loads what functions use most, then waits
on a socket for orders. An order comes with descriptors and two lists of system calls: one that it makes
itself before it forks, and one that makes the fork a member of its environment, without any right. The
lists are written by Kiln's sandbox; here they are only made, one after the other. What runs before the
last of them is this module alone.

No function's code, variables or events ever come to the template itself: a fork reads its variables when
it is bound. So there is nothing in it that one function could learn about another.
"""

import gc
import json
import os
import signal
import stat
import struct
import sys

# Loaded once for all; a fork has them for nothing. No module that starts threads, keeps an open
# file or draws a random number for later use may be here.
_LOADED = """
base64 binascii collections.abc concurrent.futures contextlib copy csv ctypes dataclasses datetime
decimal email.message email.utils enum functools gzip hashlib hmac http.client importlib.util inspect io
itertools json logging math operator pathlib pickle platform pprint queue random re secrets select
shutil signal socket ssl string struct subprocess tempfile textwrap threading time traceback types
typing urllib.error urllib.parse urllib.request uuid warnings weakref zipfile zlib
kiln_runtime.encoder kiln_runtime.handler kiln_runtime.logs kiln_runtime.output kiln_runtime.rehearsal
kiln_runtime.report
""".split()

# A function of Python 3.11 is specialised after eight calls.
_REHEARSALS = 10

_ORDER_BYTES_MAX = 160 * 1024
_FDS_MAX = 32

# What a fork is given first, in this order, and where the last of them go while it is bound.
_REPLY, _VARIABLES, _OUT, _ERR, _FRAMED = range(5)
_VARIABLES_FD, _REPLY_FD = 4, 5


def wait(fd, own_path):
    """Returns in each fork, as its function; never in the template itself."""
    base = set(sys.modules)
    for name in _LOADED:
        try:
            __import__(name)
        except ImportError:
            # An interpreter built without it; functions find out for themselves.
            pass
    _show_the_functions_home()
    _run_in()
    loaded = {name.partition(".")[0] for name in sys.modules if name not in base}
    loaded.difference_update(base)
    template = _Template(fd)
    gc.collect()
    gc.disable()
    gc.freeze()
    template.say(b'"Ready"')
    while not template.take_order():
        pass
    gc.enable()
    if _is_shadowed(loaded, own_path(os.environ)):
        _forget(base)


def _run_in():
    """Code that ran a few times has settled: it writes less to the pages that forks share."""
    from kiln_runtime.rehearsal import rehearse

    for _ in range(_REHEARSALS):
        rehearse(_take_variables)


def _show_the_functions_home():
    """The user of the template is another one than that of functions, and it has no files."""
    import pwd
    import site

    try:
        os.environ["HOME"] = pwd.getpwuid(993).pw_dir
    except KeyError:
        return
    site.USER_BASE = site.USER_SITE = None
    site.getusersitepackages()
    del os.environ["HOME"]


class _Template:
    def __init__(self, fd):
        import ctypes
        import socket

        self._socket = socket
        self._control = socket.socket(fileno=fd)
        self._calls = _Calls(ctypes)
        self._last = None, None

    def say(self, text):
        self._control.send(text)

    def take_order(self):
        """True in a fork that has become a runtime."""
        text, fds, _, _ = self._socket.recv_fds(
            self._control, _ORDER_BYTES_MAX, _FDS_MAX, self._socket.MSG_CMSG_CLOEXEC
        )
        if not text:
            os._exit(0)  # nobody is there any more
        if len(os.listdir("/proc/self/task")) != 1:
            os._exit(1)  # what other threads hold would stay held in a fork
        child = 0
        try:
            before, after, clone = self._prepared(text, fds)
            if self._make(before, fds):
                child = clone()
                if child == 0:
                    return self._step_aside(after, fds)
        except OSError as error:
            _tell(fds[_REPLY], "fork", error.errno)
        for fd in fds:
            os.close(fd)
        if child:
            os.waitpid(child, 0)
        return False

    def _prepared(self, text, fds):
        """One order is mostly like the one before."""
        if self._last[0] != (text, fds):
            order = json.loads(text)
            before = self._calls.prepare(order["before"], fds)
            after = self._calls.prepare(order["after"], fds)
            into = order["into"] and fds[order["into"]["Fd"]]
            clone = self._calls.clone(order["clone"], into)
            self._last = (text, fds), (before, after, clone)
        return self._last[1]

    def _make(self, calls, fds):
        failed = self._calls.make(calls)
        if failed is not None:
            _tell(fds[_REPLY], *failed)
        return failed is None

    def _step_aside(self, after, fds):
        """Forks once more, so that the environment's first process becomes the parent.

        This process was cloned by number, which the C library and Python know nothing about: all it
        may do is to fork as they do.
        """
        parent = os.getpid()
        try:
            child = os.fork()
            if child:
                os.write(fds[_REPLY], b'{"Pid":%d}' % child)
        except OSError as error:
            _tell(fds[_REPLY], "fork again", error.errno)
            os._exit(1)
        if child:
            os._exit(0)
        self._become_runtime(after, fds, parent)
        return True

    def _become_runtime(self, after, fds, parent):
        try:
            self._control.detach()
            for fd, place in ((_OUT, 1), (_ERR, 2), (_FRAMED, 3), (_VARIABLES, _VARIABLES_FD)):
                os.dup2(fds[fd], place)
            os.dup2(fds[_REPLY], _REPLY_FD, False)
            failed = self._calls.make(after)
            if failed is not None:
                _tell(_REPLY_FD, *failed)
                os._exit(1)
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, 0)
            os.close(null)
            while os.getppid() == parent:
                os.sched_yield()
            os.write(_REPLY_FD, b'"Bound"')
            if os.read(_REPLY_FD, 1) != b"1":
                os._exit(1)
            os.close(_REPLY_FD)
            _draw_anew()
            waits = stat.S_ISFIFO(os.fstat(_VARIABLES_FD).st_mode)
            if waits:
                sys.modules["kiln_runtime.rehearsal"].rehearse(_take_variables)
            _take_variables(_VARIABLES_FD)
            if waits:
                os.chdir("/var/task")  # the function's, which came with its variables
        except BaseException:
            os._exit(1)


def _tell(reply, step, errno):
    try:
        text = json.dumps({"Failed": {"step": step, "errno": errno or 0}})
        os.write(reply, text.encode())
    except OSError:
        pass  # it does not wait any more


class _Calls:
    """System calls by number, made ready before the fork that makes them."""

    def __init__(self, ctypes):
        class Program(ctypes.Structure):
            _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]

        self._ctypes = ctypes
        self._program = Program
        self._call = ctypes.CDLL(None, use_errno=True).syscall
        self._call.restype = ctypes.c_long

    def prepare(self, steps, fds):
        """Steps of `name`, `call`, `args` and `may`, an error that does not matter."""
        return [
            (
                step["name"],
                [self._ctypes.c_long(step["call"])] + [self._argument(a, fds) for a in step["args"]],
                step["may"],
            )
            for step in steps
        ]

    def _argument(self, given, fds):
        if isinstance(given, int):
            return self._ctypes.c_long(given)
        (kind, value), = given.items()
        if kind == "Fd":
            return self._ctypes.c_long(fds[value])
        raw = bytes.fromhex(value)
        buffer = self._ctypes.create_string_buffer(raw, len(raw))
        if kind == "Program":
            # A filter's length is told in instructions of eight bytes.
            program = self._program(len(raw) // 8, self._ctypes.addressof(buffer))
            program.keep = buffer
            return self._ctypes.byref(program)
        return buffer

    def clone(self, number, into):
        """clone3, into a cgroup if one is given: entering it later would stop the whole system."""
        flags = 0 if into is None else 0x200000000
        raw = struct.pack("11Q", flags, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, into or 0)
        buffer = self._ctypes.create_string_buffer(raw, len(raw))
        # With the interpreter's lock held: no other thread could give it back.
        call = self._ctypes.PyDLL(None, use_errno=True).syscall
        call.restype = self._ctypes.c_long
        arguments = self._ctypes.c_long(number), buffer, self._ctypes.c_long(len(raw))

        def clone():
            child = call(*arguments)
            if child < 0:
                raise OSError(self._ctypes.get_errno(), "clone3")
            return child

        return clone

    def make(self, calls):
        """The name and error of the call that failed, if one did."""
        call, get_errno = self._call, self._ctypes.get_errno
        for name, arguments, may in calls:
            if call(*arguments) < 0:
                errno = get_errno()
                if errno != may:
                    return name, errno
        return None


def _take_variables(fd):
    parts = []
    while True:
        part = os.read(fd, 65536)
        if not part:
            break
        parts.append(part)
    os.close(fd)
    os.environ.clear()
    for record in b"".join(parts).split(b"\0")[:-1]:
        name, _, value = record.partition(b"=")
        os.environb[name] = value


def _draw_anew():
    """What was drawn by chance before the fork must not come twice.

    `random` does it by itself after each fork. OpenSSL does if the process id changed, which it need not
    have: each environment counts its own.
    """
    import random

    random.seed()
    ssl = sys.modules.get("ssl")
    if ssl is not None:
        ssl.RAND_add(os.urandom(32), 32.0)


def _is_shadowed(loaded, path):
    """Whether the function brings a module of the same name as one that is loaded already."""
    for folder in path:
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        if not loaded.isdisjoint([name.partition(".")[0] for name in names]):
            return True
    return False


def _forget(base):
    for name in [name for name in sys.modules if name not in base]:
        del sys.modules[name]
        above, _, last = name.rpartition(".")
        if above in base and hasattr(sys.modules[above], last):
            delattr(sys.modules[above], last)
