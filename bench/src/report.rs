//! The results: a table for the terminal, JSON, and the page and plot in `docs/`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::measures::{MEASURES, Measure};
use crate::paired::{CONTROL_MOVED_MAX, Pairs};
use crate::{peers, plot};

/// What a figure must reach.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) what: String,
    /// The control; empty for an absolute figure.
    against: String,
    /// `×`, `ms` or `MiB`.
    unit: String,
    /// Median over pairs of neighbouring blocks; none if nothing was measured.
    value: Option<f64>,
    /// Tenth percentile over the same pairs.
    low: Option<f64>,
    subject: String,
    control: String,
    goal: Option<Goal>,
    /// What would be better still.
    stretch: Option<Goal>,
    /// (p90 − p10) / p50 of the control's blocks.
    control_moved: f64,
    /// Why nothing was measured, or what to know about the figure.
    note: String,
    /// Day of the measurement.
    date: String,
    /// The measure that it is from; empty in rows that were kept before this was noted.
    #[serde(default)]
    measure: String,
}

impl Row {
    pub(crate) fn new(id: &str, what: &str, against: &str, pairs: &Pairs) -> Row {
        Row {
            value: Some(pairs.p50()),
            low: Some(pairs.p10()),
            control_moved: pairs.moved,
            against: against.to_owned(),
            unit: "×".to_owned(),
            ..Row::empty(id, what, "")
        }
    }

    /// A figure of its own, true for this machine only.
    pub(crate) fn absolute(id: &str, what: &str, value: f64, unit: &str) -> Row {
        Row {
            value: Some(value),
            low: Some(value),
            unit: unit.to_owned(),
            subject: format!("{} {unit}", short(value)),
            ..Row::empty(id, what, "")
        }
    }

