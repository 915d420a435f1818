//! The dependency table of ARCHITECTURE.md held against `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::{Finding, Metadata, Package};

const DOCUMENT: &str = "ARCHITECTURE.md";

/// The first cells of the table's head.
const HEAD: [&str; 2] = ["crate", "may depend on"];

/// One row: what a crate may depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    /// Where it stands in the document.
    line: usize,
    allowed: Allowed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Allowed {
    Everything,
    Only(BTreeSet<String>),
}

pub(super) fn check(root: &Path, metadata: &Metadata) -> Result<Vec<Finding>> {
    let path = root.join(DOCUMENT);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let table = parse(&text)?;
    Ok(compare(root, &table, &metadata.packages))
}

/// Reads `| crate | may depend on | … |`. `—` is nothing, `all` everything, a leading `+` adds to
/// the row `services/*`, which also serves every service without a row of its own.
fn parse(text: &str) -> Result<BTreeMap<String, Row>> {
    let mut rows = BTreeMap::new();
    let mut in_table = false;
    for (line, content) in (1..).zip(text.lines()) {
        let Some(cells) = cells(content) else {
            in_table = false;
            continue;
        };
        let (Some(name), Some(allowed)) = (cells.first(), cells.get(1)) else {
            continue;
        };
        if [*name, *allowed] == HEAD {
            in_table = true;
            continue;
        }
        if !in_table || name.starts_with("--") {
            continue;
        }
        let allowed = allowed_of(allowed, &rows);
        if rows
            .insert((*name).to_owned(), Row { line, allowed })
            .is_some()
        {
            bail!("{DOCUMENT}:{line}: {name} has two rows");
        }
    }
    if rows.is_empty() {
        bail!(
            "{DOCUMENT} holds no table that begins `| {} | {} |`",
            HEAD[0],
            HEAD[1]
        );
    }
    Ok(rows)
}

fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(
        inner
            .split('|')
            .map(|cell| cell.trim().trim_matches('`'))
            .collect(),
    )
}

fn allowed_of(cell: &str, rows: &BTreeMap<String, Row>) -> Allowed {
    if cell == "all" {
        return Allowed::Everything;
    }
    let (adds, names) = match cell.strip_prefix('+') {
        Some(names) => (true, names),
        None => (false, cell),
    };
    let mut only: BTreeSet<String> = names
        .split(',')
        .map(|name| name.trim().trim_matches('`').to_owned())
        .filter(|name| !name.is_empty() && name != "—")
        .collect();
    if adds && let Some(Allowed::Only(base)) = rows.get("services/*").map(|row| &row.allowed) {
        only.extend(base.iter().cloned());
    }
    Allowed::Only(only)
}

fn compare(root: &Path, table: &BTreeMap<String, Row>, packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    for package in packages {
        let manifest = package
            .manifest_path
            .strip_prefix(root)
            .unwrap_or(&package.manifest_path);
        let folder = manifest
            .parent()
            .unwrap_or(manifest)
            .to_string_lossy()
            .into_owned();
        let Some((kind, name)) = folder.split_once('/') else {
            continue;
        };
        if kind != "crates" && kind != "services" {
            continue;
        }
        if name != package.name {
            let message = format!(
                "package {} lies in folder {name}: give both one name",
                package.name
            );
            findings.push(Finding::new(manifest, 0, message));
        }
        let own = if kind == "services" {
            folder.as_str()
        } else {
            name
        };
        let key = if kind == "services" && !table.contains_key(own) {
            "services/*"
        } else {
            own
        };
        seen.insert(key.to_owned());
        let Some(row) = table.get(key) else {
            let message = format!("{own} has no row in the dependency table of {DOCUMENT}");
            findings.push(Finding::new(manifest, 0, message));
            continue;
        };
        findings.extend(edges_of(package, manifest, kind, row));
    }
    for (name, row) in table {
        if !seen.contains(name) {
            let message = format!("row {name} of the dependency table has no crate");
            findings.push(Finding::new(DOCUMENT, row.line, message));
        }
    }
    findings
}

