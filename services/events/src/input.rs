//! What a target gets of an event.  [EventBridge guide: input transformation]

use serde_json::{Map, Value};

use crate::event::Event;
use crate::path::Path;
use crate::record::{RuleTarget, Transformer};

/// Variables that EventBridge knows by itself.
const PREDEFINED: [&str; 5] = [
    "aws.events.rule-arn",
    "aws.events.rule-name",
    "aws.events.event.ingestion-time",
    "aws.events.event",
    "aws.events.event.json",
];

/// What is known where an event meets a rule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meeting<'m> {
    pub(crate) event: &'m Event,
    /// The same as a value.
    pub(crate) value: &'m Value,
    pub(crate) rule_arn: &'m str,
    pub(crate) rule_name: &'m str,
    /// When the event was accepted, as in events.
    pub(crate) ingested: &'m str,
}

/// The body for the target. `None`: the template and the event give no JSON; nothing is sent then.
pub(crate) fn body(target: &RuleTarget, meeting: &Meeting<'_>) -> Option<String> {
    if let Some(input) = &target.input {
        return Some(input.clone());
    }
    if let Some(path) = &target.input_path {
        let found = Path::parse(path)?.find(meeting.value)?;
        return Some(found.to_string());
    }
    match &target.transformer {
        Some(transformer) => render(transformer, meeting),
        None => Some(meeting.event.json()),
    }
}

/// The first variable of a template that is neither defined nor predefined.
pub(crate) fn unknown_placeholder(transformer: &Transformer) -> Option<&str> {
    placeholders(&transformer.template)
        .into_iter()
        .map(|(_, name)| name)
        .find(|name| !transformer.paths.contains_key(*name) && !PREDEFINED.contains(name))
}

/// Where a placeholder with its brackets begins, and its name.
fn placeholders(template: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(open) = template.get(from..).and_then(|rest| rest.find('<')) {
        let start = from + open;
        let rest = template.get(start + 1..).unwrap_or_default();
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let name = rest.get(..end).unwrap_or_default();
        if !name.is_empty() && rest.get(end..).is_some_and(|r| r.starts_with('>')) {
            found.push((start, name));
        }
        from = start + 1;
    }
    found
}

/// A template is a text in quotes, or several of them on lines, or JSON. In a text, objects and lists
/// lose their quotes. In JSON a variable stands for a value, or inside quotes for text; an object or a
/// list inside quotes gives no JSON.
fn render(transformer: &Transformer, meeting: &Meeting<'_>) -> Option<String> {
    let template = transformer.template.as_str();
    let is_text = template
        .lines()
        .all(|line| line.trim_start().starts_with('"') || line.trim().is_empty());
    let mut out = String::with_capacity(template.len());
    let mut quotes = Quotes::default();
    let mut at = 0;
    for (start, name) in placeholders(template) {
        let before = template.get(at..start)?;
        quotes.pass(before);
        out.push_str(before);
        let value = value_of(transformer, name, meeting);
        out.push_str(&match (quotes.is_open, is_text) {
            (true, true) => plain(value.as_ref()),
            (true, false) => inside_quotes(value.as_ref()),
            (false, _) => value.unwrap_or_else(|| Value::from("")).to_string(),
        });
        at = start + name.len() + 2;
    }
    out.push_str(template.get(at..)?);
    let is_json = is_text || serde_json::from_str::<serde::de::IgnoredAny>(&out).is_ok();
    is_json.then_some(out)
}

fn value_of(transformer: &Transformer, name: &str, meeting: &Meeting<'_>) -> Option<Value> {
    match name {
        "aws.events.rule-arn" => Some(Value::from(meeting.rule_arn)),
        "aws.events.rule-name" => Some(Value::from(meeting.rule_name)),
        "aws.events.event.ingestion-time" => Some(Value::from(meeting.ingested)),
        "aws.events.event" => Some(without_detail(meeting)),
        "aws.events.event.json" => Some(meeting.value.clone()),
        name => {
            let path = Path::parse(transformer.paths.get(name)?)?;
            path.find(meeting.value).filter(|value| !value.is_null())
        }
    }
}

/// The event without its detail. AWS spells one member otherwise here, and the time is that of acceptance.
fn without_detail(meeting: &Meeting<'_>) -> Value {
    let mut members = Map::new();
    for name in [
        "id",
        "account",
        "detail-type",
        "time",
        "source",
        "region",
        "resources",
        "version",
    ] {
        let value = meeting.value.get(name).cloned().unwrap_or_default();
        match name {
            "detail-type" => members.insert("detailType".to_owned(), value),
            "time" => members.insert(name.to_owned(), Value::from(meeting.ingested)),
            name => members.insert(name.to_owned(), value),
        };
    }
    Value::Object(members)
}

fn plain(value: Option<&Value>) -> String {
    match value {
        None => String::new(),
        Some(Value::String(text)) => escaped(text),
        Some(other) => other.to_string().replace('"', ""),
    }
}

fn inside_quotes(value: Option<&Value>) -> String {
    match value {
        None => String::new(),
        Some(Value::String(text)) => escaped(text),
        Some(other) => other.to_string(),
    }
}

/// The text as it stands between quotes.
fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    let inner = quoted.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    inner.unwrap_or_default().to_owned()
}

/// Whether the end of what was passed lies between quotes.
#[derive(Debug, Default)]
struct Quotes {
    is_open: bool,
    is_escaped: bool,
}

