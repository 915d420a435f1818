//! `cargo xtask check`: what to run before every commit. Under a minute when little changed.

use std::path::Path;

use anyhow::Result;

use crate::step::Steps;
use crate::{test, tidy};

pub(crate) fn run(root: &Path) -> Result<bool> {
    let mut steps = Steps::new();
    steps.run("fmt", || test::fmt(root));
    steps.run("tidy", || tidy::step(root));
    steps.run("clippy", || test::clippy(root));
    steps.run("unit tests", || test::unit(root));
    Ok(steps.conclude())
}
