use std::fmt::Write;

use http::Method;
use serde_json::{Value, json};

use super::functions::escape;
use super::{ClientArgs, show};
use crate::admin;

/// `kiln trace`
pub(crate) async fn trace(id: &str, to: &ClientArgs) -> anyhow::Result<()> {
    let path = format!("{}/{}", admin::TRACE, escape(id));
    let answer = to.client()?.admin(Method::GET, &path, &Value::Null).await?;
    let tree = answer.ok()?.json()?;
    if to.json {
        show::json(&tree);
        return Ok(());
    }
    let mut text = String::new();
    for node in list(&tree, "nodes") {
        draw(&mut text, node, "");
    }
    show::line(text.trim_end());
    Ok(())
}

/// `kiln replay`
pub(crate) async fn replay(
    id: &str,
    qualifier: Option<String>,
    is_duplicate: bool,
    to: &ClientArgs,
) -> anyhow::Result<()> {
    let path = format!("{}/{}/replay", admin::TRACE, escape(id));
    let mut body = json!({ "isDuplicate": is_duplicate });
    if let (Some(qualifier), Some(body)) = (qualifier, body.as_object_mut()) {
        body.insert("qualifier".to_owned(), qualifier.into());
    }
    let answer = to.client()?.admin(Method::POST, &path, &body).await?;
    let answer = answer.ok()?.json()?;
    match to.json {
        true => show::json(&answer),
        false => show::line(text(&answer, "requestId")),
    }
    Ok(())
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// One node, and below it what happened and what followed; `margin` is in front of each line.
fn draw(out: &mut String, node: &Value, margin: &str) {
    // Writing to a text cannot fail.
    let _ = writeln!(
        out,
        "{} {}  {}",
        text(node, "kind"),
        text(node, "to"),
        text(node, "id")
    );
    let (steps, next) = (list(node, "steps"), list(node, "next"));
    let bar = if next.is_empty() { " " } else { "│" };
    for step in steps {
        let _ = writeln!(
            out,
            "{margin}{bar}  {}  {}",
            text(step, "at"),
            text(step, "text")
        );
    }
    for (at, child) in (1..).zip(next) {
        let (corner, below) = match at == next.len() {
            true => ("└─ ", "   "),
            false => ("├─ ", "│  "),
        };
        let _ = write!(out, "{margin}{corner}");
        draw(out, child, &format!("{margin}{below}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_drawn_with_its_branches() {
        let node = |id: &str, next: Value| {
            json!({"kind": "event", "to": "f", "id": id, "next": next,
                "steps": [{"at": "now", "text": "accepted"}]})
        };
        let tree = node(
            "1",
            json!([
                node("2", json!([node("3", json!([]))])),
                node("4", json!([]))
            ]),
        );
        let mut drawn = String::new();
        draw(&mut drawn, &tree, "");
        let expected = "\
event f  1
│  now  accepted
├─ event f  2
│  │  now  accepted
│  └─ event f  3
│        now  accepted
└─ event f  4
      now  accepted
";
        assert_eq!(drawn, expected);
    }
}
