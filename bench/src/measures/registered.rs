//! What registered functions cost: the start with ten thousand of them, and memory with a hundred thousand.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::Bench;
use crate::kiln::{Function, Kiln, resident, tree};
use crate::paired::{self, Plan};
use crate::report::{Goal, Row};

/// Functions of the start.
const SOME: usize = 10_000;

/// Functions of the memory.
pub(super) const MANY: usize = 100_000;

/// Clients that register at once.
const CLIENTS: usize = 32;

/// How long the server is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(2);

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let kiln = bench.kiln()?;
    register(&kiln, 0..SOME)?;
    let data = kiln.stop()?;
    let plan = Plan {
        rounds: bench.some(6),
        block: 2,
    };
    let start = paired::durations(
        plan,
        || Ok(bench.setup().on(&data).start()?.started_in),
        || Ok(bench.kiln()?.started_in),
    )?;
    let mut rows = vec![
        Row::new(
            "P12",
            "start to first answer, 10,000 functions",
            "with an empty store",
            &start,
        )
        .millis(&start)
        .goal(Goal::AtMost(5.0)),
    ];
    let empty = memory(&bench.kiln()?)?;
    let kiln = bench.setup().on(&data).start()?;
    register(&kiln, SOME..MANY)?;
    known(&kiln)?;
    rows.push(per_function("live", memory(&kiln)?, empty));
    let data = kiln.stop()?;
    let kiln = bench.setup().on(&data).start()?;
    known(&kiln)?;
    rows.push(per_function("after a start", memory(&kiln)?, empty));
    Ok(rows)
}

/// Fails unless the server knows the first and the last function.
fn known(kiln: &Kiln) -> Result<()> {
    for number in [0, MANY - 1] {
        let path = format!("/2015-03-31/functions/registered-{number}/configuration");
        kiln.client()?.succeed(&kiln.request("GET", &path, b"")?)?;
    }
    Ok(())
}

fn per_function(when: &str, bytes: u64, empty: u64) -> Row {
    let each = bytes.saturating_sub(empty) as f64 / MANY as f64;
    let what = format!("resident memory per function, 100,000 of them, {when}");
    Row::absolute("P13", &what, each / 1024.0, "KiB").goal(Goal::AtMost(2.0))
}

fn memory(kiln: &Kiln) -> Result<u64> {
    thread::sleep(IDLE);
    Ok(resident(&tree(kiln.pid())?))
}

/// Registers functions with the same small code, from many clients at once.
pub(super) fn register(kiln: &Kiln, numbers: std::ops::Range<usize>) -> Result<()> {
    let files: [(&str, &[u8]); 1] = [("bootstrap", b"#!/bin/sh\n")];
    let function = &Function::new("provided.al2023", "bootstrap", &files)?;
    let end = numbers.end;
    thread::scope(|scope| -> Result<()> {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|at| {
                let from = numbers.start + at;
                scope.spawn(move || -> Result<()> {
                    let mut client = kiln.client()?;
                    for number in (from..end).step_by(CLIENTS) {
                        let name = format!("registered-{number}");
                        client.succeed(&kiln.creation(&name, function)?)?;
                    }
                    Ok(())
                })
            })
            .collect();
        for client in clients {
            client
                .join()
                .unwrap_or_else(|_| Err(anyhow::anyhow!("a client panicked")))?;
        }
        Ok(())
    })
}
