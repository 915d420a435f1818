//! The guide names every setting of the server, and no other.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;

use super::{Finding, tree};

const SOURCE: &str = "crates/server/src/config.rs";
const GUIDE: &str = "docs/guide/configuration.md";

/// What the name of every setting's environment variable begins with.
const PREFIX: &str = "KILN_";

pub(super) fn check(root: &Path) -> Result<Vec<Finding>> {
    let source = root.join(SOURCE);
    if !source.exists() {
        return Ok(Vec::new());
    }
    let source = tree::text(&source)?.unwrap_or_default();
    let guide = tree::text(&root.join(GUIDE))?.unwrap_or_default();
    Ok(compare(&source, &guide))
}

fn compare(source: &str, guide: &str) -> Vec<Finding> {
    let real = variables(source);
    let told = variables(guide);
    let missing = real
        .difference(&told)
        .map(|name| Finding::new(GUIDE, 0, format!("setting {name} is not described")));
    let gone = told
        .difference(&real)
        .map(|name| Finding::new(GUIDE, 0, format!("there is no setting {name}")));
    missing.chain(gone).collect()
}

fn variables(text: &str) -> BTreeSet<&str> {
    text.match_indices(PREFIX)
        .filter_map(|(at, _)| text.get(at..))
        .map(|rest| {
            let is_part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            rest.get(..end).unwrap_or(rest)
        })
        .filter(|name| *name != PREFIX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_and_guide_agree() {
        let source = "setting(\"a\", \"KILN_A\")\nsetting(\"b\", \"KILN_B_MAX\")";
        assert!(compare(source, "| `KILN_A` | `KILN_B_MAX` | KILN_* |").is_empty());
        let found = compare(source, "`KILN_A`, `KILN_GONE`");
        let messages: Vec<&str> = found.iter().map(|f| f.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "setting KILN_B_MAX is not described",
                "there is no setting KILN_GONE"
            ]
        );
    }
}
