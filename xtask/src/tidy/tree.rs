//! The files of the repository.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Directories that hold products or other people's work.
const NOT_OURS: [&str; 6] = [
    ".git",
    "target",
    "node_modules",
    "__pycache__",
    ".pytest_cache",
    "kiln-data",
];

/// Deeper trees are a mistake.
const DEPTH_MAX: usize = 12;

/// Every file, relative to `root`, sorted. A worktree has a file named `.git`.
pub(super) fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    walk(root, Path::new(""), 0, &mut found)?;
    found.sort();
    Ok(found)
}

fn walk(root: &Path, below: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    if depth > DEPTH_MAX {
        return Ok(());
    }
    let here = root.join(below);
    let entries = fs::read_dir(&here).with_context(|| format!("cannot list {}", here.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let path = below.join(&name);
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if !NOT_OURS.iter().any(|skipped| name == *skipped) {
                walk(root, &path, depth + 1, found)?;
            }
        } else if kind.is_file() && name != ".git" {
            found.push(path);
        }
    }
    Ok(())
}

/// The text of a file; nothing for one that is not text.
pub(super) fn text(path: &Path) -> Result<Option<String>> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(String::from_utf8(bytes).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_left_out() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let files = files(root).unwrap();
        assert!(files.contains(&PathBuf::from("xtask/src/tidy/tree.rs")));
        assert!(
            !files
                .iter()
                .any(|f| f.starts_with("target") || f.starts_with(".git"))
        );
    }
}
