//! What ran, as the function itself wrote it into a file of the host.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

use crate::kiln::Kiln;

/// Longest time without any progress, while events are still missing.
const PATIENCE: Duration = Duration::from_secs(60);

/// Accepted events against those that ran.
pub(super) struct Audit {
    path: PathBuf,
    read_to: u64,
    /// The end of a line that is not whole yet.
    rest: String,
    accepted: Vec<u64>,
    runs: HashMap<u64, Runs>,
    kills: u32,
    tally: Tally,
    /// Runs again by the kill that caused them.
    by_kill: HashMap<u32, u64>,
}

/// The runs of one event.
#[derive(Default)]
struct Runs {
    begun: u32,
    ended: u32,
    /// Kills before the last beginning.
    kills: u32,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) accepted: u64,
    /// Runs beyond the first of each event.
    pub(super) twice: u64,
    /// Those whose run before had not come to its end.
    pub(super) cut_off: u64,
    /// Those whose run before had.
    pub(super) unnoted: u64,
    /// At one kill at most.
    pub(super) twice_max: u64,
}

/// The signed request that sends the event of this number.
pub(super) fn event(kiln: &Kiln, number: u64) -> Result<Vec<u8>> {
    let body = json!({ "do": "audit", "n": number.to_string() }).to_string();
    let path = format!("/2015-03-31/functions/{}/invocations", super::FUNCTION);
    let headers = [("x-amz-invocation-type", "Event")];
    kiln.request_with("POST", &path, &headers, body.as_bytes())
}

impl Audit {
    pub(super) fn new(folder: &Path) -> Result<Audit> {
        let path = folder.join("audit");
        File::create(&path)?;
        Ok(Audit {
            path,
            read_to: 0,
            rest: String::new(),
            accepted: Vec::new(),
            runs: HashMap::new(),
            kills: 0,
            tally: Tally::default(),
            by_kill: HashMap::new(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Notes that all that ran is dead.
    pub(super) fn mark_kill(&self) -> Result<()> {
        let mut file = File::options().append(true).open(&self.path)?;
        file.write_all(b"k 0\n")?;
        Ok(())
    }

    pub(super) fn accepted(&mut self, numbers: Vec<u64>) {
        self.accepted.extend(numbers);
    }

    /// Waits until all accepted events have run, and gives those that never did.
    pub(super) fn wait_for_all(&mut self) -> Result<Vec<u64>> {
        let mut changed = Instant::now();
        loop {
            let before = self.read_to;
            self.read()?;
            let runs = &self.runs;
            let missing = self.accepted.iter().filter(|n| !runs.contains_key(n));
            let missing: Vec<u64> = missing.copied().collect();
            if self.read_to > before {
                changed = Instant::now();
            }
            if missing.is_empty() || changed.elapsed() > PATIENCE {
                return Ok(missing);
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn read(&mut self) -> Result<()> {
        let mut file = fs::File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.read_to))?;
        let mut text = std::mem::take(&mut self.rest);
        self.read_to += file.read_to_string(&mut text)? as u64;
        let (whole, rest) = text.rsplit_once('\n').unwrap_or(("", &text));
        self.rest = rest.to_owned();
        whole.lines().for_each(|line| self.line(line));
        Ok(())
    }

    fn line(&mut self, line: &str) {
        let (what, number) = line.split_once(' ').unwrap_or_default();
        let runs = self.runs.entry(number.parse().unwrap_or(u64::MAX));
        match what {
            "k" => self.kills += 1,
            "e" => runs.or_default().ended += 1,
            _ => {
                let runs = runs.or_default();
                if runs.begun > 0 {
                    let is_over = runs.ended == runs.begun;
                    self.tally.twice += 1;
                    self.tally.unnoted += u64::from(is_over);
                    self.tally.cut_off += u64::from(!is_over);
                    *self.by_kill.entry(runs.kills).or_default() += 1;
                }
                runs.begun += 1;
                runs.kills = self.kills;
            }
        }
    }

    pub(super) fn tally(&self) -> Tally {
        Tally {
            accepted: self.accepted.len() as u64,
            twice_max: self.by_kill.values().max().copied().unwrap_or(0),
            ..self.tally
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_beyond_the_first_are_counted_by_what_the_kill_met() {
        let folder = tempfile::tempdir().unwrap();
        let mut audit = Audit::new(folder.path()).unwrap();
        fs::write(audit.path(), "b 1\ne 1\nb 2\nk 0\nb 1\ne 1\nb 2\ne 2\nb 3").unwrap();
        audit.accepted(vec![1, 2]);
        assert!(audit.wait_for_all().unwrap().is_empty());
        let expected = Tally {
            accepted: 2,
            twice: 2,
            cut_off: 1,
            unnoted: 1,
            twice_max: 2,
        };
        assert_eq!(audit.tally(), expected);
        assert_eq!(audit.rest, "b 3", "a line that is not whole waits");
    }
}
