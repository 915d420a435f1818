//! What this host offers to functions, without a server.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};

use crate::channel::{self, ChannelError};
use crate::helper::{Event, Hello};
use crate::ns::link::helper_command;
use crate::ns::report::{isolation, nothing};
use crate::sys_trace;
use crate::{Enforcement, Isolation, LimitState};

/// Longest wait for the helper's report: probing takes milliseconds.
const REPORT_MAX: Duration = Duration::from_secs(20);

/// Starts a helper of the running program, has it make and end one environment, and says what it
/// found. Blocks for some milliseconds.
pub fn probe() -> Isolation {
    probe_with(Path::new("/proc/self/exe"))
}

/// The same with another program that calls [`crate::helper::main_if_helper`].
pub fn probe_with(program: &Path) -> Isolation {
    match hello(program) {
        Ok(Hello {
            problem: Some(problem),
            ..
        }) => nothing(&problem),
        Ok(hello) => isolation(&hello),
        Err(error) => nothing(&format!("the sandbox helper failed: {error}")),
    }
}

/// What goes beyond [`probe`]: stronger walls, and what SnapStart is made of. None is needed.
pub fn abilities() -> Vec<Enforcement> {
    vec![micro_vm(Path::new("/dev/kvm")), forks()]
}

/// A virtual machine for each environment, as AWS has it.  [LIFE-4]
fn micro_vm(device: &Path) -> Enforcement {
    let opened = OpenOptions::new().read(true).write(true).open(device);
    let found = match opened.map_err(|error| error.kind()) {
        Ok(_) => "the host has KVM, Kiln makes no virtual machines yet",
        Err(io::ErrorKind::NotFound) => "the host has no /dev/kvm",
        Err(_) => "/dev/kvm is closed to this user",
    };
    Enforcement {
        what: "microVM".to_owned(),
        state: LimitState::Missing,
        detail: format!("{found}; environments share the host's kernel"),
    }
}

/// Snapshots of interpreters.
fn forks() -> Enforcement {
    let (state, detail) = match sys_trace::IS_BUILT {
        true => (
            LimitState::Enforced,
            "Python: a version is initialised once, its environments are forks of that",
        ),
        false => (
            LimitState::Missing,
            "not built for this processor; every environment runs its init phase",
        ),
    };
    Enforcement {
        what: "SnapStart by forks".to_owned(),
        state,
        detail: detail.to_owned(),
    }
}

fn hello(program: &Path) -> Result<Hello, ChannelError> {
    let (ours, theirs) = channel::pair()?;
    set_socket_timeout(&ours, Timeout::Recv, Some(REPORT_MAX))?;
    let spawned = helper_command(program, theirs).spawn();
    let mut child = spawned.map_err(|e| ChannelError::Malformed(e.to_string()))?;
    let heard = channel::receive::<Event>(&ours);
    drop(ours); // which ends the helper
    let reaped = child.wait();
    match heard {
        Ok((Event::Hello(hello), _)) => Ok(hello),
        Ok((other, _)) => Err(ChannelError::Malformed(format!("{other:?}"))),
        Err(ChannelError::Closed) => Err(ChannelError::Malformed(format!("ended with {reaped:?}"))),
        Err(other) => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_with_kvm_is_told_from_one_without() {
        let dir = tempfile::TempDir::new().unwrap();
        let device = dir.path().join("kvm");
        let absent = micro_vm(&device);
        assert!(absent.detail.starts_with("the host has no /dev/kvm;"));
        std::fs::write(&device, "").unwrap();
        let there = micro_vm(&device);
        assert!(there.detail.starts_with("the host has KVM, Kiln makes no"));
        assert_eq!(
            there.state,
            LimitState::Missing,
            "never said to be in force"
        );
    }
}
