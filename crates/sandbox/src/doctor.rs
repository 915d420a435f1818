//! What this host offers to functions, without a server.

use std::path::Path;
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};

use crate::Isolation;
use crate::channel::{self, ChannelError};
use crate::helper::{Event, Hello};
use crate::ns::link::helper_command;
use crate::ns::report::{isolation, nothing};

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
