use serde_json::Value;

/// A JSON path as EventBridge takes it: `$.detail.a-b[0].c`, `$.resources[*]`.
/// [EventBridge guide: input transformation]
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Path(Vec<Step>);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    Name(String),
    Index(usize),
    All,
}

impl Path {
    pub(crate) fn parse(text: &str) -> Option<Path> {
        let mut rest = text.strip_prefix('$')?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(name) = rest.strip_prefix('.') {
                let end = name.find(['.', '[']).unwrap_or(name.len());
                let (name, behind) = name.split_at(end);
                match name {
                    "" => return None,
                    "*" => steps.push(Step::All),
                    name => steps.push(Step::Name(name.to_owned())),
                }
                rest = behind;
                continue;
            }
            let (inside, behind) = rest.strip_prefix('[')?.split_once(']')?;
            steps.push(match inside {
                "*" => Step::All,
                inside => match quoted(inside) {
                    Some(name) => Step::Name(name.to_owned()),
                    None => Step::Index(inside.parse().ok()?),
                },
            });
            rest = behind;
        }
        Some(Path(steps))
    }

    /// What lies there; with `*` in the path, a list of all that do.
    pub(crate) fn find(&self, event: &Value) -> Option<Value> {
        let mut found = vec![event];
        let mut is_list = false;
        for step in &self.0 {
            found = match step {
                Step::Name(name) => found.into_iter().filter_map(|v| v.get(name)).collect(),
                Step::Index(at) => found.into_iter().filter_map(|v| v.get(at)).collect(),
                Step::All => {
                    is_list = true;
                    found.into_iter().flat_map(children).collect()
                }
            };
        }
        if is_list {
            return (!found.is_empty()).then(|| found.into_iter().cloned().collect());
        }
        found.first().map(|value| (*value).clone())
    }
}

fn quoted(text: &str) -> Option<&str> {
    let single = text.strip_prefix('\'').and_then(|t| t.strip_suffix('\''));
    single.or_else(|| text.strip_prefix('"')?.strip_suffix('"'))
}

fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(members) => members.values().collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_finds_what_lies_there() {
        let event = json!({"detail": {"a-b": [{"c": 1}, {"c": 2}], "d": null}});
        for (path, expected) in [
            ("$", Some(event.clone())),
            ("$.detail.a-b[1].c", Some(json!(2))),
            ("$.detail.a-b[*].c", Some(json!([1, 2]))),
            ("$.detail['a-b'][0]", Some(json!({"c": 1}))),
            ("$.detail.d", Some(Value::Null)),
            ("$.detail.e", None),
            ("$.detail.a-b[7]", None),
        ] {
            let found = Path::parse(path).unwrap().find(&event);
            assert_eq!(found, expected, "{path}");
        }
        for bad in ["", "detail", "$detail", "$.", "$.a..b", "$.a[", "$.a[x]"] {
            assert_eq!(Path::parse(bad), None, "{bad}");
        }
    }
}
