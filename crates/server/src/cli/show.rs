//! How commands print: colours on a terminal, plain text elsewhere.
//!
//! A reader that goes away, as `head` does, is no error: the rest of the output is dropped.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::config::{Layers, variable};

#[derive(Clone, Copy)]
pub(crate) enum Tone {
    Good,
    Bad,
    Warn,
    Faint,
    Strong,
}

/// Whether colours are wanted there: it is a terminal, and `NO_COLOR` is not set.  [no-color.org]
pub(crate) fn is_coloured(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && variable("NO_COLOR").is_none()
}

/// Colours `text` for standard output, if that has colours.
pub(crate) fn paint(tone: Tone, text: &str) -> String {
    painted(&std::io::stdout(), tone, text)
}

fn painted(stream: &impl IsTerminal, tone: Tone, text: &str) -> String {
    if !is_coloured(stream) {
        return text.to_owned();
    }
    let code = match tone {
        Tone::Good => "32",
        Tone::Bad => "31",
        Tone::Warn => "33",
        Tone::Faint => "2",
        Tone::Strong => "1",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// Whether standard output went away.
static IS_CLOSED: AtomicBool = AtomicBool::new(false);

pub(crate) fn line(text: &str) {
    bytes(format!("{text}\n").as_bytes());
}

pub(crate) fn bytes(all: &[u8]) {
    let mut out = std::io::stdout().lock();
    if out.write_all(all).and_then(|()| out.flush()).is_err() {
        IS_CLOSED.store(true, Ordering::Relaxed);
    }
}

/// For commands that print without end: nobody reads any more.
pub(crate) fn is_closed() -> bool {
    IS_CLOSED.load(Ordering::Relaxed)
}

pub(crate) fn json(value: &serde_json::Value) {
    line(&serde_json::to_string_pretty(value).unwrap_or_default());
}

pub(crate) fn note(text: &str) {
    // There is nobody else to tell that nobody listens.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A note in colour.
pub(crate) fn aside(tone: Tone, text: &str) {
    note(&painted(&std::io::stderr(), tone, text));
}

pub(crate) fn error(error: &anyhow::Error) {
    let head = painted(&std::io::stderr(), Tone::Bad, "error:");
    note(&format!("{head} {error}"));
    for cause in error.chain().skip(1) {
        note(&format!("  because: {cause}"));
    }
}

/// Left-aligned columns below a head; the last column is as long as it is.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) {
    let width = |at: usize| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(at))
            .map(|cell| cell.chars().count());
        cells
            .chain(head.get(at).map(|h| h.len()))
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let print = |cells: &[String], tone: Option<Tone>| {
        let mut text = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', width + 2 - cell.chars().count()));
        }
        let text = text.trim_end();
        line(&tone.map_or(text.to_owned(), |tone| paint(tone, text)));
    };
    print(
        &head.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>(),
        Some(Tone::Strong),
    );
    rows.iter().for_each(|row| print(row, None));
}

/// `kiln config`
pub(crate) fn config(layers: &Layers, as_json: bool) {
    let rows = layers.rows();
    if as_json {
        let row = |(key, value, origin): &(&str, String, String)| {
            (
                (*key).to_owned(),
                serde_json::json!({"value": value, "origin": origin}),
            )
        };
        return json(&serde_json::Value::Object(rows.iter().map(row).collect()));
    }
    let help = |key: &str| {
        crate::config::SETTINGS
            .iter()
            .find(|s| s.key == key)
            .map_or(String::new(), |s| format!("{} (${})", s.help, s.variable))
    };
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(key, value, origin)| vec![key.to_owned(), value, origin, help(key)])
        .collect();
    table(&["setting", "value", "from", "meaning"], &rows);
}
