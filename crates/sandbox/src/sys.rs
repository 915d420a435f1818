//! The system calls that no safe wrapper offers. With `sys_trace.rs` the only file of this crate with `unsafe`.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_ulong, c_void};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Which side of a clone this is.
pub(crate) enum Side {
    Child,
    Parent { pid: u32, pidfd: OwnedFd },
}

fn check(code: c_int) -> io::Result<c_int> {
    if code < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(code)
    }
}

fn check_long(code: libc::c_long) -> io::Result<libc::c_long> {
    if code < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(code)
    }
}

/// Forks into new namespaces (`CLONE_NEW*` in `flags`), into `cgroup` if given.
///
/// Must be called by a process with one thread only.
pub(crate) fn clone_into(flags: c_int, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Side> {
    let mut pidfd: c_int = -1;
    let flags = u64::try_from(flags).unwrap_or(0)
        | u64::try_from(libc::CLONE_PIDFD).unwrap_or(0)
        | cgroup.map_or(0, |_| 0x2_0000_0000); // CLONE_INTO_CGROUP
    let args = libc::clone_args {
        flags,
        pidfd: std::ptr::from_mut(&mut pidfd).addr() as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: u64::try_from(libc::SIGCHLD).unwrap_or(17),
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: cgroup.map_or(0, |fd| u64::try_from(fd.as_raw_fd()).unwrap_or(0)),
    };
    // SAFETY: `args` is valid for the size given; without CLONE_VM the child gets a copy of the
    // memory, and as this process has one thread no lock can be held by another one.
    // WHY: neither std nor rustix offers clone3.
    let pid = check_long(unsafe {
        libc::syscall(
            libc::SYS_clone3,
            std::ptr::from_ref(&args),
            size_of::<libc::clone_args>(),
        )
    })?;
    if pid == 0 {
        return Ok(Side::Child);
    }
    // SAFETY: the kernel stored a new descriptor that nobody else owns.
    // WHY: clone3 hands it out as a number.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Side::Parent {
        pid: u32::try_from(pid).unwrap_or(0),
        pidfd,
    })
}

/// Forks. Returns the child's process id, or `None` in the child. One thread only.
pub(crate) fn fork() -> io::Result<Option<i32>> {
    // SAFETY: this process has one thread, so the child may go on as the parent would.
    // WHY: std cannot fork without exec.
    let pid = check(unsafe { libc::fork() })?;
    Ok((pid != 0).then_some(pid))
}

/// Moves this process into new namespaces. One thread only.
pub(crate) fn unshare(flags: c_int) -> io::Result<()> {
    // SAFETY: with one thread nobody else sees the change; no flag used here unshares descriptors.
    // WHY: rustix deprecates its safe form because of threads.
    check(unsafe { libc::unshare(flags) }).map(drop)
}

/// Ends the process at once, without destructors of this or the forking process.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` has no preconditions.
    // WHY: std::process::exit runs handlers that belong to the parent of a fork.
    unsafe { libc::_exit(code) }
}

/// Replaces the program. Returns only on failure.
pub(crate) fn execve(path: &CStr, argv: &[CString], env: &[CString]) -> io::Error {
    fn pointers(list: &[CString]) -> Vec<*const c_char> {
        list.iter()
            .map(|s| s.as_ptr())
            .chain(std::iter::once(std::ptr::null()))
            .collect()
    }
    let (argv, env) = (pointers(argv), pointers(env));
    // SAFETY: all three are NUL-terminated and live until the call returns.
    // WHY: std's exec searches PATH and changes signal state; this must not.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Changes the attributes of a mount, of those below it too if `recursive`.
pub(crate) fn mount_setattr(fd: BorrowedFd<'_>, set: u64, recursive: bool) -> io::Result<()> {
    change_mount(fd, set, recursive, None)
}

/// Shows a mount that is not attached yet, and those below it, with the owners of a user namespace: what
/// belongs to the host's root belongs to that namespace's. Needs a file system that can do so.
pub(crate) fn map_owners(fd: BorrowedFd<'_>, users: BorrowedFd<'_>) -> io::Result<()> {
    change_mount(fd, libc::MOUNT_ATTR_IDMAP, true, Some(users))
}

fn change_mount(
    fd: BorrowedFd<'_>,
    set: u64,
    recursive: bool,
    users: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let attr = libc::mount_attr {
        attr_set: set,
        attr_clr: 0,
        propagation: libc::MS_PRIVATE,
        userns_fd: users.map_or(0, |fd| u64::try_from(fd.as_raw_fd()).unwrap_or(0)),
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty C string and `attr` is valid for the size given.
    // WHY: rustix has no mount_setattr.
    check_long(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd.as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(&attr),
            size_of::<libc::mount_attr>(),
        )
    })
    .map(drop)
}

/// Marks every descriptor from `first` on as closed on exec.
pub(crate) fn close_on_exec_from(first: c_uint) -> io::Result<()> {
    const CLOSE_RANGE_CLOEXEC: c_uint = 4;
    // SAFETY: changes flags only; no descriptor becomes invalid.
    // WHY: std and rustix have no close_range.
    check_long(unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            c_uint::MAX,
            CLOSE_RANGE_CLOEXEC,
        )
    })
    .map(drop)
}

