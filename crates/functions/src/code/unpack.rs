use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::archive::{Archive, Entry, Kind};
use super::{BadZip, CodeError, UNZIPPED_MAX};

/// Packages with more files are made durable by one sync of their file system.
const SYNCED_ONE_BY_ONE: usize = 32;
const COPY_BUFFER: usize = 64 * 1024;

/// Unpacks `zip` to `target` by way of the new directory `scratch`, durable when it returns.
///
/// `target` is there whole or not at all. If it is there already, it is left as it is.
pub(super) fn unpack(zip: Bytes, scratch: &Path, target: &Path) -> Result<(), CodeError> {
    let mut archive = Archive::open(zip)?;
    let made = write_tree(&mut archive, scratch).and_then(|dirs| {
        sync_tree(&archive.entries, scratch, &dirs)?;
        match fs::rename(scratch, target) {
            Err(_) if target.is_dir() => {}
            renamed => renamed?,
        }
        sync_dir(target.parent().unwrap_or(target))?;
        Ok(())
    });
    if scratch.exists() {
        remove_tree(scratch)?;
    }
    made
}

/// Reads all of `zip` and writes nothing.
pub(super) fn check(zip: Bytes) -> Result<(), CodeError> {
    let mut archive = Archive::open(zip)?;
    let mut room = UNZIPPED_MAX;
    for entry in &archive.entries {
        if let Kind::File { .. } = entry.kind {
            let mut file = archive.zip.by_index(entry.index).map_err(|e| bad(&e))?;
            copy(&mut file, &mut io::sink(), &mut room)?;
        }
    }
    Ok(())
}

fn bad(why: &impl ToString) -> CodeError {
    CodeError::BadZip(BadZip(why.to_string()))
}

/// Gives all directories that it made.
fn write_tree(archive: &mut Archive, root: &Path) -> Result<BTreeSet<PathBuf>, CodeError> {
    let mut dirs = BTreeSet::new();
    make_dirs(root, &mut dirs)?;
    let mut room = UNZIPPED_MAX;
    let Archive { zip, entries } = archive;
    // Links last: nothing is ever written through one.
    let (links, others): (Vec<&Entry>, Vec<&Entry>) = entries
        .iter()
        .partition(|e| matches!(e.kind, Kind::Link { .. }));
    for entry in others.into_iter().chain(links) {
        let path = root.join(&entry.path);
        match &entry.kind {
            Kind::Dir => make_dirs(&path, &mut dirs)?,
            Kind::File { is_executable } => {
                make_dirs(path.parent().unwrap_or(root), &mut dirs)?;
                let mut from = zip.by_index(entry.index).map_err(|e| bad(&e))?;
                let mut to = create(&path, *is_executable)?;
                copy(&mut from, &mut to, &mut room)?;
            }
            Kind::Link { target } => {
                make_dirs(path.parent().unwrap_or(root), &mut dirs)?;
                symlink(target, &path)?;
            }
        }
    }
    Ok(dirs)
}

/// Readable by every user, since a function runs as one of its own.
fn create(path: &Path, is_executable: bool) -> io::Result<File> {
    let mode = if is_executable { 0o755 } else { 0o644 };
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?; // whatever the umask
    Ok(file)
}

fn make_dirs(path: &Path, made: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    if made.contains(path) {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|_| !made.is_empty()) {
        make_dirs(parent, made)?;
    }
    DirBuilder::new().mode(0o755).create(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    made.insert(path.to_owned());
    Ok(())
}

/// Copies to the end, which also proves the checksum, within `room`.
fn copy(from: &mut impl Read, to: &mut impl Write, room: &mut u64) -> Result<(), CodeError> {
    let mut buffer = vec![0; COPY_BUFFER];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(bad(&error)),
        };
        *room = room
            .checked_sub(u64::try_from(read).unwrap_or(u64::MAX))
            .ok_or(CodeError::UnzippedTooLarge { max: UNZIPPED_MAX })?;
        to.write_all(buffer.get(..read).unwrap_or_default())?;
    }
}

fn sync_tree(entries: &[Entry], root: &Path, dirs: &BTreeSet<PathBuf>) -> Result<(), CodeError> {
    if entries.len() + dirs.len() > SYNCED_ONE_BY_ONE {
        let root = File::open(root)?;
        rustix::fs::syncfs(&root).map_err(io::Error::from)?;
        return Ok(());
    }
    for entry in entries {
        if let Kind::File { .. } = entry.kind {
            File::open(root.join(&entry.path))?.sync_all()?;
        }
    }
    dirs.iter().try_for_each(|dir| sync_dir(dir))?;
    Ok(())
}

pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Removes a directory and all below it; follows no link.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
