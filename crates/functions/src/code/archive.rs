use std::collections::{BTreeSet, HashMap};
use std::io::{Cursor, Read};
use std::path::PathBuf;

use bytes::Bytes;
use zip::ZipArchive;
use zip::read::Config;
use zip::unstable::read::ZipIterable;

use super::{BadZip, CodeError};

/// Most bytes that a package may unpack to.  [Lambda quotas: deployment package]
pub const UNZIPPED_MAX: u64 = 262_144_000;
/// Most entries of a package. Differs: AWS names no limit; without one, a zip of 50 MB could hold a
/// million files of nothing.
pub(crate) const ENTRIES_MAX: usize = 100_000;
/// Longest path inside a package, and longest target of a symbolic link.
const PATH_MAX: usize = 1_024;
/// Longest name of one file.
const NAME_MAX: usize = 255;
/// Symbolic links that one path may lead through, as in Linux.
const LINKS_MAX: usize = 40;

const TYPE_MASK: u32 = 0o170_000;
const TYPE_FILE: u32 = 0o100_000;
const TYPE_DIR: u32 = 0o040_000;
const TYPE_LINK: u32 = 0o120_000;

/// A zip that was looked through: every entry may be written below a root without leaving it.
///
/// What the directory of the zip claims is checked here; that its data keep the claims, while they
/// are read.
pub(super) struct Archive {
    pub(super) zip: ZipArchive<Cursor<Bytes>>,
    pub(super) entries: Vec<Entry>,
}

pub(super) struct Entry {
    /// In the zip.
    pub(super) index: usize,
    /// Relative, of plain components only.
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Dir,
    File { is_executable: bool },
    Link { target: String },
}

fn bad(why: impl Into<String>) -> CodeError {
    CodeError::BadZip(BadZip(why.into()))
}

fn damaged(error: &zip::result::ZipError) -> CodeError {
    bad(error.to_string())
}

impl Archive {
    pub(super) fn open(bytes: Bytes) -> Result<Archive, CodeError> {
        let count = ZipIterable::try_new(Cursor::new(bytes.clone()), Config::default())
            .map_err(|e| damaged(&e))?
            .len();
        if count == 0 {
            return Err(CodeError::EmptyZip);
        }
        if count > ENTRIES_MAX {
            return Err(bad(format!("more than {ENTRIES_MAX} entries")));
        }
        let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(|e| damaged(&e))?;
        if zip.len() != count || zip.has_duplicate_names() {
            return Err(bad("two entries of one name"));
        }
        if zip.has_overlapping_entries().map_err(|e| damaged(&e))? {
            return Err(bad("overlapping entries"));
        }
        let mut claimed = 0u64;
        let mut entries = Vec::with_capacity(count);
        for index in 0..count {
            let entry = plan(&mut zip, index, &mut claimed)?;
            entries.extend(entry);
        }
        check_tree(&entries)?;
        Ok(Archive { zip, entries })
    }
}

/// Decides what becomes of one entry; `None`: the root itself.
fn plan(
    zip: &mut ZipArchive<Cursor<Bytes>>,
    index: usize,
    claimed: &mut u64,
) -> Result<Option<Entry>, CodeError> {
    let mut file = zip.by_index(index).map_err(|e| damaged(&e))?;
    *claimed = claimed.saturating_add(file.size());
    if *claimed > UNZIPPED_MAX {
        return Err(CodeError::UnzippedTooLarge { max: UNZIPPED_MAX });
    }
    let name = file.name().map_err(|e| damaged(&e))?.into_owned();
    let parts = components(&name)?;
    let mode = file.unix_mode().unwrap_or(TYPE_FILE | 0o644);
    let kind = match mode & TYPE_MASK {
        _ if name.ends_with('/') => Kind::Dir,
        TYPE_DIR => Kind::Dir,
        0 | TYPE_FILE => Kind::File {
            is_executable: mode & 0o111 != 0,
        },
        TYPE_LINK => {
            let mut target = String::new();
            let limit = u64::try_from(PATH_MAX).unwrap_or(u64::MAX) + 1;
            (&mut file)
                .take(limit)
                .read_to_string(&mut target)
                .map_err(|e| bad(format!("target of link {name:?}: {e}")))?;
            Kind::Link { target }
        }
        _ => return Err(bad(format!("{name:?} is neither file, directory nor link"))),
    };
    if parts.is_empty() {
        return match kind {
            Kind::Dir => Ok(None),
            _ => Err(bad("an entry without a name")),
        };
    }
    Ok(Some(Entry {
        index,
        path: parts.iter().collect(),
        kind,
    }))
}

