//! Lists and maps that the query protocol writes without an element around them.
//!
//! `Message.1`, `Message.2` … in a form, `<Message/><Message/>` in an answer, for a member that JSON
//! calls `Messages`.  [Smithy: xmlFlattened]

use std::collections::BTreeMap;

use serde_json::Value;

use super::xml::write;
use crate::members::Tree;

/// How the query protocol spells one list or map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flat {
    pub(crate) member: &'static str,
    pub(crate) element: &'static str,
    /// Of a map: the name of its keys; its values are `Value`.
    pub(crate) key: Option<&'static str>,
}

impl Flat {
    pub const fn list(member: &'static str, element: &'static str) -> Flat {
        Flat {
            member,
            element,
            key: None,
        }
    }

    pub const fn map(member: &'static str, element: &'static str, key: &'static str) -> Flat {
        Flat {
            member,
            element,
            key: Some(key),
        }
    }
}

/// Gives the names of a form those that the shapes have.
pub(crate) fn rename(names: BTreeMap<String, Tree>, flat: &[Flat]) -> BTreeMap<String, Tree> {
    let each = names.into_iter().map(|(name, tree)| {
        // A single text of the name is another member: `QueueUrl` beside a list of them.
        let is_list = matches!(tree, Tree::Names(_));
        let known = flat.iter().find(|flat| is_list && flat.element == name);
        let name = known.map_or(name, |flat| flat.member.to_owned());
        let tree = match tree {
            Tree::Names(inner) => Tree::Names(rename(inner, flat)),
            other => other,
        };
        (name, tree)
    });
    each.collect()
}

/// Writes the members of a structure.
pub(crate) fn structure(out: &mut String, members: &Value, flat: &[Flat]) {
    let Value::Object(members) = members else {
        return;
    };
    for (name, value) in members {
        let known = flat.iter().find(|flat| flat.member == name);
        match (known, value) {
            (_, Value::Null) => {}
            (Some(Flat { element, .. }), Value::Array(items)) => {
                for item in items {
                    one(out, element, item, flat);
                }
            }
            (Some(Flat { element, key, .. }), Value::Object(entries)) => {
                for (name, value) in entries {
                    write::tag(out, element, "");
                    one(out, key.unwrap_or("key"), &name.as_str().into(), flat);
                    one(out, "Value", value, flat);
                    write::end(out, element, "");
                }
            }
            _ => one(out, name, value, flat),
        }
    }
}

fn one(out: &mut String, name: &str, value: &Value, flat: &[Flat]) {
    write::tag(out, name, "");
    match value {
        Value::Object(_) => structure(out, value, flat),
        Value::String(text) => write::text(out, text),
        Value::Array(items) => {
            for item in items {
                one(out, "member", item, flat);
            }
        }
        other => write::text(out, &other.to_string()),
    }
    write::end(out, name, "");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FLAT: &[Flat] = &[
        Flat::list("Messages", "Message"),
        Flat::map("Attributes", "Attribute", "Name"),
    ];

    #[test]
    fn lists_and_maps_have_no_element_around_them() {
        let mut out = String::new();
        let answer = json!({
            "Messages": [{"Body": "a<b", "Attributes": {"k": "v", "n": {"Type": 1}}}, {}],
            "None": null,
            "Flag": true,
        });
        structure(&mut out, &answer, FLAT);
        assert_eq!(
            out,
            "<Message><Body>a&lt;b</Body><Attribute><Name>k</Name><Value>v</Value></Attribute>\
             <Attribute><Name>n</Name><Value><Type>1</Type></Value></Attribute></Message>\
             <Message></Message><Flag>true</Flag>"
        );
    }

    #[test]
    fn names_of_a_form_become_those_of_the_shape() {
        let form = b"Message.1.Attribute.1.Name=k&Attribute=x";
        let Ok(Tree::Names(names)) = super::super::unflatten(form) else {
            panic!("a form");
        };
        let names = rename(names, FLAT);
        let Some(Tree::Names(list)) = names.get("Messages") else {
            panic!("{names:?}");
        };
        let Some(Tree::Names(first)) = list.get("1") else {
            panic!("{list:?}");
        };
        assert!(first.contains_key("Attributes"));
        assert!(names.contains_key("Attribute"));
    }
}
