//! The helper: a small process with one thread that makes and ends environments for the server.
//!
//! It is the server's own program started again. It forks, because the server must not: the server
//! is big and has threads. It ends when the server's end of their socket closes, whatever the
//! reason, and every environment ends with it.
//!
//! ```text
//! server ──Request──▶ helper ──clone, Furniture──▶ first process ──fork──▶ runtime
//!  ▲ │ ◀───Event─────────┘                             ▲ │
//!  │ └─────────────────────ToInit──────────────────────┘ │
//!  └──────────────────────FromInit───────────────────────┘
//! ```

mod beside;
mod calls;
mod cgroup;
mod confine;
mod copy;
mod enter;
mod environment;
mod identity;
mod inspect;
mod interpreters;
mod keeper;
mod nest;
mod netlink;
mod network;
mod order;
mod proto;
mod root;
mod runtime;
mod seccomp;
mod template;

pub(crate) use cgroup::CPU_PERIOD_US;
pub(crate) use proto::{
    Cgroups, Event, FRAMED_FD, FromInit, Furnish, Hello, KILN_PORT, Keep, LINK_LOCAL, Like,
    Neighbours, Program, RUNTIME_API_PORT, Reach, Request, SNAPSHOT_FD, ToInit, WAIT_FD,
};

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, getrlimit, pidfd_send_signal, setrlimit,
    setsid, waitid,
};

use self::cgroup::Run;
use self::environment::{Kind, Plan};
use self::identity::{Identity, Slots};
use self::interpreters::{Interpreters, Offer};
use self::proto::Furniture;
use self::root::{At, Failure, Tree};
use self::seccomp::Filter;
use self::template::Template;
use crate::channel::{self, ChannelError};
use crate::sys::{self, Side};

/// The first argument that makes the program a helper.
pub(crate) const MARKER: &str = "__sandbox-helper";

/// How often a cgroup that the kernel still holds is tried again, and how many times.
const REMOVE_AGAIN: Duration = Duration::from_millis(2);
const REMOVE_TRIES_MAX: u32 = 500;

/// Longest wait for the end of a killed process whose parent is another.
const NESTED_END_MAX: Timespec = Timespec {
    tv_sec: 2,
    tv_nsec: 0,
};

/// Where no cgroup limits memory, one process may allocate this much more than the function's
/// memory: interpreters reserve more than they touch. The server watches what is really used.
const DATA_SLACK_BYTES: u64 = 1 << 30;

