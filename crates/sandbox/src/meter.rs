//! Reads from `/proc` how much memory processes use.

/// Most processes that one look counts; an environment has no more.
const PROCESSES_MAX: usize = 1_100;

/// Longest text of a file of one process or group.
const TEXT_BYTES_MAX: usize = 16 * 1_024;

/// Reads a short file of the kernel's at once: it makes the whole text at the first read.
pub(crate) fn text_of(path: impl AsRef<std::path::Path>) -> Option<String> {
    let mut file = std::fs::File::open(path).ok()?;
    let mut text = vec![0; TEXT_BYTES_MAX];
    let length = std::io::Read::read(&mut file, &mut text).ok()?;
    text.truncate(length);
    String::from_utf8(text).ok()
}

/// Peak resident memory of one process, whole MiB rounded up.
pub(crate) fn peak_rss_mib(pid: u32) -> Option<u32> {
    let status = status(pid)?;
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
    let mut kib = 0;
    let mut found = children(pid, pid);
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        next += 1;
        let Some(status) = status(pid) else { continue };
        kib += field_kib(&status, "RssFile:").unwrap_or(0);
        // Most have one thread, and then there is nothing to list.
        match field_kib(&status, "Threads:") {
            Some(1) => found.extend(children(pid, pid)),
            _ => found.extend(children_of_threads(pid)),
        }
        if found.len() > PROCESSES_MAX {
            break;
        }
    }
    kib * 1_024
}

fn status(pid: u32) -> Option<String> {
    text_of(format!("/proc/{pid}/status"))
}

fn children(pid: u32, thread: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{thread}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

fn children_of_threads(pid: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
    let threads = threads.into_iter().flatten().flatten();
    let threads = threads.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    threads.flat_map(|thread| children(pid, thread)).collect()
}

/// A process and all below it.
pub(crate) fn below(pid: u32) -> Vec<u32> {
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        next += 1;
        found.extend(children_of_threads(pid));
        if found.len() > PROCESSES_MAX {
            break;
        }
    }
    found
}

fn anonymous_kib(pid: u32) -> Option<u64> {
    let status = status(pid)?;
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
