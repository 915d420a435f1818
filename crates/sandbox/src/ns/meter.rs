use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use model::Memory;

use crate::helper::{CPU_PERIOD_US, Cgroups};
use crate::left::used_bytes;
use crate::meter::{mapped_bytes_below, peak_rss_mib, rss_mib_below, text_of};

/// The kernel grants no less in one period.
const CPU_QUOTA_US_MIN: u64 = 1_000;

/// Measures and limits one environment from the server's side.
pub(super) struct Meter {
    pid: u32,
    version: u8,
    cpu: Option<PathBuf>,
    memory: Option<PathBuf>,
    /// Kept open: it is read after every call.
    peak: Option<File>,
    /// Pages of files that were read during init. They count in the group of who read them first,
    /// which is chance,
    file_cache_bytes: u64,
    /// so what the processes had mapped of them at the end of init counts instead.
    mapped_bytes: u64,
    tmp: Option<OwnedFd>,
    /// What the limit leaves out for `/tmp` now.
    tmp_room: AtomicU64,
}

/// The limit follows `/tmp` in steps of this size.
pub(super) const TMP_STEP_BYTES: u64 = 1 << 20;

impl Meter {
    pub(super) fn open(cgroups: &Cgroups, id: &str, pid: u32) -> Meter {
        let memory = cgroups.memory.as_ref().map(|dir| dir.join(id));
        let name = match cgroups.version {
            2 => "memory.peak",
            _ => "memory.max_usage_in_bytes",
        };
        Meter {
            pid,
            version: cgroups.version,
            cpu: cgroups.cpu.as_ref().map(|dir| dir.join(id)),
            peak: memory
                .as_ref()
                .and_then(|dir| File::open(dir.join(name)).ok()),
            memory,
            file_cache_bytes: 0,
            mapped_bytes: 0,
            tmp: None,
            tmp_room: AtomicU64::new(0),
        }
    }

    /// Without a cgroup only the server's own look at the processes limits memory.
    pub(super) fn is_limited_by_kernel(&self) -> bool {
        self.memory.is_some()
    }

    pub(super) fn meter_tmp(&mut self, tmp: Option<OwnedFd>) {
        self.tmp = tmp;
    }

    pub(super) fn tmp(&self) -> Option<OwnedFd> {
        self.tmp.as_ref()?.try_clone().ok()
    }

    pub(super) fn tmp_bytes(&self) -> u64 {
        self.tmp.as_ref().map_or(0, used_bytes)
    }

    /// The limit was set so much higher before anything ran.
    pub(super) fn has_tmp_room(&self, bytes: u64) {
        self.tmp_room.store(bytes, Ordering::Relaxed);
    }

    /// The kernel counts the pages of `/tmp` as memory; in Lambda it is a disk. So the limit is
    /// that of the function and what `/tmp` holds.
    pub(super) fn make_room_for_tmp(&self, memory: Memory) {
        let Some(dir) = &self.memory else { return };
        let room = self.tmp_bytes().next_multiple_of(TMP_STEP_BYTES);
        let before = self.tmp_room.swap(room, Ordering::Relaxed);
        if room == before {
            return;
        }
        let limit = (memory.bytes() + room).to_string();
        let mut names = match self.version {
            2 => vec!["memory.max"],
            // Absent without accounting of swap; it may never be below the other.
            _ => vec!["memory.memsw.limit_in_bytes", "memory.limit_in_bytes"],
        };
        if room < before {
            names.reverse();
        }
        for name in names {
            // Lowering fails while more is in use; the next change tries again.
            let _ = fs::write(dir.join(name), &limit);
        }
    }

    /// Resident memory of all processes now.
    pub(super) fn used_mib(&self) -> Option<u32> {
        rss_mib_below(self.pid)
    }

    pub(super) fn limit_cpu(&self, millicores: u32) {
        let Some(dir) = &self.cpu else { return };
        let quota = (u64::from(millicores) * CPU_PERIOD_US / 1_000).max(CPU_QUOTA_US_MIN);
        let done = if self.version == 2 {
            fs::write(dir.join("cpu.max"), format!("{quota} {CPU_PERIOD_US}"))
        } else {
            // The helper has set the period.
            fs::write(dir.join("cpu.cfs_quota_us"), quota.to_string())
        };
        if let Err(error) = done {
            tracing::warn!(%error, group = %dir.display(), "the CPU share could not be set");
        }
    }

    /// Whether the kernel killed a process of the environment for its memory.
    pub(super) fn out_of_memory(&self) -> bool {
        let name = match self.version {
            2 => "memory.events",
            _ => "memory.oom_control",
        };
        self.memory
            .as_ref()
            .and_then(|dir| field(&dir.join(name), "oom_kill"))
            .is_some_and(|kills| kills > 0)
    }

    pub(super) fn init_done(&mut self) {
        let Some(dir) = &self.memory else { return };
        let stat = text_of(dir.join("memory.stat")).unwrap_or_default();
        let names = match self.version {
            2 => ["inactive_file", "active_file"],
            _ => ["total_inactive_file", "total_active_file"],
        };
        self.file_cache_bytes = names.iter().filter_map(|name| number(&stat, name)).sum();
        self.mapped_bytes = mapped_bytes_below(self.pid);
    }

    pub(super) fn peak_mib(&self) -> Option<u32> {
        let Some(peak) = &self.peak else {
            return rss_peak(self.pid);
        };
        let mut text = [0; 24];
        let length = peak.read_at(&mut text, 0).ok()?;
        let text = std::str::from_utf8(text.get(..length)?).ok()?;
        let bytes: u64 = text.trim().parse().ok()?;
        let bytes = bytes.saturating_sub(self.file_cache_bytes + self.tmp_bytes());
        let bytes = bytes + self.mapped_bytes;
        u32::try_from(bytes.div_ceil(1 << 20)).ok()
    }
}

/// The largest peak of one process stands in for the peak of all.
fn rss_peak(init: u32) -> Option<u32> {
    crate::meter::below(init)
        .into_iter()
        .filter_map(peak_rss_mib)
        .max()
}

/// `name 123`
fn field(path: &Path, name: &str) -> Option<u64> {
    number(&text_of(path)?, name)
}

fn number(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(' ')?;
        (key == name).then(|| value.trim().parse().ok())?
    })
}
