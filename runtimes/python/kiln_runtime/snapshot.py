"""SnapStart: hooks around a snapshot, and the snapshot itself.  [Lambda guide: SnapStart]

The initialised process is the snapshot. It waits on a socket and forks when it is told to; each fork goes
on in an environment of its own, as if time had stood still. It is moved there from outside, while it
waits for a word, and is told nothing that another fork does not get.
"""

import os
import sys

from kiln_runtime import report
from kiln_runtime.result import encode

_FDS_MAX = 16
_WORD_BYTES_MAX = 16
_FRAMED = 3


def run_hooks(client, sink):
    fd = os.environ.pop("_KILN_SNAPSHOT_FD", None)
    try:
        for hook, args, kwargs in _hooks("get_before_snapshot"):
            hook(*args, **kwargs)
    except BaseException as error:
        payload = _log(error, sink)
        client.init_error("Runtime.BeforeSnapshotError", encode(payload))
        sys.exit(64)
    if fd is not None:
        _wait(int(fd))
    client.restore_next()
    try:
        for hook, args, kwargs in _hooks("get_after_restore"):
            hook(*args, **kwargs)
    except BaseException as error:
        payload = _log(error, sink)
        client.restore_error("Runtime.AfterRestoreError", encode(payload))
        sys.exit(65)


def _hooks(which):
    # Who registers has imported it.
    registry = sys.modules.get("snapshot_restore_py")
    hooks = getattr(registry, which)() if registry else []
    # The last registered before-hook runs first.
    return reversed(hooks) if which == "get_before_snapshot" else hooks


def _log(error, sink):
    payload = report.failure(error)
    report.log(payload, sink)
    return payload


def _wait(fd):
    """Returns in each restored environment, never in the snapshot itself."""
    import gc
    import socket

    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass  # the function has closed or replaced it
    control = socket.socket(fileno=fd)
    gc.collect()
    gc.freeze()
    control.send(b"ready")
    while True:
        word, fds, _, _ = socket.recv_fds(control, _WORD_BYTES_MAX, _FDS_MAX, socket.MSG_CMSG_CLOEXEC)
        if not word:
            os._exit(0)  # nobody is there any more
        child = os.fork()
        if child == 0:
            _become(control, fds)
            gc.unfreeze()
            return
        for fd in fds:
            os.close(fd)
        os.waitpid(child, 0)


def _become(control, fds):
    """In the fork: goes where it is moved to, as a child of the first process there."""
    try:
        text, framed = fds[:2]
        for fd, place in ((text, 1), (text, 2), (framed, _FRAMED)):
            os.dup2(fd, place)
        os.close(text)
        os.close(framed)
        left = _let_go(socket_fd=control.fileno(), given=fds[2:])
        control.send(b"%d" % os.getpid())
        # It is moved meanwhile.
        if control.recv(1) != b"1":
            os._exit(1)
        control.close()
        for fd in fds[2:]:
            os.close(fd)
        # Only children are in the new PID namespace; theirs are taken over by its first process.
        for _ in range(2):
            if os.fork():
                os._exit(0)
        while os.getppid() != 1:
            os.sched_yield()
        os.setsid()
        _take_back(left)
        _draw_anew()
    except BaseException:
        os._exit(1)


def _let_go(socket_fd, given):
    """Replaces what a fork may not bring along and can have anew; the numbers stay taken."""
    import socket
    import stat

    left = []
    null = os.open(os.devnull, os.O_RDWR)
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if fd in (socket_fd, null) or fd in given:
            continue
        try:
            mode = os.fstat(fd).st_mode
        except OSError:
            continue  # it was the directory itself
        if stat.S_ISSOCK(mode):
            with socket.socket(fileno=os.dup(fd)) as found:
                if found.family not in (socket.AF_INET, socket.AF_INET6):
                    continue
                left.append((fd, "socket", (found.family, found.type)))
        elif stat.S_ISREG(mode):
            path = os.readlink("/proc/self/fd/%d" % fd)
            if path.startswith("/proc/") or not os.path.exists(path):
                continue
            import fcntl

            flags = fcntl.fcntl(fd, fcntl.F_GETFL)
            left.append((fd, "file", (path, flags, os.lseek(fd, 0, os.SEEK_CUR))))
        else:
            continue
        os.dup2(null, fd, os.get_inheritable(fd))
    os.close(null)
    return left


def _take_back(left):
    """Files as they were, each at a place of its own; sockets that are connected to nobody any more."""
    import socket

    for fd, kind, what in left:
        if kind == "socket":
            fresh = socket.socket(*what).detach()
        else:
            path, flags, place = what
            try:
                fresh = os.open(path, flags & ~(os.O_CREAT | os.O_EXCL | os.O_TRUNC))
            except OSError:
                continue  # the null device stays
            os.lseek(fresh, place, os.SEEK_SET)
        os.dup2(fresh, fd, os.get_inheritable(fd))
        os.close(fresh)


def _draw_anew():
    """What was drawn by chance before the snapshot must not come twice."""
    loaded = sys.modules.get
    if loaded("random"):
        loaded("random").seed()
    if loaded("ssl"):
        # OpenSSL goes by the process id, which each environment counts for itself.
        loaded("ssl").RAND_add(os.urandom(32), 32.0)
    if loaded("tempfile"):
        loaded("tempfile")._name_sequence = None
    if loaded("uuid"):
        uuid = loaded("uuid")
        # The C library's generator remembers a sequence, Python's own the node and the last time.
        uuid._generate_time_safe = uuid._node = uuid._last_timestamp = None
    numpy = loaded("numpy.random")
    if numpy:
        numpy.seed()
