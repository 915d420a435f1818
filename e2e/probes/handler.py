"""Attempts to get out of an environment, as one Lambda function.

Each probe does in earnest what an attacker would do first, and stops there: it opens for writing and writes
nothing, sends signal 0, reads canaries that the test has put in its way. So it may run where nothing holds it
back, which is how the test proves that the probe bites.

An event names one probe and the canaries; the answer says whether the probe got through. The probe runs in a
child process: what it unshares, mounts or loses ends with it.
"""

import ctypes
import errno
import glob
import json
import mmap
import os
import platform
import select
import shutil
import signal
import socket
import stat
import struct
import sys
import tempfile
import time

SECONDS_MAX = 10.0

# By name: function, and what it needs where nothing isolates: "user" any user, "root" root only.
PROBES = {}


def probe(bites):
    def add(function):
        PROBES[function.__name__] = (function, bites)
        return function

    return add


class Held(Exception):
    """The wall held, for another reason than a refused system call."""


def handler(event, context=None):
    return run(event["probe"], Canary(event["canary"]))


class Canary:
    """What the test has planted outside: values to find, and where."""

    def __init__(self, fields):
        self.secret = fields["secret"]  # the text that must not be seen inside
        self.path = fields["path"]  # a file that holds it, readable by all
        self.pid = fields["pid"]  # a process of the server's user
        self.address = fields["address"]  # where it keeps the secret
        self.descriptor = fields["descriptor"]  # its open, deleted file with the secret
        self.abstract = fields["abstract"]  # sockets that answer the secret
        self.port = fields["port"]
        self.socket = fields["socket"]
        self.shm = fields["shm"]  # name below /dev/shm
        self.shm_key = fields["shm_key"]  # System V segment

    def expect(self, data, how):
        """Success is to hold the secret, not merely to have opened something."""
        text = data if isinstance(data, str) else bytes(data).decode("utf-8", "replace")
        if self.secret not in text:
            raise Held(f"{how}: something else was there")
        return how


# --- system calls that Python does not offer ------------------------------------------------------

LIBC = ctypes.CDLL(None, use_errno=True)
X86 = platform.machine() == "x86_64"

# Number on x86-64, number on arm64.
NUMBERS = {
    "mount": (165, 40),
    "pivot_root": (155, 41),
    "unshare": (272, 97),
    "setns": (308, 268),
    "clone": (56, 220),
    "clone3": (435, 435),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "fsopen": (430, 430),
    "open_tree": (428, 428),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "prctl": (157, 167),
    "syslog": (103, 116),
    "exit": (60, 93),
}

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
MS_REC_PRIVATE = 0x4000 | (1 << 18)


def call(name, *arguments):
    """One system call; raises OSError as os does."""
    LIBC.syscall.restype = ctypes.c_long
    values = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = LIBC.syscall(ctypes.c_long(NUMBERS[name][0 if X86 else 1]), *values)
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def mount(source, target, kind, flags=0, data=None):
    text = [None if a is None else a.encode() for a in (source, target, kind, data)]
    call("mount", text[0], text[1], text[2], flags, text[3])


def gain():
    """Takes the capabilities that a user namespace gives, and leaves the host's mounts alone."""
    uid, gid = os.geteuid(), os.getegid()
    try:
        if uid == 0:
            call("unshare", CLONE_NEWNS | CLONE_NEWNET)
        else:
            call("unshare", CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET)
            write("/proc/self/setgroups", "deny")
            write("/proc/self/uid_map", f"0 {uid} 1")
            write("/proc/self/gid_map", f"0 {gid} 1")
    except OSError:
        return  # The probe goes on with what it has: one of the two walls may be missing.
    mount(None, "/", None, MS_REC_PRIVATE)


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def folder():
    """A new folder below the probe's own, which is removed when it has ended."""
    return tempfile.mkdtemp()


