//! Reads from `/proc` how much memory processes use.

/// Most processes that one look counts; an environment has no more.
const PROCESSES_MAX: usize = 1_100;

/// Peak resident memory of one process, whole MiB rounded up.
pub(crate) fn peak_rss_mib(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    field_kib(&status, "VmHWM:").map(mib)
}

/// Resident memory of a process and all below it now, whole MiB rounded up. Memory that a process
/// shares with another counts for both, except files.
pub(crate) fn rss_mib_below(pid: u32) -> Option<u32> {
    let kib = below(pid).into_iter().filter_map(anonymous_kib).sum();
    Some(mib(kib))
}

/// What all processes below one have mapped of files; the process itself not counted.
pub(crate) fn mapped_bytes_below(pid: u32) -> u64 {
    let mapped = |pid: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        field_kib(&status, "RssFile:")
    };
    let kib: u64 = below(pid).iter().skip(1).filter_map(mapped).sum();
    kib * 1_024
}

/// A process and all below it.
pub(crate) fn below(pid: u32) -> Vec<u32> {
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        next += 1;
        for task in std::fs::read_dir(format!("/proc/{pid}/task"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let children = std::fs::read_to_string(task.path().join("children"));
            let children = children.unwrap_or_default();
            found.extend(
                children
                    .split_whitespace()
                    .filter_map(|p| p.parse::<u32>().ok()),
            );
        }
        if found.len() > PROCESSES_MAX {
            break;
        }
    }
    found
}

fn anonymous_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let anonymous = field_kib(&status, "RssAnon:")?;
    Some(anonymous + field_kib(&status, "RssShmem:").unwrap_or(0))
}

fn mib(kib: u64) -> u32 {
    u32::try_from(kib.div_ceil(1_024)).unwrap_or(u32::MAX)
}

/// `VmHWM:     12345 kB`
fn field_kib(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_read_by_its_name() {
        let status = "Name:\tx\nVmPeak:\t  900 kB\nVmHWM:\t  2049 kB\n";
        assert_eq!(field_kib(status, "VmHWM:"), Some(2_049));
        assert_eq!(field_kib(status, "VmSwap:"), None);
    }

    #[test]
    fn a_process_is_below_itself() {
        let own = std::process::id();
        assert!(below(own).contains(&own));
        assert!(rss_mib_below(own) > Some(0));
    }
}
