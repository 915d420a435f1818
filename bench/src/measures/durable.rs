//! Durable creates each second, from one client and from many, against lone synced appends.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::Result;

use super::Bench;
use crate::controls::sync::Appender;
use crate::kiln::{Function, Kiln};
use crate::paired;
use crate::report::{Goal, Row};

/// Clients at once in the second comparison.
const MANY: usize = 64;

/// Creates of one client in a block.
const EACH: usize = 24;

/// Appends of a control's block, and creates of the lone client's.
const ALONE: usize = 40;

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let kiln = bench.kiln()?;
    let function = Function::new(
        "provided.al2023",
        "bootstrap",
        &[("bootstrap", b"#!/bin/sh\n")],
    )?;
    // The code is known from here on: what follows writes records only.
    kiln.deploy("first", &function)?;
    let creates = Creates {
        kiln: &kiln,
        function: &function,
        made: AtomicU64::new(0),
    };
    let mut appender = Appender::new(kiln.folder())?;
    let rounds = bench.some(8);
    let one = paired::blocks(
        rounds,
        || creates.rate(1, ALONE),
        || append_rate(&mut appender),
    )?;
    let many = paired::blocks(
        rounds,
        || creates.rate(MANY, EACH),
        || append_rate(&mut appender),
    )?;
    Ok(vec![
        Row::new("P14", "durable creates, 1 client", "lone fdatasync", &one)
            .rates(&one)
            .goal(Goal::AtLeast(0.6)),
        Row::new(
            "P14",
            "durable creates, 64 clients",
            "lone fdatasync",
            &many,
        )
        .rates(&many)
        .goal(Goal::AtLeast(12.0))
        .stretch(Goal::AtLeast(25.0)),
    ])
}

struct Creates<'a> {
    kiln: &'a Kiln,
    function: &'a Function,
    made: AtomicU64,
}

impl Creates<'_> {
    /// Creates answered each second. Before the clock runs, requests are signed, connections open and
    /// threads waiting.
    fn rate(&self, clients: usize, each: usize) -> Result<f64> {
        let mut work = Vec::with_capacity(clients);
        for _ in 0..clients {
            let requests: Vec<Vec<u8>> = (0..each).map(|_| self.next()).collect::<Result<_>>()?;
            work.push((self.kiln.client()?, requests));
        }
        let gate = &Barrier::new(clients + 1);
        let (started, ends): (Instant, Vec<Result<()>>) = thread::scope(|scope| {
            let clients: Vec<_> = work
                .into_iter()
                .map(|(mut client, requests)| {
                    scope.spawn(move || -> Result<()> {
                        gate.wait();
                        for request in &requests {
                            client.succeed(request)?;
                        }
                        Ok(())
                    })
                })
                .collect();
            // Before the gate: a clock that starts late would flatter.
            let started = Instant::now();
            gate.wait();
            let ends = clients
                .into_iter()
                .map(|client| {
                    client
                        .join()
                        .unwrap_or_else(|_| Err(anyhow::anyhow!("a client panicked")))
                })
                .collect();
            (started, ends)
        });
        let took = started.elapsed();
        ends.into_iter().collect::<Result<()>>()?;
        Ok((clients * each) as f64 / took.as_secs_f64())
    }

    fn next(&self) -> Result<Vec<u8>> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        self.kiln.creation(&format!("made-{number}"), self.function)
    }
}

fn append_rate(appender: &mut Appender) -> Result<f64> {
    let started = Instant::now();
    for _ in 0..ALONE {
        appender.append()?;
    }
    Ok(ALONE as f64 / started.elapsed().as_secs_f64())
}
