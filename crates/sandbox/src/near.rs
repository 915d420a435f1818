//! Brings those who wake each other in turn to one processor.
//!
//! A lone call is a chain of wake-ups: caller, server, function and back. A thread that sleeps wakes where it
//! slept, if that processor is idle; so whoever began apart stays apart, and each wake-up then has to get an
//! idle processor out of its sleep. On a virtual machine that costs more than the call itself: 30 µs of CPU
//! for each, 80 to 107 µs for a call that takes 48 where all are together. Under load nothing is moved, and
//! nothing stays bound: who may run where is as it was when the move is over.

use std::fs;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rustix::io;
use rustix::net::sockopt::socket_incoming_cpu;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

/// So many turns with nobody between are the first sign that somebody is alone.
const FIRST: u32 = 4;
/// Then it is looked at each so many turns.
const EVERY: u32 = 32;

/// Whose turn it was last, and how often in a row.
#[derive(Debug, Default)]
pub struct Turns {
    who: AtomicU64,
    count: AtomicU32,
}

impl Turns {
    /// Counts a turn of `who`, who is not 0. True if it is worth a look at where it runs.
    pub fn is_alone(&self, who: u64) -> bool {
        if self.who.load(Ordering::Relaxed) != who {
            self.who.store(who, Ordering::Relaxed);
            self.count.store(0, Ordering::Relaxed);
            return false;
        }
        let turns = self.count.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        turns == FIRST || turns.is_multiple_of(EVERY)
    }
}

/// Moves the calling thread to the processor from which the peer of this connection last sent.
pub fn follow(connection: impl AsFd) {
    let Ok(processor) = socket_incoming_cpu(connection) else {
        return;
    };
    let processor = usize::try_from(processor).unwrap_or(usize::MAX);
    if processor != sched_getcpu() {
        // Staying where it is costs time, nothing else.
        drop(only(None, processor));
    }
}

/// A thread that may run on one processor alone, until this is dropped.
pub(crate) struct Bound {
    who: Option<Pid>,
    before: CpuSet,
}

impl Drop for Bound {
    fn drop(&mut self) {
        // Fails only if it ended.
        let _ = sched_setaffinity(self.who, &self.before);
    }
}

/// Has a process that sleeps elsewhere wake up on this processor while the answer lives.
pub(crate) fn bring(pid: Pid) -> Option<Bound> {
    let here = sched_getcpu();
    match processor_of(pid) {
        Some(there) if there != here => only(Some(pid), here).ok().flatten(),
        _ => None,
    }
}

/// None if it may not run there.
fn only(who: Option<Pid>, processor: usize) -> io::Result<Option<Bound>> {
    let before = sched_getaffinity(who)?;
    if processor >= CpuSet::MAX_CPU || !before.is_set(processor) {
        return Ok(None);
    }
    let mut one = CpuSet::new();
    one.set(processor);
    sched_setaffinity(who, &one)?;
    Ok(Some(Bound { who, before }))
}

/// Where its main thread ran last.  [proc(5): field 39 of stat]
fn processor_of(pid: Pid) -> Option<usize> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The name in field 2 may hold blanks and ends with `)`.
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(36)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_who_is_alone_is_looked_at_now_and_then() {
        let turns = Turns::default();
        let looks = |who, n| (0..n).filter(|_| turns.is_alone(who)).count();
        assert_eq!(looks(7, FIRST), 0, "the first turn only says who it is");
        assert_eq!(looks(7, 1), 1);
        assert_eq!(looks(7, EVERY), 1);
        let both = (0..1_000).filter(|n| turns.is_alone(1 + n % 2)).count();
        assert_eq!(both, 0, "nobody is alone");
    }

    #[test]
    fn a_thread_is_bound_only_for_a_moment() {
        let all = sched_getaffinity(None).unwrap();
        let last = (0..CpuSet::MAX_CPU).rfind(|at| all.is_set(*at)).unwrap();
        let bound = only(None, last).unwrap();
        assert!(bound.is_some());
        assert_eq!(sched_getcpu(), last);
        assert_eq!(sched_getaffinity(None).unwrap().count(), 1);
        drop(bound);
        assert_eq!(sched_getaffinity(None).unwrap(), all);
        assert!(only(None, CpuSet::MAX_CPU).unwrap().is_none());
        assert!(processor_of(rustix::process::getpid()).is_some());
    }
}