def first(paths, flags):
    """Opens the first of several files that lets itself be opened, and closes it again."""
    why = Held("no such file on this host")
    for path in paths:
        try:
            os.close(os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY))
            return f"opened {path}"
        except OSError as error:
            why = error
    raise why


def writable(*patterns):
    """A file that may be opened for writing. Nothing is written."""
    return first([p for pattern in patterns for p in sorted(glob.glob(pattern))], os.O_WRONLY)


# --- executable, descriptors, directories ----------------------------------------------------------


@probe("user")
def overwrite_the_launcher(canary):
    """The binary that starts functions, seen through /proc, is open to writing."""
    for pid in (1, os.getppid(), "self"):
        path = f"/proc/{pid}/exe"
        try:
            target = os.readlink(path)
        except OSError:
            continue
        if os.access(path, os.W_OK, effective_ids=True):
            return f"{target} could be overwritten through {path}"
    raise Held("no executable is writable")


@probe("user")
def leaked_descriptor(canary):
    """A directory of the host was left open for us."""
    for number in range(3, 256):
        try:
            if stat.S_ISDIR(os.fstat(number).st_mode):
                name = os.path.basename(canary.path)
                file = os.open(name, os.O_RDONLY, dir_fd=number)
                return canary.expect(os.read(file, 4096), f"through descriptor {number}")
        except OSError:
            continue
    raise Held("no directory of the host is open")


@probe("user")
def working_directory_outside(canary):
    """The working directory lies outside the root, so `..` leads into the host."""
    path = "../" * 40 + canary.path.lstrip("/")
    with open(path) as file:
        return canary.expect(file.read(), path)


@probe("user")
def root_of_another_process(canary):
    """/proc/N/root and /proc/N/cwd of any process lead into the host."""
    why = Held("no process has another root")
    for pid in ["self", *[p for p in os.listdir("/proc") if p.isdigit()]]:
        for link in ("root", "cwd"):
            try:
                with open(f"/proc/{pid}/{link}/{canary.path.lstrip('/')}") as file:
                    return canary.expect(file.read(), f"/proc/{pid}/{link}")
            except OSError as error:
                why = error
    raise why


@probe("user")
def environment_of_the_victim(canary):
    """A process of the host shows in /proc with its environment variables."""
    with open(f"/proc/{canary.pid}/environ", "rb") as file:
        return canary.expect(file.read(), f"/proc/{canary.pid}/environ")


@probe("root")
def masked_path_race(canary):
    """Entries of /dev can be replaced, so a masked path can be pointed elsewhere."""
    link = f"/dev/probe-{os.getpid()}"
    os.symlink("/proc/sysrq-trigger", link)
    os.unlink(link)
    return "made a link in /dev"


@probe("root")
def console_race(canary):
    """The host's console can be opened."""
    return first(["/dev/console", "/dev/tty1"], os.O_RDWR)


@probe("user")
def symlink_in_tmp(canary):
    """A link in /tmp is followed out of the root."""
    link = os.path.join(folder(), "out")
    os.symlink(os.path.dirname(canary.path), link)
    with open(os.path.join(link, os.path.basename(canary.path))) as file:
        return canary.expect(file.read(), "through a link")


# --- kernel switches ------------------------------------------------------------------------------


@probe("root")
def write_core_pattern(canary):
    return writable("/proc/sys/kernel/core_pattern")


@probe("root")
def write_modprobe(canary):
    """The helper of the module loader, or another switch where the kernel has no modules."""
    return writable("/proc/sys/kernel/modprobe", "/proc/sys/kernel/panic")


@probe("root")
def trigger_sysrq(canary):
    return writable("/proc/sysrq-trigger", "/proc/sys/kernel/sysrq", "/proc/sys/vm/drop_caches")


@probe("root")
def write_uevent_helper(canary):
    return writable("/sys/kernel/uevent_helper", "/sys/class/*/*/uevent")


@probe("user")
def register_binfmt(canary):
    gain()
    place = folder()
    try:
        mount("binfmt_misc", place, "binfmt_misc")
        return writable(f"{place}/register")
    except OSError:
        return writable("/proc/sys/fs/binfmt_misc/register")


