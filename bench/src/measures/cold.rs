//! Cold calls, with nothing kept ready and with what is kept ready by default: what the caller waits longer than for a warm call.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{Bench, Language, Ready};
use crate::client::Client;
use crate::kiln::{Function, Kiln};
use crate::paired::{self, Plan};
use crate::report::{Goal, Row};

/// Warm calls whose fastest is taken off a cold one.
const WARM: usize = 3;

/// Time for the old environment to be gone and for a sandbox that was used up to be ready again.
const PAUSE: Duration = Duration::from_millis(100);

/// The same for a runtime, which starts an interpreter.
const RUNTIME_PAUSE: Duration = Duration::from_millis(300);

/// What the goal's unit imports.
pub(super) const PYTHON_IMPORTS: &str = "import json, http.client\n";

/// Starts of a native function.
pub(crate) fn native(bench: &Bench) -> Result<Vec<Row>> {
    let plan = Plan {
        rounds: bench.some(12),
        block: 3,
    };
    let what = "cold start, native, nothing pooled";
    let bare = program(bench, &bench.bare_kiln()?, plan, "P4", what)?
        .goal(Goal::AtMost(6.0))
        .stretch(Goal::AtMost(4.5));
    let what = "cold start, native, sandbox from the pool";
    let pooled = if bench.has(Ready::Sandboxes) {
        program(bench, &bench.kiln()?, plan, "P5", what)?
            .goal(Goal::AtMost(2.5))
            .stretch(Goal::AtMost(1.6))
    } else {
        Row::empty("P5", what, "not built")
    };
    Ok(vec![bare, pooled])
}

fn program(bench: &Bench, kiln: &Kiln, plan: Plan, id: &str, what: &str) -> Result<Row> {
    let mut native = Colds::deploy(kiln, "native", &bench.native()?)?;
    let pairs = paired::durations(plan, || native.once(), || bench.hello.run())?;
    Ok(Row::new(id, what, "start of a static program", &pairs).millis(&pairs))
}

/// How much to measure where each start is one of an interpreter.
fn interpreters(bench: &Bench) -> Plan {
    Plan {
        rounds: bench.some(6),
        block: 3,
    }
}

/// With an interpreter that is kept ready, and without anything that is. The goal's unit is an interpreter that
/// imports `json` and `http.client`: so the function imports them too. Beside it a function that imports nothing.
pub(crate) fn python(bench: &Bench) -> Result<Vec<Row>> {
    let Some(language) = &Language::named("Python", bench)? else {
        return Ok(vec![Row::empty(
            "P6",
            "cold start, Python",
            "no Python here",
        )]);
    };
    let (bare, ready) = (&bench.bare_kiln()?, &bench.kiln()?);
    let plan = interpreters(bench);
    let row = |kiln: &Kiln, name: &str, function: &Function, how: &str| -> Result<Row> {
        let mut colds = Colds::deploy(kiln, name, function)?.pausing(RUNTIME_PAUSE);
        let modules = modules_of(kiln, name, language)?;
        let interpreter = language.interpreter(&modules);
        interpreter.run()?;
        let pairs = paired::durations(plan, || colds.once(), || interpreter.run())?;
        let what = format!("cold start, {}, {how}", language.runtime);
        let against = "bare interpreter, same imports";
        Ok(Row::new("P6", &what, against, &pairs).millis(&pairs))
    };
    let (usual, small) = (language.importing(PYTHON_IMPORTS)?, language.function()?);
    let how = "json and http.client imported, with what is kept ready";
    let mut rows = Vec::new();
    if bench.has(Ready::Runtimes) {
        let kept = row(ready, "python", &usual, how)?
            .goal(Goal::AtMost(0.20))
            .stretch(Goal::AtMost(0.08));
        rows.push(kept);
        let how = "nothing imported, with what is kept ready";
        rows.push(row(ready, "python-small", &small, how)?);
    } else {
        let what = format!("cold start, {}, {how}", language.runtime);
        rows.push(Row::empty("P6", &what, "not built"));
    }
    let how = "json and http.client imported, nothing pooled";
    rows.push(row(bare, "python", &usual, how)?);
    let how = "nothing imported, nothing pooled";
    rows.push(row(bare, "python-small", &small, how)?);
    Ok(rows)
}

