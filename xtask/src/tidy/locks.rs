//! What one machine leaves behind in files: absolute paths, hosts of package mirrors.

use std::path::Path;

use super::Finding;

/// Where cargo says that a crate comes from.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The beginnings of paths that exist on somebody's machine only.
const HOMES: [&str; 4] = ["work", "root", "farm", "home"];

/// Files that speak of such paths on purpose: the view that functions get, and attempts to leave it.
const MAY_SAY_HOMES: &[&str] = &[
    "docs/guide/",
    "crates/sandbox/",
    "e2e/probes/",
    "e2e/test_probes.py",
    "xtask/src/tidy/locks.rs",
];

pub(super) fn check(path: &Path, text: &str) -> Vec<Finding> {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    match name {
        "Cargo.lock" => cargo_lock(path, text),
        "package-lock.json" => lines_with(
            path,
            text,
            "\"resolved\"",
            "set omit-lockfile-registry-resolved=true and lock again",
        ),
        "requirements.txt" => lines_with(path, text, "://", "name packages and versions, no hosts"),
        _ => homes(path, text),
    }
}

fn cargo_lock(path: &Path, text: &str) -> Vec<Finding> {
    let foreign = |line: &str| {
        line.strip_prefix("source = \"")
            .is_some_and(|source| source.trim_end_matches('"') != CRATES_IO)
    };
    (1..)
        .zip(text.lines())
        .filter(|(_, line)| foreign(line))
        .map(|(number, _)| Finding::new(path, number, "crates come from crates.io only"))
        .collect()
}

fn lines_with(path: &Path, text: &str, needle: &str, instead: &str) -> Vec<Finding> {
    (1..)
        .zip(text.lines())
        .filter(|(_, line)| line.contains(needle))
        .map(|(number, _)| {
            Finding::new(
                path,
                number,
                format!("`{needle}` in a lock file: {instead}"),
            )
        })
        .collect()
}

fn homes(path: &Path, text: &str) -> Vec<Finding> {
    let shown = path.to_string_lossy();
    if MAY_SAY_HOMES.iter().any(|place| shown.starts_with(place)) {
        return Vec::new();
    }
    (1..)
        .zip(text.lines())
        .filter(|(_, line)| HOMES.iter().any(|home| has_path(line, home)))
        .map(|(number, _)| Finding::new(path, number, "an absolute path of one machine"))
        .collect()
}

/// `/home/` where a path begins: neither below another folder nor after a variable.
fn has_path(line: &str, home: &str) -> bool {
    let needle = format!("/{home}/");
    let goes_on = |c: char| c.is_ascii_alphanumeric() || "_.$})~*-".contains(c);
    line.match_indices(&needle)
        .any(|(at, _)| !line.get(..at).unwrap_or_default().ends_with(goes_on))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        check(Path::new(path), text).len()
    }

    #[test]
    fn crates_of_other_registries_are_found() {
        let good = format!("source = \"{CRATES_IO}\"\n");
        assert_eq!(found("Cargo.lock", &good), 0);
        assert_eq!(
            found(
                "Cargo.lock",
                "source = \"registry+https://mirror.example\"\n"
            ),
            1
        );
        assert_eq!(
            found("Cargo.lock", "source = \"git+https://example.com/x\"\n"),
            1
        );
    }

    #[test]
    fn hosts_in_other_lock_files_are_found() {
        assert_eq!(
            found(
                "e2e/package-lock.json",
                "\"resolved\": \"https://m/x.tgz\","
            ),
            1
        );
        assert_eq!(
            found(
                "e2e/requirements.txt",
                "--index-url https://m/simple\nboto3==1.2"
            ),
            1
        );
        assert_eq!(found("e2e/requirements.txt", "boto3==1.2"), 0);
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        let at = |home: &str| format!("cd /{home}/x");
        assert_eq!(found("README.md", &at("home")), 1);
        assert_eq!(found("README.md", "$DIR/work/x ./work/y a/root/b"), 0);
        assert_eq!(found("e2e/probes/handler.py", &at("root")), 0);
    }
}