/// Closes every descriptor from 3 on except those in `keep`, in a process that goes on without the
/// objects that own them.
pub(crate) fn close_all_but(keep: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut kept: Vec<c_uint> = keep
        .iter()
        .filter_map(|fd| c_uint::try_from(fd.as_raw_fd()).ok())
        .collect();
    kept.sort_unstable();
    let mut first: c_uint = 3;
    let close = |from: c_uint, to: c_uint| {
        if from > to {
            return Ok(());
        }
        // SAFETY: the caller never drops the objects that own these (it ends by `_exit` or exec),
        // so nothing closes a number that was given out again.
        // WHY: descriptors inherited over a fork have no owner here.
        check_long(unsafe { libc::syscall(libc::SYS_close_range, from, to, 0) }).map(drop)
    };
    for fd in kept {
        if fd >= first {
            if fd > 0 {
                close(first, fd - 1)?;
            }
            first = fd + 1;
        }
    }
    close(first, c_uint::MAX)
}

/// Makes `target` a copy of `fd` that stays open over exec.
pub(crate) fn dup_to(fd: BorrowedFd<'_>, target: RawFd) -> io::Result<()> {
    // SAFETY: plain system call; `target` is 0..=4 in a process about to exec, owned by nobody.
    // WHY: rustix wants an OwnedFd for the target, which does not exist here.
    check(unsafe { libc::dup2(fd.as_raw_fd(), target) })?;
    if fd.as_raw_fd() == target {
        // SAFETY: plain system call on an open descriptor.
        // WHY: dup2 onto itself keeps close-on-exec.
        check(unsafe { libc::fcntl(target, libc::F_SETFD, 0) })?;
    }
    Ok(())
}

/// Drops every capability from the bounding set, also those newer than this program.
pub(crate) fn drop_bounding_set() -> io::Result<()> {
    for capability in 0..64 as c_ulong {
        // SAFETY: prctl with plain numbers.
        // WHY: rustix knows only the capabilities of its own day.
        let code = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        if code < 0 {
            let error = io::Error::last_os_error();
            return match error.raw_os_error() {
                Some(libc::EINVAL) if capability > 0 => Ok(()), // past the last one
                _ => Err(error),
            };
        }
    }
    Ok(())
}

/// Takes back any priority that the server may have, for this process and what it starts.
pub(crate) fn ordinary_priority() -> io::Result<()> {
    let ordinary = libc::sched_param { sched_priority: 0 };
    // SAFETY: plain system call; the parameter is valid and only read.
    // WHY: rustix has no sched_setscheduler.
    check(unsafe { libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const ordinary) })?;
    if rustix::process::getpriority_process(None)? < 0 {
        rustix::process::setpriority_process(None, 0)?;
    }
    Ok(())
}

/// Brings the loopback device up and adds `extra` to it.
pub(crate) fn loopback_up(socket: BorrowedFd<'_>, extra: Ipv4Addr) -> io::Result<()> {
    let mut up = interface(b"lo");
    up.ifr_ifru.ifru_flags =
        libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING).unwrap_or_default();
    ioctl(socket, libc::SIOCSIFFLAGS, &mut up)?;
    let mut alias = interface(b"lo:1");
    alias.ifr_ifru.ifru_addr = socket_address(extra);
    ioctl(socket, libc::SIOCSIFADDR, &mut alias)?;
    let mut mask = interface(b"lo:1");
    mask.ifr_ifru.ifru_netmask = socket_address(Ipv4Addr::BROADCAST);
    ioctl(socket, libc::SIOCSIFNETMASK, &mut mask)
}

fn interface(name: &[u8]) -> libc::ifreq {
    // SAFETY: ifreq is plain data for which all zeroes is a value.
    // WHY: it holds a union and has no constructor.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name) {
        *to = c_char::from_ne_bytes([*from]);
    }
    request
}

fn socket_address(ip: Ipv4Addr) -> libc::sockaddr {
    let mut address = libc::sockaddr {
        sa_family: libc::sa_family_t::try_from(libc::AF_INET).unwrap_or_default(),
        sa_data: [0; 14],
    };
    for (to, from) in address.sa_data.iter_mut().skip(2).zip(ip.octets()) {
        *to = c_char::from_ne_bytes([from]);
    }
    address
}

fn ioctl(socket: BorrowedFd<'_>, request: c_ulong, ifreq: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: every SIOC*IF* request used here reads and writes one ifreq.
    // WHY: setting up an interface has no safe wrapper short of a netlink library.
    check(unsafe {
        libc::ioctl(
            socket.as_raw_fd(),
            request as _,
            std::ptr::from_mut(ifreq).cast::<c_void>(),
        )
    })
    .map(drop)
}

/// Version of Landlock that the kernel offers; 0 if none.
pub(crate) fn landlock_abi() -> u8 {
    const VERSION: c_uint = 1;
    // SAFETY: asks for a number only; the pointer may be null with this flag.
    // WHY: the landlock crate keeps the version to itself.
    let abi = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<c_void>(),
            0_usize,
            VERSION,
        )
    };
    u8::try_from(abi).unwrap_or(0)
}

/// Binds this thread, and what it starts, to rules of Landlock. It must not be able to gain privileges.
pub(crate) fn landlock_restrict(rules: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: plain system call on an open descriptor.
    // WHY: the landlock crate restricts only by rules that the same process has made.
    check_long(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, rules.as_raw_fd(), 0) })
        .map(drop)
}

/// Registers a descriptor with the reactor.
pub(crate) fn watch(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd refers to one open file for as long as it lives.
    // WHY: the safe constructor is deprecated because other types could do otherwise.
    unsafe { AsyncFd::register_with_interest(fd, interest) }.map_err(Into::into)
}

/// The control socket that the server put on descriptor 0.
pub(crate) fn control_socket() -> io::Result<OwnedFd> {
    io::stdin().as_fd().try_clone_to_owned()
}
