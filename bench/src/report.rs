//! The results: a table for the terminal, JSON, and the page and plot in `docs/`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::paired::{CONTROL_MOVED_MAX, Pairs};
use crate::plot;

/// What a figure must reach.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

impl Goal {
    pub(crate) fn is_reached(self, value: f64) -> bool {
        match self {
            Goal::AtMost(most) => value <= most,
            Goal::AtLeast(least) => value >= least,
        }
    }

    /// The value as a share of the goal: 1 is just reached, less is better.
    pub(crate) fn share(self, value: f64) -> f64 {
        match self {
            Goal::AtMost(most) => value / most,
            Goal::AtLeast(least) => least / value,
        }
    }

    fn text(self) -> String {
        match self {
            Goal::AtMost(most) => format!("≤ {}", short(most)),
            Goal::AtLeast(least) => format!("≥ {}", short(least)),
        }
    }
}

/// One figure.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    id: String,
    pub(crate) what: String,
    /// The control; empty for an absolute figure.
    against: String,
    /// `×`, `ms` or `MiB`.
    unit: String,
    /// Median over pairs of neighbouring blocks.
    pub(crate) value: f64,
    /// Tenth percentile over the same pairs.
    low: f64,
    subject: String,
    control: String,
    /// What must be reached now.
    goal: Option<Goal>,
    /// What we aim at.
    aim: Option<Goal>,
    /// (p90 − p10) / p50 of the control's blocks.
    control_moved: f64,
}

impl Row {
    pub(crate) fn new(id: &str, what: &str, against: &str, pairs: &Pairs) -> Row {
        Row {
            id: id.to_owned(),
            what: what.to_owned(),
            against: against.to_owned(),
            unit: "×".to_owned(),
            value: pairs.p50(),
            low: pairs.p10(),
            subject: String::new(),
            control: String::new(),
            goal: None,
            aim: None,
            control_moved: pairs.moved,
        }
    }

    /// A figure of its own, true for this machine only.
    pub(crate) fn absolute(id: &str, what: &str, value: f64, unit: &str) -> Row {
        Row {
            id: id.to_owned(),
            what: what.to_owned(),
            against: String::new(),
            unit: unit.to_owned(),
            value,
            low: value,
            subject: format!("{} {unit}", short(value)),
            control: String::new(),
            goal: None,
            aim: None,
            control_moved: 0.0,
        }
    }

    pub(crate) fn micros(self, pairs: &Pairs) -> Row {
        self.shown(pairs, 1e6, "µs")
    }

    pub(crate) fn millis(self, pairs: &Pairs) -> Row {
        self.shown(pairs, 1e3, "ms")
    }

    pub(crate) fn rates(self, pairs: &Pairs) -> Row {
        self.shown(pairs, 1.0, "/s")
    }

    fn shown(mut self, pairs: &Pairs, factor: f64, unit: &str) -> Row {
        self.subject = format!("{} {unit}", short(pairs.subject * factor));
        self.control = format!("{} {unit}", short(pairs.control * factor));
        self
    }

    pub(crate) fn goal(mut self, goal: Goal) -> Row {
        self.goal = Some(goal);
        self
    }

    pub(crate) fn aim(mut self, aim: Goal) -> Row {
        self.aim = Some(aim);
        self
    }

    /// The goal, or the aim of a figure that has no goal.
    pub(crate) fn target(&self) -> Option<Goal> {
        self.goal.or(self.aim)
    }

    /// The value with its unit, for the plot.
    pub(crate) fn label(&self) -> String {
        format!("{} {}", short(self.value), self.unit)
    }

    fn is_steady(&self) -> bool {
        self.control_moved <= CONTROL_MOVED_MAX
    }

    fn mark(&self) -> &'static str {
        let is = |goal: Option<Goal>| goal.map(|goal| goal.is_reached(self.value));
        match (self.is_steady(), is(self.goal), is(self.aim)) {
            (false, _, _) => "unsteady",
            (_, Some(false), _) => "missed",
            (_, _, Some(true)) => "aim reached",
            (_, Some(true), _) => "reached",
            (_, None, Some(false)) => "aim missed",
            (_, None, None) => "",
        }
    }

    fn cells(&self) -> [String; 8] {
        let text = |goal: Option<Goal>| goal.map_or_else(|| "–".to_owned(), Goal::text);
        [
            self.id.clone(),
            self.what.clone(),
            if self.against.is_empty() {
                "–".to_owned()
            } else {
                self.against.clone()
            },
            self.label(),
            if self.control.is_empty() {
                self.subject.clone()
            } else {
                format!("{} : {}", self.subject, self.control)
            },
            text(self.goal),
            text(self.aim),
            self.mark().to_owned(),
        ]
    }
}

const HEADS: [&str; 8] = [
    "", "figure", "against", "p50", "measured", "goal", "aim", "",
];

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    date: String,
    machine: Machine,
    is_quick: bool,
    rows: Vec<Row>,
}

/// What kind of machine the figures are from.
#[derive(Debug, Serialize)]
struct Machine {
    cores: usize,
    processor: String,
    kernel: String,
    memory_gib: u64,
    load: String,
}

impl Report {
    pub(crate) fn new(is_quick: bool) -> Report {
        Report {
            date: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
            machine: Machine::look(),
            is_quick,
            rows: Vec::new(),
        }
    }

    pub(crate) fn extend(&mut self, rows: Vec<Row>) {
        self.rows.extend(rows);
    }

