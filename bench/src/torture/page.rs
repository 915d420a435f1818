//! The results: a table for the terminal, JSON, and the page in `docs/`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::report::today;

/// What one trial found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Finding {
    id: String,
    what: String,
    /// How often it was tried, and how often the goal says.
    tried: u64,
    wanted: u64,
    /// How often it went wrong.
    failed: u64,
    /// How many of a thousand tries may go wrong.
    #[serde(default)]
    allowed_per_mille: u64,
    /// The first failure, or what to know.
    note: String,
    /// Whether there was anything to try.
    is_built: bool,
    date: String,
}

impl Finding {
    pub(super) fn new(id: &str, what: &str, wanted: u64) -> Finding {
        Finding {
            id: id.to_owned(),
            what: what.to_owned(),
            tried: 0,
            wanted,
            failed: 0,
            allowed_per_mille: 0,
            note: String::new(),
            is_built: true,
            date: today(),
        }
    }

    /// A trial that did not come to an end.
    pub(super) fn broken(id: &str, what: &str, why: &str) -> Finding {
        Finding {
            failed: 1,
            note: why.to_owned(),
            ..Finding::new(id, what, 1)
        }
    }

    pub(super) fn not_built(id: &str, what: &str) -> Finding {
        Finding {
            note: "not built".to_owned(),
            is_built: false,
            ..Finding::new(id, what, 0)
        }
    }

    /// One more try, with what went wrong.
    pub(super) fn tried(&mut self, wrong: Option<String>) {
        self.tried += 1;
        if let Some(wrong) = wrong {
            self.failed += 1;
            if self.failed == 1 {
                self.note = wrong.chars().take(160).collect();
            }
        }
    }

    /// Some may go wrong: so many of a thousand.
    pub(super) fn allowing(mut self, per_mille: u64) -> Finding {
        self.allowed_per_mille = per_mille;
        self
    }

    /// Many tries at once.
    pub(super) fn counted(mut self, tried: u64, failed: u64) -> Finding {
        self.tried = tried;
        self.failed = failed;
        self
    }

    pub(super) fn noted(mut self, note: &str) -> Finding {
        if self.note.is_empty() {
            self.note = note.to_owned();
        }
        self
    }

    /// In one line.
    pub(super) fn told(&self) -> String {
        self.cells().join(" | ")
    }

    /// R2 comes before R10.
    fn place(&self) -> (String, u32) {
        let (letter, number) = self.id.split_at(self.id.len().min(1));
        (letter.to_owned(), number.parse().unwrap_or(0))
    }

    fn is_reached(&self) -> bool {
        self.failed * 1_000 <= self.tried * self.allowed_per_mille && self.tried >= self.wanted
    }

    fn mark(&self) -> &'static str {
        match (self.is_built, self.is_reached()) {
            (false, _) => "not built",
            (_, true) => "reached",
            (_, false) => "missed",
        }
    }

    fn cells(&self) -> [String; COLUMNS] {
        [
            self.id.clone(),
            self.what.clone(),
            self.tried.to_string(),
            self.failed.to_string(),
            match (self.allowed_per_mille, self.wanted) {
                (0, 0) => "0".to_owned(),
                (0, wanted) => format!("0 of {wanted}"),
                (some, wanted) => format!("{}.{} % of {wanted}", some / 10, some % 10),
            },
            self.mark().to_owned(),
            self.note.replace('|', "/").replace('\n', " "),
            self.date.clone(),
        ]
    }
}

const COLUMNS: usize = 8;

const HEADS: [&str; COLUMNS] = ["", "trial", "tried", "failed", "goal", "", "note", "date"];

#[derive(Debug, Serialize)]
pub(super) struct Page {
    findings: Vec<Finding>,
}

impl Page {
    pub(super) fn new() -> Page {
        Page {
            findings: Vec::new(),
        }
    }

    pub(super) fn extend(&mut self, findings: Vec<Finding>) {
        self.findings.extend(findings);
    }

    /// Reached and missed; what is not built is neither.
    pub(super) fn counts(&self) -> (usize, usize) {
        let built = self.findings.iter().filter(|f| f.is_built);
        let (reached, missed): (Vec<_>, Vec<_>) = built.partition(|f| f.is_reached());
        (reached.len(), missed.len())
    }

    pub(super) fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(&self.findings)?)
    }

    pub(super) fn table(&self) -> String {
        let rows: Vec<[String; COLUMNS]> = std::iter::once(HEADS.map(str::to_owned))
            .chain(self.findings.iter().map(Finding::cells))
            .collect();
        let mut text = String::new();
        for row in &rows {
            for (at, cell) in row.iter().enumerate() {
                let lengths = rows.iter().filter_map(|row| row.get(at));
                let width = lengths.map(|c| c.chars().count()).max().unwrap_or(0);
                let pad = width.saturating_sub(cell.chars().count());
                text.push_str(cell);
                text.push_str(&" ".repeat(pad + 2));
            }
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        text
    }

    /// Writes `reliability.md`, and `reliability.json`, from which the next run takes what it does not try.
    pub(super) fn write(mut self, docs: &Path) -> Result<()> {
        let kept = docs.join("reliability.json");
        let earlier: Vec<Finding> = match fs::read_to_string(&kept) {
            Ok(text) => serde_json::from_str(&text)
                .with_context(|| format!("cannot read {}", kept.display()))?,
            Err(_) => Vec::new(),
        };
        let is_fresh = |old: &Finding| self.findings.iter().any(|new| new.id == old.id);
        let mut all: Vec<Finding> = earlier.into_iter().filter(|old| !is_fresh(old)).collect();
        all.append(&mut self.findings);
        all.sort_by_key(Finding::place);
        self.findings = all;
        fs::write(&kept, self.json()? + "\n")?;
        fs::write(docs.join("reliability.md"), self.page())?;
        Ok(())
    }

    fn page(&self) -> String {
        let mut text = String::from(INTRODUCTION);
        text.push_str(&format!("| {} |\n", HEADS.join(" | ")));
        text.push_str(&format!("|{}\n", " --- |".repeat(COLUMNS)));
        for finding in &self.findings {
            text.push_str(&format!("| {} |\n", finding.cells().join(" | ")));
        }
        text.push_str(METHOD);
        text
    }
}

