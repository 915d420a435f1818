//! Private memory of an idle Python environment against that of a bare interpreter with the same imports.

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::cold::{PYTHON_IMPORTS, modules_of};
use super::{Bench, Language};
use crate::kiln::{Function, Kiln, private, tree};
use crate::paired;
use crate::report::{Goal, Row};

/// Environments that one block adds.
const STEP: usize = 8;

/// How long everything is left alone before memory is read.
const IDLE: Duration = Duration::from_millis(1_500);

/// Sleeps, so that callers at once need environments of their own.
const HANDLER: &str = "import sys, time\n\
    def handler(event, context):\n    \
        time.sleep(event.get('seconds', 0))\n    \
        return sorted(sys.modules)\n";

/// A function that imports what the goal's unit imports, and one that imports nothing.
pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let Some(python) = Language::named("Python", bench)? else {
        let what = "private memory, idle Python";
        return Ok(vec![Row::empty("P11", what, "no Python here")]);
    };
    let what = "private memory, idle Python, json and http.client imported";
    let usual = row(bench, &python, PYTHON_IMPORTS, what)?
        .goal(Goal::AtMost(0.33))
        .stretch(Goal::AtMost(0.2));
    let what = "private memory, idle Python, nothing imported";
    Ok(vec![usual, row(bench, &python, "", what)?])
}

fn row(bench: &Bench, python: &Language, imports: &str, what: &str) -> Result<Row> {
    let kiln = bench.kiln()?;
    let source = format!("{imports}{HANDLER}");
    let files: [(&str, &[u8]); 1] = [("main.py", source.as_bytes())];
    let function = Function::new(&python.runtime, "main.handler", &files)?;
    kiln.deploy("idle", &function)?;
    // Its first environment is no fork: it has loaded what it needs and nothing else.
    let modules = modules_of(&kiln, "idle", python)?;
    call(&kiln, 2)?;
    let mut crowd = Crowd {
        kiln: &kiln,
        count: 2,
        bytes: settled(&kiln)?,
    };
    // Two of them, so that what interpreters share is not counted as private.
    let bare = [
        Bare::start(python, &modules)?,
        Bare::start(python, &modules)?,
    ];
    let pairs = paired::blocks(bench.some(3), || crowd.grow(), || Ok(bare_bytes(&bare)))?;
    let per_gib = f64::from(1 << 30) / pairs.subject;
    Ok(
        Row::new("P11", what, "bare interpreter, same imports", &pairs)
            .mebibytes(&pairs)
            .note(format!("{per_gib:.0} in a GiB")),
    )
}

struct Crowd<'a> {
    kiln: &'a Kiln,
    count: usize,
    bytes: u64,
}

impl Crowd<'_> {
    /// Adds environments and gives what one of them has added to server, helper and its own processes.
    fn grow(&mut self) -> Result<f64> {
        self.count += STEP;
        call(self.kiln, self.count)?;
        let bytes = settled(self.kiln)?;
        let grown = bytes.saturating_sub(self.bytes);
        self.bytes = bytes;
        Ok(grown as f64 / STEP as f64)
    }
}

/// So many calls at once, twice: the second ones find their environments.
fn call(kiln: &Kiln, count: usize) -> Result<()> {
    for seconds in [2, 1] {
        thread::scope(|scope| -> Result<()> {
            let callers: Vec<_> = (0..count)
                .map(|_| {
                    scope.spawn(move || -> Result<()> {
                        let event = format!("{{\"seconds\": {seconds}}}");
                        let request = kiln.invocation("idle", event.as_bytes())?;
                        kiln.client()?.succeed(&request).map(drop)
                    })
                })
                .collect();
            for caller in callers {
                caller
                    .join()
                    .unwrap_or_else(|_| Err(anyhow::anyhow!("a caller panicked")))?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn settled(kiln: &Kiln) -> Result<u64> {
    thread::sleep(IDLE);
    Ok(private(&tree(kiln.pid())?))
}

/// An interpreter that has imported and waits.
struct Bare(Child);

impl Bare {
    fn start(python: &Language, modules: &[String]) -> Result<Bare> {
        let program = format!(
            "import {}\nprint('ready', flush=True)\nimport sys; sys.stdin.read()",
            modules.join(", ")
        );
        let mut child = Command::new(&python.program)
            .args(["-c", &program])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.as_mut().context("no output")?;
        std::io::Read::read_exact(stdout, &mut [0; 5])?;
        Ok(Bare(child))
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // It is ours; a failure here means that it is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn bare_bytes(bare: &[Bare]) -> f64 {
    let pids: Vec<u32> = bare.iter().map(|bare| bare.0.id()).collect();
    private(&pids) as f64 / pids.len() as f64
}
