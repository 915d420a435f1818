//! Sandboxes for forks of a snapshot: the helper gives them cgroups, the snapshot's first process makes
//! them, and from then on they are as all others.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::proto::{Event, FromKeeper, Reach, ToKeeper};
use super::{Environment, Helper};
use crate::channel;

impl Helper {
    /// Snapshots that may have something to say.
    pub(super) fn keepers(&self) -> Vec<String> {
        let mut keepers = Vec::new();
        for (id, environment) in &self.environments {
            if environment.is_keeper && !environment.is_reaped {
                keepers.push(id.clone());
            }
        }
        keepers
    }

    /// Asks a snapshot for a sandbox; [`Helper::hear_keeper`] hears of it.
    pub(super) fn nest(
        &mut self,
        id: &str,
        reach: Reach,
        snapshot: &str,
        fds: Vec<OwnedFd>,
    ) -> Result<(), String> {
        if self.environments.contains_key(id) || self.nesting.contains_key(id) {
            return Err(format!("environment {id} exists"));
        }
        let keeper = self.environments.get(snapshot).filter(|e| e.is_keeper);
        let keeper = keeper.ok_or_else(|| format!("there is no snapshot {snapshot}"))?;
        let cgroups = &self.run.info;
        cgroups
            .create(id)
            .map_err(|e| format!("cgroup of {id}: {e}"))?;
        let asked = || -> Result<OwnedFd, String> {
            let movers = cgroups.movers(id).map_err(|e| e.to_string())?;
            let (control, helper) = channel::pair().map_err(|e| e.to_string())?;
            rustix::io::ioctl_fionbio(&control, true).map_err(|e| e.to_string())?;
            let order = ToKeeper::Nest {
                id: id.to_owned(),
                reach,
            };
            let mut given: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
            given.push(helper.as_fd());
            given.extend(movers.iter().map(AsFd::as_fd));
            channel::send(&keeper.control, &order, &given).map_err(|e| e.to_string())?;
            Ok(control)
        };
        match asked() {
            Ok(control) => {
                let keeper = snapshot.to_owned();
                self.nesting.insert(id.to_owned(), (keeper, control));
                Ok(())
            }
            Err(reason) => {
                cgroups.try_remove(id);
                Err(reason)
            }
        }
    }

    /// A snapshot has made a sandbox, or could not.
    pub(super) fn hear_keeper(&mut self, keeper: &str) {
        let Some(environment) = self.environments.get(keeper) else {
            return;
        };
        let (word, fds) = match channel::receive(&environment.control) {
            Ok(heard) => heard,
            Err(channel::ChannelError::WouldBlock) => return,
            Err(_) => {
                // Its end is seen by its pidfd; until then it is not asked any more.
                if let Some(environment) = self.environments.get_mut(keeper) {
                    environment.is_keeper = false;
                }
                return self.keeper_ended(keeper);
            }
        };
        match word {
            FromKeeper::Nested { id } => self.nested(id, fds.into_iter().next()),
            FromKeeper::NotNested { id, reason } => self.not_nested(id, reason),
        }
    }

    fn nested(&mut self, id: String, pidfd: Option<OwnedFd>) {
        let Some((keeper, control)) = self.nesting.remove(&id) else {
            return;
        };
        let Some((pidfd, pid)) = pidfd.and_then(|fd| pid_of(&fd).map(|pid| (fd, pid))) else {
            return self.not_nested(id, "it ended at once".to_owned());
        };
        // Its user namespace lies below that of its snapshot and maps the same users.
        let keeper = self.environments.get(&keeper);
        let users = keeper.and_then(|keeper| keeper.users.as_ref()?.try_clone().ok());
        // If it is gone its end shows.
        let _ = self.go(&control, users.as_ref());
        let environment = Environment {
            pidfd,
            users,
            control,
            slot: None,
            is_nested: true,
            is_keeper: false,
            is_reaped: false,
            is_stopping: false,
            remove_tries: 0,
        };
        let event = Event::Prepared {
            id: id.clone(),
            pid,
        };
        // If the server is gone, the next wait shows it.
        let _ = channel::send(&self.control, &event, &[environment.pidfd.as_fd()]);
        self.environments.insert(id, environment);
    }

    fn not_nested(&mut self, id: String, reason: String) {
        self.nesting.remove(&id);
        self.run.info.try_remove(&id);
        self.tell(&Event::NotPrepared { id, reason });
    }

    /// A snapshot went: what it was asked for does not come.
    pub(super) fn keeper_ended(&mut self, keeper: &str) {
        let of_it = self.nesting.extract_if(.., |_, (asked, _)| asked == keeper);
        let waiting: Vec<String> = of_it.map(|(id, _)| id).collect();
        for id in waiting {
            self.not_nested(id, "the snapshot ended".to_owned());
        }
    }
}

/// The number of a process of which only the descriptor came.
fn pid_of(pidfd: &OwnedFd) -> Option<u32> {
    use std::os::fd::AsRawFd;
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).ok()?;
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:"))?;
    pid.trim().parse().ok()
}
