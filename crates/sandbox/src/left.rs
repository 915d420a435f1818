//! What an environment that failed leaves in `/tmp`: the next one of the function finds it there.
//! [Lambda guide: runtime environment lifecycle, reset]
//!
//! Environments share no files and no user ids, so it is copied. The server reads what is left, when no
//! process of the old environment lives; the first process of the new one writes it, with the rights of
//! that environment only, within its quota, before any process of a function is there. A pipe is between
//! them. Nothing is followed: neither links nor paths, only names below open directories.
//!
//! Regular files, directories and symbolic links come along, with mode and time of change. Hard links
//! become files of their own; sockets, pipes and extended attributes stay behind.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, chownat, fchmod, fchown,
    fstatvfs, futimens, mkdirat, openat, readlinkat, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

/// Most files and directories that come along; each takes time before the next init phase.
const ENTRIES_MAX: u32 = 65_536;
/// Deepest directory: each level holds a descriptor open.
const DEPTH_MAX: u32 = 64;
/// Most bytes that come along. They are in memory twice for a moment.
pub const LEFT_BYTES_MAX: u64 = 1 << 30;
/// Longest name or link.
const TEXT_BYTES_MAX: u32 = 4_096;
const BUFFER_BYTES: usize = 128 * 1_024;
/// What a function can set; `/tmp` knows no rights beyond it.
const MODE_MASK: u32 = 0o1777;

/// The `/tmp` of an environment that has ended. It takes memory until it is dropped.
#[derive(Debug)]
pub struct LeftTmp {
    mount: OwnedFd,
}

impl LeftTmp {
    pub(crate) fn new(mount: OwnedFd) -> LeftTmp {
        LeftTmp { mount }
    }

    /// What it holds now.
    pub fn bytes(&self) -> u64 {
        used_bytes(&self.mount)
    }

    /// Writes everything to `to`.
    ///
    /// # Errors
    /// The other side is gone, or there is more than may come along.
    pub(crate) fn pack(&self, to: impl Write) -> io::Result<()> {
        if self.bytes() > LEFT_BYTES_MAX {
            return Err(Errno::FBIG.into());
        }
        let mut packer = Packer {
            to: BufWriter::with_capacity(BUFFER_BYTES, to),
            room: ENTRIES_MAX,
        };
        let top = openat(&self.mount, ".", DIRECTORY, Mode::empty())?;
        packer.directory(top.as_fd(), 0)?;
        packer.head(END, 0, (0, 0), 0)?;
        packer.to.flush()
    }
}

/// Where a start puts what `/tmp` held when its init phase failed; it is done again.
#[derive(Debug, Clone, Default)]
pub struct Leaves(Arc<Mutex<Option<Arc<LeftTmp>>>>);

impl Leaves {
    pub fn take(&self) -> Option<Arc<LeftTmp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn put(&self, tmp: LeftTmp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(tmp));
    }
}

/// Bytes in use of a file system.
pub(crate) fn used_bytes(mount: impl AsFd) -> u64 {
    let blocks = fstatvfs(mount);
    blocks.map_or(0, |b| b.f_blocks.saturating_sub(b.f_bfree) * b.f_frsize)
}

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// An entry on the way: its kind, mode, time and length. A name follows, and what it holds.
const FILE: u8 = 1;
const FOLDER: u8 = 2;
const LINK: u8 = 3;
/// Back to the directory above, which ends this one.
const UP: u8 = 4;
const END: u8 = 5;

struct Packer<W: Write> {
    to: BufWriter<W>,
    room: u32,
}

