//! Many calls at once: calls for each second of CPU time, all processes counted, against a bare echo.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Bench, payload};
use crate::client::Client;
use crate::controls::echo::{self, Echo};
use crate::kiln::{cpu_of, tree};
use crate::paired;
use crate::report::{Goal, Row};

/// Connections, each with one call under way.
const CONNECTIONS: usize = 8;

/// Length of a block. CPU time is told in steps of 10 ms, so it is not short.
const BLOCK: Duration = Duration::from_secs(1);

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let kiln = bench.kiln()?;
    kiln.deploy("native", &bench.native()?)?;
    let server = Echo::start()?;
    let ask = echo::request(server.address, &payload());
    let invoke = kiln.invocation("native", &payload())?;
    drive(kiln.address, &invoke)?;
    drive(server.address, &ask)?;
    let rounds = bench.some(6);

    let per_core = paired::blocks(
        rounds,
        || {
            let pids = tree(kiln.pid())?;
            let before = cpu_of(&pids);
            let calls = drive(kiln.address, &invoke)?;
            Ok(calls / (cpu_of(&pids) - before).as_secs_f64())
        },
        || {
            let before = cpu_of(&[server.pid()]);
            let calls = drive(server.address, &ask)?;
            Ok(calls / (cpu_of(&[server.pid()]) - before).as_secs_f64())
        },
    )?;
    Ok(vec![
        Row::new(
            "P3",
            "calls per second of CPU, native",
            "bare HTTP echo",
            &per_core,
        )
        .rates(&per_core)
        .goal(Goal::AtLeast(0.35))
        .stretch(Goal::AtLeast(0.45)),
    ])
}

/// Calls answered in one block by all connections.
fn drive(address: std::net::SocketAddr, request: &[u8]) -> Result<f64> {
    let until = Instant::now() + BLOCK;
    let counts: Vec<Result<u64>> = thread::scope(|scope| {
        let drivers: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                scope.spawn(move || -> Result<u64> {
                    let mut client = Client::connect(address)?;
                    let mut calls = 0;
                    while Instant::now() < until {
                        client.succeed(request)?;
                        calls += 1;
                    }
                    Ok(calls)
                })
            })
            .collect();
        drivers
            .into_iter()
            .map(|driver| {
                driver
                    .join()
                    .unwrap_or_else(|_| Err(anyhow::anyhow!("a driver panicked")))
            })
            .collect()
    });
    let total: u64 = counts.into_iter().sum::<Result<u64>>()?;
    Ok(total as f64)
}
