//! The order to a kept interpreter to fork into this environment, and what the fork must do there.
//!
//! The fork does what the environment's own runtime process does to bind itself, in the same order. It
//! is told as a list of system calls, made here, so that what binds a function is written in one
//! language and the interpreter only makes the calls. If one fails there is no fork.

use std::fmt::Write;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use libc::c_long;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, Mode, OFlags, SeekFrom, memfd_create, open, seek};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::cgroup::SELF;
use super::confine::{self, FUNCTION_GID, FUNCTION_UID};
use super::environment::Plan;
use super::interpreters::Offer;
use super::root::{At, Failure};
use crate::channel::{self, ChannelError};

/// Longest wait for a fork's next word; it takes milliseconds.
const FORK_MAX: Timespec = Timespec {
    tv_sec: 3,
    tv_nsec: 0,
};

/// From here on the fork has no descriptors but what its function gets.
const FIRST_CLOSED: c_long = 6;

#[derive(Serialize)]
struct Step {
    name: &'static str,
    call: c_long,
    args: Vec<Arg>,
    /// An error that does not matter; 0 for none.
    may: i32,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Arg {
    Number(c_long),
    Made(Made),
}

/// An argument that the interpreter makes.
#[derive(Serialize)]
enum Made {
    /// The descriptor at this place in the message.
    Fd(usize),
    /// A pointer to these bytes, told as hexadecimal digits.
    Bytes(String),
    /// A pointer to a filter program of these bytes.
    Program(String),
}

#[derive(Serialize)]
struct Order<'a> {
    /// Made by the interpreter before it forks.
    before: Vec<Step>,
    /// The number of clone3, by which it forks, and the cgroup of version 2 to be born in.
    clone: c_long,
    into: Option<Arg>,
    /// Made by the fork.
    after: Vec<Step>,
    #[serde(skip)]
    fds: Vec<BorrowedFd<'a>>,
}

/// What comes back.
#[derive(Deserialize)]
enum Said {
    /// The fork's number in here.
    Pid(i32),
    /// All calls were made; it waits for the last word.
    Bound,
    Failed {
        step: String,
        errno: i32,
    },
}

/// Has the runtime forked; gives its process id once it is bound. It reads its `variables` then: from a
/// file, or from a pipe as soon as there is a function. After an error there is no fork, or one that
/// ends before it does anything.
pub(super) fn fork(
    plan: &Plan<'_>,
    rules: Option<&OwnedFd>,
    offer: &Offer,
    variables: &OwnedFd,
    data_bytes_max: Option<u64>,
) -> Result<i32, Failure> {
    let (reply, theirs) = channel::pair().at("make a socket")?;
    let spaces = Spaces::open().at("open the namespaces")?;
    let mut order = Order {
        before: Vec::new(),
        clone: libc::SYS_clone3,
        into: None,
        after: Vec::new(),
        fds: Vec::new(),
    };
    for fd in [&theirs, variables, &plan.text, &plan.text, &plan.framed] {
        order.fd(fd.as_fd());
    }
    let pid_space = order.fd(spaces.pid.as_fd());
    let enter = |fd| vec![fd, Arg::Number(0)];
    order
        .before
        .push(step("enter pid", libc::SYS_setns, enter(pid_space)));
    order.into = offer.cgroup.as_ref().map(|fd| order.fd(fd.as_fd()));
    order.enter(&offer.groups, &spaces);
    order.bind(plan, rules, data_bytes_max);
    let malformed = |e: ChannelError| match e {
        ChannelError::System(errno) => io::Error::from(errno),
        _ => io::Error::from(Errno::PIPE),
    };
    channel::send(&offer.control, &order, &order.fds)
        .map_err(malformed)
        .at("order a fork")?;
    drop(order);
    drop(theirs); // if the fork ends, the end shows
    let mut pid = None;
    loop {
        match hear(&reply).at("hear of the fork")? {
            Said::Pid(number) => pid = Some(number),
            Said::Failed { step, errno } => return Err(Failure { step, errno }),
            Said::Bound => {
                let pid = pid.ok_or(Errno::PROTO).at("learn its number")?;
                rustix::io::write(&reply, b"1").at("let it go")?;
                return Ok(pid);
            }
        }
    }
}

fn hear(reply: &OwnedFd) -> io::Result<Said> {
    loop {
        match poll(&mut [PollFd::new(reply, PollFlags::IN)], Some(&FORK_MAX)) {
            Ok(0) => return Err(Errno::TIMEDOUT.into()),
            Ok(_) => break,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let (said, _) = channel::receive(reply).map_err(|_| Errno::PIPE)?;
    Ok(said)
}

/// Only the fork reads them: the interpreter, from which others are forked, never has them.
pub(super) fn variables(env: &[String]) -> io::Result<OwnedFd> {
    let file = memfd_create(c"variables", MemfdFlags::CLOEXEC)?;
    let mut records = Vec::new();
    for record in env {
        records.extend_from_slice(record.as_bytes());
        records.push(0);
    }
    let mut rest = records.as_slice();
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest)?;
        rest = rest.get(written..).unwrap_or_default();
    }
    seek(&file, SeekFrom::Start(0))?;
    Ok(file)
}

/// The namespaces of this process, which are the environment's.
struct Spaces {
    pid: OwnedFd,
    /// Where the fork goes, the user namespace last: before it, its rights are the helper's.
    others: Vec<OwnedFd>,
}

