//! A sandbox from the request for it to the function that it becomes, seen from the server.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::Exit;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Signal;
use tasks::Tasks;
use tokio::sync::oneshot;

use super::backend;
use super::body::Body;
use super::link::{Answer, Link};
use super::meter::TMP_STEP_BYTES;
use crate::channel::{self, ChannelError};
use crate::extensions::{credential_variables, launch_error, variables as extension_variables};
use crate::helper::{
    Cgroups, FRAMED_FD, FromInit, Furnish, Keep, LINK_LOCAL, Like, Neighbours, Program,
    RUNTIME_API_PORT, Reach, SNAPSHOT_FD, ToInit, WAIT_FD,
};
use crate::left::LeftTmp;
use crate::output::pipe;
use crate::task;
use crate::{EnvironmentSpec, Mount, Origin, StartError, TASK_DIR, Waiting};

/// Longest id: the name of a host and of a directory.
const ID_CHARS_MAX: usize = 64;
/// Most external extensions.  [Lambda guide: extensions]
const EXTERNAL_MAX: usize = 10;
/// Most memory of a program that waits for a function.
const WAITING_BYTES_MAX: u64 = 256 << 20;

/// Why a sandbox did not become a function.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error("the sandbox helper died")]
    HelperDied,
    /// Another one may do.
    #[error("the environment could not be made: it was killed")]
    Killed,
    #[error(transparent)]
    Start(#[from] StartError),
}

impl Failed {
    pub(super) fn into_error(self) -> StartError {
        match self {
            Failed::Start(error) => error,
            // Its first process is the function's too: the end of both is the end of init.
            Failed::Killed => StartError::InitExited {
                exit: Exit::Signal(Signal::KILL.as_raw()),
                took: Duration::ZERO,
            },
            Failed::HelperDied => backend(self),
        }
    }

    fn of_helper(error: ChannelError) -> Failed {
        match error {
            ChannelError::Closed => Failed::HelperDied,
            other => Failed::Start(backend(other)),
        }
    }
}

/// What a sandbox is told to become.
pub(super) struct Order {
    mounts: Vec<(PathBuf, PathBuf)>,
    memory_bytes: u64,
    is_function: bool,
    template: Option<Box<Keep>>,
    left: Option<Arc<LeftTmp>>,
    /// How much of `/tmp` is in use from the beginning.
    tmp_room_bytes: u64,
    text: Vec<u8>,
    /// The program, for the message if it cannot be started.
    path: String,
}

impl Order {
    /// A function by its own program; refuses what could not be a host or file name.
    pub(super) fn run(spec: &EnvironmentSpec) -> Result<Order, StartError> {
        check(spec)?;
        let run = ToInit::Run {
            tmp_bytes: spec.ephemeral.bytes(),
            program: program_of(spec, &credentials(spec)),
            neighbours: neighbours(spec)?,
        };
        // Extensions come up before the runtime does; it is an ordinary start then.
        let is_alone = spec.extensions.external.is_empty();
        let is_usual = is_alone && spec.working_dir == TASK_DIR;
        let template = spec.template.as_deref().filter(|_| is_usual);
        Ok(Order {
            mounts: pairs(&spec.mounts),
            memory_bytes: spec.memory.bytes(),
            is_function: true,
            template: template.map(|template| Box::new(keep(template))),
            left: spec.left.clone(),
            tmp_room_bytes: room_of(spec),
            text: encode(&run)?,
            path: path_of(spec),
        })
    }

    /// A function whose runtime is kept once it is initialised.
    pub(super) fn snapshot(spec: &EnvironmentSpec) -> Result<Order, StartError> {
        check(spec)?;
        let mut more = credentials(spec);
        more.push(format!("_KILN_SNAPSHOT_FD={SNAPSHOT_FD}"));
        let run = ToInit::Run {
            tmp_bytes: spec.ephemeral.bytes(),
            program: program_of(spec, &more),
            neighbours: None,
        };
        Order::plain(spec, &run)
    }