@probe("root")
def cgroup_release_agent(canary):
    """The program that the kernel starts as root when a cgroup empties, or the limits of cgroup v2."""
    names = ("release_agent", "*/release_agent", "*.max", "*/*.max")
    return writable(*[f"/sys/fs/cgroup/{name}" for name in names])


@probe("root")
def cgroup_migration(canary):
    """A process can leave its cgroup for the root."""
    names = ("cgroup.procs", "*/cgroup.procs", "*/tasks")
    return writable(*[f"/sys/fs/cgroup/{name}" for name in names])


# --- devices --------------------------------------------------------------------------------------


def make_and_open(kind, device):
    node = os.path.join(folder(), "node")
    os.mknod(node, kind | 0o600, device)
    try:
        os.close(os.open(node, os.O_RDONLY | os.O_NONBLOCK))
        return "made and opened a device"
    finally:
        os.unlink(node)


@probe("root")
def block_device(canary):
    """Any disk of the host, by its number."""
    disks = [os.stat("/").st_dev]
    try:
        with open("/proc/partitions") as file:
            rows = [line.split() for line in file][2:]
        disks += [os.makedev(int(row[0]), int(row[1])) for row in rows]
    except (OSError, IndexError, ValueError):
        pass  # Hidden: the number of the root file system must do.
    why = Held("no disk")
    for disk in disks:
        try:
            return make_and_open(stat.S_IFBLK, disk)
        except OSError as error:
            why = error
    raise why


@probe("root")
def character_device(canary):
    """The kernel's log, by its number."""
    return make_and_open(stat.S_IFCHR, os.makedev(1, 11))


@probe("root")
def debugfs(canary):
    gain()
    place = folder()
    mount("debugfs", place, "debugfs")
    return f"debugfs holds {len(os.listdir(place))} entries"


@probe("root")
def tracefs(canary):
    gain()
    place = folder()
    mount("tracefs", place, "tracefs")
    return f"tracefs holds {len(os.listdir(place))} entries"


@probe("root")
def kernel_log(canary):
    try:
        return first(["/dev/kmsg"], os.O_RDONLY)
    except OSError:
        size = 10  # SYSLOG_ACTION_SIZE_BUFFER
        return f"the log has {call('syslog', size, None, 0)} bytes"


# --- other processes ------------------------------------------------------------------------------


@probe("user")
def ptrace_the_victim(canary):
    """PTRACE_SEIZE does not stop it, and ends with this process."""
    call("ptrace", 0x4206, canary.pid, 0, 0)
    return f"traces {canary.pid}"


class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