impl Spaces {
    fn open() -> io::Result<Spaces> {
        let one = |name: &str| {
            let path = format!("/proc/self/ns/{name}");
            open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        };
        let others = ["net", "ipc", "uts", "cgroup", "mnt", "user"]
            .into_iter()
            .map(one)
            .collect::<Result<_, _>>()?;
        Ok(Spaces {
            pid: one("pid")?,
            others,
        })
    }
}

fn step(name: &'static str, call: c_long, args: Vec<Arg>) -> Step {
    Step {
        name,
        call,
        args,
        may: 0,
    }
}

fn numbers<const N: usize>(numbers: [i64; N]) -> Vec<Arg> {
    numbers.map(Arg::Number).into()
}

fn bytes(bytes: &[u8]) -> Arg {
    Arg::Made(Made::Bytes(hex(bytes)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn prctl(name: &'static str, option: i32, value: i64) -> Step {
    let args = numbers([option.into(), value, 0, 0, 0]);
    step(name, libc::SYS_prctl, args)
}

impl<'a> Order<'a> {
    fn fd(&mut self, fd: BorrowedFd<'a>) -> Arg {
        self.fds.push(fd);
        Arg::Made(Made::Fd(self.fds.len() - 1))
    }

    fn then(&mut self, name: &'static str, call: c_long, args: Vec<Arg>) {
        self.after.push(step(name, call, args));
    }

    fn enter(&mut self, groups: &'a [OwnedFd], spaces: &'a Spaces) {
        for group in groups {
            let length = i64::try_from(SELF.len()).unwrap_or(0);
            let args = vec![self.fd(group.as_fd()), bytes(SELF), Arg::Number(length)];
            self.then("enter the cgroup", libc::SYS_write, args);
        }
        for space in &spaces.others {
            let args = vec![self.fd(space.as_fd()), Arg::Number(0)];
            self.then("enter the namespaces", libc::SYS_setns, args);
        }
        let args = vec![bytes(b"/var/task\0")];
        self.then("enter /var/task", libc::SYS_chdir, args);
    }

    /// What `runtime::bind` does.
    fn bind(&mut self, plan: &Plan<'_>, rules: Option<&'a OwnedFd>, data_bytes_max: Option<u64>) {
        self.then("start a session", libc::SYS_setsid, Vec::new());
        for (resource, limit) in confine::limit_table(data_bytes_max) {
            let [current, maximum] =
                [limit.current, limit.maximum].map(|n| n.unwrap_or(u64::MAX).to_ne_bytes());
            let mut args = numbers([0, i64::from(resource as u32)]);
            args.extend([bytes(&[current, maximum].concat()), Arg::Number(0)]);
            self.then("set limits", libc::SYS_prlimit64, args);
        }
        self.drop_rights(plan.rootless);
        if let Some(rules) = rules {
            let args = vec![self.fd(rules.as_fd()), Arg::Number(0)];
            let call = libc::SYS_landlock_restrict_self;
            self.then("restrict by landlock", call, args);
        }
        let args = numbers([FIRST_CLOSED, u32::MAX.into(), 0]);
        self.then("close descriptors", libc::SYS_close_range, args);
        // Changing rights closed its own files to it; a program that was executed has them open.
        self.after
            .push(prctl("open its files", libc::PR_SET_DUMPABLE, 1));
        let program = Made::Program(hex(&plan.filter.bytes()));
        let mut args = numbers([libc::SECCOMP_SET_MODE_FILTER.into(), 0]);
        args.push(Arg::Made(program));
        self.then("filter system calls", libc::SYS_seccomp, args);
    }

    /// What `confine::identity` does.
    fn drop_rights(&mut self, rootless: bool) {
        for capability in 0..64 {
            let name = "drop the bounding set";
            let mut drop = prctl(name, libc::PR_CAPBSET_DROP, capability);
            drop.may = if capability > 0 { libc::EINVAL } else { 0 }; // past the last one
            self.after.push(drop);
        }
        let bits = confine::locked_bits().bits();
        let name = "lock the rights";
        self.after
            .push(prctl(name, libc::PR_SET_SECUREBITS, bits.into()));
        if !rootless {
            let (uid, gid) = (i64::from(FUNCTION_UID), i64::from(FUNCTION_GID));
            let name = "become the function's user";
            self.then(name, libc::SYS_setgroups, numbers([0, 0]));
            self.then(name, libc::SYS_setresgid, numbers([gid; 3]));
            self.then(name, libc::SYS_setresuid, numbers([uid; 3]));
        }
        let name = "give up capabilities";
        let clear = libc::PR_CAP_AMBIENT_CLEAR_ALL;
        self.after
            .push(prctl(name, libc::PR_CAP_AMBIENT, clear.into()));
        let mut header = CAPABILITY_VERSION_3.to_ne_bytes().to_vec();
        header.extend([0; 4]); // this process
        let none = [0; 24]; // effective, permitted, inheritable, twice
        let args = vec![bytes(&header), bytes(&none)];
        self.then(name, libc::SYS_capset, args);
        self.after
            .push(prctl("gain no more", libc::PR_SET_NO_NEW_PRIVS, 1));
    }
}

const CAPABILITY_VERSION_3: u32 = 0x2008_0522;
