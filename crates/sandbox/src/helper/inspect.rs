//! Looks at the runtime of a snapshot, and at a fork of it that stands still: what can be shared by forks
//! that must not know of each other, and what cannot be forked.
//!
//! Each answer is an `Err` with a reason in words: that is what keeps a version from having a snapshot.

use std::fs;
use std::os::fd::BorrowedFd;

use super::enter::Doors;
use crate::sys_trace::is_same_file;

/// Files of `/dev` that hold no state.
const DEVICES: [&str; 5] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
];

/// More open files than a function may have.
const FILES_MAX: usize = 2_048;

/// Whether the runtime is one thread and has no processes beside it.
pub(super) fn is_alone(pid: i32) -> Result<(), String> {
    let mut others = 0;
    for name in names("/proc")? {
        let Ok(other) = name.parse::<i32>() else {
            continue;
        };
        others += usize::from(other > 1 && other != pid && lives_beside(other));
    }
    match others {
        0 => has_one_thread(pid),
        n => Err(format!("its init phase left {n} processes running")),
    }
}

/// Whether `pid` is a child of `parent`, and like it in this PID namespace itself.
pub(super) fn is_child_of(parent: i32, pid: i32) -> bool {
    let status = status(pid);
    field(&status, "PPid").is_some_and(|text| text.parse() == Ok(parent)) && is_here(&status)
}

fn is_here(status: &str) -> bool {
    field(status, "NSpid").is_some_and(|ids| ids.split_whitespace().count() == 1)
}

/// In this PID namespace itself, not in one below, and not ended.
fn lives_beside(pid: i32) -> bool {
    let status = status(pid);
    is_here(&status) && !field(&status, "State").is_some_and(|state| state.starts_with('Z'))
}

fn has_one_thread(pid: i32) -> Result<(), String> {
    match names(&format!("/proc/{pid}/task"))?.len() {
        1 => Ok(()),
        n => Err(format!("its init phase left {n} threads running")),
    }
}

/// Whether what a fork has brought along is its own: no open file but those in `given`, files of the
/// function's code and devices without state, and no memory that others see.
pub(super) fn is_clean(pid: i32, given: &[BorrowedFd<'_>]) -> Result<(), String> {
    has_one_thread(pid)?;
    shares_no_memory(pid)?;
    let files = names(&format!("/proc/{pid}/fd"))?;
    if files.len() > FILES_MAX {
        return Err(format!("its init phase left {} files open", files.len()));
    }
    for number in files.iter().filter_map(|name| name.parse::<i32>().ok()) {
        let is_given = given.iter().any(|fd| is_same_file(*fd, pid, number));
        if !is_given {
            may_stay_open(pid, number)?;
        }
    }
    Ok(())
}

fn may_stay_open(pid: i32, number: i32) -> Result<(), String> {
    let link = fs::read_link(format!("/proc/{pid}/fd/{number}"));
    let path = link.map_err(|e| e.to_string())?.display().to_string();
    if DEVICES.contains(&path.as_str()) {
        return Ok(());
    }
    let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).unwrap_or_default();
    let flags = field(&info, "flags").and_then(|text| u32::from_str_radix(text, 8).ok());
    let is_read = flags.is_some_and(|flags| flags & 3 == 0);
    // Code and layers cannot change; they are the same in every environment of the version.
    let is_code =
        path.starts_with('/') && !path.starts_with("/tmp") && !path.starts_with("/memfd:");
    if is_read && is_code && !path.starts_with("/proc") {
        return Ok(());
    }
    Err(format!("its init phase left {path} open"))
}

fn shares_no_memory(pid: i32) -> Result<(), String> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).map_err(|e| e.to_string())?;
    match maps.lines().any(is_shared) {
        false => Ok(()),
        true => Err("its init phase made memory that processes share".to_owned()),
    }
}

/// A line of `/proc/PID/maps`. What cannot be written now may become so again by one call, unless it is of a
/// file that can only be opened for reading.
fn is_shared(line: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    let rights = words.nth(1).unwrap_or_default();
    let path = words.nth(3).unwrap_or_default();
    let is_code = path.starts_with('/')
        && !["/tmp/", "/memfd:", "/dev/", "/SYSV"]
            .iter()
            .any(|start| path.starts_with(start));
    rights.ends_with('s') && (rights.contains('w') || !is_code)
}

/// Whether the fork is in there, and without rights.
pub(super) fn is_bound(pid: i32, doors: &Doors) -> Result<(), String> {
    let status = status(pid);
    for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        let set = field(&status, name).unwrap_or("absent");
        if set.chars().any(|c| c != '0') {
            return Err(format!("{name} is {set}"));
        }
    }
    for (name, want) in [("NoNewPrivs", "1"), ("Seccomp", "2")] {
        if field(&status, name) != Some(want) {
            return Err(format!("{name} is not {want}"));
        }
    }
    for link in doors.links() {
        let (name, want) = link.map_err(|e| e.to_string())?;
        // Only its children are going to be in the PID namespace.
        let name = if name == "pid" {
            "pid_for_children"
        } else {
            name
        };
        let got = fs::read_link(format!("/proc/{pid}/ns/{name}"));
        let got = got.map_err(|e| e.to_string())?.display().to_string();
        if got != want {
            return Err(format!("{name} is {got}"));
        }
    }
    Ok(())
}

fn names(folder: &str) -> Result<Vec<String>, String> {
    let entries = fs::read_dir(folder).map_err(|e| format!("{folder}: {e}"))?;
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    Ok(entries.flatten().map(name).collect())
}

fn status(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default()
}

/// `NAME:  value` of a file of lines.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let of = |line: &'a str| line.strip_prefix(name)?.strip_prefix(':');
    text.lines().find_map(of).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "CapEffx:\t1\nCapEff:\t0000\nSeccomp:\t2\nSeccomp_filters:\t1\n";
        assert_eq!(field(text, "CapEff"), Some("0000"));
        assert_eq!(field(text, "Seccomp"), Some("2"));
        assert_eq!(field(text, "Cap"), None);
    }

    #[test]
    fn memory_is_shared_also_while_nobody_may_write_it() {
        for (line, want) in [
            ("7f00-7f01 rw-p 00000000 00:00 0", false),
            ("7f00-7f01 rw-s 00000000 00:01 7 /dev/zero (deleted)", true),
            ("7f00-7f01 r--s 00000000 00:01 7 /dev/zero (deleted)", true),
            ("7f00-7f01 ---s 00000000 00:01 7 /memfd:x (deleted)", true),
            (
                "7f00-7f01 r--s 00000000 00:01 7 /SYSV00000000 (deleted)",
                true,
            ),
            ("7f00-7f01 r--s 00000000 00:31 9 /tmp/file", true),
            ("7f00-7f01 r--s 00000000 00:00 0", true),
            (
                "7f00-7f01 r--s 00000000 08:01 9 /usr/lib/gconv/gconv-modules.cache",
                false,
            ),
            ("7f00-7f01 r-xp 00000000 08:01 9 /usr/lib/libc.so.6", false),
        ] {
            assert_eq!(is_shared(line), want, "{line}");
        }
    }

    #[test]
    fn this_process_has_threads_and_shares() {
        let own = i32::try_from(std::process::id()).unwrap();
        // The test runner has at least two.
        let spare = std::thread::spawn(std::thread::park);
        assert!(has_one_thread(own).unwrap_err().contains("threads"));
        spare.thread().unpark();
        spare.join().unwrap();
        assert!(shares_no_memory(own).is_ok());
    }
}