/// Tests may use more of the house than the code they test, except another service.
fn edges_of(package: &Package, manifest: &Path, kind: &str, row: &Row) -> Vec<Finding> {
    let mut findings = Vec::new();
    for dependency in &package.dependencies {
        let Some(path) = &dependency.path else {
            continue;
        };
        let is_service = path
            .parent()
            .is_some_and(|parent| parent.ends_with("services"));
        if kind == "services" && is_service && dependency.name != package.name {
            let message = format!(
                "rule 3: a service never depends on another ({})",
                dependency.name
            );
            findings.push(Finding::new(manifest, 0, message));
            continue;
        }
        let allowed = match &row.allowed {
            Allowed::Everything => true,
            Allowed::Only(names) => dependency.is_for_tests() || names.contains(&dependency.name),
        };
        if !allowed {
            let message = format!(
                "may not depend on {}: see the dependency table, {DOCUMENT}:{}",
                dependency.name, row.line
            );
            findings.push(Finding::new(manifest, 0, message));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::Dependency;
    use super::*;

    const TABLE: &str = "\
| other | table |
| --- | --- |
| a | b |

| crate | may depend on | why |
| --- | --- | --- |
| model | — | words |
| `store` | `model` | seam |
| services/* | model, wire | wall |
| services/lambda | + store | skin |
| server | all | whole |
";

    fn package(folder: &str, dependencies: &[&str]) -> Package {
        Package {
            name: folder.rsplit('/').next().unwrap().to_owned(),
            manifest_path: PathBuf::from(format!("/r/{folder}/Cargo.toml")),
            dependencies: dependencies.iter().map(|d| dependency(d)).collect(),
        }
    }

    fn dependency(text: &str) -> Dependency {
        let (kind, folder) = match text.strip_prefix("dev:") {
            Some(folder) => (Some("dev".to_owned()), folder),
            None => (None, text),
        };
        Dependency {
            name: folder.rsplit('/').next().unwrap().to_owned(),
            kind,
            path: folder
                .contains('/')
                .then(|| PathBuf::from(format!("/r/{folder}"))),
        }
    }

    /// The findings about `package` when every other crate of the table is innocent.
    fn findings(package_of: Package) -> Vec<String> {
        let table = parse(TABLE).unwrap();
        compare(Path::new("/r"), &table, &[package_of])
            .into_iter()
            .filter(|f| f.file != Path::new(DOCUMENT))
            .map(|f| f.message)
            .collect()
    }

    #[test]
    fn edges_in_the_table_pass_and_outside_crates_are_not_its_business() {
        assert_eq!(
            findings(package("crates/store", &["crates/model", "serde"])).len(),
            0
        );
        assert_eq!(
            findings(package("crates/server", &["services/lambda"])).len(),
            0
        );
        assert_eq!(
            findings(package("services/lambda", &["crates/store", "crates/wire"])).len(),
            0
        );
        assert_eq!(findings(package("xtask", &["crates/store"])).len(), 0);
    }

    #[test]
    fn an_edge_that_is_not_in_the_table_is_found() {
        assert_eq!(
            findings(package("crates/model", &["crates/store"])).len(),
            1
        );
        assert_eq!(
            findings(package("services/sqs", &["crates/store"])).len(),
            1
        );
    }

    #[test]
    fn tests_may_use_more_but_no_other_service() {
        assert_eq!(
            findings(package("crates/model", &["dev:crates/store"])).len(),
            0
        );
        assert_eq!(
            findings(package("services/sqs", &["dev:services/iam"])).len(),
            1
        );
    }

    #[test]
    fn a_crate_without_a_row_and_a_row_without_a_crate_are_found() {
        assert_eq!(findings(package("crates/new", &[])).len(), 1);
        let found = compare(Path::new("/r"), &parse(TABLE).unwrap(), &[]);
        assert_eq!(found.len(), 5);
    }

    #[test]
    fn a_document_without_the_table_is_refused() {
        assert!(parse("# nothing").is_err());
    }
}