    /// A figure that could not be taken: the note says why.
    pub(crate) fn empty(id: &str, what: &str, note: &str) -> Row {
        Row {
            id: id.to_owned(),
            what: what.to_owned(),
            against: String::new(),
            unit: String::new(),
            value: None,
            low: None,
            subject: String::new(),
            control: String::new(),
            goal: None,
            stretch: None,
            control_moved: 0.0,
            note: note.to_owned(),
            date: today(),
            measure: String::new(),
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

    pub(crate) fn mebibytes(self, pairs: &Pairs) -> Row {
        self.shown(pairs, 1.0 / f64::from(1 << 20), "MiB")
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

    pub(crate) fn stretch(mut self, stretch: Goal) -> Row {
        self.stretch = Some(stretch);
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Row {
        self.note = note.into();
        self
    }

    /// Taken by this measure, or missed by it.
    pub(crate) fn of(mut self, measure: &Measure) -> Row {
        self.measure = measure.name.to_owned();
        self
    }

    /// The figure as a share of its goal, if both are known.
    pub(crate) fn share(&self) -> Option<f64> {
        Some(self.goal?.share(self.value?))
    }

    /// The value with its unit, for the plot.
    pub(crate) fn label(&self) -> String {
        self.value.map_or_else(
            || "–".to_owned(),
            |value| format!("{} {}", short(value), self.unit),
        )
    }

    fn is_steady(&self) -> bool {
        self.control_moved <= CONTROL_MOVED_MAX
    }

    fn mark(&self) -> String {
        let Some(value) = self.value else {
            return format!("not measured: {}", self.note);
        };
        let is = |goal: Option<Goal>| goal.map(|goal| goal.is_reached(value));
        let mut mark = match (is(self.goal), is(self.stretch)) {
            (_, Some(true)) => "stretch reached",
            (Some(true), _) => "reached",
            (Some(false), _) => "missed",
            (None, _) => "",
        }
        .to_owned();
        if !self.is_steady() {
            mark.push_str(", unsteady");
        }
        if !self.note.is_empty() {
            mark.push_str(&format!("; {}", self.note));
        }
        mark.trim_start_matches([',', ';', ' ']).to_owned()
    }

    fn cells(&self) -> [String; COLUMNS] {
        let text = |goal: Option<Goal>| goal.map_or_else(|| "–".to_owned(), Goal::text);
        let or_dash = |text: &str| if text.is_empty() { "–" } else { text }.to_owned();
        [
            self.id.clone(),
            self.what.clone(),
            or_dash(&self.against),
            self.label(),
            if self.control.is_empty() {
                or_dash(&self.subject)
            } else {
                format!("{} : {}", self.subject, self.control)
            },
            text(self.goal),
            text(self.stretch),
            self.mark(),
            self.date.clone(),
        ]
    }

    /// The same figure, measured again. A measure that failed leaves what was measured before.
    fn replaces(&self, old: &Row) -> bool {
        let is_figure = self.value.is_some();
        if !old.measure.is_empty() {
            return self.measure == old.measure && (is_figure || old.value.is_none());
        }
        self.id == old.id && (old.value.is_none() || is_figure && self.what == old.what)
    }

    /// Whether it tells of this figure of this measure.
    fn is_of(&self, measure: &Measure, id: &str) -> bool {
        self.id == id && (self.measure.is_empty() || self.measure == measure.name)
    }

    /// Where the row stands: P2 before P10.
    fn place(&self) -> u32 {
        let digits = self.id.trim_start_matches(|c: char| !c.is_ascii_digit());
        digits.parse().unwrap_or(u32::MAX)
    }
}

pub(crate) fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}

const COLUMNS: usize = 9;

const HEADS: [&str; COLUMNS] = [
    "", "figure", "against", "p50", "measured", "goal", "stretch", "", "date",
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
            date: today(),
            machine: Machine::look(),
            is_quick,
            rows: Vec::new(),
        }
    }

    pub(crate) fn extend(&mut self, measure: &Measure, rows: Vec<Row>) {
        self.rows
            .extend(rows.into_iter().map(|row| row.of(measure)));
    }

    pub(crate) fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    pub(crate) fn table(&self) -> String {
        let rows: Vec<[String; COLUMNS]> = self.rows.iter().map(Row::cells).collect();
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

    /// Writes `benchmarks.md`, its plot, and `benchmarks.json`, from which the next run takes the figures
    /// that it does not measure.
    pub(crate) fn write(&self, docs: &Path) -> Result<()> {
        let kept = docs.join("benchmarks.json");
        let earlier: Vec<Row> = match fs::read_to_string(&kept) {
            Ok(text) => serde_json::from_str(&text)
                .with_context(|| format!("cannot read {}", kept.display()))?,
            Err(_) => Vec::new(),
        };
        let rows = merged(earlier, self.rows.clone());
        let mut json = serde_json::to_string_pretty(&rows)?;
        json.push('\n');
        let page = self.page(&rows, &peers::section(docs)?);
        let files = [
            ("benchmarks.json", json),
            ("benchmarks.md", page),
            ("benchmarks.svg", plot::svg(&rows)),
        ];
        for (name, text) in files {
            let path = docs.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }

    fn page(&self, rows: &[Row], peers: &str) -> String {
        let mut text = String::from(
            "# Benchmarks\n\nWritten by `cargo xtask bench`; do not edit. Ratios of Kiln to bare controls that run in turns with it.\n\n",
        );
        let machine = &self.machine;
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "Last run: {}, {} cores of {}, {} GiB, Linux {}, load average {} at the start. Each row tells the day of its measurement.\n\n",
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
        for row in rows {
            let _ = writeln!(text, "| {} |", row.cells().join(" | "));
        }
        text.push_str(peers);
        text.push_str(METHOD);
        text
    }
}

/// The rows of this run, the earlier ones of figures that it did not take, and word of those that nobody took.
fn merged(earlier: Vec<Row>, fresh: Vec<Row>) -> Vec<Row> {
    let mut rows: Vec<Row> = earlier
        .into_iter()
        .filter(|old| !fresh.iter().any(|new| new.replaces(old)))
        .collect();
    rows.extend(fresh);
    for measure in MEASURES {
        let absent = |id: &&&str| !rows.iter().any(|row| row.is_of(measure, id));
        let ids: Vec<_> = measure.ids.iter().filter(absent).collect();
        rows.extend(ids.into_iter().map(|id| measure.none(id, "not run yet")));
    }
    rows.sort_by_key(Row::place);
    rows
}

const METHOD: &str = "
## Method

- Subject and control run in blocks in turns, A B B A, in one run. A figure is the median of the ratios of neighbouring blocks; a block's
  own figure is the median of its operations. So a busy neighbour hits both sides.
- A comparison whose control moved by more than 25 % ((p90 − p10) / p50 of its blocks) is measured again, three times at most; the steadiest one is
  shown, and marked `unsteady` if it still moved.
- The server runs as users run it: release build, sandbox `ns`, signatures checked (`strict`), data on disk; but without
  AWS's caps on calls and on new environments of one function in a second, which would be measured instead. Both sides are asked by the same client: one keep-alive connection for each caller, requests built and signed beforehand, 1 KiB of payload.
- **Bare HTTP echo**: hyper on tokio's multi-thread runtime, in a process of its own, answering with the request's body.
- **Minimal mock**: one thread with blocking sockets that takes the call, hands the event to the same bootstrap under the same interpreter, and
  gives the answer back; no sandbox, no signatures, no log, one call at a time.
- **Start of a static program**: spawn, run and reap of a statically linked executable that prints one word.
- **Cold start**: wait of the caller for a call that finds no environment, less the wait for a warm one. Each is made by changing the
  function's configuration; *nothing pooled* has sandboxes, waiting processes and templates switched off. The bare interpreter imports every module that the function had loaded when it was asked, and ends.
- **Calls per second of CPU**: eight connections for two seconds; calls divided by the CPU time of all processes of that side.
- **Durable creates**: `CreateFunction` with known code, answered after the sync, against `write` of 1 KiB and `fdatasync` in the same folder.
- **Asynchronous call until its handler starts**: from sending the request to the time that the handler reads on the same clock, one event at a time
  with a pause between them, against a warm call of the same function and one `write` and `fdatasync`. **Events run from a backlog**: by the
  handlers' own starts. All environments are held until the last event is accepted; against calls that wait for their answer, both with eight environments.
- **Private memory**: what eight more environments add to the private pages of server, helper and all processes below them, against one
  of two interpreters that have imported the same modules and wait.
- **Idle memory**: of server, helper and what is kept ready; a page that several of them share is split among them (PSS). The sum of their RSS, in
  which each fork counts such pages again, is larger. The peers' figures are RSS.
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
            .stretch(Goal::AtMost(3.0))
    }

    #[test]
    fn a_figure_is_marked_by_the_best_that_it_reached() {
        assert_eq!(row(2.0).mark(), "stretch reached");
        assert_eq!(row(4.0).mark(), "reached");
        assert_eq!(row(6.0).mark(), "missed");
        let unsteady = Row {
            control_moved: 0.3,
            ..row(2.0)
        };
        assert_eq!(unsteady.mark(), "stretch reached, unsteady");
        assert_eq!(
            Row::empty("P5", "x", "not built").mark(),
            "not measured: not built"
        );
    }

    /// Those of figures that exist only here.
    fn values(rows: &[Row]) -> Vec<(&str, Option<f64>)> {
        let ours = rows.iter().filter(|row| row.id.starts_with('X'));
        ours.map(|row| (row.id.as_str(), row.value)).collect()
    }

    fn named(id: &str, measure: &str, value: f64) -> Row {
        Row {
            id: id.to_owned(),
            measure: measure.to_owned(),
            ..row(value)
        }
    }

    #[test]
    fn a_figure_that_was_not_taken_keeps_its_earlier_row() {
        let old = vec![
            named("X2", "", 1.0),
            named("X10", "a", 2.0),
            named("X3", "b", 3.0),
        ];
        let failed = Row {
            measure: "b".to_owned(),
            ..Row::empty("X3", "thing", "failed")
        };
        let rows = merged(old, vec![named("X10", "a", 5.0), failed]);
        let all = [
            ("X2", Some(1.0)),
            ("X3", Some(3.0)),
            ("X3", None),
            ("X10", Some(5.0)),
        ];
        assert_eq!(values(&rows), all);
        let again = merged(rows, vec![named("X3", "b", 4.0)]);
        let all = [("X2", Some(1.0)), ("X3", Some(4.0)), ("X10", Some(5.0))];
        assert_eq!(values(&again), all);
    }

    #[test]
    fn a_figure_that_nobody_took_has_a_row() {
        for measure in MEASURES {
            let rows = merged(Vec::new(), Vec::new());
            for id in measure.ids {
                assert!(
                    rows.iter()
                        .any(|row| row.is_of(measure, id)
                            && row.mark() == "not measured: not run yet")
                );
            }
        }
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
