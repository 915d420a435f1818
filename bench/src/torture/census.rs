//! What a server and everything below it hold of the host.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::kiln::{Kiln, tree};

/// Longest wait for what ends in the background.
const SETTLE_MAX: Duration = Duration::from_secs(20);

/// Counts of everything that an environment needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Census {
    counts: [(&'static str, usize); 5],
}

impl Census {
    pub(super) fn take(kiln: &Kiln) -> Result<Census> {
        let pids = tree(kiln.pid())?;
        let mut namespaces = BTreeSet::new();
        let mut groups = BTreeSet::new();
        let mut descriptors = 0;
        for pid in &pids {
            let links = |folder: &str| {
                let entries = fs::read_dir(format!("/proc/{pid}/{folder}"));
                entries
                    .into_iter()
                    .flatten()
                    .flatten()
                    .filter_map(|entry| fs::read_link(entry.path()).ok())
                    .collect::<Vec<PathBuf>>()
            };
            namespaces.extend(links("ns"));
            for target in links("fd") {
                descriptors += 1;
                if is_namespace(&target) {
                    namespaces.insert(target);
                } else if target.starts_with("/sys/fs/cgroup") && target.is_dir() {
                    groups.insert(target);
                }
            }
        }
        let mounts = pids.iter().map(|pid| {
            let text = fs::read_to_string(format!("/proc/{pid}/mountinfo"));
            text.map_or(0, |text| text.lines().count())
        });
        Ok(Census {
            counts: [
                ("processes", pids.len()),
                ("mounts", mounts.max().unwrap_or(0)),
                (
                    "control groups",
                    groups.iter().map(|path| below(path)).sum(),
                ),
                ("namespaces", namespaces.len()),
                ("descriptors", descriptors),
            ],
        })
    }

    /// Takes it again and again until nothing is above `limit`; gives what is, if it stays.
    pub(super) fn back_to(limit: &Census, kiln: &Kiln) -> Result<Option<String>> {
        let until = Instant::now() + SETTLE_MAX;
        loop {
            let now = Census::take(kiln)?;
            let pairs = now.counts.iter().zip(&limit.counts);
            let above: Vec<String> = pairs
                .filter(|((_, n), (_, most))| n > most)
                .map(|((name, n), (_, most))| format!("{name} {n} > {most}"))
                .collect();
            if above.is_empty() {
                return Ok(None);
            }
            if Instant::now() > until {
                return Ok(Some(above.join(", ")));
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// The same census for a whole second.
    pub(super) fn settled(kiln: &Kiln) -> Result<Census> {
        let until = Instant::now() + SETTLE_MAX;
        let mut last = Census::take(kiln)?;
        loop {
            thread::sleep(Duration::from_secs(1));
            let now = Census::take(kiln)?;
            if now == last || Instant::now() > until {
                return Ok(now);
            }
            last = now;
        }
    }
}

impl fmt::Display for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self
            .counts
            .iter()
            .map(|(name, n)| format!("{n} {name}"))
            .collect();
        f.write_str(&words.join(", "))
    }
}

/// `net:[4026531840]`
fn is_namespace(target: &Path) -> bool {
    let text = target.to_string_lossy();
    text.ends_with(']')
        && text.contains(":[")
        && !text.starts_with("socket")
        && !text.starts_with("pipe")
}

/// Directories below one.
fn below(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|t| t.is_dir()));
    folders.map(|entry| 1 + below(&entry.path())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_told_from_sockets() {
        assert!(is_namespace(Path::new("net:[4026531840]")));
        assert!(!is_namespace(Path::new("socket:[17]")));
        assert!(!is_namespace(Path::new("/dev/null")));
    }
}