    /// A function by a fork of its snapshot.
    pub(super) fn restore(spec: &EnvironmentSpec) -> Result<Order, StartError> {
        check(spec)?;
        let tmp_bytes = spec.ephemeral.bytes();
        Order::plain(spec, &ToInit::Restore { tmp_bytes })
    }

    fn plain(spec: &EnvironmentSpec, word: &ToInit) -> Result<Order, StartError> {
        Ok(Order {
            mounts: pairs(&spec.mounts),
            memory_bytes: spec.memory.bytes(),
            is_function: true,
            template: None,
            left: None,
            tmp_room_bytes: room_of(spec),
            text: encode(word)?,
            path: path_of(spec),
        })
    }

    /// A program that waits for a function.
    pub(super) fn wait(waiting: &Waiting) -> Result<Order, StartError> {
        let word = if waiting.is_fork {
            ToInit::WaitAsFork
        } else {
            let wait_fd = format!("_KILN_WAIT_FD={WAIT_FD}");
            let program = program(&waiting.argv, &waiting.env, &[wait_fd]);
            ToInit::Wait { program }
        };
        Ok(Order {
            mounts: pairs(&waiting.mounts),
            memory_bytes: WAITING_BYTES_MAX,
            is_function: false,
            template: waiting.is_fork.then(|| Box::new(keep(waiting))),
            left: None,
            tmp_room_bytes: 0,
            text: encode(&word)?,
            path: waiting.argv.first().cloned().unwrap_or_default(),
        })
    }

    /// A function by the program of `waiting`. None if that has mounts which the function has not.
    pub(super) fn hand_over(
        spec: &EnvironmentSpec,
        waiting: &Waiting,
    ) -> Result<Option<Order>, StartError> {
        check(spec)?;
        let is_usual = spec.working_dir == TASK_DIR;
        if !is_usual || !waiting.mounts.iter().all(|m| spec.mounts.contains(m)) {
            return Ok(None);
        }
        let missing: Vec<Mount> = spec
            .mounts
            .iter()
            .filter(|m| !waiting.mounts.contains(m))
            .cloned()
            .collect();
        let env = variables(&spec.env).chain(own_variables()).collect();
        let tmp_bytes = spec.ephemeral.bytes();
        Ok(Some(Order {
            mounts: pairs(&missing),
            memory_bytes: spec.memory.bytes(),
            is_function: true,
            template: None,
            left: spec.left.clone(),
            tmp_room_bytes: room_of(spec),
            text: encode(&ToInit::HandOver { tmp_bytes, env })?,
            path: path_of(spec),
        }))
    }
}

fn room_of(spec: &EnvironmentSpec) -> u64 {
    let left = spec.left.as_ref().map_or(0, |left| left.bytes());
    let kept = spec.snapshot.as_ref().map_or(0, |kept| kept.tmp_bytes());
    (left + kept).next_multiple_of(TMP_STEP_BYTES)
}

fn encode(word: &ToInit) -> Result<Vec<u8>, StartError> {
    channel::encode(word).map_err(backend)
}

fn pairs(mounts: &[Mount]) -> Vec<(PathBuf, PathBuf)> {
    let pair = |m: &Mount| (m.host.clone(), m.inside.clone());
    mounts.iter().map(pair).collect()
}

fn variables(env: &[(String, String)]) -> impl Iterator<Item = String> {
    env.iter().map(|(name, value)| format!("{name}={value}"))
}

fn credentials(spec: &EnvironmentSpec) -> Vec<String> {
    variables(&credential_variables(spec, RUNTIME_API_PORT)).collect()
}

fn own_variables() -> [String; 2] {
    [
        format!("AWS_LAMBDA_RUNTIME_API={LINK_LOCAL}:{RUNTIME_API_PORT}"),
        format!("_LAMBDA_TELEMETRY_LOG_FD={FRAMED_FD}"),
    ]
}