@probe("user")
def memory_of_the_victim(canary):
    there = Vector(canary.address, len(canary.secret))
    buffer = ctypes.create_string_buffer(len(canary.secret))
    here = Vector(ctypes.addressof(buffer), len(canary.secret))
    call("process_vm_readv", canary.pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    return canary.expect(buffer.raw, "process_vm_readv")


@probe("user")
def descriptor_of_the_victim(canary):
    process = call("pidfd_open", canary.pid, 0)
    file = call("pidfd_getfd", process, canary.descriptor, 0)
    return canary.expect(os.pread(file, 4096, 0), "pidfd_getfd")


@probe("user")
def signal_the_victim(canary):
    os.kill(canary.pid, 0)
    return f"signal 0 reaches {canary.pid}"


# --- namespaces and mounts ------------------------------------------------------------------------


@probe("user")
def unshare_a_user_namespace(canary):
    call("unshare", CLONE_NEWUSER | CLONE_NEWNS)
    return "unshared"


@probe("user")
def clone3_a_user_namespace(canary):
    """clone3 takes its flags in memory, where a filter cannot look."""
    arguments = struct.pack("=8Q", CLONE_NEWUSER, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
    child = call("clone3", arguments, len(arguments))
    if child == 0:
        call("exit", 0)
    os.waitpid(child, 0)
    return "cloned"


@probe("user")
def mount_a_file_system(canary):
    gain()
    mount("tmpfs", folder(), "tmpfs")
    return "mounted tmpfs"


@probe("user")
def open_a_file_system(canary):
    gain()
    call("fsopen", b"tmpfs", 0)
    return "fsopen"


@probe("user")
def clone_a_tree(canary):
    gain()
    place = folder()
    try:
        mount("tmpfs", place, "tmpfs")
    except OSError:
        place = "/"
    call("open_tree", -100, place.encode(), 1)
    return "open_tree(OPEN_TREE_CLONE)"


@probe("user")
def overlay_copy_up(canary):
    """An overlay of our own, as for copying up a setuid file."""
    gain()
    base = folder()
    mount("tmpfs", base, "tmpfs")
    for name in ("lower", "upper", "work", "merged"):
        os.mkdir(f"{base}/{name}")
    data = f"lowerdir={base}/lower,upperdir={base}/upper,workdir={base}/work,userxattr"
    mount("overlay", f"{base}/merged", "overlay", 0, data)
    return "mounted an overlay"


@probe("root")
def open_by_handle(canary):
    """A file by its number, past every directory."""
    handle = bytearray(struct.pack("=Ii", 128, 0) + bytes(128))
    pointer = (ctypes.c_char * len(handle)).from_buffer(handle)
    number = ctypes.c_int()
    call("name_to_handle_at", -100, b"/etc/hostname", pointer, ctypes.byref(number), 0)
    place = os.open("/etc", os.O_RDONLY | os.O_DIRECTORY)
    file = call("open_by_handle_at", place, pointer, os.O_RDONLY)
    return f"opened, inode {os.fstat(file).st_ino}"


@probe("user")
def chroot_break_out(canary):
    """A directory that was open before chroot still leads out of it."""
    gain()
    kept = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    os.chroot(folder())
    os.fchdir(kept)
    os.chdir("../" * 40)
    os.chroot(".")
    with open(canary.path) as file:
        return canary.expect(file.read(), "chroot, then up")


@probe("user")
def pivot_the_root(canary):
    gain()
    place = folder()
    mount("tmpfs", place, "tmpfs")
    os.chdir(place)
    call("pivot_root", b".", b".")
    return "pivoted"


# --- kernel interfaces that have been ways out ----------------------------------------------------


@probe("user")
def session_keyring(canary):
    call("keyctl", 1, b"probe")  # KEYCTL_JOIN_SESSION_KEYRING
    return "joined a keyring"


@probe("root")
def bpf_map(canary):
    attributes = struct.pack("=IIII", 2, 4, 4, 1) + bytes(112)  # an array of one
    call("bpf", 0, attributes, len(attributes))
    return "made a map"


@probe("user")
def perf_event(canary):
    # A software clock on ourselves, user space only: what paranoid level 2 still allows.
    attributes = struct.pack("=IIQQQQQ", 1, 112, 0, 0, 0, 0, 0b1100000) + bytes(64)
    call("perf_event_open", attributes, 0, -1, -1, 0)
    return "opened a counter"


@probe("user")
def user_faults(canary):
    call("userfaultfd", 1)  # UFFD_USER_MODE_ONLY
    return "userfaultfd"


@probe("user")
def io_uring(canary):
    call("io_uring_setup", 1, bytes(120))
    return "made a ring"


@probe("user")
def netfilter(canary):
    gain()
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
    return "speaks to nf_tables"


@probe("user")
def packet_socket(canary):
    gain()
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    return "AF_PACKET"


@probe("user")
def raw_socket(canary):
    gain()
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    return "SOCK_RAW"


@probe("user")
def vsock(canary):
    socket.socket(40, socket.SOCK_STREAM)
    return "AF_VSOCK"


# --- ways to speak to the host --------------------------------------------------------------------


def ask(family, address, canary, how):
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(2)
        client.connect(address)
        return canary.expect(client.recv(4096), how)


@probe("user")
def abstract_socket(canary):
    return ask(socket.AF_UNIX, "\0" + canary.abstract, canary, "abstract socket")


@probe("user")
def socket_in_the_file_system(canary):
    return ask(socket.AF_UNIX, canary.socket, canary, "unix socket")


@probe("user")
def loopback_of_the_host(canary):
    return ask(socket.AF_INET, ("127.0.0.1", canary.port), canary, "host loopback")


@probe("user")
def posix_shared_memory(canary):
    with open(f"/dev/shm/{canary.shm}") as file:
        return canary.expect(file.read(), "/dev/shm")


@probe("user")
def system_v_shared_memory(canary):
    segment = call("shmget", canary.shm_key, 0, 0)
    address = call("shmat", segment, None, 0o10000)
    return canary.expect(ctypes.string_at(address, len(canary.secret)), "shmat")


@probe("root")
def device_of_the_host(canary):
    return first(["/dev/kvm", "/dev/mem", "/dev/vda", "/dev/sda", "/dev/nvme0n1"], os.O_RDONLY)


# --- by-passing the filters -----------------------------------------------------------------------


@probe("user")
def call_of_32_bits(canary):
    """A system call by the 32-bit door, whose numbers a careless filter mistakes."""
    if not X86:
        raise Held("x86-64 only")
    getpid = b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"  # mov eax, 20; int 0x80; ret
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(getpid)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    result = ctypes.CFUNCTYPE(ctypes.c_int)(address)()
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return "int 0x80 answers"


@probe("user")
def new_privileges(canary):
    """setuid executables would work."""
    if call("prctl", 39, 0, 0, 0, 0):
        raise Held("no_new_privs is set")
    return "no_new_privs is not set"


@probe("user")
def capability_bounding_set(canary):
    with open("/proc/self/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    held = {name: fields[name].strip() for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")}
    if not any(int(value, 16) for value in held.values()):
        raise Held("no capability is left")
    return f"capabilities {held}"


@probe("root")
def enter_a_namespace_of_the_host(canary):
    with open(f"/proc/{canary.pid}/ns/mnt") as file:
        call("setns", file.fileno(), CLONE_NEWNS)
    return "entered the victim's mounts"


@probe("root")
def name_of_the_host(canary):
    """Sets the name that it has already."""
    socket.sethostname(socket.gethostname())
    return "set the host name"


# --- running --------------------------------------------------------------------------------------


def run(name, canary):
    """Runs one probe in a child and says how it ended."""
    function, _ = PROBES[name]
    own = tempfile.mkdtemp(prefix="probe-")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        tempfile.tempdir = own
        os.write(writing, json.dumps(attempt(function, canary)).encode())
        os._exit(0)
    os.close(writing)
    answer = read_until(reading, time.monotonic() + SECONDS_MAX)
    os.close(reading)
    if not answer:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    shutil.rmtree(own, ignore_errors=True)
    if answer:
        return {"probe": name, **json.loads(answer)}
    how = f"ended by signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"status {status}"
    return {"probe": name, "success": False, "detail": how}


def attempt(function, canary):
    try:
        return {"success": True, "detail": function(canary)}
    except OSError as error:
        code = errno.errorcode.get(error.errno, str(error.errno))
        return {"success": False, "detail": f"{code}: {error}"}
    except Held as held:
        return {"success": False, "detail": str(held)}
    except Exception as error:  # A broken probe must not pass for a wall.
        return {"success": False, "broken": True, "detail": f"{type(error).__name__}: {error}"}


def read_until(descriptor, deadline):
    data = b""
    while True:
        ready, _, _ = select.select([descriptor], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            return data
        more = os.read(descriptor, 65536)
        if not more:
            return data
        data += more


if __name__ == "__main__":
    planted = json.load(sys.stdin)
    for each in PROBES:
        print(json.dumps(handler({"probe": each, "canary": planted})))