/// With a process that waits for its function, and without anything that is kept ready. The control is the
/// start of the interpreter alone.
pub(crate) fn node(bench: &Bench) -> Result<Vec<Row>> {
    let Some(language) = &Language::named("Node.js", bench)? else {
        return Ok(vec![Row::empty(
            "P7",
            "cold start, Node.js",
            "no Node.js here",
        )]);
    };
    let (bare, ready) = (&bench.bare_kiln()?, &bench.kiln()?);
    let plan = interpreters(bench);
    let interpreter = language.interpreter(&[]);
    let row = |kiln: &Kiln, how: &str| -> Result<Row> {
        let colds = Colds::deploy(kiln, "node", &language.function()?)?;
        let mut colds = colds.pausing(RUNTIME_PAUSE);
        let pairs = paired::durations(plan, || colds.once(), || interpreter.run())?;
        let what = format!("cold start, {}, {how}", language.runtime);
        Ok(Row::new("P7", &what, "bare interpreter", &pairs).millis(&pairs))
    };
    let how = "with what is kept ready";
    let waited = if bench.has(Ready::Runtimes) {
        row(ready, how)?
            .goal(Goal::AtMost(0.25))
            .stretch(Goal::AtMost(0.12))
    } else {
        let what = format!("cold start, {}, {how}", language.runtime);
        Row::empty("P7", &what, "not built")
    };
    let empty = row(bare, "nothing pooled")?.goal(Goal::AtMost(1.4));
    Ok(vec![waited, empty])
}

/// Modules that the running function has loaded and that a bare interpreter can import.
pub(super) fn modules_of(kiln: &Kiln, name: &str, language: &Language) -> Result<Vec<String>> {
    let request = kiln.invocation(name, b"{\"modules\": true}")?;
    let answer = kiln.client()?.succeed(&request)?;
    let loaded: Vec<String> =
        serde_json::from_slice(&answer.body).context("the function names no modules")?;
    Ok(loaded
        .into_iter()
        .filter(|module| {
            let alone = language.interpreter(std::slice::from_ref(module));
            alone.run().is_ok()
        })
        .collect())
}

/// One function whose environments are made obsolete again and again.
pub(super) struct Colds<'a> {
    kiln: &'a Kiln,
    client: Client,
    name: String,
    round: u64,
    pause: Duration,
}

impl Colds<'_> {
    pub(super) fn deploy<'a>(kiln: &'a Kiln, name: &str, function: &Function) -> Result<Colds<'a>> {
        kiln.deploy(name, function)?;
        Colds::of(kiln, name)
    }

    /// A function that is there already.
    pub(super) fn of<'a>(kiln: &'a Kiln, name: &str) -> Result<Colds<'a>> {
        Ok(Colds {
            kiln,
            client: kiln.client()?,
            name: name.to_owned(),
            round: 0,
            pause: PAUSE,
        })
    }

    /// Leaves more time between two cold calls.
    fn pausing(self, pause: Duration) -> Self {
        Colds { pause, ..self }
    }

    /// The wait for a cold call less that for a warm one.
    pub(super) fn once(&mut self) -> Result<Duration> {
        self.round += 1;
        self.kiln
            .make_cold(&mut self.client, &self.name, self.round)?;
        std::thread::sleep(self.pause);
        let request = self.kiln.invocation(&self.name, b"{\"name\": \"you\"}")?;
        let cold = self.timed(&request)?;
        let mut warm = Duration::MAX;
        for _ in 0..WARM {
            warm = warm.min(self.timed(&request)?);
        }
        Ok(cold.saturating_sub(warm))
    }

    fn timed(&mut self, request: &[u8]) -> Result<Duration> {
        let started = Instant::now();
        self.client.succeed(request)?;
        Ok(started.elapsed())
    }
}
