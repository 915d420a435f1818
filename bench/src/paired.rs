//! Blocks in turns, A B B A, and what is read from them.

use std::time::{Duration, Instant};

use anyhow::Result;

/// A run whose control moved more than this is measured again.
pub(crate) const CONTROL_MOVED_MAX: f64 = 0.25;

/// How often it is measured again before the result is shown as unsteady.
const ATTEMPTS_MAX: usize = 3;

/// No further attempt if all of them together would take longer.
const ATTEMPTS_TIME_MAX: Duration = Duration::from_secs(45);

/// How much to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Each round is A B B A: two pairs.
    pub(crate) rounds: usize,
    /// Operations of one block.
    pub(crate) block: usize,
}

/// The result of one comparison.
#[derive(Debug, Clone)]
pub(crate) struct Pairs {
    /// Subject over control, for each pair of neighbouring blocks.
    pub(crate) ratios: Vec<f64>,
    pub(crate) subject: f64,
    pub(crate) control: f64,
    /// Spread of the control's blocks, (p90 − p10) / p50.
    pub(crate) moved: f64,
}

impl Pairs {
    pub(crate) fn p50(&self) -> f64 {
        percentile(&self.ratios, 0.5)
    }

    pub(crate) fn p10(&self) -> f64 {
        percentile(&self.ratios, 0.1)
    }

    pub(crate) fn is_steady(&self) -> bool {
        self.moved <= CONTROL_MOVED_MAX
    }

    fn of(subject: &[f64], control: &[f64]) -> Pairs {
        let ratios = subject.iter().zip(control).map(|(a, b)| a / b).collect();
        let middle = percentile(control, 0.5);
        Pairs {
            ratios,
            subject: percentile(subject, 0.5),
            control: middle,
            moved: (percentile(control, 0.9) - percentile(control, 0.1)) / middle,
        }
    }
}

/// Compares two operations by the median duration of their blocks, in seconds.
pub(crate) fn durations(
    plan: Plan,
    mut subject: impl FnMut() -> Result<Duration>,
    mut control: impl FnMut() -> Result<Duration>,
) -> Result<Pairs> {
    blocks(
        plan.rounds,
        || median_of(plan.block, &mut subject),
        || median_of(plan.block, &mut control),
    )
}

/// Compares two blocks, each of which gives its own figure, such as a rate.
pub(crate) fn blocks(
    rounds: usize,
    mut subject: impl FnMut() -> Result<f64>,
    mut control: impl FnMut() -> Result<f64>,
) -> Result<Pairs> {
    let mut best: Option<Pairs> = None;
    let started = Instant::now();
    for attempt in 1..=ATTEMPTS_MAX {
        let mut subjects = Vec::new();
        let mut controls = Vec::new();
        for _ in 0..rounds {
            subjects.push(subject()?);
            controls.push(control()?);
            controls.push(control()?);
            subjects.push(subject()?);
        }
        let pairs = Pairs::of(&subjects, &controls);
        let is_better = best.as_ref().is_none_or(|best| pairs.moved < best.moved);
        if is_better {
            best = Some(pairs);
        }
        let each = started.elapsed() / u32::try_from(attempt).unwrap_or(u32::MAX);
        let is_out_of_time = started.elapsed() + each > ATTEMPTS_TIME_MAX;
        if is_out_of_time || best.as_ref().is_some_and(Pairs::is_steady) {
            break;
        }
    }
    best.ok_or_else(|| anyhow::anyhow!("nothing was measured"))
}

fn median_of(n: usize, operation: &mut impl FnMut() -> Result<Duration>) -> Result<f64> {
    let mut seconds = Vec::with_capacity(n);
    for _ in 0..n {
        seconds.push(operation()?.as_secs_f64());
    }
    Ok(percentile(&seconds, 0.5))
}

/// By the nearest rank; NaN of nothing.
pub(crate) fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len().saturating_sub(1) as f64).round() as usize;
    sorted.get(rank).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_taken_by_rank() {
        let values = [5.0, 1.0, 3.0, 2.0, 4.0];
        assert_eq!(percentile(&values, 0.5), 3.0);
        assert_eq!(percentile(&values, 0.0), 1.0);
        assert_eq!(percentile(&values, 1.0), 5.0);
        assert!(percentile(&[], 0.5).is_nan());
    }

    #[test]
    fn ratios_pair_neighbouring_blocks() {
        let mut step = 0.0;
        let pairs = blocks(
            2,
            || Ok(6.0),
            || {
                step += 0.001;
                Ok(2.0 + step)
            },
        )
        .unwrap();
        assert_eq!(pairs.ratios.len(), 4);
        assert!((pairs.p50() - 3.0).abs() < 0.01);
        assert!(pairs.is_steady());
    }

    #[test]
    fn a_control_that_moves_is_measured_again_and_then_shown_as_unsteady() {
        let mut calls = 0;
        let pairs = blocks(
            1,
            || Ok(1.0),
            || {
                calls += 1;
                Ok(if calls % 2 == 0 { 1.0 } else { 2.0 })
            },
        )
        .unwrap();
        assert!(!pairs.is_steady());
        assert_eq!(calls, 2 * ATTEMPTS_MAX);
    }
}
