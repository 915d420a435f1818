//! Rules about Rust source: clocks and spawns, unsafe, unfinished code, wire shapes, file length.

use std::path::Path;

use super::Finding;
use super::source::{code_of, without_tests};

/// Longest file, in lines without its unit tests.  [STYLE.md: Files]
const LINES_MAX: usize = 800;

/// A file whose first lines hold this is a table and may be longer.
const TABLE_MARK: &str = "tidy: table";

/// Code that may occur in some places only.
struct Word {
    /// As written in code, with no word character before or after it.
    text: &'static str,
    /// Where it may occur: the beginning of a path.
    allowed: &'static [&'static str],
    /// Whether tests may say it too.
    in_tests: bool,
    instead: &'static str,
}

/// The configuration, and programs that are not the platform. Cargo speaks to a build script so.
const ENVIRONMENT_READERS: &[&str] = &[
    "crates/server/build.rs",
    "crates/server/src/config",
    "xtask/",
    "bench/",
    "examples/",
];

/// Programs beside the platform: they have no `Clock` to be given.
const WORDS: &[Word] = &[
    Word {
        text: "SystemTime::now",
        allowed: &["crates/tasks/", "xtask/", "bench/", "examples/"],
        in_tests: true,
        instead: "rule 7: take a tasks::Clock",
    },
    Word {
        text: "Instant::now",
        allowed: &["crates/tasks/", "xtask/", "bench/", "examples/"],
        in_tests: true,
        instead: "rule 7: take a tasks::Clock",
    },
    Word {
        text: "tokio::spawn",
        allowed: &["crates/tasks/", "bench/", "examples/"],
        in_tests: true,
        instead: "rule 7: spawn through tasks::Tasks",
    },
    Word {
        text: "spawn_blocking",
        allowed: &["crates/tasks/", "bench/", "examples/"],
        in_tests: true,
        instead: "rule 7: use tasks::Tasks::blocking",
    },
    Word {
        text: "env::var",
        allowed: ENVIRONMENT_READERS,
        in_tests: true,
        instead: "rule 7: only server::config reads the environment",
    },
    Word {
        text: "env::var_os",
        allowed: ENVIRONMENT_READERS,
        in_tests: true,
        instead: "rule 7: only server::config reads the environment",
    },
    Word {
        text: "unsafe",
        allowed: &["crates/sandbox/src/sys"],
        in_tests: false,
        instead: "unsafe lives in sandbox's system-call file only",
    },
    Word {
        text: "todo!",
        allowed: &[],
        in_tests: false,
        instead: "finish it, or leave it out and say so in docs/roadmap.md",
    },
    Word {
        text: "unimplemented!",
        allowed: &[],
        in_tests: false,
        instead: "finish it, or leave it out and say so in docs/roadmap.md",
    },
];

/// Wire shapes are named in `services/` only; the command line speaks the API as its client.
const SHAPES_ALLOWED: &[&str] = &["crates/wire/", "crates/server/src/cli"];

/// What only a wire shape of an AWS API says.
const SHAPE_WORDS: &[&str] = &[
    "QueueUrl",
    "ReceiptHandle",
    "TopicArn",
    "EventBusName",
    "logGroupName",
    "RoleName",
    "NextMarker",
    "rename_all = \"PascalCase\"",
];

pub(super) fn check(path: &Path, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_test = is_test(path);
    let body = if is_test { text } else { without_tests(text) };
    if !is_test {
        findings.extend(too_long(path, body));
    }
    let code = code_of(body);
    for (number, line) in (1..).zip(code.lines()) {
        for word in WORDS {
            let lenient = is_test && word.in_tests;
            if !lenient && !is_below(path, word.allowed) && has_word(line, word.text) {
                let message = format!("`{}` here: {}", word.text, word.instead);
                findings.push(Finding::new(path, number, message));
            }
        }
    }
    if path.starts_with("crates") && !is_test && !is_below(path, SHAPES_ALLOWED) {
        findings.extend(shapes(path, body));
    }
    findings
}

fn is_test(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests")
        || path.file_name().is_some_and(|name| name == "tests.rs")
}

