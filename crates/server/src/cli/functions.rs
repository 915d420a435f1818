use serde_json::Value;

use super::{ClientArgs, show};

/// Pages that `kiln functions` reads at most; 50 functions each.
const PAGES_MAX: usize = 2_000;

/// `kiln functions`
pub(crate) async fn run(to: &ClientArgs) -> anyhow::Result<()> {
    let client = to.client()?;
    let mut all: Vec<Value> = Vec::new();
    let mut path = "/2015-03-31/functions/".to_owned();
    for _ in 0..PAGES_MAX {
        let mut page = client.get(&path).await?.ok()?.json()?;
        if let Some(Value::Array(items)) = page.get_mut("Functions").map(Value::take) {
            all.extend(items);
        }
        let Some(marker) = page.get("NextMarker").and_then(Value::as_str) else {
            break;
        };
        path = format!("/2015-03-31/functions/?Marker={}", escape(marker));
    }
    if to.json {
        show::json(&Value::Array(all));
        return Ok(());
    }
    if all.is_empty() {
        show::line("no functions; `kiln deploy DIR` makes one");
        return Ok(());
    }
    let text = |f: &Value, name: &str| match f.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "-".to_owned(),
        Some(other) => other.to_string(),
    };
    let row = |f: &Value| {
        let columns = [
            "FunctionName",
            "Runtime",
            "Handler",
            "MemorySize",
            "Timeout",
            "CodeSize",
            "LastModified",
        ];
        columns.iter().map(|c| text(f, c)).collect()
    };
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    show::table(
        &[
            "function", "runtime", "handler", "MB", "timeout", "bytes", "modified",
        ],
        &rows,
    );
    Ok(())
}

/// Percent-encodes what a query or path may not hold.
pub(crate) fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, b| {
        if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
        out
    })
}