/// Becomes the helper if the program was started as one; gives the exit code when that is done.
///
/// Call it first thing in `main`, before there are threads:
/// `if let Some(code) = sandbox::helper::main_if_helper() { return code; }`
pub fn main_if_helper() -> Option<ExitCode> {
    if std::env::args_os().nth(1).as_deref() != Some(OsStr::new(MARKER)) {
        return None;
    }
    Some(match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

/// One environment as the helper knows it.
struct Environment {
    pidfd: OwnedFd,
    /// Its user namespace, if files can be shown as its root's.
    users: Option<OwnedFd>,
    /// The socket to the first process.
    control: OwnedFd,
    /// What it holds, if that is its own.
    slot: Option<u32>,
    /// The helper is not the parent of one that is nested in another, and cannot reap it.
    is_nested: bool,
    is_keeper: bool,
    is_reaped: bool,
    is_stopping: bool,
    remove_tries: u32,
}

struct Helper {
    control: OwnedFd,
    run: Run,
    identity: Identity,
    template: Template,
    filter: Filter,
    snapshot_filter: Filter,
    slots: Slots,
    environments: BTreeMap<String, Environment>,
    /// Sandboxes that a snapshot was asked for: which, and the helper's end of its socket.
    nesting: BTreeMap<String, (String, OwnedFd)>,
    interpreters: Interpreters,
    full_network: bool,
}

fn serve() -> io::Result<()> {
    let control = sys::control_socket()?;
    let null = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    sys::dup_to(null.as_fd(), 0)?;
    drop(null);
    sys::close_all_but(&[control.as_fd()])?;
    // Not in the terminal's process group: the server decides when it ends.
    let _ = setsid();
    let _ = rustix::thread::set_name(c"kiln-sandbox");
    raise_open_files();
    let mut helper = match Helper::open(control.try_clone()?) {
        Ok(helper) => helper,
        Err(problem) => {
            let hello = Hello {
                problem: Some(problem),
                rootless: !rustix::process::geteuid().is_root(),
                cgroups: Cgroups::default(),
                cgroup_notes: Vec::new(),
                landlock_abi: sys::landlock_abi(),
                full_network: false,
            };
            return channel::send(&control, &Event::Hello(hello), &[]).map_err(io::Error::other);
        }
    };
    drop(control);
    let hello = helper.hello();
    helper.tell(&Event::Hello(hello));
    while helper.step() {}
    helper.end_all();
    Ok(())
}

/// An environment costs a few descriptors here; the soft limit of a shell is low.
fn raise_open_files() {
    let now = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: now.maximum,
        maximum: now.maximum,
    };
    // Staying at the old limit means fewer environments, nothing worse.
    let _ = setrlimit(Resource::Nofile, raised);
}

impl Helper {
    fn open(control: OwnedFd) -> Result<Helper, String> {
        let run = Run::open(&run_name());
        let identity = Identity::take()?;
        if !identity.is_rootless() {
            confine::helper_capabilities().map_err(|e| format!("give up capabilities: {e}"))?;
        }
        let template = Template::make().map_err(say)?;
        let full_network = identity.try_out(&template)?;
        Ok(Helper {
            control,
            run,
            slots: Slots::default(),
            identity,
            template,
            filter: Filter::compile().map_err(|e| format!("system call filter: {e}"))?,
            snapshot_filter: Filter::for_snapshots()
                .map_err(|e| format!("system call filter: {e}"))?,
            environments: BTreeMap::new(),
            nesting: BTreeMap::new(),
            interpreters: Interpreters::new(),
            full_network,
        })
    }

    fn hello(&self) -> Hello {
        Hello {
            problem: None,
            rootless: self.identity.is_rootless(),
            cgroups: self.run.info.clone(),
            cgroup_notes: self.run.notes.clone(),
            landlock_abi: sys::landlock_abi(),
            full_network: self.full_network,
        }
    }

    fn tell(&self, event: &Event) {
        // If the server is gone, the next wait shows it.
        let _ = channel::send(&self.control, event, &[]);
    }

    /// Waits for something to do and does it. False when the server is gone.
    fn step(&mut self) -> bool {
        let ids: Vec<String> = self
            .environments
            .iter()
            .filter(|(_, e)| !e.is_reaped)
            .map(|(id, _)| id.clone())
            .collect();
        let retry = self
            .environments
            .values()
            .any(|e| e.is_reaped && e.is_stopping);
        let mut fds = vec![PollFd::new(&self.control, PollFlags::IN)];
        fds.extend(
            ids.iter()
                .filter_map(|id| self.environments.get(id))
                .map(|e| PollFd::new(&e.pidfd, PollFlags::IN)),
        );
        let keepers = self.keepers();
        let talk = keepers.iter().filter_map(|id| self.environments.get(id));
        fds.extend(talk.map(|e| PollFd::new(&e.control, PollFlags::IN)));
        let kinds: Vec<String> = self
            .interpreters
            .sockets()
            .map(|(k, _)| k.clone())
            .collect();
        let sockets = self.interpreters.sockets();
        fds.extend(sockets.map(|(_, socket)| PollFd::new(socket, PollFlags::IN)));
        let rest = self.interpreters.rest();
        let rest = rest.into_iter().chain(retry.then_some(REMOVE_AGAIN)).min();
        let wait = rest.and_then(|rest| Timespec::try_from(rest).ok());
        match poll(&mut fds, wait.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return false,
        }
        let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
        let asked = ready.next().unwrap_or(false);
        let ended: Vec<&String> = ids.iter().filter(|_| ready.next() == Some(true)).collect();
        let nested: Vec<&String> = keepers
            .iter()
            .filter(|_| ready.next() == Some(true))
            .collect();
        let said = kinds.into_iter().filter(|_| ready.next() == Some(true));
        let said: Vec<String> = said.collect();
        drop(fds);
        for (kind, is_ready) in self.interpreters.tend(&said, &self.template) {
            self.tell(&Event::Interpreter { kind, is_ready });
        }
        for id in nested {
            self.hear_keeper(id);
        }
        for id in ended {
            let mut was_keeper = false;
            if let Some(environment) = self.environments.get_mut(id) {
                environment.reap();
                was_keeper = environment.is_keeper;
            }
            if was_keeper {
                self.keeper_ended(id);
            }
        }
        self.remove_stopped();
        !asked || self.answer()
    }

    /// Takes one request. False when the server is gone.
    fn answer(&mut self) -> bool {
        match channel::receive::<Request>(&self.control) {
            Ok((Request::Prepare { id, reach, like }, fds)) => {
                let begun = match &like {
                    Like::ForkOf(snapshot) => self.nest(&id, reach, snapshot, fds),
                    _ => self.prepare(&id, reach, like == Like::Snapshot, fds),
                };
                if let Err(reason) = begun {
                    self.tell(&Event::NotPrepared { id, reason });
                }
                true
            }
            Ok((Request::Furnish(order), _)) => {
                self.furnish(&order);
                true
            }
            Ok((Request::Stop { id }, _)) => {
                match self.environments.get_mut(&id) {
                    Some(environment) => {
                        environment.is_stopping = true;
                        environment.kill();
                        self.remove_stopped();
                    }
                    None => self.tell(&Event::Gone { id }),
                }
                true
            }
            Err(ChannelError::WouldBlock) => true,
            // A message that cannot be read is a bug in the server; going on could leak what it
            // asked to stop.
            Err(_) => false,
        }
    }

    fn prepare(
        &mut self,
        id: &str,
        reach: Reach,
        is_keeper: bool,
        fds: Vec<OwnedFd>,
    ) -> Result<(), String> {
        let Ok(fds) = <[OwnedFd; 3]>::try_from(fds) else {
            return Err("three descriptors belong to a sandbox".to_owned());
        };
        if self.environments.contains_key(id) {
            return Err(format!("environment {id} exists"));
        }
        let slot = self.slots.take().ok_or("no user id is left")?;
        let begun = self
            .run
            .info
            .create(id)
            .map_err(|e| format!("cgroup of {id}: {e}"))
            .and_then(|()| self.clone_environment(id, (reach, is_keeper), slot, fds));
        match begun {
            Ok((pid, environment)) => {
                let id = id.to_owned();
                let event = Event::Prepared {
                    id: id.clone(),
                    pid,
                };
                // If the server is gone, the next wait shows it.
                let _ = channel::send(&self.control, &event, &[environment.pidfd.as_fd()]);
                self.environments.insert(id, environment);
                Ok(())
            }
            Err(reason) => {
                self.run.info.try_remove(id);
                self.slots.give_back(slot);
                Err(reason)
            }
        }
    }

    fn clone_environment(
        &self,
        id: &str,
        (reach, is_keeper): (Reach, bool),
        slot: u32,
        [text, framed, server]: [OwnedFd; 3],
    ) -> Result<(u32, Environment), String> {
        let (control, helper) = channel::pair().map_err(|e| e.to_string())?;
        rustix::io::ioctl_fionbio(&control, true).map_err(|e| e.to_string())?;
        let cgroups = &self.run.info;
        let target = cgroups.clone_target(id).map_err(|e| e.to_string())?;
        let plan = Plan {
            reach,
            kind: if is_keeper { Kind::Snapshot } else { Kind::Any },
            groups: cgroups.entrances(id).map_err(|e| e.to_string())?,
            filter: &self.filter,
            snapshot_filter: &self.snapshot_filter,
            rootless: self.identity.is_rootless(),
            text,
            framed,
            server,
            helper,
        };
        let side = self
            .template
            .clone_into(target.as_ref().map(AsFd::as_fd))
            .map_err(|e| format!("clone: {e}"))?;
        let Side::Parent { pid, pidfd } = side else {
            environment::run(&plan)
        };
        drop(plan);
        let mut environment = Environment {
            pidfd,
            users: None,
            control,
            slot: Some(slot),
            is_nested: false,
            is_keeper,
            is_reaped: false,
            is_stopping: false,
            remove_tries: 0,
        };
        let ready = self.identity.map(pid, slot).and_then(|()| first_to_go(pid));
        if ready.is_ok() && !self.identity.is_rootless() {
            // Soon nobody can look at it any more. Without it files are nobody's.
            let path = format!("/proc/{pid}/ns/user");
            environment.users = std::fs::File::open(path).ok().map(OwnedFd::from);
        }
        let told = ready.and_then(|()| self.go(&environment.control, environment.users.as_ref()));
        if let Err(error) = told {
            environment.kill();
            environment.reap();
            return Err(format!("hand over to {id}: {error}"));
        }
        Ok((pid, environment))
    }

    /// Lets a first process go on that waits for its users, with what the house gives to each.
    fn go(&self, control: &OwnedFd, users: Option<&OwnedFd>) -> io::Result<()> {
        let house = users.map_or_else(Vec::new, |users| self.template.house_trees(users));
        let (inside, house): (Vec<_>, Vec<_>) = house.into_iter().map(Tree::into_parts).unzip();
        let house: Vec<_> = house.iter().map(AsFd::as_fd).collect();
        channel::send(control, &inside, &house).map_err(io::Error::other)
    }

    /// Brings mounts and limits into a sandbox, or word of what failed. One that is gone needs
    /// neither; its server side knows.
    fn furnish(&mut self, order: &Furnish) {
        let offer = self.offer(order);
        let Some(environment) = self.environments.get(&order.id) else {
            return;
        };
        let sent = match self.furniture(order, offer.as_ref()) {
            Ok((word, trees)) => {
                let trees = trees.iter().map(AsFd::as_fd);
                let offered = offer.iter().flat_map(Offer::to_fds);
                let fds: Vec<_> = trees.chain(offered).collect();
                channel::send(&environment.control, &word, &fds)
            }
            Err(Failure { step, errno }) => {
                let word = Furniture::Failed { step, errno };
                channel::send(&environment.control, &word, &[])
            }
        };
        // One that cannot hear must not stay as it is.
        if sent.is_err() {
            environment.kill();
        }
    }

    /// An interpreter that it may be a fork of. Without one it starts by itself.
    fn offer(&mut self, order: &Furnish) -> Option<Offer> {
        let keep = order.template.as_ref()?;
        let control = self.interpreters.offer(keep)?.try_clone_to_owned().ok()?;
        let cgroups = &self.run.info;
        Some(Offer {
            control,
            cgroup: cgroups.clone_target(&order.id).ok()?,
            groups: cgroups
                .entrances(&order.id)
                .ok()?
                .into_iter()
                .map(OwnedFd::from)
                .collect(),
        })
    }

    fn furniture(
        &self,
        order: &Furnish,
        offer: Option<&Offer>,
    ) -> Result<(Furniture, Vec<OwnedFd>), Failure> {
        let environment = self.environments.get(&order.id);
        let users = environment.and_then(|environment| environment.users.as_ref());
        let trees = self.template.own_trees(&order.mounts, users)?;
        let cgroups = &self.run.info;
        cgroups
            .limit_memory(&order.id, order.memory_bytes + order.tmp_room_bytes)
            .at("limit the memory")?;
        let (inside, trees) = trees.into_iter().map(Tree::into_parts).unzip();
        let word = Furniture::Mounts {
            inside,
            // It can only be lowered.
            data_bytes_max: (cgroups.memory.is_none() && order.is_function)
                .then(|| order.memory_bytes + DATA_SLACK_BYTES),
            template: offer.map(|offer| proto::Offered {
                has_cgroup: offer.cgroup.is_some(),
            }),
        };
        Ok((word, trees))
    }

    /// Gives back what stopped environments held, as soon as the kernel lets it go.
    fn remove_stopped(&mut self) {
        let cgroups = &self.run.info;
        let mut gone = Vec::new();
        for (id, environment) in &mut self.environments {
            if environment.is_reaped && environment.is_stopping {
                environment.remove_tries += 1;
                if cgroups.try_remove(id) || environment.remove_tries > REMOVE_TRIES_MAX {
                    gone.push(id.clone());
                }
            }
        }
        for id in gone {
            if let Some(environment) = self.environments.remove(&id) {
                environment
                    .slot
                    .into_iter()
                    .for_each(|slot| self.slots.give_back(slot));
            }
            self.tell(&Event::Gone { id });
        }
    }

    /// The server is gone: nothing may stay.
    fn end_all(&mut self) {
        self.interpreters.end_all();
        for environment in self.environments.values() {
            environment.kill();
        }
        for (id, environment) in &mut self.environments {
            environment.reap();
            let mut tries = 0;
            while !self.run.info.try_remove(id) && tries < REMOVE_TRIES_MAX {
                tries += 1;
                std::thread::sleep(REMOVE_AGAIN);
            }
        }
        self.run.remove();
    }
}

impl Environment {
    fn kill(&self) {
        if !self.is_reaped {
            // Fails only if it ended by itself.
            let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
        }
    }

    /// Waits for the end of the first process; that is the end of all in its PID namespace.
    fn reap(&mut self) {
        if !self.is_reaped {
            if self.is_nested {
                // Readable once it has ended; its parent is told to reap it by the kernel.
                let ended = PollFd::new(&self.pidfd, PollFlags::IN);
                let _ = poll(&mut [ended], Some(&NESTED_END_MAX));
            } else {
                let _ = waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED);
            }
            self.is_reaped = true;
        }
    }
}

/// If the host itself runs out of memory, a function goes before the host's services. Written by
/// root, the score is also the least that the function can give itself.
fn first_to_go(pid: u32) -> io::Result<()> {
    std::fs::write(format!("/proc/{pid}/oom_score_adj"), "500")
}

/// A failed step as a sentence.
fn say(failure: root::Failure) -> String {
    let error = io::Error::from_raw_os_error(failure.errno);
    format!("{}: {error}", failure.step)
}

/// Differs from that of every other run, living or dead.
fn run_name() -> String {
    let pid = Pid::as_raw(Some(rustix::process::getpid()));
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Field 22, start time in ticks; the name in field 2 may hold blanks and ends with `)`.
    let since = stat
        .rsplit(')')
        .next()
        .and_then(|rest| rest.split_whitespace().nth(19))
        .unwrap_or("0");
    format!("{pid}-{since}")
}
