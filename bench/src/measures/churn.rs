//! Environments made and destroyed each second on all cores, against starting a program as often as the
//! machine can.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::Bench;
use crate::client::Client;
use crate::kiln::Kiln;
use crate::paired;
use crate::report::{Goal, Row};

/// Callers at once: one more than there are cores would make them wait for each other.
fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Functions that take turns. The host is full after a few environments, so each call makes one and
/// destroys another.
const FUNCTIONS: usize = 32;

/// Length of a block.
const BLOCK: Duration = Duration::from_secs(2);

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let callers = cores() * 2;
    let kiln = bench
        .setup()
        .with("KILN_ENVIRONMENTS_MAX", callers)
        .start()?;
    let native = bench.native()?;
    for at in 0..FUNCTIONS {
        kiln.deploy(&format!("churn-{at}"), &native)?;
    }
    let turn = AtomicUsize::new(0);
    made(&kiln, &turn, callers, BLOCK / 4)?;
    let pairs = paired::blocks(
        bench.some(4),
        || made(&kiln, &turn, callers, BLOCK),
        || started(bench),
    )?;
    Ok(vec![
        Row::new(
            "P10",
            "environments made and destroyed",
            "fork and exec, per core",
            &pairs,
        )
        .rates(&pairs)
        .goal(Goal::AtLeast(0.18))
        .stretch(Goal::AtLeast(0.25)),
    ])
}

/// Cold calls answered each second and core. Calls that found a warm environment do not count.
fn made(kiln: &Kiln, turn: &AtomicUsize, callers: usize, length: Duration) -> Result<f64> {
    let begun = Instant::now();
    let until = begun + length;
    let counts: Vec<Result<u64>> = thread::scope(|scope| {
        let callers: Vec<_> = (0..callers)
            .map(|_| {
                scope.spawn(move || -> Result<u64> {
                    let mut client = kiln.client()?;
                    let mut count = 0;
                    while Instant::now() < until {
                        count += u64::from(is_cold(kiln, &mut client, turn)?);
                    }
                    Ok(count)
                })
            })
            .collect();
        callers
            .into_iter()
            .map(|caller| {
                caller
                    .join()
                    .unwrap_or_else(|_| Err(anyhow::anyhow!("a caller panicked")))
            })
            .collect()
    });
    let count: u64 = counts.into_iter().sum::<Result<u64>>()?;
    Ok(count as f64 / begun.elapsed().as_secs_f64() / cores() as f64)
}

/// Calls the next function; the example counts the calls of its environment.
fn is_cold(kiln: &Kiln, client: &mut Client, turn: &AtomicUsize) -> Result<bool> {
    let at = turn.fetch_add(1, Ordering::Relaxed) % FUNCTIONS;
    let request = kiln.invocation(&format!("churn-{at}"), b"{\"name\":\"x\"}")?;
    let answer = client.succeed(&request)?;
    let said: serde_json::Value = serde_json::from_slice(&answer.body)?;
    Ok(said.get("calls").and_then(serde_json::Value::as_u64) == Some(1))
}

/// Programs started and reaped each second and core, one starter for each core.
fn started(bench: &Bench) -> Result<f64> {
    let begun = Instant::now();
    let until = begun + BLOCK;
    let counts: Vec<Result<u64>> = thread::scope(|scope| {
        let starters: Vec<_> = (0..cores())
            .map(|_| {
                scope.spawn(move || -> Result<u64> {
                    let mut count = 0;
                    while Instant::now() < until {
                        bench.hello.run()?;
                        count += 1;
                    }
                    Ok(count)
                })
            })
            .collect();
        starters
            .into_iter()
            .map(|starter| {
                starter
                    .join()
                    .unwrap_or_else(|_| Err(anyhow::anyhow!("a starter panicked")))
            })
            .collect()
    });
    let count: u64 = counts.into_iter().sum::<Result<u64>>()?;
    Ok(count as f64 / begun.elapsed().as_secs_f64() / cores() as f64)
}
