//! Links in our documents lead somewhere.

use std::path::Path;

use super::Finding;

/// Checks the relative links of one document; the web is not asked.
pub(super) fn check(root: &Path, path: &Path, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut in_code = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for target in targets(line) {
            if let Some(why) = broken(root, path, text, target) {
                findings.push(Finding::new(
                    path,
                    number,
                    format!("link to {target}: {why}"),
                ));
            }
        }
    }
    findings
}

/// `[text](target)`, outside of code marks.
fn targets(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices("](") {
        let before = line.get(..at).unwrap_or_default();
        let in_code = before.matches('`').count() % 2 == 1;
        let after = line.get(at + 2..).unwrap_or_default();
        if let Some((target, _)) = after.split_once(')')
            && !in_code
        {
            found.push(target.split_once(' ').map_or(target, |(target, _)| target));
        }
    }
    found
}

fn broken(root: &Path, path: &Path, text: &str, target: &str) -> Option<&'static str> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = match target.split_once('#') {
        Some((file, anchor)) => (file, Some(anchor)),
        None => (target, None),
    };
    let there = if file.is_empty() {
        text.to_owned()
    } else {
        let full = root.join(path).parent().map(|folder| folder.join(file))?;
        if !full.exists() {
            return Some("there is no such file");
        }
        if anchor.is_none() || full.is_dir() {
            return None;
        }
        std::fs::read_to_string(full).unwrap_or_default()
    };
    let anchor = anchor?;
    let known = there.lines().filter_map(heading).any(|slug| slug == anchor);
    (!known).then_some("there is no such heading")
}

/// The anchor that a heading gets when shown: lower case, words joined by dashes.
fn heading(line: &str) -> Option<String> {
    let title = line
        .strip_prefix('#')?
        .trim_start_matches('#')
        .strip_prefix(' ')?;
    let slug = title
        .trim()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| {
            if c == ' ' {
                '-'
            } else {
                c.to_ascii_lowercase()
            }
        })
        .collect();
    Some(slug)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> usize {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        check(root, Path::new("README.md"), text).len()
    }

    #[test]
    fn links_to_files_and_headings_that_exist_pass() {
        assert_eq!(
            found("[a](Cargo.toml) [b](https://example.com/x) [c](src/tidy)"),
            0
        );
        assert_eq!(found("## Two words, `x`\n[a](#two-words-x)"), 0);
    }

    #[test]
    fn links_to_nowhere_are_found() {
        assert_eq!(found("[a](no-such-file.md)"), 1);
        assert_eq!(found("# One\n[a](#two)"), 1);
        assert_eq!(found("[a](Cargo.toml#nothing)"), 1);
    }

    #[test]
    fn code_is_not_a_link() {
        assert_eq!(found("`x[a](b)`\n```\n[a](b)\n```"), 0);
    }
}
