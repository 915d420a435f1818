//! Several packages as one folder.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::unpack::{remove_tree, sync_dir};

/// Deepest folder that is merged; a path of 1,024 bytes has no more parts.
const DEPTH_MAX: usize = 1_024;

/// Merges `from`, lowest first, into `target` by way of the new directory `scratch`; durable when it
/// returns. What comes later takes the place of what has its path, folders are united.
///
/// Files are hard links, so that a merge costs no data and shares the page cache with its parts.
pub(super) fn merge(from: &[std::path::PathBuf], scratch: &Path, target: &Path) -> io::Result<()> {
    let made = write(from, scratch, target);
    if scratch.exists() {
        remove_tree(scratch)?;
    }
    made
}

fn write(from: &[std::path::PathBuf], scratch: &Path, target: &Path) -> io::Result<()> {
    make_dir(scratch)?;
    for dir in from {
        lay_over(dir, scratch, DEPTH_MAX)?;
    }
    rustix::fs::syncfs(&fs::File::open(scratch)?)?;
    match fs::rename(scratch, target) {
        Err(_) if target.is_dir() => {}
        renamed => renamed?,
    }
    sync_dir(target.parent().unwrap_or(target))
}

/// Follows no link, on either side.
fn lay_over(from: &Path, to: &Path, depth: usize) -> io::Result<()> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(io::Error::other("folders of a layer are too deep"));
    };
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, place) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        let former = place.symlink_metadata().ok().map(|m| m.is_dir());
        if kind.is_dir() {
            if former == Some(false) {
                fs::remove_file(&place)?;
            }
            if former != Some(true) {
                make_dir(&place)?;
            }
            lay_over(&source, &place, depth)?;
            continue;
        }
        match former {
            Some(true) => remove_tree(&place)?,
            Some(false) => fs::remove_file(&place)?,
            None => {}
        }
        if kind.is_symlink() {
            symlink(fs::read_link(&source)?, &place)?;
        } else if fs::hard_link(&source, &place).is_err() {
            // The file system has no hard links, or this file has as many as it can have.
            fs::copy(&source, &place)?;
        }
    }
    Ok(())
}

fn make_dir(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)) // whatever the umask
}

/// Bytes of all files below a directory.
pub(super) fn size(dir: &Path) -> io::Result<u64> {
    let mut sum = 0u64;
    let mut ahead = vec![dir.to_owned()];
    while let Some(dir) = ahead.pop() {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                ahead.push(entry.path());
            } else if kind.is_file() {
                sum = sum.saturating_add(entry.metadata()?.len());
            }
        }
    }
    Ok(sum)
}
