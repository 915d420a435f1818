use std::time::Duration;

use tokio::runtime::Handle;

/// How long the threads of this runtime have been at work since it began, on the average; what waits for a
/// processor half-way counts as work. Zero outside of a runtime.
pub fn busy() -> Duration {
    let Ok(handle) = Handle::try_current() else {
        return Duration::ZERO;
    };
    let metrics = handle.metrics();
    let threads = metrics.num_workers();
    let total: Duration = (0..threads)
        .map(|at| metrics.worker_total_busy_duration(at))
        .sum();
    total / u32::try_from(threads.max(1)).unwrap_or(1)
}
