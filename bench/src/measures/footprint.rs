//! Start to first answer with an empty store, and memory when nothing happens.

use std::time::Duration;

use anyhow::Result;

use super::Bench;
use crate::kiln::{shared_out, tree};
use crate::paired::{self, Plan};
use crate::report::{Goal, Row};

/// How long the server is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(2);

const MIB: f64 = 1024.0 * 1024.0;

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let plan = Plan {
        rounds: bench.some(8),
        block: 2,
    };
    let start = paired::durations(plan, || Ok(bench.kiln()?.started_in), || bench.hello.run())?;
    let kiln = bench.kiln()?;
    std::thread::sleep(IDLE);
    let pids = tree(kiln.pid())?;
    let idle = shared_out(&pids) as f64 / MIB;
    let processes = pids.len();
    Ok(vec![
        Row::new(
            "P12",
            "start to first answer",
            "start of a static program",
            &start,
        )
        .millis(&start)
        .goal(Goal::AtMost(25.0))
        .stretch(Goal::AtMost(12.0)),
        Row::absolute("P13", "idle memory", idle, "MiB")
            .goal(Goal::AtMost(20.0))
            .note(format!("{processes} processes, shared pages counted once")),
    ])
}