impl Quotes {
    fn pass(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                _ if self.is_escaped => self.is_escaped = false,
                '\\' if self.is_open => self.is_escaped = true,
                '"' => self.is_open = !self.is_open,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use model::ports::EventHead;
    use serde_json::json;
    use tasks::Time;

    use super::*;
    use crate::event::Origin;

    /// Renders a template with the variables that the recorded answers of AWS were made with.
    fn check(template: &str, expected: Option<&str>) {
        let detail = json!({
            "command": "update", "payload": {"acc_id": "0a", "sf_id": "baz"},
            "listsingle": ["HIGH"], "listmulti": ["ACTIVE", "INACTIVE"], "valid": true, "n": 7,
            "quote": "a \"b\"",
        });
        let origin = Origin {
            id: "i",
            account: "000000000000",
            region: "us-east-1",
            time: Time::from_unix_secs(1_795_209_000),
        };
        let head = EventHead {
            source: "s".to_owned(),
            detail_type: "t".to_owned(),
            resources: vec![],
        };
        let event = Event::new(origin, head, &detail.to_string()).unwrap();
        let names = [
            ("userId", "$.detail.payload.acc_id"),
            ("payload", "$.detail.payload"),
            ("none", "$.detail.nothing"),
            ("listsingle", "$.detail.listsingle"),
            ("listmulti", "$.detail.listmulti"),
            ("valid", "$.detail.valid"),
            ("n", "$.detail.n"),
            ("quote", "$.detail.quote"),
        ];
        let paths = names
            .iter()
            .map(|(n, p)| ((*n).to_owned(), (*p).to_owned()));
        let target = RuleTarget {
            transformer: Some(Transformer {
                paths: paths.collect(),
                template: template.to_owned(),
            }),
            ..RuleTarget::default()
        };
        let meeting = Meeting {
            event: &event,
            value: &event.value(),
            rule_arn: "arn:aws:events:us-east-1:000000000000:rule/r",
            rule_name: "r",
            ingested: "2026-11-20T21:10:05Z",
        };
        assert_eq!(body(&target, &meeting).as_deref(), expected, "{template}");
    }

    #[test]
    fn a_text_takes_every_value_without_its_quotes() {
        for (template, expected) in [
            (
                r#""Payload of <payload> with path users/<userId> and <userId>""#,
                r#""Payload of {acc_id:0a,sf_id:baz} with path users/0a and 0a""#,
            ),
            (
                r#""<listsingle> single list item""#,
                r#""[HIGH] single list item""#,
            ),
            (
                r#""<listmulti> items <none> x""#,
                r#""[ACTIVE,INACTIVE] items  x""#,
            ),
            (r#""Command is <valid>!""#, r#""Command is true!""#),
            (r#""{[/Check of <n>""#, r#""{[/Check of 7""#),
            ("\"<userId> a\"\n\"<n> b\"", "\"0a a\"\n\"7 b\""),
            (r#""say <quote>""#, r#""say a \"b\"""#),
        ] {
            check(template, Some(expected));
        }
    }

    #[test]
    fn json_takes_values_and_texts() {
        for (template, expected) in [
            (
                r#"{"path": "users/<userId>", "bod": <payload>}"#,
                r#"{"path": "users/0a", "bod": {"acc_id":"0a","sf_id":"baz"}}"#,
            ),
            (r#"{"id" : <userId>}"#, r#"{"id" : "0a"}"#),
            (r#"{"id" : "<userId>"}"#, r#"{"id" : "0a"}"#),
            (
                r#"{"bod": [<userId>, "hard"]}"#,
                r#"{"bod": ["0a", "hard"]}"#,
            ),
            (r#"{"l": <listsingle>}"#, r#"{"l": ["HIGH"]}"#),
            (r#"{"c": <none>}"#, r#"{"c": ""}"#),
            (r#"{"n": <n>, "v": <valid>}"#, r#"{"n": 7, "v": true}"#),
            ("<payload>", r#"{"acc_id":"0a","sf_id":"baz"}"#),
        ] {
            check(template, Some(expected));
        }
    }

    #[test]
    fn what_is_no_json_is_not_sent() {
        for template in [
            r#"{"bad": "users/<payload>"}"#,
            r#"{"payload": "<payload>"}"#,
            r#"{"l": "<listsingle>"}"#,
            "<listsingle> single list item",
        ] {
            check(template, None);
        }
    }

    #[test]
    fn predefined_variables_tell_of_rule_and_event() {
        check(
            r#""<aws.events.rule-arn> <aws.events.rule-name> <aws.events.event.ingestion-time>""#,
            Some(r#""arn:aws:events:us-east-1:000000000000:rule/r r 2026-11-20T21:10:05Z""#),
        );
        check(
            r#"{"e": <aws.events.event>}"#,
            Some(
                r#"{"e": {"id":"i","account":"000000000000","detailType":"t","time":"2026-11-20T21:10:05Z","source":"s","region":"us-east-1","resources":[],"version":"0"}}"#,
            ),
        );
    }

    #[test]
    fn a_placeholder_must_be_known() {
        let transformer = |template: &str| Transformer {
            paths: [("a".to_owned(), "$.a".to_owned())].into(),
            template: template.to_owned(),
        };
        for (template, expected) in [
            (r#""<a> <aws.events.rule-name>""#, None),
            (r#""<a> <b>""#, Some("b")),
            (r#""1 < 2 and <>""#, None),
        ] {
            let transformer = transformer(template);
            assert_eq!(unknown_placeholder(&transformer), expected, "{template}");
        }
    }
}
