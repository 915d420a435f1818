//! `cargo xtask rows`: which rows of the specification are shown by which test; writes `docs/rows.md`.
//!
//! A test cites rows by their ids (`FN-1`, `ASY-4`) in the text that says what it shows: the docstring of
//! a Python test, the doc comment of a Rust test. Nothing else counts. The error types of functions are
//! cited by their names; every one must be.

mod errors;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use errors::Shown;

const PAGE: &str = "docs/rows.md";

/// The families of the specification: id, how many rows, what they are about.
const FAMILIES: [(&str, u32, &str); 23] = [
    ("API", 14, "API surface and wire behaviour"),
    ("FN", 27, "functions, code and configuration"),
    ("HC", 13, "handler, event, context"),
    ("INV", 25, "invocation"),
    ("ASY", 28, "asynchronous invocation, destinations"),
    ("ESM", 35, "event source mappings"),
    ("SRC", 21, "push sources"),
    ("ALB", 16, "Application Load Balancer"),
    ("AGW", 14, "API Gateway"),
    ("VER", 18, "versions and aliases"),
    ("CON", 22, "concurrency and scaling"),
    ("LIFE", 11, "life cycle and cold start"),
    ("ENV", 10, "environment variables, KMS"),
    ("IAM", 15, "identity and permissions"),
    ("OBS", 15, "logs, metrics, traces"),
    ("VPC", 8, "VPC"),
    ("SIG", 9, "code signing"),
    ("LAY", 7, "layers, file space"),
    ("SAM", 14, "SAM, CloudFormation, Terraform"),
    ("LIM", 23, "quotas"),
    ("BIL", 10, "billing rules"),
    ("RT", 6, "runtimes"),
    ("BP", 5, "best-practice checks"),
];

/// Where tests are, below the root.
const PLACES: [&str; 3] = ["e2e", "crates", "services"];

/// Tests named in one line of the page; more are counted.
const NAMED_MAX: usize = 3;

/// A row: the place of its family in [`FAMILIES`], and its number.
type RowId = (usize, u32);

/// A test and what it says of itself.
#[derive(Debug, PartialEq, Eq)]
struct Test {
    name: String,
    says: String,
}

/// Writes the page, or with `--check` only says whether it is up to date.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<bool> {
    let is_check = match arguments {
        [] => false,
        [only] if only == "--check" => true,
        other => bail!("rows takes --check or nothing, not {other:?}"),
    };
    let (shown, errors) = shown(root)?;
    let text = page(&shown) + &errors.section();
    let missing = errors.missing();
    if !missing.is_empty() {
        println!("no test produces the error types {}", missing.join(", "));
    }
    let path = root.join(PAGE);
    if std::fs::read_to_string(&path).unwrap_or_default() == text {
        println!("{PAGE} is up to date");
        return Ok(missing.is_empty());
    }
    if is_check {
        println!("{PAGE} is not up to date: run `cargo xtask rows` and commit it");
        return Ok(false);
    }
    std::fs::write(&path, text).with_context(|| format!("cannot write {PAGE}"))?;
    println!("{PAGE} is written");
    Ok(missing.is_empty())
}

/// The tests that show each row and each error type, as `file: test`.
fn shown(root: &Path) -> Result<(BTreeMap<RowId, Vec<String>>, Shown)> {
    let mut errors = Shown::new();
    let mut shown: BTreeMap<RowId, Vec<String>> = BTreeMap::new();
    for file in files(root)? {
        let text = std::fs::read_to_string(root.join(&file))
            .with_context(|| format!("cannot read {}", file.display()))?;
        let is_python = file.extension().is_some_and(|e| e == "py");
        let tests = if is_python {
            python(&text)
        } else {
            rust(&text)
        };
        for test in tests {
            errors.note(&file.display().to_string(), &text, &test);
            for row in rows_in(&test.says) {
                let tests = shown.entry(row).or_default();
                tests.push(format!("`{}`: {}", file.display(), test.name));
            }
        }
    }
    Ok((shown, errors))
}

