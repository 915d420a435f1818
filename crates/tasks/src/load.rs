use std::time::Duration;

use tokio::runtime::Handle;

use crate::Clock;

/// How long the threads of this runtime have been at work since it began, on the average; what waits for a
/// processor half-way counts as work. Zero outside of a runtime, and for whom time is not that of the machine.
pub fn busy(clock: &Clock) -> Duration {
    let Ok(handle) = Handle::try_current() else {
        return Duration::ZERO;
    };
    if clock.is_virtual() {
        return Duration::ZERO;
    }
    let metrics = handle.metrics();
    let threads = metrics.num_workers();
    let total: Duration = (0..threads)
        .map(|at| metrics.worker_total_busy_duration(at))
        .sum();
    total / u32::try_from(threads.max(1)).unwrap_or(1)
}
