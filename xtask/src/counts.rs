//! How many tests ran, read from what the test runners print.

use std::fmt;

/// Tests that passed, failed and were left out.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Counts) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed", self.passed)?;
        if self.failed > 0 {
            write!(f, ", {} failed", self.failed)?;
        }
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

/// Sums the summary lines of every runner that we use: libtest, nextest, pytest, unittest, the test
/// runner of Node.js and that of the bootstraps. Other lines count nothing.
pub(crate) fn of(output: &str) -> Counts {
    let mut total = Counts::default();
    // unittest prints its total and its failures on two lines.
    let mut unittest_ran = None;
    for line in output.lines() {
        let line = without_colours(line);
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("test result: ") {
            total.add(words(rest));
        } else if line.starts_with("Summary [") {
            total.add(words(line));
        } else if is_pytest_summary(line) || is_plain_summary(line) {
            total.add(words(line.trim_matches('=')));
        } else if let Some(counts) = node(line) {
            total.add(counts);
        } else if let Some(ran) = unittest_total(line) {
            unittest_ran = Some(ran);
        } else if let Some(ran) = unittest_ran
            && (line.starts_with("OK") || line.starts_with("FAILED ("))
        {
            total.add(unittest(ran, line));
            unittest_ran = None;
        }
    }
    total
}

/// `3 passed; 1 failed; 2 ignored` and its cousins: a number, then what it counts.
fn words(text: &str) -> Counts {
    let mut counts = Counts::default();
    let mut number = None;
    for word in text.split(|c: char| !c.is_alphanumeric()) {
        if word.is_empty() {
            continue;
        }
        if let Ok(n) = word.parse::<u64>() {
            number = Some(n);
            continue;
        }
        let Some(n) = number.take() else { continue };
        match word {
            "passed" | "xpassed" => counts.passed += n,
            "failed" | "error" | "errors" | "timed" => counts.failed += n,
            "skipped" | "ignored" | "xfailed" => counts.skipped += n,
            _ => {}
        }
    }
    counts
}

/// `===== 12 passed, 1 skipped in 3.21s =====`, also without the bars.
fn is_pytest_summary(line: &str) -> bool {
    let text = line.trim_matches('=').trim();
    let starts_with_number = text.starts_with(|c: char| c.is_ascii_digit());
    let timed = text.rsplit_once(" in ").is_some_and(|(_, time)| {
        time.starts_with(|c: char| c.is_ascii_digit()) && time.contains('s')
    });
    starts_with_number && timed && !text.contains("tests in ")
}

/// `12 passed, 0 failed, 3 interpreters`: our own runners of bootstraps and of torture.
fn is_plain_summary(line: &str) -> bool {
    let mut words = line.split(' ');
    let number = words.next().is_some_and(|word| word.parse::<u64>().is_ok());
    number && words.next() == Some("passed,") && matches!(words.nth(1), Some("failed," | "failed"))
}

/// `# pass 12` of the TAP reporter, `ℹ pass 12` of the spec reporter.
fn node(line: &str) -> Option<Counts> {
    let rest = line
        .strip_prefix("# ")
        .or_else(|| line.strip_prefix("ℹ "))?;
    let (what, number) = rest.split_once(' ')?;
    let n = number.parse().ok()?;
    let mut counts = Counts::default();
    match what {
        "pass" => counts.passed = n,
        "fail" | "cancelled" => counts.failed = n,
        "skipped" | "todo" => counts.skipped = n,
        _ => return None,
    }
    Some(counts)
}

/// `Ran 12 tests in 0.034s`
fn unittest_total(line: &str) -> Option<u64> {
    let (number, rest) = line.strip_prefix("Ran ")?.split_once(' ')?;
    rest.starts_with("test").then(|| number.parse().ok())?
}

/// `FAILED (failures=1, errors=2, skipped=3)` or `OK (skipped=3)`
fn unittest(ran: u64, line: &str) -> Counts {
    let of = |name: &str| -> u64 {
        line.split(['(', ',', ')', ' '])
            .filter_map(|part| part.split_once('='))
            .filter(|(key, _)| *key == name)
            .filter_map(|(_, value)| value.parse::<u64>().ok())
            .sum()
    };
    let failed = of("failures") + of("errors");
    let skipped = of("skipped");
    Counts {
        passed: ran.saturating_sub(failed + skipped),
        failed,
        skipped,
    }
}

fn without_colours(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        out.push_str(before);
        rest = after.split_once('m').map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_lines_of_every_runner_are_counted() {
        let table = [
            (
                "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s",
                (12, 0, 1),
            ),
            (
                "test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 7 filtered out; finished in 0.02s",
                (2, 3, 0),
            ),
            (
                "     Summary [   1.234s] 123 tests run: 120 passed (2 slow), 2 failed, 1 timed out, 4 skipped",
                (120, 3, 4),
            ),
            (
                "======= 3 failed, 40 passed, 2 skipped, 1 error in 12.30s =======",
                (40, 4, 2),
            ),
            ("40 passed in 61.10s (0:01:01)", (40, 0, 0)),
            (
                "\u{1b}[32m\u{1b}[1m7 passed\u{1b}[0m\u{1b}[32m in 0.10s\u{1b}[0m",
                (7, 0, 0),
            ),
            ("12 passed, 1 failed, 3 interpreters", (12, 1, 0)),
            ("11 passed, 0 failed", (11, 0, 0)),
            ("# pass 9", (9, 0, 0)),
            ("ℹ fail 2", (0, 2, 0)),
            ("Ran 5 tests in 0.010s\n\nOK (skipped=1)", (4, 0, 1)),
            (
                "Ran 5 tests in 0.010s\n\nFAILED (failures=1, errors=1)",
                (3, 2, 0),
            ),
            (
                "running 12 tests\n3 things in a row\nOK\n# duration_ms 12.3",
                (0, 0, 0),
            ),
        ];
        for (output, (passed, failed, skipped)) in table {
            let expected = Counts {
                passed,
                failed,
                skipped,
            };
            assert_eq!(of(output), expected, "{output}");
        }
    }

    #[test]
    fn several_summaries_add_up() {
        let output = "test result: ok. 1 passed; 0 failed; 0 ignored\nx\ntest result: ok. 2 passed; 0 failed; 0 ignored\n";
        assert_eq!(of(output).passed, 3);
    }
}