    pub(crate) fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    pub(crate) fn table(&self) -> String {
        let rows: Vec<[String; 8]> = self.rows.iter().map(Row::cells).collect();
        let width = |at: usize| {
            let cells = rows
                .iter()
                .filter_map(|row| row.get(at))
                .map(|c| c.chars().count());
            let head = HEADS.get(at).map_or(0, |head| head.chars().count());
            cells.max().unwrap_or(0).max(head)
        };
        let mut text = String::new();
        let heads = HEADS.map(str::to_owned);
        for row in std::iter::once(&heads).chain(&rows) {
            for (at, cell) in row.iter().enumerate() {
                let pad = width(at).saturating_sub(cell.chars().count());
                text.push_str(cell);
                text.push_str(&" ".repeat(pad + 2));
            }
            text.push('\n');
        }
        text
    }

    /// Writes `benchmarks.md` and `benchmarks.svg`.
    pub(crate) fn write(&self, docs: &Path) -> Result<()> {
        let page = docs.join("benchmarks.md");
        fs::write(&page, self.page())
            .with_context(|| format!("cannot write {}", page.display()))?;
        let plot = docs.join("benchmarks.svg");
        fs::write(&plot, plot::svg(&self.rows))
            .with_context(|| format!("cannot write {}", plot.display()))
    }

    fn page(&self) -> String {
        let mut text = String::from(
            "# Benchmarks\n\nWritten by `cargo xtask bench`; do not edit. Ratios of Kiln to bare controls that run in turns with it.\n\n",
        );
        let machine = &self.machine;
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "{}, {} cores of {}, {} GiB, Linux {}, load average {} at the start.\n\n",
            self.date,
            machine.cores,
            machine.processor,
            machine.memory_gib,
            machine.kernel,
            machine.load
        );
        text.push_str("![Each figure as a share of its goal](benchmarks.svg)\n\n");
        let _ = writeln!(text, "| {} |", HEADS.join(" | "));
        let _ = writeln!(text, "|{}", " --- |".repeat(HEADS.len()));
        for row in &self.rows {
            let _ = writeln!(text, "| {} |", row.cells().join(" | "));
        }
        text.push_str(METHOD);
        text
    }
}

const METHOD: &str = "
## Method

- Subject and control run in blocks in turns, A B B A, in one run. A figure is the median of the ratios of neighbouring blocks; a block's
  own figure is the median of its operations. So a busy neighbour hits both sides.
- A comparison whose control moved by more than 25 % ((p90 − p10) / p50 of its blocks) is measured again, three times at most; the steadiest one is
  shown, and marked `unsteady` if it still moved.
- The server runs as users run it: release build, sandbox `ns`, signatures checked (`strict`), data on disk. Both sides are asked by the same
  client: one keep-alive connection for each caller, requests built and signed beforehand, 1 KiB of payload.
- **Bare HTTP echo**: hyper on tokio's multi-thread runtime, in a process of its own, answering with the request's body.
- **Minimal mock**: one thread with blocking sockets that takes the call, hands the event to the same bootstrap under the same interpreter, and
  gives the answer back; no sandbox, no signatures, no log, one call at a time.
- **Start of a static program**: spawn, run and reap of a statically linked executable that prints one word.
- **Cold start**: wait of the caller for a call that finds no environment, less the wait for a warm one. Nothing is pooled: each is made by
  changing the function's configuration. The bare interpreter imports every module that the function had loaded when it was asked, and ends.
- **Calls per second of CPU**: eight connections for two seconds; calls divided by the CPU time of all processes of that side.
- **Durable creates**: `CreateFunction` with known code, answered after the sync, against `write` of 1 KiB and `fdatasync` in the same folder.
- Absolute times are of this machine; only ratios carry over to another.
";

impl Machine {
    fn look() -> Machine {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            let value = line
                .and_then(|line| line.split_once(':'))
                .map(|(_, value)| value.trim());
            value.unwrap_or("unknown").to_owned()
        };
        let kib = field(&read("/proc/meminfo"), "MemTotal");
        let kib = kib.split(' ').next().and_then(|n| n.parse::<u64>().ok());
        Machine {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            processor: field(&read("/proc/cpuinfo"), "model name"),
            kernel: major_minor(read("/proc/sys/kernel/osrelease").trim()),
            memory_gib: kib.unwrap_or(0).div_ceil(1 << 20),
            load: read("/proc/loadavg")
                .split(' ')
                .next()
                .unwrap_or("?")
                .to_owned(),
        }
    }
}

/// `6.18.44-name` → `6.18`
fn major_minor(release: &str) -> String {
    release.split('.').take(2).collect::<Vec<_>>().join(".")
}

/// Three digits that matter.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(value: f64) -> Row {
        Row::absolute("P0", "thing", value, "ms")
            .goal(Goal::AtMost(5.0))
            .aim(Goal::AtMost(3.0))
    }

    #[test]
    fn a_figure_is_marked_by_the_best_that_it_reached() {
        assert_eq!(row(2.0).mark(), "aim reached");
        assert_eq!(row(4.0).mark(), "reached");
        assert_eq!(row(6.0).mark(), "missed");
        let unsteady = Row {
            control_moved: 0.3,
            ..row(2.0)
        };
        assert_eq!(unsteady.mark(), "unsteady");
    }

    #[test]
    fn goals_know_both_directions() {
        assert!(Goal::AtLeast(6.0).is_reached(7.0) && !Goal::AtLeast(6.0).is_reached(5.0));
        assert!((Goal::AtLeast(6.0).share(12.0) - 0.5).abs() < 1e-9);
        assert!((Goal::AtMost(5.0).share(2.5) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn three_digits_are_shown() {
        assert_eq!(
            [short(1234.5), short(12.34), short(1.234)],
            ["1234", "12.3", "1.23"]
        );
        assert_eq!(major_minor("6.18.44-name"), "6.18");
    }
}