const INTRODUCTION: &str = "\
# Reliability

Written by `cargo xtask torture --full`; do not edit. How often something was tried, how often it went wrong. The goal is never.

";

const METHOD: &str = "
## Method

- The built server is driven from outside, as a caller drives it: sandbox `ns`, signatures checked, data on disk.
- **R1, kill -9.** Sixteen senders give events at a steady pace to a function that notes in a file of the host when each begins and ends; two more
  send messages to a queue, which a consumer receives and deletes. The server is killed at a random moment and started again with its data. In the end
  every accepted event has run and every accepted message was received. An event that ran again was in the middle of its run at the kill, or it was over
  and the commit that notes its end was not on the disk yet.
- **R2, the disk.** The store's own code runs a script of random operations on a disk in memory. At each single write, sync, change of length or of a
  name the disk keeps what a power loss would leave then: what was synced, and of what was not, sector by sector, any content that it had, some torn. Every such
  image is opened and read. In further runs each operation fails at its first, second, … step, and the disk is full before each operation. Then single bits of
  the disk turn over, anywhere: whoever reads the value must be told, and the name must be in the list of what is damaged.
- **R4, clock jumps.** A schedule of one tick an hour on a wall clock that is set forward and back by up to 22 hours, with power losses between. Each tick comes
  once, however often its moment passes. On a clock that is set by up to a day while they work: messages of a queue are hidden and kept exactly as long as was said, functions have
  all of their time, and signatures are as old as the wall clock says.
- **R6, queues.** Random operations over the protocol are held against a model of what the API's documentation says, with power losses between them, on a standard
  queue, a FIFO queue, and one with a dead-letter queue; then eight clients at once, whose sends, receives and deletions must fit together, also over power losses in
  the middle of them.
- **R8, loops.** Functions that cause themselves: by a call of their own, over a topic, over a bus, by destinations, in a ring of five. They send no trace
  header. Each chain must end after 16 runs of each of its functions, with one letter in the dead-letter queue and one count of the metric. Meanwhile somebody calls
  another function, one call after the other, from the first chain to the end of the last.
- **R9, overload.** Functions are made at once of a package that the server has never seen, which it must unpack once, and a crowd calls one that has no environment.
  Then clients send ten times as many calls as another function can do. That capacity is the best of what patient clients get, one, two or three for each call that may run,
  measured before and after. The function notes in a file of the host when it begins and ends, which shows how many ran at once. At last events whose destinations are down: an endpoint
  behind a topic, which hangs up, and a function that has no room. When both are up again every delivery must arrive. Threads alone ask for admission.
- **R10, die in each phase.** A function stops in a named place and its runtime, or every other time the first process of its environment, is
  killed from the host: in init, in the middle of a call, with half an answer sent, after the answer, between two calls, and an extension while it
  shuts down. The caller must get AWS's answer (`Runtime.ExitError` or `Sandbox.Failure`, `Unhandled`, status 200) or, where the answer was out, the answer.
  The next call must succeed. In the end the counts of processes, mounts, control groups, namespaces and descriptors of server and helper must be back to
  where they were after a warm-up of the same kind.
- **S7, leak hunt.** A function plants a fresh secret in its memory, files in every place that lets it, an unnamed open file, an abstract socket and its
  log. The host has room for one environment, so the next function takes its slot and looks for the secret, which it knows backwards only: all
  files, environments and command lines of all processes it sees, descriptors, tables of sockets and shared memory, its own memory. First it is shown that the
  search bites: in the environment that planted it, the secret is found.
- **S10, clones.** Python environments, each asked once for random numbers of four sources, UUIDs, its credentials and its time. None may
  occur twice; the time may differ from the caller's by one second.
- The short form, with fewer tries, is part of `cargo xtask test`.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_reached_when_all_was_tried_and_nothing_went_wrong() {
        let mut finding = Finding::new("R10", "x", 2);
        finding.tried(None);
        assert_eq!(finding.mark(), "missed");
        finding.tried(None);
        assert_eq!(finding.mark(), "reached");
        finding.tried(Some("a | b".to_owned()));
        assert_eq!(finding.mark(), "missed");
        assert!(finding.cells().contains(&"a / b".to_owned()));
        let page = Page {
            findings: vec![finding, Finding::not_built("R10", "y")],
        };
        assert_eq!(page.counts(), (0, 1));
    }

    #[test]
    fn some_may_go_wrong_where_the_goal_says_so() {
        let some = |failed| {
            let finding = Finding::new("R1", "x", 2_000).allowing(1);
            finding.counted(2_000, failed).mark()
        };
        assert_eq!((some(2), some(3)), ("reached", "missed"));
    }
}
