//! Whether what is to be started can be: entry point and working directory.
//! [spec 4.8; Runtime Interface Emulator]

use std::path::Path;

use rustix::io::Errno;

use crate::{EnvironmentSpec, StartError};

/// Refuses what no kernel could start, before anything is made for it.
pub(crate) fn check(spec: &EnvironmentSpec) -> Result<(), StartError> {
    let broken = |reason: &str| {
        let reason = reason.to_owned();
        Err(StartError::BadTaskConfig { reason })
    };
    if spec.argv.first().is_none_or(String::is_empty) {
        return broken("neither an entry point nor a command");
    }
    let words = spec.argv.iter().chain([&spec.working_dir]);
    let mut names = spec.env.iter().flat_map(|(name, value)| [name, value]);
    if words.chain(&mut names).any(|text| text.contains('\0')) {
        return broken("a zero byte in the entry point, the command or a variable");
    }
    if !Path::new(&spec.working_dir).is_absolute() {
        let reason = format!(
            "the working directory '{}' is invalid, it needs to be an absolute path",
            spec.working_dir
        );
        return Err(StartError::BadWorkingDir { reason });
    }
    Ok(())
}

/// The directory is not there, is none, or is closed to the function.
pub(crate) fn cannot_enter(path: &str, errno: i32) -> StartError {
    let reason = match Errno::from_raw_os_error(errno) {
        Errno::NOENT => format!("the working directory doesn't exist: {path}"),
        other => format!("chdir {path}: {}", reason(other.raw_os_error())),
    };
    StartError::BadWorkingDir { reason }
}

/// The words for an error as AWS prints them: `no such file or directory`.
pub(crate) fn reason(errno: i32) -> String {
    let full = std::io::Error::from_raw_os_error(errno).to_string();
    let words = full.split(" (os error").next().unwrap_or_default();
    words.to_lowercase()
}
