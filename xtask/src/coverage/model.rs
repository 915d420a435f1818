//! AWS's service models, as botocore has them.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// Prints the models without their documentation.
const PRINT: &str = r#"
import json, sys
import botocore, botocore.loaders
loader = botocore.loaders.Loader()
out = {"version": botocore.__version__, "services": {}}
for name in sys.argv[1:]:
    try:
        model = loader.load_service_model(name, "service-2")
    except botocore.exceptions.UnknownServiceError:
        continue
    operations = {
        n: {
            "method": o["http"]["method"],
            "uri": o["http"]["requestUri"],
            "status": o["http"].get("responseCode", 200),
            "input": o.get("input", {}).get("shape"),
        }
        for n, o in model["operations"].items()
    }
    shapes = {}
    for n, s in model["shapes"].items():
        shape = {"type": s["type"], "enum": s.get("enum", []), "payload": s.get("payload")}
        if "members" in s:
            shape["members"] = {
                m: {
                    "shape": v["shape"],
                    "location": v.get("location"),
                    "name": v.get("locationName"),
                }
                for m, v in s["members"].items()
            }
        inner = s.get("member") or s.get("value")
        if inner:
            shape["of"] = inner["shape"]
        shapes[n] = shape
    out["services"][name] = {
        "protocol": model["metadata"]["protocol"],
        "targetPrefix": model["metadata"].get("targetPrefix"),
        "operations": operations,
        "shapes": shapes,
    }
print(json.dumps(out))
"#;

#[derive(Deserialize)]
pub(super) struct Models {
    pub(super) version: String,
    pub(super) services: BTreeMap<String, Model>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Model {
    pub(super) protocol: String,
    pub(super) target_prefix: Option<String>,
    pub(super) operations: BTreeMap<String, Operation>,
    pub(super) shapes: BTreeMap<String, Shape>,
}

#[derive(Deserialize)]
pub(super) struct Operation {
    pub(super) method: String,
    pub(super) uri: String,
    pub(super) status: u16,
    pub(super) input: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Shape {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(rename = "enum")]
    pub(super) values: Vec<String>,
    /// The member that is the body itself.
    pub(super) payload: Option<String>,
    #[serde(default)]
    pub(super) members: BTreeMap<String, Member>,
    /// What a list or map consists of.
    pub(super) of: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Member {
    pub(super) shape: String,
    pub(super) location: Option<String>,
    /// The name on the wire, where it is not that of the member.
    pub(super) name: Option<String>,
}

impl Model {
    pub(super) fn is_query(&self) -> bool {
        self.protocol == "query"
    }

    /// Whether any operation has an input member of this name.
    pub(super) fn has_input(&self, name: &str) -> bool {
        let mut inputs = self.operations.values().filter_map(|o| self.input(o));
        inputs.any(|input| input.members.contains_key(name))
    }

    pub(super) fn input(&self, operation: &Operation) -> Option<&Shape> {
        self.shapes.get(operation.input.as_deref()?)
    }
}

pub(super) fn read(python: &Command, services: &[&str]) -> Result<Models> {
    let output = Command::new(python.get_program())
        .args(["-c", PRINT])
        .args(services)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start python3")?;
    if !output.status.success() {
        bail!(
            "botocore's models could not be read: `cargo xtask test --only packages` installs it"
        );
    }
    serde_json::from_slice(&output.stdout).context("the models are not what they were")
}
