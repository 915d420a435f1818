//! The older protocol as its clients speak it: forms out, XML in.

use serde_json::{Map, Value, json};

/// Member, element, name of the keys of a map.  [botocore 1.29, sqs/2012-11-05]
const FLAT: &[(&str, &str, &str)] = &[
    ("AttributeNames", "AttributeName", ""),
    ("MessageAttributeNames", "MessageAttributeName", ""),
    (
        "MessageSystemAttributeNames",
        "MessageSystemAttributeName",
        "",
    ),
    ("AWSAccountIds", "AWSAccountId", ""),
    ("Actions", "ActionName", ""),
    ("TagKeys", "TagKey", ""),
    ("QueueUrls", "QueueUrl", ""),
    ("queueUrls", "QueueUrl", ""),
    ("Messages", "Message", ""),
    ("Results", "ListMessageMoveTasksResultEntry", ""),
    ("Failed", "BatchResultErrorEntry", ""),
    ("Attributes", "Attribute", "Name"),
    ("MessageAttributes", "MessageAttribute", "Name"),
    ("MessageSystemAttributes", "MessageSystemAttribute", "Name"),
    ("Tags", "Tag", "Key"),
    ("tags", "Tag", "Key"),
];

fn flat(operation: &str, member: &str) -> Option<(String, &'static str)> {
    match member {
        "Entries" => Some((format!("{operation}RequestEntry"), "")),
        "Successful" => Some((format!("{operation}ResultEntry"), "")),
        _ => {
            let known = FLAT.iter().find(|(name, ..)| *name == member)?;
            Some((known.1.to_owned(), known.2))
        }
    }
}

pub(crate) fn form(operation: &str, body: &Value) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", operation);
    form.append_pair("Version", "2012-11-05");
    let mut pairs = Vec::new();
    flatten(operation, "", body, &mut pairs);
    form.extend_pairs(pairs);
    form.finish()
}

fn flatten(operation: &str, path: &str, value: &Value, pairs: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let dot = if path.is_empty() { "" } else { "." };
                let Some((element, key)) = flat(operation, name) else {
                    flatten(operation, &format!("{path}{dot}{name}"), value, pairs);
                    continue;
                };
                let path = format!("{path}{dot}{element}");
                let items: Vec<Value> = match value {
                    Value::Array(items) => items.clone(),
                    Value::Object(map) => map
                        .iter()
                        .map(|(k, v)| json!({key: k, "Value": v}))
                        .collect(),
                    other => vec![other.clone()],
                };
                for (at, item) in items.iter().enumerate() {
                    flatten(operation, &format!("{path}.{}", at + 1), item, pairs);
                }
            }
        }
        Value::String(text) => pairs.push((path.to_owned(), text.clone())),
        other => pairs.push((path.to_owned(), other.to_string())),
    }
}

/// An element: its name, its text, its children.
struct Element {
    name: String,
    text: String,
    children: Vec<Element>,
}

fn parse(xml: &mut &str) -> Option<Element> {
    let open = xml
        .strip_prefix('<')
        .filter(|rest| !rest.starts_with('/'))?;
    let (tag, rest) = open.split_once('>').unwrap();
    let name = tag.split(' ').next().unwrap().to_owned();
    *xml = rest;
    let (mut text, mut children) = (String::new(), Vec::new());
    if let Some(name) = name.strip_suffix('/') {
        let name = name.to_owned();
        return Some(Element {
            name,
            text,
            children,
        });
    }
    loop {
        if let Some(child) = parse(xml) {
            children.push(child);
            continue;
        }
        let (before, rest) = xml.split_at(xml.find('<').unwrap());
        text.push_str(before);
        *xml = rest;
        if let Some(rest) = xml.strip_prefix(&format!("</{name}>")) {
            *xml = rest;
            for (from, to) in [
                ("&lt;", "<"),
                ("&gt;", ">"),
                ("&#13;", "\r"),
                ("&amp;", "&"),
            ] {
                text = text.replace(from, to);
            }
            return Some(Element {
                name,
                text,
                children,
            });
        }
    }
}

fn value(operation: &str, element: &Element) -> Value {
    if element.children.is_empty() {
        return match element.text.as_str() {
            "true" => true.into(),
            "false" => false.into(),
            text => text.into(),
        };
    }
    members(operation, &element.children)
}

fn members(operation: &str, children: &[Element]) -> Value {
    let mut all = Map::new();
    for child in children {
        let names = FLAT.iter().map(|(name, ..)| *name);
        let is_here = |name: &&str| match *name {
            "QueueUrls" => operation == "ListQueues",
            "queueUrls" => operation == "ListDeadLetterSourceQueues",
            "Messages" => operation == "ReceiveMessage",
            name => name != "tags",
        };
        let known = names
            .filter(is_here)
            .chain(["Entries", "Successful"])
            .find_map(|name| {
                let (_, key) = flat(operation, name).filter(|(e, _)| *e == child.name)?;
                Some((name, key))
            });
        match known {
            Some((name, "")) => {
                let list = all.entry(name).or_insert(json!([]));
                list.as_array_mut().unwrap().push(value(operation, child));
            }
            Some((name, key)) => {
                let part = |name| child.children.iter().find(|c| c.name == name).unwrap();
                let map = all.entry(name).or_insert(json!({}));
                map[part(key).text.as_str()] = value(operation, part("Value"));
            }
            None => {
                all.insert(child.name.clone(), value(operation, child));
            }
        }
    }
    Value::Object(all)
}

/// Status, error code with the side, members of the result.
pub(crate) fn answer(status: u16, operation: &str, text: &str) -> (u16, String, Value) {
    let root = parse(&mut &*text).unwrap_or_else(|| panic!("{text}"));
    let part = |element: &Element, name: &str| -> String {
        let found = element.children.iter().find(|c| c.name == name);
        found.map(|c| c.text.clone()).unwrap_or_default()
    };
    if status >= 400 {
        let error = &root.children[0];
        let code = format!("{};{}", part(error, "Code"), part(error, "Type"));
        return (status, code, json!({"message": part(error, "Message")}));
    }
    assert_eq!(root.name, format!("{operation}Response"));
    let result = format!("{operation}Result");
    let result = root.children.iter().find(|child| child.name == result);
    let result = result.map_or(json!({}), |r| members(operation, &r.children));
    (status, String::new(), result)
}