fn path_of(spec: &EnvironmentSpec) -> String {
    spec.argv.first().cloned().unwrap_or_default()
}

fn program_of(spec: &EnvironmentSpec, more: &[String]) -> Program {
    Program {
        working_dir: spec.working_dir.clone(),
        ..program(&spec.argv, &spec.env, more)
    }
}

fn program(argv: &[String], env: &[(String, String)], more: &[String]) -> Program {
    let env = variables(env).chain(own_variables());
    Program {
        argv: argv.to_vec(),
        working_dir: TASK_DIR.to_owned(),
        env: env.chain(more.iter().cloned()).collect(),
    }
}

/// The external extensions; refuses more than ten and what is no file name.
fn neighbours(spec: &EnvironmentSpec) -> Result<Option<Neighbours>, StartError> {
    let names = spec.extensions.external.clone();
    if names.is_empty() {
        return Ok(None);
    }
    if let Some(name) = names.get(EXTERNAL_MAX) {
        return Err(StartError::ExtensionNotLaunched {
            name: name.clone(),
            reason: "too many extensions".to_owned(),
            kind: "TooManyExtensions",
        });
    }
    if let Some(name) = names.iter().find(|n| n.contains('/') || n.contains('\0')) {
        return Err(backend(format!("{name:?} cannot name an extension")));
    }
    let api = format!("AWS_LAMBDA_RUNTIME_API={LINK_LOCAL}:{RUNTIME_API_PORT}");
    let theirs = extension_variables(&spec.env);
    let env = variables(&theirs).chain([api]).collect();
    Ok(Some(Neighbours { names, env }))
}

/// It has no Runtime API and no framed log; its forks learn where theirs are.
pub(super) fn keep(template: &Waiting) -> Keep {
    Keep {
        key: template.key.clone(),
        program: Program {
            argv: template.argv.clone(),
            working_dir: TASK_DIR.to_owned(),
            env: variables(&template.env).collect(),
        },
        mounts: pairs(&template.mounts),
    }
}

fn check(spec: &EnvironmentSpec) -> Result<(), StartError> {
    let id_is_fine = (1..=ID_CHARS_MAX).contains(&spec.id.len())
        && spec
            .id
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if !id_is_fine {
        return Err(backend(format!("{:?} cannot name an environment", spec.id)));
    }
    task::check(spec)?;
    let mut seen = BTreeSet::new();
    match spec.mounts.iter().find(|m| !seen.insert(&m.inside)) {
        Some(twice) => Err(backend(format!("two mounts at {}", twice.inside.display()))),
        None => Ok(()),
    }
}

/// What the server keeps of every sandbox.
struct Ends {
    id: String,
    link: Arc<Link>,
    text: OwnedFd,
    framed: OwnedFd,
    reach: Reach,
}

/// A sandbox that the helper was asked for.
pub(super) struct Asked {
    ends: Ends,
    socket: OwnedFd,
    answer: oneshot::Receiver<Answer>,
}

impl Asked {
    pub(super) async fn of(link: &Arc<Link>, id: &str, reach: Reach) -> Result<Asked, Failed> {
        Asked::like(link, id, reach, Like::Any).await
    }

    pub(super) async fn like(
        link: &Arc<Link>,
        id: &str,
        reach: Reach,
        like: Like,
    ) -> Result<Asked, Failed> {
        let (text, text_end) = pipe().map_err(backend)?;
        let (framed, framed_end) = pipe().map_err(backend)?;
        let (socket, socket_end) = channel::pair().map_err(backend)?;
        rustix::io::ioctl_fionbio(&socket, true).map_err(backend)?;
        let fds = [&text_end, &framed_end, &socket_end];
        let answer = link
            .prepare(id, (reach, like), fds)
            .await
            .map_err(Failed::of_helper)?;
        Ok(Asked {
            ends: Ends {
                id: id.to_owned(),
                link: link.clone(),
                text,
                framed,
                reach,
            },
            socket,
            answer,
        })
    }