impl<W: Write> Packer<W> {
    fn directory(&mut self, directory: BorrowedFd<'_>, depth: u32) -> io::Result<()> {
        if depth > DEPTH_MAX {
            return Err(Errno::LOOP.into());
        }
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            self.room = self.room.checked_sub(1).ok_or(Errno::NOSPC)?;
            let stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
            let mode = stat.st_mode & MODE_MASK;
            let time = (
                stat.st_mtime,
                u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
            );
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => {
                    let below = openat(directory, name, DIRECTORY, Mode::empty())?;
                    self.head(FOLDER, mode, time, 0)?;
                    self.text(name.to_bytes())?;
                    self.directory(below.as_fd(), depth + 1)?;
                    self.head(UP, mode, time, 0)?;
                }
                FileType::RegularFile => {
                    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    let file = File::from(openat(directory, name, flags, Mode::empty())?);
                    let length = u64::try_from(stat.st_size).unwrap_or(0);
                    self.head(FILE, mode, time, length)?;
                    self.text(name.to_bytes())?;
                    let copied = io::copy(&mut file.take(length), &mut self.to)?;
                    if copied != length {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                FileType::Symlink => {
                    let target = readlinkat(directory, name, Vec::new())?;
                    self.head(LINK, mode, time, 0)?;
                    self.text(name.to_bytes())?;
                    self.text(target.to_bytes())?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn head(&mut self, kind: u8, mode: u32, time: (i64, u32), length: u64) -> io::Result<()> {
        self.to.write_all(&[kind])?;
        self.to.write_all(&mode.to_ne_bytes())?;
        self.to.write_all(&time.0.to_ne_bytes())?;
        self.to.write_all(&time.1.to_ne_bytes())?;
        self.to.write_all(&length.to_ne_bytes())
    }

    fn text(&mut self, text: &[u8]) -> io::Result<()> {
        let length = u32::try_from(text.len()).map_err(io::Error::other)?;
        self.to.write_all(&length.to_ne_bytes())?;
        self.to.write_all(text)
    }
}

/// Reads what [`LeftTmp::pack`] wrote into an empty `/tmp`, for one owner. If not all of it comes the
/// rest goes too: half of a cache is worse than none.
pub(crate) fn unpack(from: impl Read, tmp: impl AsFd, owner: (u32, u32)) -> io::Result<()> {
    let mut unpacker = Unpacker {
        from: BufReader::with_capacity(BUFFER_BYTES, from),
        owner,
    };
    let top = openat(tmp, ".", DIRECTORY, Mode::empty())?;
    let done = unpacker.all(&top);
    if done.is_err() {
        clear(top.as_fd())?;
    }
    done
}

struct Unpacker<R: Read> {
    from: BufReader<R>,
    owner: (u32, u32),
}

impl<R: Read> Unpacker<R> {
    fn all(&mut self, top: &OwnedFd) -> io::Result<()> {
        let mut open: Vec<OwnedFd> = Vec::new();
        loop {
            let (kind, mode, time, length) = self.head()?;
            let mode = Mode::from_raw_mode(mode & MODE_MASK);
            let here = open.last().unwrap_or(top);
            match kind {
                FILE => {
                    let name = self.name()?;
                    let flags = OFlags::WRONLY
                        | OFlags::CREATE
                        | OFlags::EXCL
                        | OFlags::NOFOLLOW
                        | OFlags::CLOEXEC;
                    let mut file = File::from(openat(here, &name, flags, Mode::RWXU)?);
                    let copied = io::copy(&mut (&mut self.from).take(length), &mut file)?;
                    if copied != length {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    self.finish(file.as_fd(), mode, time)?;
                }
                FOLDER => {
                    let name = self.name()?;
                    mkdirat(here, &name, Mode::RWXU)?;
                    let below = openat(here, &name, DIRECTORY, Mode::empty())?;
                    open.push(below);
                }
                LINK => {
                    let (name, target) = (self.name()?, self.text()?);
                    symlinkat(target, here, &name)?;
                    let (uid, gid) = self.ids();
                    chownat(here, &name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
                }
                UP => {
                    let done = open.pop().ok_or(Errno::PROTO)?;
                    self.finish(done.as_fd(), mode, time)?;
                }
                END if open.is_empty() => return Ok(()),
                _ => return Err(Errno::PROTO.into()),
            }
        }
    }

    fn ids(&self) -> (Option<Uid>, Option<Gid>) {
        let (uid, gid) = self.owner;
        (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
    }

    fn finish(&self, fd: BorrowedFd<'_>, mode: Mode, time: (i64, u32)) -> io::Result<()> {
        let (uid, gid) = self.ids();
        fchown(fd, uid, gid)?;
        fchmod(fd, mode)?;
        let time = Timespec {
            tv_sec: time.0,
            tv_nsec: time.1.into(),
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        Ok(futimens(fd, &times)?)
    }

    fn head(&mut self) -> io::Result<(u8, u32, (i64, u32), u64)> {
        let kind = u8::from_ne_bytes(self.bytes()?);
        let mode = u32::from_ne_bytes(self.bytes()?);
        let time = (
            i64::from_ne_bytes(self.bytes()?),
            u32::from_ne_bytes(self.bytes()?),
        );
        Ok((kind, mode, time, u64::from_ne_bytes(self.bytes()?)))
    }

    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.from.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn text(&mut self) -> io::Result<Vec<u8>> {
        let length = u32::from_ne_bytes(self.bytes()?);
        if length > TEXT_BYTES_MAX {
            return Err(Errno::NAMETOOLONG.into());
        }
        let mut text = vec![0; usize::try_from(length).unwrap_or(0)];
        self.from.read_exact(&mut text)?;
        Ok(text)
    }

    fn name(&mut self) -> io::Result<Vec<u8>> {
        let name = self.text()?;
        match name.as_slice() {
            b"" | b"." | b".." => Err(Errno::PROTO.into()),
            name if name.contains(&b'/') => Err(Errno::PROTO.into()),
            _ => Ok(name),
        }
    }
}

/// Removes everything below a directory that only the caller writes to.
fn clear(directory: BorrowedFd<'_>) -> io::Result<()> {
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            clear(openat(directory, name, DIRECTORY, Mode::empty())?.as_fd())?;
            unlinkat(directory, name, AtFlags::REMOVEDIR)?;
        } else {
            unlinkat(directory, name, AtFlags::empty())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::path::Path;

    use rustix::process::{getegid, geteuid};
    use tempfile::{TempDir, tempdir};

    use super::*;

    fn left(dir: &TempDir) -> LeftTmp {
        LeftTmp::new(fs::File::open(dir.path()).unwrap().into())
    }

    fn packed(dir: &TempDir) -> Vec<u8> {
        // A large disk of the tests is no large `/tmp`.
        let mut bytes = Vec::new();
        let mut packer = Packer {
            to: BufWriter::new(&mut bytes),
            room: ENTRIES_MAX,
        };
        let top = left(dir).mount;
        packer.directory(top.as_fd(), 0).unwrap();
        packer.head(END, 0, (0, 0), 0).unwrap();
        drop(packer);
        bytes
    }

    fn unpacked(bytes: &[u8], to: &TempDir) -> io::Result<()> {
        let owner = (geteuid().as_raw(), getegid().as_raw());
        unpack(bytes, fs::File::open(to.path()).unwrap(), owner)
    }

    fn filled() -> TempDir {
        let from = tempdir().unwrap();
        fs::create_dir_all(from.path().join("a/deep/er")).unwrap();
        fs::write(from.path().join("a/deep/er/file"), "text").unwrap();
        fs::write(from.path().join("large"), vec![7; 300_000]).unwrap();
        symlink("/etc/passwd", from.path().join("link")).unwrap();
        let program = from.path().join("program");
        fs::write(&program, "#!").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
        fs::set_permissions(from.path().join("a"), fs::Permissions::from_mode(0o500)).unwrap();
        from
    }

    #[test]
    fn everything_comes_along_with_its_mode_and_time() {
        let (from, to) = (filled(), tempdir().unwrap());
        unpacked(&packed(&from), &to).unwrap();
        let text = fs::read_to_string(to.path().join("a/deep/er/file")).unwrap();
        assert_eq!(text, "text");
        assert_eq!(fs::read(to.path().join("large")).unwrap(), [7; 300_000]);
        let link = fs::read_link(to.path().join("link")).unwrap();
        assert_eq!(link, Path::new("/etc/passwd"));
        let stat = |dir: &TempDir, name| fs::metadata(dir.path().join(name)).unwrap();
        assert_eq!(
            stat(&to, "program").mode() & 0o7777,
            0o755,
            "no right of its owner"
        );
        assert_eq!(stat(&to, "a").mode() & 0o7777, 0o500);
        for name in ["a", "large", "a/deep"] {
            let (old, new) = (stat(&from, name), stat(&to, name));
            assert_eq!(
                (old.mtime(), old.mtime_nsec()),
                (new.mtime(), new.mtime_nsec())
            );
        }
    }

    #[test]
    fn what_breaks_off_leaves_nothing() {
        let bytes = packed(&filled());
        for length in [0, 1, 30, 200, bytes.len() / 2, bytes.len() - 1] {
            let to = tempdir().unwrap();
            assert!(
                unpacked(bytes.get(..length).unwrap(), &to).is_err(),
                "{length}"
            );
            assert_eq!(fs::read_dir(to.path()).unwrap().count(), 0, "{length}");
        }
    }

    #[test]
    fn no_name_leads_out() {
        for name in ["..", ".", "", "a/b", "/etc/x"] {
            let mut bytes = Vec::new();
            let mut packer = Packer {
                to: BufWriter::new(&mut bytes),
                room: 0,
            };
            packer.head(FILE, 0o644, (0, 0), 1).unwrap();
            packer.text(name.as_bytes()).unwrap();
            packer.to.write_all(b"x").unwrap();
            packer.head(END, 0, (0, 0), 0).unwrap();
            drop(packer);
            let to = tempdir().unwrap();
            assert!(unpacked(&bytes, &to).is_err(), "{name}");
        }
    }

    #[test]
    fn a_pipe_is_left_behind_and_does_not_stop_the_rest() {
        let (from, to) = (tempdir().unwrap(), tempdir().unwrap());
        rustix::fs::mknodat(
            fs::File::open(from.path()).unwrap(),
            "pipe",
            FileType::Fifo,
            Mode::RWXU,
            0,
        )
        .unwrap();
        fs::write(from.path().join("file"), "x").unwrap();
        unpacked(&packed(&from), &to).unwrap();
        assert!(to.path().join("file").exists() && !to.path().join("pipe").exists());
    }
}
