//! Cold calls of a function with the largest package that AWS allows, against those of a tiny one. Both
//! packages are known to the node.

use anyhow::Result;

use super::Bench;
use super::cold::Colds;
use crate::kiln::Function;
use crate::paired::{self, Plan};
use crate::report::{Goal, Row};

/// Files of one MiB beside the program: 250 MB with it.  [Lambda quotas: deployment package, unzipped]
const FILES: usize = 238;

const FILE_BYTES: usize = 1 << 20;

/// What the content of a file repeats: packs small, so that the zip may be sent in a request.
const PATTERN_BYTES: usize = 4 << 10;

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let kiln = bench.kiln()?;
    let small = bench.native()?;
    let program = bench.native_program()?;
    let contents: Vec<(String, Vec<u8>)> = (0..FILES).map(content).collect();
    let mut files: Vec<(&str, &[u8])> = vec![("bootstrap", &program)];
    files.extend(
        contents
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice())),
    );
    let large = Function::new(&small.runtime, &small.handler, &files)?;
    let mut large = Colds::deploy(&kiln, "large", &large)?;
    let mut small = Colds::deploy(&kiln, "small", &small)?;
    large.once()?;
    let plan = Plan {
        rounds: bench.some(12),
        block: 3,
    };
    let pairs = paired::durations(plan, || large.once(), || small.once())?;
    Ok(vec![
        Row::new(
            "P17",
            "cold start, package of 250 MB",
            "the program alone",
            &pairs,
        )
        .millis(&pairs)
        .goal(Goal::AtMost(1.2))
        .stretch(Goal::AtMost(1.05)),
    ])
}

/// No two files are the same.
fn content(number: usize) -> (String, Vec<u8>) {
    let mut state = number as u64 + 1;
    let mut pattern = Vec::with_capacity(PATTERN_BYTES);
    while pattern.len() < PATTERN_BYTES {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        pattern.extend_from_slice(&state.to_le_bytes());
    }
    let bytes = pattern.iter().copied().cycle().take(FILE_BYTES).collect();
    (format!("data/{number:03}.bin"), bytes)
}