/// Takes a name apart; refuses whatever could leave the root.
fn components(name: &str) -> Result<Vec<&str>, CodeError> {
    let shown: String = name.chars().take(100).collect();
    if name.len() > PATH_MAX || name.contains('\0') || name.starts_with('/') {
        return Err(bad(format!("bad name {shown:?}")));
    }
    let parts: Vec<&str> = name
        .split('/')
        .filter(|p| !p.is_empty() && *p != ".")
        .collect();
    if parts.iter().any(|p| *p == ".." || p.len() > NAME_MAX) {
        return Err(bad(format!("bad name {shown:?}")));
    }
    Ok(parts)
}

/// Refuses entries that exclude each other, and links that lead out of the root.
fn check_tree(entries: &[Entry]) -> Result<(), CodeError> {
    let mut seen = BTreeSet::new();
    let mut leaves = BTreeSet::new();
    let mut links = HashMap::new();
    for entry in entries {
        let parts: Vec<&str> = entry.path.iter().filter_map(|p| p.to_str()).collect();
        if entry.kind != Kind::Dir {
            if !seen.insert(parts.clone()) {
                return Err(bad(format!("two entries at {:?}", entry.path)));
            }
            leaves.insert(parts.clone());
        }
        if let Kind::Link { target } = &entry.kind {
            links.insert(parts, target.as_str());
        }
    }
    for entry in entries {
        let parts: Vec<&str> = entry.path.iter().filter_map(|p| p.to_str()).collect();
        let own = usize::from(entry.kind != Kind::Dir);
        let above = parts.len().saturating_sub(own);
        if (1..=above).any(|n| leaves.contains(parts.get(..n).unwrap_or_default())) {
            return Err(bad(format!("{:?} lies inside a file or link", entry.path)));
        }
    }
    for link in links.keys() {
        stays_inside(link, &links)?;
    }
    Ok(())
}

/// Follows a link as the kernel would, through other links too.
fn stays_inside(link: &[&str], links: &HashMap<Vec<&str>, &str>) -> Result<(), CodeError> {
    let out = || {
        bad(format!(
            "link {:?} leads out of the package",
            link.join("/")
        ))
    };
    let mut at: Vec<&str> = Vec::new();
    let mut ahead: Vec<&str> = link.iter().rev().copied().collect();
    let mut followed = 0;
    while let Some(part) = ahead.pop() {
        match part {
            "" | "." => continue,
            ".." => {
                at.pop().ok_or_else(out)?;
                continue;
            }
            name => at.push(name),
        }
        if let Some(target) = links.get(&at) {
            followed += 1;
            let is_bad = target.is_empty()
                || target.len() > PATH_MAX
                || target.starts_with('/')
                || target.contains('\0');
            if is_bad || followed > LINKS_MAX {
                return Err(out());
            }
            at.pop();
            ahead.extend(target.split('/').rev());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_root_are_refused() {
        for name in ["/etc/passwd", "../x", "a/../../x", "a/..", "a\0b", "//x"] {
            assert!(components(name).is_err(), "{name:?}");
        }
        for (name, parts) in [
            ("./a/b", vec!["a", "b"]),
            ("a//b", vec!["a", "b"]),
            ("a/...", vec!["a", "..."]),
            ("a\\..\\b", vec!["a\\..\\b"]),
        ] {
            assert_eq!(components(name).unwrap(), parts);
        }
        assert!(components(&"x".repeat(256)).is_err());
    }

    fn check(links: &[(&str, &str)]) -> bool {
        let links: HashMap<Vec<&str>, &str> = links
            .iter()
            .map(|(path, target)| (path.split('/').collect(), *target))
            .collect();
        links.keys().all(|link| stays_inside(link, &links).is_ok())
    }

    #[test]
    fn links_may_lead_anywhere_inside() {
        assert!(check(&[("a", "b/c"), ("d/e", "../a")]));
        assert!(check(&[
            ("lib/x.so", "x.so.1"),
            ("lib/x.so.1", "./x.so.1.2")
        ]));
        assert!(check(&[("nowhere", "does/not/exist")]));
    }

    #[test]
    fn links_that_lead_out_are_refused() {
        assert!(!check(&[("a", "..")]));
        assert!(!check(&[("a", "/etc")]));
        assert!(!check(&[("d/a", "../../x")]));
        assert!(!check(&[("a", "")]));
        // Read as text the second stays inside; followed it does not.
        assert!(!check(&[("a/b/c/up", "../../.."), ("e", "a/b/c/up/../x")]));
        assert!(!check(&[("a", "b"), ("b", "a")]));
    }
}
