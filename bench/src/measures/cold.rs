//! Cold calls with nothing pooled: what the caller waits longer than for a warm call.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{Bench, Language};
use crate::client::Client;
use crate::controls::process::Interpreter;
use crate::kiln::{Function, Kiln};
use crate::paired::{self, Plan};
use crate::report::{Goal, Row};

/// Warm calls whose fastest is taken off a cold one.
const WARM: usize = 3;

/// Time for the old environment to be gone before the next one is asked for.
const PAUSE: Duration = Duration::from_millis(60);

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let kiln = bench.kiln()?;
    let plan = Plan {
        rounds: bench.some(12),
        block: 3,
    };
    let mut native = Colds::deploy(&kiln, "native", &bench.native()?)?;
    let pairs = paired::durations(plan, || native.once(), || bench.hello.run())?;
    let mut rows = vec![
        Row::new(
            "P4",
            "cold start, native",
            "start of a static program",
            &pairs,
        )
        .millis(&pairs)
        .aim(Goal::AtMost(6.0)),
    ];
    for language in Language::all(&bench.binary)? {
        rows.push(interpreted(&kiln, &language, plan)?);
    }
    Ok(rows)
}

/// The control imports what the runtime and the handler have imported, and ends.
fn interpreted(kiln: &Kiln, language: &Language, plan: Plan) -> Result<Row> {
    let name = language.name.to_lowercase().replace('.', "");
    let mut colds = Colds::deploy(kiln, &name, &language.function()?)?;
    let modules = modules_of(kiln, &mut colds, language)?;
    let bare = Interpreter {
        program: language.program.clone(),
        arguments: language.imports(&modules),
    };
    bare.run()?;
    let pairs = paired::durations(plan, || colds.once(), || bare.run())?;
    let what = format!("cold start, {}", language.runtime);
    let row = Row::new("P6", &what, "bare interpreter, same imports", &pairs).millis(&pairs);
    Ok(match language.name {
        "Python" => row.goal(Goal::AtMost(1.5)),
        _ => row.aim(Goal::AtMost(1.4)),
    })
}

/// Modules that the running function has loaded and that a bare interpreter can import.
fn modules_of(kiln: &Kiln, colds: &mut Colds, language: &Language) -> Result<Vec<String>> {
    let request = kiln.invocation(&colds.name, b"{\"modules\": true}")?;
    let answer = colds.client.succeed(&request)?;
    let loaded: Vec<String> =
        serde_json::from_slice(&answer.body).context("the function names no modules")?;
    Ok(loaded
        .into_iter()
        .filter(|module| {
            Interpreter {
                program: language.program.clone(),
                arguments: language.imports(std::slice::from_ref(module)),
            }
            .run()
            .is_ok()
        })
        .collect())
}

/// One function whose environments are made obsolete again and again.
struct Colds<'a> {
    kiln: &'a Kiln,
    client: Client,
    name: String,
    round: u64,
}

impl Colds<'_> {
    fn deploy<'a>(kiln: &'a Kiln, name: &str, function: &Function) -> Result<Colds<'a>> {
        kiln.deploy(name, function)?;
        Ok(Colds {
            kiln,
            client: kiln.client()?,
            name: name.to_owned(),
            round: 0,
        })
    }

    /// The wait for a cold call less that for a warm one.
    fn once(&mut self) -> Result<Duration> {
        self.round += 1;
        self.kiln
            .make_cold(&mut self.client, &self.name, self.round)?;
        std::thread::sleep(PAUSE);
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
