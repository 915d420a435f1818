//! What an init phase left in `/tmp`, copied for a fork: files are part of a snapshot.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::confine::{FUNCTION_GID, FUNCTION_UID};

/// Most files and directories that are copied; each takes time at every restore.
const ENTRIES_MAX: usize = 16_384;

/// Copies everything below one mount to another; sockets and pipes are left out.
pub(super) fn all(from: &OwnedFd, to: &OwnedFd) -> io::Result<()> {
    let path = |fd: &OwnedFd| PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    let mut room = ENTRIES_MAX;
    below(&path(from), &path(to), &mut room)
}

fn below(from: &Path, to: &Path, room: &mut usize) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        *room = room.checked_sub(1).ok_or(Errno::NOSPC)?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            fs::create_dir(&target)?;
            below(&source, &target, room)?;
            let mode = entry.metadata()?.permissions().mode();
            fs::set_permissions(&target, fs::Permissions::from_mode(mode))?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(&source)?, &target)?;
        } else if kind.is_file() {
            fs::copy(&source, &target)?;
        } else {
            continue;
        }
        lchown(&target, Some(FUNCTION_UID), Some(FUNCTION_GID))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_links_and_directories_come_along() {
        // The user of functions owns them afterwards, which only root can arrange.
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(from.path().join("a")).unwrap();
        fs::write(from.path().join("a/b"), "text").unwrap();
        symlink("a/b", from.path().join("c")).unwrap();
        let open = |dir: &tempfile::TempDir| OwnedFd::from(fs::File::open(dir.path()).unwrap());
        all(&open(&from), &open(&to)).unwrap();
        assert_eq!(fs::read_to_string(to.path().join("c")).unwrap(), "text");
        assert_eq!(
            fs::read_link(to.path().join("c")).unwrap(),
            Path::new("a/b")
        );
        assert!(
            all(&open(&from), &open(&to)).is_err(),
            "nothing is overwritten"
        );
    }
}