/// Every file that may hold tests, in order, relative to the root.
fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = PLACES.iter().map(PathBuf::from).collect();
    while let Some(folder) = folders.pop() {
        let here = root.join(&folder);
        let entries = here
            .read_dir()
            .with_context(|| format!("cannot read {}", here.display()))?;
        for entry in entries {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_test =
                name.ends_with(".rs") || (name.starts_with("test_") && name.ends_with(".py"));
            if entry.file_type()?.is_dir() {
                if name != "node_modules" && name != "target" && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if is_test {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The test functions of a pytest file with their docstrings.
fn python(text: &str) -> Vec<Test> {
    let mut tests = Vec::new();
    for (at, _) in text.match_indices("def test_") {
        let rest = text.get(at + "def ".len()..).unwrap_or_default();
        let name = rest.split('(').next().unwrap_or_default();
        let Some((_, body)) = rest.split_once(":\n") else {
            continue;
        };
        let Some(says) = body.trim_start().strip_prefix("\"\"\"") else {
            continue;
        };
        tests.push(Test {
            name: name.to_owned(),
            says: says.split("\"\"\"").next().unwrap_or_default().to_owned(),
        });
    }
    tests
}

/// The functions marked as tests with their doc comments.
fn rust(text: &str) -> Vec<Test> {
    let mut tests = Vec::new();
    let mut says = String::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("///") {
            says.push_str(comment);
            says.push('\n');
        } else if line.starts_with("#[") {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        } else {
            let name = line.split_once("fn ").map(|(_, rest)| rest);
            if let (true, Some(name)) = (is_test, name) {
                tests.push(Test {
                    name: name.split('(').next().unwrap_or_default().to_owned(),
                    says: says.clone(),
                });
            }
            says.clear();
            is_test = false;
        }
    }
    tests
}

/// The rows that a text cites, each once.
fn rows_in(text: &str) -> Vec<RowId> {
    let mut rows = Vec::new();
    for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-') {
        let Some((family, number)) = word.split_once('-') else {
            continue;
        };
        let place = FAMILIES.iter().position(|(id, _, _)| *id == family);
        let (Some(place), Ok(number)) = (place, number.parse::<u32>()) else {
            continue;
        };
        let count = FAMILIES.get(place).map_or(0, |(_, count, _)| *count);
        let row = (place, number);
        if (1..=count).contains(&number) && !rows.contains(&row) {
            rows.push(row);
        }
    }
    rows
}

fn page(shown: &BTreeMap<RowId, Vec<String>>) -> String {
    let total: u32 = FAMILIES.iter().map(|(_, count, _)| count).sum();
    let mut text = format!(
        "# Rows of the specification and their tests\n\n\
         Written by `cargo xtask rows` from what the tests say of themselves. A row that no test cites is not \
         shown, whether it is built or not. {} of {total} rows are cited.\n\n\
         | Family | About | Cited | of | Not cited |\n| --- | --- | ---: | ---: | --- |\n",
        shown.len()
    );
    for (place, (id, count, about)) in FAMILIES.iter().enumerate() {
        let missing: Vec<String> = (1..=*count)
            .filter(|number| !shown.contains_key(&(place, *number)))
            .map(|number| number.to_string())
            .collect();
        let cited = usize::try_from(*count).unwrap_or_default() - missing.len();
        let missing = if missing.is_empty() {
            "–".to_owned()
        } else {
            missing.join(", ")
        };
        // Writing into a text cannot fail.
        let _ = writeln!(text, "| {id} | {about} | {cited} | {count} | {missing} |");
    }
    for (place, (id, _, about)) in FAMILIES.iter().enumerate() {
        let of_family = shown.range((place, 0)..(place + 1, 0));
        if of_family.clone().next().is_none() {
            continue;
        }
        let _ = write!(
            text,
            "\n## {id}: {about}\n\n| Row | Tests |\n| --- | --- |\n"
        );
        for ((_, number), tests) in of_family {
            let named: Vec<&str> = tests.iter().take(NAMED_MAX).map(String::as_str).collect();
            let more = match tests.len().saturating_sub(NAMED_MAX) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let _ = writeln!(text, "| {id}-{number} | {}{more} |", named.join("; "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<String> {
        let name = |(place, number): RowId| format!("{}-{number}", FAMILIES[place].0);
        rows_in(text).into_iter().map(name).collect()
    }

    #[test]
    fn rows_are_cited_by_their_ids() {
        for (text, wanted) in [
            ("FN-1, FN-10: the second time.", vec!["FN-1", "FN-10"]),
            ("[ASY-6, ASY-18]", vec!["ASY-6", "ASY-18"]),
            ("FN-1 and FN-1 again", vec!["FN-1"]),
            ("FN-99, FN-0, UTF-8, x-FN-1, FN-1a", vec![]),
        ] {
            assert_eq!(ids(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_python_test_is_told_by_its_docstring() {
        let text = "def test_a(kiln):\n    \"\"\"FN-1.\"\"\"\n    x = 'FN-2'\n\n\
                    def test_b():\n    # FN-3\n    pass\n\ndef helper():\n    \"\"\"FN-4\"\"\"\n";
        let names: Vec<_> = python(text).into_iter().map(|t| (t.name, t.says)).collect();
        assert_eq!(names, [("test_a".to_owned(), "FN-1.".to_owned())]);
    }

    #[test]
    fn a_rust_test_is_told_by_its_comment() {
        let text = "/// FN-1\n#[test]\nfn a() {\n}\n/// FN-2\nfn b() {}\n/// FN-3\n#[tokio::test]\nasync fn c() {}\n";
        let says: Vec<_> = rust(text).into_iter().map(|t| (t.name, t.says)).collect();
        let wanted = [("a", " FN-1\n"), ("c", " FN-3\n")];
        assert_eq!(says, wanted.map(|(n, s)| (n.to_owned(), s.to_owned())));
    }

    #[test]
    fn the_page_says_what_no_test_cites() {
        let shown = BTreeMap::from([((0, 1), vec!["`t.py`: test_a".to_owned()])]);
        let page = page(&shown);
        assert!(page.contains("| API | API surface and wire behaviour | 1 | 14 | 2, 3, 4,"));
        assert!(page.contains("| API-1 | `t.py`: test_a |"));
        assert!(!page.contains("## FN"));
    }
}