    /// May be called before it is made: the order waits for it.
    pub(super) async fn order(&self, order: &Order, tasks: &Tasks) -> Result<(), Failed> {
        give(&self.ends, &self.socket, order, tasks).await
    }

    /// Waits until it is made.
    pub(super) async fn made(self, cgroups: &Cgroups, tasks: &Tasks) -> Result<Prepared, Failed> {
        let (pid, pidfd) = match self.answer.await {
            Ok(answer) => answer.map_err(backend)?,
            Err(_) => return Err(Failed::HelperDied),
        };
        let (id, link) = (self.ends.id.clone(), self.ends.link.clone());
        let mut body = Body::new(id, link, pid, pidfd, self.socket, cgroups, tasks)?;
        match word(&mut body, "").await? {
            (FromInit::Prepared, fds) => {
                let mut fds = fds.into_iter();
                body.meter_tmp(fds.next());
                Ok(Prepared {
                    ends: self.ends,
                    body,
                    listeners: fds.collect(),
                })
            }
            (other, _) => Err(unexpected(&other)),
        }
    }
}

async fn give(ends: &Ends, socket: &OwnedFd, order: &Order, tasks: &Tasks) -> Result<(), Failed> {
    let furnish = Furnish {
        id: ends.id.clone(),
        mounts: order.mounts.clone(),
        memory_bytes: order.memory_bytes,
        tmp_room_bytes: order.tmp_room_bytes,
        is_function: order.is_function,
        template: order.template.clone(),
    };
    // The first process reads this after what the helper brings; its socket is empty before.
    let brought = order.left.as_ref().map(|left| carry(left, tasks));
    let brought = brought.transpose().map_err(backend)?;
    let brought: Vec<BorrowedFd<'_>> = brought.iter().map(AsFd::as_fd).collect();
    match channel::send_bytes(socket, &order.text, &brought) {
        // If it could not be made the helper says why.
        Ok(()) | Err(ChannelError::Closed) => {}
        Err(error) => return Err(backend(error).into()),
    }
    ends.link.furnish(furnish).await.map_err(Failed::of_helper)
}

/// Reads what is left while the first process writes it.
fn carry(left: &Arc<LeftTmp>, tasks: &Tasks) -> std::io::Result<OwnedFd> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    let (left, workers) = (left.clone(), tasks.clone());
    let pack = move || {
        if let Err(error) = left.pack(File::from(write)) {
            tracing::debug!(%error, "what was left in /tmp stays behind");
        }
    };
    tasks.spawn("what is left in /tmp", async move {
        // It says itself what goes wrong.
        let _ = workers.blocking(pack).await;
    });
    Ok(read)
}

fn unexpected(word: &FromInit) -> Failed {
    Failed::Start(backend(format!("unexpected {word:?}")))
}

/// The next word of the first process; one that says failure ends the environment. `path`: the
/// program that it may speak of.
pub(super) async fn word(body: &mut Body, path: &str) -> Result<(FromInit, Vec<OwnedFd>), Failed> {
    let failed = match body.word().await {
        Ok((FromInit::BadEntrypoint { errno }, _)) => Failed::Start(StartError::BadEntrypoint {
            path: path.to_owned(),
            reason: task::reason(errno),
        }),
        Ok((FromInit::BadWorkingDir { path, errno }, _)) => {
            Failed::Start(task::cannot_enter(&path, errno))
        }
        Ok((FromInit::ExtensionNotLaunched { name, errno }, _)) => {
            Failed::Start(StartError::ExtensionNotLaunched {
                name,
                reason: task::reason(errno),
                kind: launch_error(errno),
            })
        }
        Ok((FromInit::Failed { step, errno }, _)) => {
            Failed::Start(backend(format!("cannot {step}: {}", task::reason(errno))))
        }
        Ok((FromInit::Exited { .. }, _)) | Err(ChannelError::Closed) => Failed::Killed,
        Ok((FromInit::NotForked { step, errno }, _)) => {
            tracing::debug!(
                step,
                reason = task::reason(errno),
                "an interpreter was not forked"
            );
            return Box::pin(word(body, path)).await;
        }
        Ok((FromInit::TmpNotKept { errno }, _)) => {
            tracing::info!(
                reason = task::reason(errno),
                "what was left in /tmp did not fit"
            );
            return Box::pin(word(body, path)).await;
        }
        Ok(other) => return Ok(other),
        Err(error) => Failed::Start(backend(error)),
    };
    body.finish().await;
    Err(failed)
}

