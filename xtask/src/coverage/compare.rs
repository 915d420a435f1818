//! One operation of ours against AWS's.

use std::collections::BTreeSet;

use serde_json::Value;

use super::model::{Model, Shape};
use super::{Operation, Route, model};

/// Deepest nesting of shapes that is compared.
const DEPTH_MAX: usize = 10;

/// What the comparison of one operation found.
#[derive(Default)]
pub(super) struct Found {
    /// Where Kiln contradicts the model.
    pub(super) wrong: Vec<String>,
    /// Members of the model that Kiln does not look at.
    pub(super) unread: BTreeSet<String>,
}

/// Success codes that AWS answers in truth, against its own model.
const STATUSES: &[(&str, u16)] = &[("DeleteFunction", 204)];

pub(super) fn operation(ours: &Operation, theirs: &model::Operation, model: &Model) -> Found {
    let mut found = Found::default();
    let input = model.input(theirs);
    if let Some(route) = &ours.route {
        self::route(route, theirs, &mut found);
        if ours.built && !ours.raw && ours.status != theirs.status {
            let known = STATUSES.contains(&(ours.name.as_str(), ours.status));
            if !known {
                let text = format!("answers {} instead of {}", ours.status, theirs.status);
                found.wrong.push(text);
            }
        }
    } else if !model.is_query() && model.target_prefix.is_none() {
        found.wrong.push("has no route".to_owned());
    }
    if !ours.built {
        return found;
    }
    let Some(input) = input else {
        return found;
    };
    bindings(ours, input, &mut found);
    if let Some(shape) = &ours.input {
        structure(shape, input, model, "", 0, &mut found);
    }
    found
}

/// Method and path, and the parameters that choose between operations.
fn route(ours: &Route, theirs: &model::Operation, found: &mut Found) {
    let (path, query) = theirs.uri.split_once('?').unwrap_or((&theirs.uri, ""));
    let ours_path = ours.path.trim_end_matches('/');
    if ours.method != theirs.method || ours_path != path.trim_end_matches('/') {
        found.wrong.push(format!(
            "is {} {} instead of {} {path}",
            ours.method, ours.path, theirs.method
        ));
    }
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let is_there = ours.required.iter().any(|(n, v)| n == name && v == value);
        if !is_there {
            found
                .wrong
                .push(format!("does not ask for {part} in the query"));
        }
    }
}

/// Members that path, query and headers carry.
fn bindings(ours: &Operation, input: &Shape, found: &mut Found) {
    let Some(route) = &ours.route else { return };
    for (member, place) in &input.members {
        let name = place.name.as_deref().unwrap_or(member);
        let is_bound = match place.location.as_deref() {
            Some("uri") => route.path.contains(&format!("{{{member}}}")),
            Some("querystring") => {
                let mut bound = route.query.iter();
                bound.any(|p| p.parameter == name && p.member == *member)
            }
            Some("header") => {
                let mut bound = ours.headers.iter();
                bound.any(|h| h.header.eq_ignore_ascii_case(name) && h.member == *member)
            }
            _ => continue,
        };
        if !is_bound {
            found.unread.insert(member.clone());
        }
    }
    for parameter in &route.query {
        let place = input.members.get(&parameter.member);
        if place.is_none_or(|p| p.location.as_deref() != Some("querystring")) {
            let text = format!("reads {} from the query", parameter.member);
            found.wrong.push(text);
        }
    }
}

/// Names and types of a structure's members.
fn structure(
    ours: &Value,
    theirs: &Shape,
    model: &Model,
    path: &str,
    depth: usize,
    found: &mut Found,
) {
    let Some(members) = ours.get("members").and_then(Value::as_object) else {
        return;
    };
    let wire_name = |member: &str, place: &model::Member| match &place.name {
        Some(name) if model.is_query() => name.clone(),
        _ => member.to_owned(),
    };
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_by_key(|(name, _)| *name);
    for (name, shape) in sorted {
        let full = format!("{path}{name}");
        let place = theirs
            .members
            .iter()
            .find(|(member, place)| wire_name(member, place) == *name);
        match place.and_then(|(_, place)| model.shapes.get(&place.shape)) {
            Some(inner) => value(shape, inner, model, &full, depth, found),
            // A shape that several operations share has the members of all of them.
            None if path.is_empty() && model.has_input(name) => {}
            None => {
                let text = format!("reads {full}, which the model does not have");
                found.wrong.push(text);
            }
        }
    }
    for (member, place) in &theirs.members {
        let is_body = place.location.is_none() && theirs.payload.as_deref() != Some(member);
        if is_body && !members.contains_key(&wire_name(member, place)) {
            found.unread.insert(format!("{path}{member}"));
        }
    }
}