fn too_long(path: &Path, body: &str) -> Option<Finding> {
    let lines = body.lines().count();
    let is_table = body.lines().take(5).any(|line| line.contains(TABLE_MARK));
    (lines > LINES_MAX && !is_table).then(|| {
        let message = format!("{lines} lines, over {LINES_MAX}: which part knows its own room?");
        Finding::new(path, 0, message)
    })
}

/// Texts count here, comments do not: a shape's name usually stands in an attribute or a literal.
fn shapes(path: &Path, body: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(body.lines()) {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for word in SHAPE_WORDS.iter().filter(|word| line.contains(**word)) {
            let message = format!("`{word}` here: rule 1, wire shapes belong to services/");
            findings.push(Finding::new(path, number, message));
        }
    }
    findings
}

fn is_below(path: &Path, places: &[&str]) -> bool {
    let path = path.to_string_lossy();
    places.iter().any(|place| path.starts_with(place))
}

fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, found)| {
        let before = line.get(..at).unwrap_or_default();
        let after = line.get(at + found.len()..).unwrap_or_default();
        !before.ends_with(is_part) && !after.starts_with(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<usize> {
        check(Path::new(path), text)
            .iter()
            .map(|f| f.line)
            .collect()
    }

    #[test]
    fn clocks_and_spawns_are_found_outside_their_room() {
        let text = "fn f() {\n    let t = SystemTime::now();\n    tokio::spawn(x);\n}\n";
        assert_eq!(found("crates/store/src/lib.rs", text), [2, 3]);
        assert_eq!(found("crates/tasks/src/clock.rs", text), [0; 0]);
        assert_eq!(found("crates/store/tests/it/main.rs", text), [0; 0]);
    }

    #[test]
    fn the_environment_is_read_in_the_configuration_only() {
        let text =
            "let x = std::env::var(\"HOME\");\nlet y = env::var_os(\"HOME\");\nenv::vars_x();";
        assert_eq!(found("crates/server/src/main.rs", text), [1, 2]);
        assert_eq!(found("crates/server/src/config.rs", text), [0; 0]);
    }

    #[test]
    fn unsafe_is_found_even_in_tests_but_not_in_words_comments_or_texts() {
        assert_eq!(found("crates/store/tests/it/a.rs", "unsafe { x() }"), [1]);
        let text = "#![deny(unsafe_code)] // unsafe\nlet a = \"unsafe\";";
        assert_eq!(found("crates/store/src/lib.rs", text), [0; 0]);
        assert_eq!(found("crates/sandbox/src/sys.rs", "unsafe { x() }"), [0; 0]);
    }

    #[test]
    fn unfinished_code_is_found() {
        assert_eq!(found("services/iam/src/a.rs", "fn f() { todo!() }"), [1]);
        assert_eq!(
            found("services/iam/src/a.rs", "fn f() { unimplemented!(\"x\") }"),
            [1]
        );
    }

    #[test]
    fn wire_shapes_are_found_in_crates_but_not_in_services() {
        let text =
            "// QueueUrl\n#[serde(rename = \"QueueUrl\")]\n#[serde(rename_all = \"PascalCase\")]";
        assert_eq!(found("crates/invoke/src/a.rs", text), [2, 3]);
        assert_eq!(found("services/sqs/src/a.rs", text), [0; 0]);
        assert_eq!(found("crates/server/src/cli/deploy.rs", text), [0; 0]);
    }

    #[test]
    fn long_files_are_found_unless_they_are_tables_or_tests() {
        let long = "x\n".repeat(801);
        assert_eq!(found("crates/store/src/a.rs", &long), [0]);
        assert_eq!(found("crates/store/src/a.rs", &"x\n".repeat(800)).len(), 0);
        assert_eq!(found("crates/store/tests/it/a.rs", &long).len(), 0);
        let table = format!("// tidy: table\n{long}");
        assert_eq!(found("crates/store/src/a.rs", &table).len(), 0);
        let with_tests = format!("a\n#[cfg(test)]\nmod tests {{\n{long}}}");
        assert_eq!(found("crates/store/src/a.rs", &with_tests).len(), 0);
    }
}