/// A sandbox without a function; or one whose program waits for a function. It is used once: what it
/// becomes consumes it. Dropping it ends it.
pub(super) struct Prepared {
    ends: Ends,
    body: Body,
    listeners: Vec<OwnedFd>,
}

/// A function's environment whose runtime was just started.
pub(super) struct Made {
    pub(super) body: Body,
    pub(super) text: OwnedFd,
    pub(super) framed: OwnedFd,
    pub(super) listeners: Vec<OwnedFd>,
    pub(super) reach: Reach,
    pub(super) origin: Origin,
    /// With external extensions the runtime does not run yet. The reading end of what they write
    /// and their sockets.
    pub(super) beside: Vec<OwnedFd>,
}

impl Prepared {
    /// False if the helper that holds it died.
    pub(super) fn is_alive(&self) -> bool {
        !self.ends.link.is_dead() && self.body.is_silent()
    }

    /// Makes it the function of the order.
    pub(super) async fn becomes(self, order: &Order, origin: Origin) -> Result<Made, Failed> {
        let tasks = self.body.tasks().clone();
        give(&self.ends, self.body.socket(), order, &tasks).await?;
        self.runs(order, origin).await
    }

    /// Waits until it waits for a function.
    pub(super) async fn waits(mut self, order: &Order) -> Result<Prepared, Failed> {
        match word(&mut self.body, &order.path).await? {
            (FromInit::Waiting, _) => Ok(self),
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// Waits until the function's runtime runs.
    pub(super) async fn runs(mut self, order: &Order, origin: Origin) -> Result<Made, Failed> {
        // What is read of `/tmp` from now on is what of it is in use.
        self.body.has_tmp_room(order.tmp_room_bytes);
        match word(&mut self.body, &order.path).await? {
            (FromInit::Started | FromInit::Beside, beside) => Ok(Made {
                beside,
                body: self.body,
                text: self.ends.text,
                framed: self.ends.framed,
                listeners: self.listeners,
                reach: self.ends.reach,
                origin,
            }),
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// What it printed so far goes nowhere: it had no function.
    pub(super) fn forget_output(&self) {
        for pipe in [&self.ends.text, &self.ends.framed] {
            let mut buffer = [0; 4_096];
            for _ in 0..FORGOTTEN_READS_MAX {
                match rustix::io::read(pipe, &mut buffer[..]) {
                    Ok(n) if n > 0 => tracing::debug!(bytes = n, "printed without a function"),
                    _ => break,
                }
            }
        }
    }

    pub(super) async fn end(mut self) {
        self.body.finish().await;
    }
}

/// As much as a pipe holds.
const FORGOTTEN_READS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_first_process_is_the_end_of_init_and_no_fault_of_the_platform() {
        let killed = Failed::Killed.into_error();
        assert!(
            matches!(
                killed,
                StartError::InitExited {
                    exit: Exit::Signal(9),
                    ..
                }
            ),
            "{killed}"
        );
        let died = Failed::HelperDied.into_error();
        assert!(matches!(died, StartError::Backend(_)), "{died}");
    }
}
