//! `docs/coverage.md`.

use std::fmt::Write;

use super::compare::{self, Found};
use super::model::{Model, Models};
use super::{Operation, Registered, Service};

pub(super) fn write(registered: &Registered, models: &Models) -> String {
    let mut out = format!(
        "# Coverage of the AWS APIs\n\n\
         Written by `cargo xtask api-coverage`, which compares what Kiln registers (operations, \
         routes, success codes, names and types of input members) with AWS's service models as \
         botocore {} has them. Answers and errors are compared by the end-to-end tests, which \
         read them with AWS's own clients. An operation that is not built answers 501 \
         `NotImplementedException` where Kiln knows its name.\n\n\
         | Service | Protocol | Operations built | of |\n| --- | --- | ---: | ---: |\n",
        models.version
    );
    let mut services: Vec<&Service> = registered.services.iter().collect();
    services.sort_by_key(|service| &service.name);
    for service in &services {
        let model = models.services.get(&service.name);
        let (built, all) = counts(service, model);
        let protocols = service.protocols.join(", ");
        let _ = writeln!(
            out,
            "| [{0}](#{0}) | {protocols} | {built} | {all} |",
            service.name
        );
    }
    for service in services {
        let _ = write!(out, "\n## {}\n", service.name);
        match models.services.get(&service.name) {
            Some(model) => one(&mut out, service, model),
            None => out.push_str("\nAWS has no model of this service.\n"),
        }
    }
    out
}

fn counts(service: &Service, model: Option<&Model>) -> (usize, usize) {
    let Some(model) = model else {
        return (0, 0);
    };
    let is_theirs = |o: &&Operation| model.operations.contains_key(&o.name);
    let built = service
        .operations
        .iter()
        .filter(is_theirs)
        .filter(|o| o.built);
    (built.count(), model.operations.len())
}

fn one(out: &mut String, service: &Service, model: &Model) {
    let mut differences = Vec::new();
    if service.target_prefix != model.target_prefix {
        let text = format!("the target prefix is {:?}", service.target_prefix);
        differences.push(text);
    }
    let mut built: Vec<(&Operation, Found)> = Vec::new();
    let mut own = Vec::new();
    for ours in &service.operations {
        let Some(theirs) = model.operations.get(&ours.name) else {
            own.push(ours.name.as_str());
            continue;
        };
        let found = compare::operation(ours, theirs, model);
        let named = found
            .wrong
            .iter()
            .map(|text| format!("{} {text}", ours.name));
        differences.extend(named);
        if ours.built {
            built.push((ours, found));
        }
    }
    built.sort_by_key(|(operation, _)| &operation.name);
    if !built.is_empty() {
        out.push_str(
            "\n| Operation | Members that Kiln accepts and does not look at |\n| --- | --- |\n",
        );
        for (operation, found) in &built {
            let unread: Vec<&str> = found.unread.iter().map(String::as_str).collect();
            let unread = match unread.is_empty() {
                true => "–".to_owned(),
                false => unread.join(", "),
            };
            let _ = writeln!(out, "| {} | {unread} |", operation.name);
        }
    }
    let is_built = |name: &str| built.iter().any(|(operation, _)| operation.name == name);
    let missing: Vec<&str> = model
        .operations
        .keys()
        .map(String::as_str)
        .filter(|name| !is_built(name))
        .collect();
    if !missing.is_empty() {
        let _ = write!(out, "\nNot built: {}.\n", missing.join(", "));
    }
    if !own.is_empty() {
        let _ = write!(
            out,
            "\nKiln's own, beyond AWS's model: {}.\n",
            own.join(", ")
        );
    }
    if !differences.is_empty() {
        out.push_str("\nDifferences from the model:\n\n");
        for text in differences {
            let _ = writeln!(out, "- {text}");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_page_tells_what_is_built_and_what_differs() {
        let operation = |name: &str, built: bool, input: serde_json::Value| {
            json!({
                "name": name, "built": built, "raw": false, "status": 200, "route": null,
                "headers": [], "input": input,
            })
        };
        let registered: Registered = serde_json::from_value(json!({"services": [{
            "name": "toy", "targetPrefix": "Toy_1", "protocols": ["json-1.1"], "operations": [
                operation("Put", true, json!({"type": "structure", "members": {
                    "a": {"type": "string"}, "odd": {"type": "string"},
                }})),
                operation("Later", false, json!(null)),
                operation("Download", true, json!(null)),
            ],
        }]}))
        .unwrap();
        let theirs =
            |input: &str| json!({"method": "POST", "uri": "/", "status": 200, "input": input});
        let models: Models = serde_json::from_value(json!({
            "version": "1.2.3",
            "services": {"toy": {
                "protocol": "json", "targetPrefix": "Toy_1",
                "operations": {"Put": theirs("In"), "Later": theirs("In"), "Never": theirs("In")},
                "shapes": {
                    "In": {"type": "structure", "enum": [], "payload": null, "members": {
                        "a": {"shape": "S", "location": null, "name": null},
                        "b": {"shape": "S", "location": null, "name": null},
                    }},
                    "S": {"type": "string", "enum": [], "payload": null, "of": null},
                },
            }},
        }))
        .unwrap();
        let page = write(&registered, &models);
        for expected in [
            "botocore 1.2.3",
            "| [toy](#toy) | json-1.1 | 1 | 3 |",
            "| Put | b |",
            "Not built: Later, Never.",
            "beyond AWS's model: Download.",
            "- Put reads odd, which the model does not have",
        ] {
            assert!(page.contains(expected), "{expected}\n{page}");
        }
    }
}