/// One value of ours against its model.
fn value(ours: &Value, theirs: &Shape, model: &Model, path: &str, depth: usize, found: &mut Found) {
    let kind = ours
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or("unknown");
    if depth > DEPTH_MAX || matches!(kind, "any" | "unknown") {
        return;
    }
    if !is_like(kind, &theirs.kind) {
        let text = format!("reads {path} as {kind} and not as {}", theirs.kind);
        found.wrong.push(text);
        return;
    }
    let inner = theirs.of.as_ref().and_then(|name| model.shapes.get(name));
    match (kind, inner) {
        ("structure", _) => structure(ours, theirs, model, &format!("{path}."), depth + 1, found),
        ("list" | "map", Some(inner)) => {
            let of = ours.get("of").unwrap_or(&Value::Null);
            value(of, inner, model, &format!("{path}[]"), depth + 1, found);
        }
        _ => {}
    }
    let Some(accepted) = ours.get("enum").and_then(Value::as_array) else {
        return;
    };
    let lacks = |value: &&String| !accepted.iter().any(|a| a.as_str() == Some(value.as_str()));
    let refused: Vec<&str> = theirs
        .values
        .iter()
        .filter(lacks)
        .map(String::as_str)
        .collect();
    if !refused.is_empty() {
        let text = format!("refuses values of {path}: {}", refused.join(", "));
        found.wrong.push(text);
    }
}

/// Whether a value of the model's type fits ours.
fn is_like(ours: &str, theirs: &str) -> bool {
    matches!(
        (ours, theirs),
        ("integer" | "long", "integer" | "long") | ("float" | "double", "float" | "double")
    ) || ours == theirs
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn model() -> Model {
        serde_json::from_value(json!({
            "protocol": "rest-json",
            "targetPrefix": null,
            "operations": {"GetThing": {
                "method": "POST", "uri": "/things/{Name}?find=All", "status": 201, "input": "In",
            }},
            "shapes": {
                "In": {"type": "structure", "enum": [], "payload": null, "members": {
                    "Name": {"shape": "S", "location": "uri", "name": "Name"},
                    "Mark": {"shape": "S", "location": "querystring", "name": "mark"},
                    "Kind": {"shape": "K", "location": "header", "name": "X-Kind"},
                    "Count": {"shape": "I", "location": null, "name": null},
                    "Tags": {"shape": "L", "location": null, "name": null},
                    "Extra": {"shape": "S", "location": null, "name": null},
                }},
                "S": {"type": "string", "enum": [], "payload": null, "of": null},
                "K": {"type": "string", "enum": ["A", "B"], "payload": null, "of": null},
                "I": {"type": "integer", "enum": [], "payload": null, "of": null},
                "L": {"type": "list", "enum": [], "payload": null, "of": "S"},
            },
        }))
        .unwrap()
    }

    fn check(ours: Value, wrong: &[&str], unread: &[&str]) {
        let model = model();
        let ours: Operation = serde_json::from_value(ours).unwrap();
        let found = operation(&ours, &model.operations["GetThing"], &model);
        assert_eq!(found.wrong, wrong);
        assert_eq!(
            found.unread.iter().map(String::as_str).collect::<Vec<_>>(),
            unread
        );
    }

    fn good() -> Value {
        json!({
            "name": "GetThing", "built": true, "raw": false, "status": 201,
            "route": {
                "method": "POST", "path": "/things/{Name}/",
                "query": [{"parameter": "mark", "member": "Mark"}],
                "required": [["find", "All"]],
            },
            "headers": [{"header": "x-kind", "member": "Kind"}],
            "input": {"type": "structure", "members": {
                "Name": {"type": "string"}, "Count": {"type": "long"}, "Extra": {"type": "any"},
                "Tags": {"type": "list", "of": {"type": "string"}},
                "Kind": {"type": "string", "enum": ["B", "A"]},
            }},
        })
    }

    #[test]
    fn an_operation_that_agrees_has_nothing_found() {
        check(good(), &[], &[]);
    }

    #[test]
    fn every_contradiction_is_named() {
        let mut ours = good();
        ours["status"] = json!(200);
        ours["route"]["method"] = json!("PUT");
        ours["route"]["required"] = json!([]);
        ours["route"]["query"][0]["parameter"] = json!("Mark");
        ours["headers"] = json!([]);
        ours["input"]["members"] = json!({
            "Count": {"type": "string"}, "Odd": {"type": "string"},
            "Tags": {"type": "list", "of": {"type": "integer"}},
            "Kind": {"type": "string", "enum": ["A"]},
        });
        check(
            ours,
            &[
                "is PUT /things/{Name}/ instead of POST /things/{Name}",
                "does not ask for find=All in the query",
                "answers 200 instead of 201",
                "reads Count as string and not as integer",
                "refuses values of Kind: B",
                "reads Odd, which the model does not have",
                "reads Tags[] as integer and not as string",
            ],
            &["Extra", "Kind", "Mark"],
        );
    }
}
