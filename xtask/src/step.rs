//! Named steps with durations, colours and a closing line.

use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::counts::{self, Counts};

/// Output that is kept for counting tests. What lies beyond is printed and not kept.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// What a step has to say when it ended well.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// Zero for steps that run no tests.
    pub(crate) counts: Counts,
    /// A remark for the summary, such as what could not be checked.
    pub(crate) note: Option<String>,
}

impl Done {
    pub(crate) fn counted(counts: Counts) -> Done {
        Done { counts, note: None }
    }

    pub(crate) fn noted(note: impl Into<String>) -> Done {
        Done {
            counts: Counts::default(),
            note: Some(note.into()),
        }
    }
}

/// A step failed: after what was counted, with a reason.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) counts: Counts,
    pub(crate) reason: String,
}

impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Failed {
        Failed {
            counts: Counts::default(),
            reason: format!("{error:#}"),
        }
    }
}

pub(crate) type Outcome = Result<Done, Failed>;

/// Runs steps one after the other and remembers how they ended.
pub(crate) struct Steps {
    colour: bool,
    rows: Vec<Row>,
    total: Counts,
    started: Instant,
}

struct Row {
    name: String,
    took: Duration,
    /// `Err` holds the reason.
    end: Result<Option<String>, String>,
    counts: Counts,
}

impl Steps {
    pub(crate) fn new() -> Steps {
        Steps {
            colour: std::io::stdout().is_terminal(),
            rows: Vec::new(),
            total: Counts::default(),
            started: Instant::now(),
        }
    }

    /// Runs one step. Returns whether it passed, for steps that need it.
    pub(crate) fn run(&mut self, name: &str, work: impl FnOnce() -> Outcome) -> bool {
        println!("{}", self.paint(BOLD, &format!("==> {name}")));
        let started = Instant::now();
        let outcome = work();
        let took = started.elapsed();
        let (end, counts) = match outcome {
            Ok(done) => (Ok(done.note), done.counts),
            Err(failed) => {
                let mut counts = failed.counts;
                // A step that fails without a failed test is one failure of its own.
                counts.failed = counts.failed.max(1);
                (Err(failed.reason), counts)
            }
        };
        let row = Row {
            name: name.to_owned(),
            took,
            end,
            counts,
        };
        println!("{}", self.line(&row));
        let passed = row.end.is_ok();
        self.total.add(counts);
        self.rows.push(row);
        passed
    }

    /// Records a step that could not run because an earlier one failed.
    pub(crate) fn skip(&mut self, name: &str, because: &str) {
        let because = because.to_owned();
        self.run(name, || {
            Err(Failed {
                counts: Counts::default(),
                reason: format!("not run: {because}"),
            })
        });
    }

    /// Prints the summary and the closing line; true if every step passed.
    pub(crate) fn conclude(self) -> bool {
        println!();
        for row in &self.rows {
            println!("{}", self.line(row));
        }
        println!("    total {}\n", seconds(self.started.elapsed()));
        println!("{}", closing_line(self.total));
        self.rows.iter().all(|row| row.end.is_ok())
    }

    fn line(&self, row: &Row) -> String {
        let mut text = match &row.end {
            Ok(_) => self.paint(GREEN, "  ok   "),
            Err(_) => self.paint(RED, "  FAIL "),
        };
        text.push_str(&format!("{:<18} {:>8}", row.name, seconds(row.took)));
        if row.counts != Counts::default() && row.counts.passed + row.counts.skipped > 0 {
            text.push_str(&format!("  {}", row.counts));
        }
        match &row.end {
            Ok(Some(note)) => text.push_str(&format!("  {note}")),
            Ok(None) => {}
            Err(reason) => text.push_str(&format!("  {reason}")),
        }
        text
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colour {
            format!("\u{1b}[{colour}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

const BOLD: &str = "1";
const GREEN: &str = "32";
const RED: &str = "31";

/// Always of this shape, without colours: scripts read it.
fn closing_line(total: Counts) -> String {
    format!("{} passed, {} failed", total.passed, total.failed)
}

fn seconds(took: Duration) -> String {
    let whole = took.as_secs();
    if whole >= 60 {
        format!("{}m{:02}s", whole / 60, whole % 60)
    } else {
        format!("{:.1}s", took.as_secs_f64())
    }
}

/// The cargo that started us, at the root of the repository.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    // Set by `cargo run` for this program; the child would take them for its own.
    for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
        command.env_remove(name);
    }
    if std::io::stdout().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    command
}

/// Runs a command, shows its output as it comes, and fails if it fails.
pub(crate) fn passes(command: Command) -> Outcome {
    let (success, output) = shown(command)?;
    let counts = counts::of(&output);
    if success && counts.failed == 0 {
        Ok(Done::counted(counts))
    } else {
        Err(Failed {
            counts,
            reason: "see above".to_owned(),
        })
    }
}

/// As [`passes`], for a command that runs tests: none at all is a failure too.
pub(crate) fn passes_tests(command: Command) -> Outcome {
    let done = passes(command)?;
    if done.counts.passed == 0 {
        return Err(anyhow::anyhow!("no test ran").into());
    }
    Ok(done)
}

/// Runs a command, shows its output as it comes and returns it, stdout and stderr mixed.
fn shown(mut command: Command) -> Result<(bool, String)> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    let kept = Arc::new(Mutex::new(String::new()));
    let readers = [
        child.stdout.take().map(|s| tee(s, Arc::clone(&kept))),
        child.stderr.take().map(|s| tee(s, Arc::clone(&kept))),
    ];
    let status = child.wait().with_context(|| format!("lost {name}"))?;
    for reader in readers.into_iter().flatten() {
        if reader.join().is_err() {
            bail!("the output of {name} could not be read");
        }
    }
    let kept = kept
        .lock()
        .map_or_else(|broken| broken.into_inner().clone(), |kept| kept.clone());
    Ok((status.success(), kept))
}

fn tee(stream: impl Read + Send + 'static, kept: Arc<Mutex<String>>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut lines = BufReader::new(stream);
        let mut line = Vec::new();
        while matches!(lines.read_until(b'\n', &mut line), Ok(n) if n > 0) {
            let mut out = std::io::stdout().lock();
            // A closed terminal must not end the run; the exit code still tells.
            let _ = out.write_all(&line).and_then(|()| out.flush());
            drop(out);
            if let Ok(mut kept) = kept.lock()
                && kept.len() + line.len() <= KEPT_BYTES_MAX
            {
                kept.push_str(&String::from_utf8_lossy(&line));
            }
            line.clear();
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_is_plain_and_complete() {
        let total = Counts {
            passed: 412,
            failed: 0,
            skipped: 3,
        };
        assert_eq!(closing_line(total), "412 passed, 0 failed");
    }

    #[test]
    fn a_failing_step_without_a_failed_test_counts_as_one_failure() {
        let mut steps = Steps::new();
        assert!(steps.run("good", || Ok(Done::counted(counts::of("3 passed in 0.1s")))));
        assert!(!steps.run("bad", || Err(anyhow::anyhow!("broken").into())));
        steps.skip("later", "bad failed");
        assert_eq!(steps.total.passed, 3);
        assert_eq!(steps.total.failed, 2);
        assert!(!steps.conclude());
    }

    #[test]
    fn output_is_kept_and_the_exit_code_seen() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 3"]);
        let (success, output) = shown(command).unwrap();
        assert!(!success);
        assert!(output.contains("out\n") && output.contains("err\n"));
    }

    #[test]
    fn a_test_command_that_runs_no_test_fails() {
        assert!(passes_tests(Command::new("true")).is_err());
    }
}
