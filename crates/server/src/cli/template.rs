//! The function part of a SAM template.  [AWS SAM: AWS::Serverless::Function]
//!
//! A template is made to be deployed by CloudFormation. What is read here is what a function needs to run:
//! its own properties, `Globals`, defaults of parameters and the intrinsic functions that can be known without a
//! stack. The rest is named in a note, so that nothing is passed over in silence.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value};

use super::package::Manifest;

/// Names of templates, in the order in which they are looked for.
pub(crate) const FILES: [&str; 3] = ["template.yaml", "template.yml", "template.json"];

/// How deep values may be nested.
const DEPTH_MAX: usize = 64;

const ACCOUNT: &str = "000000000000";
const REGION: &str = "us-east-1";

/// One function of a template.
#[derive(Debug)]
pub(crate) struct Declared {
    pub(crate) manifest: Manifest,
    /// Relative to the template.
    pub(crate) code: String,
}

/// What a template declares.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) functions: Vec<Declared>,
    /// What was left out, for the reader.
    pub(crate) notes: Vec<String>,
}

/// Properties of a function that are read; others are noted.
const READ: &[&str] = &[
    "Architectures",
    "CodeUri",
    "Code",
    "Description",
    "Environment",
    "EphemeralStorage",
    "FunctionName",
    "Handler",
    "Layers",
    "MemorySize",
    "PackageType",
    "Role",
    "Runtime",
    "Tags",
    "Timeout",
];

/// Reads the template in `path`.
pub(crate) fn read(path: &Path) -> anyhow::Result<Template> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).with_context(|| format!("{} cannot be used", path.display()))
}

fn parse(text: &str) -> anyhow::Result<Template> {
    // JSON is YAML too.
    let yaml: serde_norway::Value = serde_norway::from_str(text)?;
    let whole = plain(yaml, 0)?;
    let section = |name: &str| {
        whole
            .get(name)
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default()
    };
    let mut reader = Reader {
        parameters: defaults(&section("Parameters")),
        resources: section("Resources"),
        notes: Vec::new(),
    };
    let globals = section("Globals");
    let globals = globals.get("Function").and_then(Value::as_object);
    let mut functions = Vec::new();
    for (id, resource) in reader.resources.clone() {
        let kind = resource
            .get("Type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let own = resource.get("Properties").and_then(Value::as_object);
        let merged = match kind {
            "AWS::Serverless::Function" => merged(globals, own),
            "AWS::Lambda::Function" => own.cloned().unwrap_or_default(),
            _ => {
                reader
                    .notes
                    .push(format!("{id} ({kind}) is not made: it is no function"));
                continue;
            }
        };
        let declared = reader.function(&id, &merged);
        functions.push(declared.with_context(|| format!("function {id}"))?);
    }
    if functions.is_empty() {
        bail!("it declares no AWS::Serverless::Function");
    }
    Ok(Template {
        functions,
        notes: reader.notes,
    })
}

/// YAML as JSON: `!Ref x` becomes `{"Ref": "x"}`, as CloudFormation has it.
fn plain(value: serde_norway::Value, depth: usize) -> anyhow::Result<Value> {
    use serde_norway::Value as Yaml;
    if depth > DEPTH_MAX {
        bail!("it is nested too deeply");
    }
    Ok(match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(b) => b.into(),
        Yaml::Number(n) => serde_json::to_value(n)?,
        Yaml::String(s) => s.into(),
        Yaml::Sequence(all) => {
            let all: anyhow::Result<Vec<Value>> =
                all.into_iter().map(|v| plain(v, depth + 1)).collect();
            all?.into()
        }
        Yaml::Mapping(all) => {
            let mut map = Map::new();
            for (key, value) in all {
                let key = match key {
                    Yaml::String(text) => text,
                    Yaml::Number(number) => number.to_string(),
                    other => bail!("{other:?} cannot be a name"),
                };
                map.insert(key, plain(value, depth + 1)?);
            }
            map.into()
        }
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let tag = tag.trim_start_matches('!');
            let name = match tag {
                "Ref" | "Condition" => tag.to_owned(),
                other => format!("Fn::{other}"),
            };
            let mut inner = plain(tagged.value, depth + 1)?;
            if let ("Fn::GetAtt", Value::String(text)) = (name.as_str(), &inner) {
                inner = text.splitn(2, '.').collect::<Vec<_>>().into();
            }
            Map::from_iter([(name, inner)]).into()
        }
    })
}

fn defaults(parameters: &Map<String, Value>) -> BTreeMap<String, Value> {
    let default = |(name, p): (&String, &Value)| Some((name.clone(), p.get("Default")?.clone()));
    parameters.iter().filter_map(default).collect()
}

/// A function's own properties over the global ones: maps are merged, lists joined, the rest replaced.
/// [AWS SAM: Globals]
fn merged(
    globals: Option<&Map<String, Value>>,
    own: Option<&Map<String, Value>>,
) -> Map<String, Value> {
    let mut all = globals.cloned().unwrap_or_default();
    for (key, value) in own.into_iter().flatten() {
        match (all.get_mut(key), value) {
            (Some(Value::Object(there)), Value::Object(here)) => {
                *there = merged(Some(there), Some(here))
            }
            (Some(Value::Array(there)), Value::Array(here)) => there.extend(here.iter().cloned()),
            _ => {
                all.insert(key.clone(), value.clone());
            }
        }
    }
    all
}

struct Reader {
    parameters: BTreeMap<String, Value>,
    resources: Map<String, Value>,
    notes: Vec<String>,
}

impl Reader {
    fn function(&mut self, id: &str, properties: &Map<String, Value>) -> anyhow::Result<Declared> {
        for name in properties
            .keys()
            .filter(|name| !READ.contains(&name.as_str()))
        {
            self.notes.push(format!("{id}: {name} is left out"));
        }
        let mut known = Map::new();
        for (name, value) in properties
            .iter()
            .filter(|(n, _)| READ.contains(&n.as_str()))
        {
            known.insert(
                name.clone(),
                self.resolved(value, 0).with_context(|| name.clone())?,
            );
        }
        let text = |name: &str| known.get(name).and_then(Value::as_str).map(str::to_owned);
        let number = |name: &str| -> anyhow::Result<Option<u32>> {
            let Some(value) = known.get(name) else {
                return Ok(None);
            };
            let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
            let number = number.and_then(|n| u32::try_from(n).ok());
            Ok(Some(number.with_context(|| {
                format!("{name} is no number: {value}")
            })?))
        };
        if text("PackageType").is_some_and(|kind| kind == "Image") {
            bail!("Kiln cannot run images yet");
        }
        let code = text("CodeUri").or_else(|| text("Code"));
        let code = code.context("CodeUri must be a folder beside the template")?;
        let map = |name: &str, inner: Option<&str>| -> BTreeMap<String, String> {
            let value = known.get(name);
            let value = inner.map_or(value, |inner| value.and_then(|v| v.get(inner)));
            let entries = value.and_then(Value::as_object).into_iter().flatten();
            entries
                .map(|(key, value)| (key.clone(), as_text(value)))
                .collect()
        };
        let list = |name: &str| -> Vec<String> {
            let values = known.get(name).and_then(Value::as_array);
            values.into_iter().flatten().map(as_text).collect()
        };
        let storage = known
            .get("EphemeralStorage")
            .and_then(|s| s.get("Size"))
            .and_then(Value::as_u64);
        Ok(Declared {
            code,
            manifest: Manifest {
                name: Some(text("FunctionName").unwrap_or_else(|| id.to_owned())),
                runtime: text("Runtime").context("Runtime is missing")?,
                handler: text("Handler"),
                description: text("Description").unwrap_or_default(),
                memory: number("MemorySize")?,
                timeout: number("Timeout")?,
                role: text("Role").unwrap_or_else(super::package::default_role),
                environment: map("Environment", Some("Variables")),
                storage: storage.and_then(|size| u32::try_from(size).ok()),
                tags: map("Tags", None),
                layers: list("Layers"),
                architectures: list("Architectures"),
            },
        })
    }

    /// The value with its intrinsic functions worked out.
    fn resolved(&mut self, value: &Value, depth: usize) -> anyhow::Result<Value> {
        if depth > DEPTH_MAX {
            bail!("it is nested too deeply");
        }
        match value {
            Value::Array(all) => {
                let all: anyhow::Result<Vec<Value>> =
                    all.iter().map(|v| self.resolved(v, depth + 1)).collect();
                Ok(all?.into())
            }
            Value::Object(map) => {
                if let (1, Some((name, inner))) = (map.len(), map.iter().next()) {
                    if name == "Ref" {
                        return self.reference(inner.as_str().unwrap_or_default());
                    }
                    if let Some(function) = name.strip_prefix("Fn::") {
                        return self.intrinsic(function, inner, depth);
                    }
                }
                let mut all = Map::new();
                for (key, value) in map {
                    all.insert(key.clone(), self.resolved(value, depth + 1)?);
                }
                Ok(all.into())
            }
            plain => Ok(plain.clone()),
        }
    }

    fn intrinsic(&mut self, name: &str, inner: &Value, depth: usize) -> anyhow::Result<Value> {
        match (name, inner) {
            ("Sub", Value::String(text)) => self.substituted(text, &Map::new()),
            ("Sub", Value::Array(both)) => {
                let text = both
                    .first()
                    .and_then(Value::as_str)
                    .context("Fn::Sub wants a text first")?;
                let given = both.get(1).cloned().unwrap_or_default();
                let given = self.resolved(&given, depth + 1)?;
                self.substituted(text, given.as_object().unwrap_or(&Map::new()))
            }
            ("Join", Value::Array(both)) => {
                let between = both
                    .first()
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned();
                let parts = self.resolved(both.get(1).unwrap_or(&Value::Null), depth + 1)?;
                let parts: Vec<String> = parts
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(as_text)
                    .collect();
                Ok(parts.join(&between).into())
            }
            ("GetAtt", Value::Array(both)) => {
                let part = |at: usize| both.get(at).and_then(Value::as_str).unwrap_or_default();
                self.attribute(part(0), part(1))
            }
            _ => bail!("Fn::{name} needs a stack: deploy the template with CloudFormation"),
        }
    }

    /// `Ref`: a parameter, a pseudo parameter, or what a resource is called.
    fn reference(&mut self, name: &str) -> anyhow::Result<Value> {
        if let Some(value) = self.parameters.get(name) {
            return Ok(value.clone());
        }
        let pseudo = match name {
            "AWS::AccountId" => ACCOUNT,
            "AWS::Partition" => "aws",
            "AWS::Region" => REGION,
            "AWS::StackName" => "kiln",
            "AWS::URLSuffix" => "amazonaws.com",
            _ => "",
        };
        if !pseudo.is_empty() {
            return Ok(pseudo.into());
        }
        let Some(resource) = self.resources.get(name) else {
            bail!("{name} is neither a resource nor a parameter with a default");
        };
        let called = [
            "FunctionName",
            "RoleName",
            "TableName",
            "QueueName",
            "TopicName",
            "BucketName",
            "Name",
        ];
        let properties = resource.get("Properties");
        let own = called.iter().find_map(|key| properties?.get(key)?.as_str());
        Ok(own.unwrap_or(name).into())
    }

    /// `Fn::GetAtt`: the ARNs of functions and roles.
    fn attribute(&mut self, id: &str, attribute: &str) -> anyhow::Result<Value> {
        let kind = self
            .resources
            .get(id)
            .and_then(|r| r.get("Type"))
            .and_then(Value::as_str);
        let kind = kind
            .with_context(|| format!("there is no resource {id}"))?
            .to_owned();
        let name = as_text(&self.reference(id)?);
        match (kind.as_str(), attribute) {
            ("AWS::Serverless::Function" | "AWS::Lambda::Function", "Arn") => {
                Ok(format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}").into())
            }
            ("AWS::IAM::Role", "Arn") => Ok(format!("arn:aws:iam::{ACCOUNT}:role/{name}").into()),
            ("AWS::SQS::Queue", "Arn") => {
                Ok(format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}").into())
            }
            _ => bail!("{id}.{attribute} needs a stack: deploy the template with CloudFormation"),
        }
    }

    /// `Fn::Sub`: `${Name}` and `${Name.Attribute}`; `${!Literal}` stays `${Literal}`.
    fn substituted(&mut self, text: &str, given: &Map<String, Value>) -> anyhow::Result<Value> {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            out.push_str(before);
            let (name, behind) = after.split_once('}').context("a ${ has no end")?;
            if let Some(literal) = name.strip_prefix('!') {
                out.push_str(&format!("${{{literal}}}"));
            } else if let Some(value) = given.get(name) {
                out.push_str(&as_text(value));
            } else if let Some((id, attribute)) = name.split_once('.') {
                out.push_str(&as_text(&self.attribute(id, attribute)?));
            } else {
                out.push_str(&as_text(&self.reference(name)?));
            }
            rest = behind;
        }
        out.push_str(rest);
        Ok(out.into())
    }
}

fn as_text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = r#"
Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage: {Type: String, Default: dev}
Globals:
  Function:
    Runtime: python3.11
    Timeout: 5
    Environment:
      Variables: {STAGE: !Ref Stage, SHARED: "1"}
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Properties: {TableName: orders}
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: src/
      Handler: app.handler
      MemorySize: 256
      Environment:
        Variables:
          TABLE: !Ref Table
          NAME: !Sub "${AWS::StackName}-${Stage}-${!kept}"
          PEER: !GetAtt Other.Arn
          SHARED: "2"
      Events: {Api: {Type: Api}}
  Other:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: other, Handler: a.b, FunctionName: !Join ["-", [a, !Ref Stage]]}
"#;

    #[test]
    fn functions_are_read_with_globals_and_intrinsics() {
        let read = parse(TEMPLATE).unwrap();
        let [hello, other] = read.functions.as_slice() else {
            panic!("{read:?}");
        };
        assert_eq!(hello.code, "src/");
        let m = &hello.manifest;
        assert_eq!(
            (m.name.as_deref(), m.memory, m.timeout),
            (Some("Hello"), Some(256), Some(5))
        );
        let of = |key: &str| m.environment.get(key).map(String::as_str);
        assert_eq!(of("STAGE"), Some("dev"));
        assert_eq!(of("SHARED"), Some("2"));
        assert_eq!(of("TABLE"), Some("orders"));
        assert_eq!(of("NAME"), Some("kiln-dev-${kept}"));
        assert_eq!(
            of("PEER"),
            Some("arn:aws:lambda:us-east-1:000000000000:function:Other")
        );
        assert_eq!(other.manifest.name.as_deref(), Some("a-dev"));
        assert_eq!(other.manifest.runtime, "python3.11");
    }

    #[test]
    fn what_is_left_out_is_said() {
        let notes = parse(TEMPLATE).unwrap().notes;
        assert_eq!(
            notes,
            [
                "Table (AWS::DynamoDB::Table) is not made: it is no function",
                "Hello: Events is left out"
            ]
        );
    }

    #[test]
    fn what_needs_a_stack_is_refused_by_name() {
        for (wrong, says) in [
            (
                "{Resources: {F: {Type: 'AWS::Serverless::Function', Properties: {Handler: a.b}}}}",
                "CodeUri",
            ),
            (
                "{Resources: {F: {Type: 'AWS::Serverless::Function', Properties: {CodeUri: !ImportValue x}}}}",
                "Fn::ImportValue",
            ),
            ("{Resources: {}}", "no AWS::Serverless::Function"),
            (
                "{Resources: {F: {Type: 'AWS::Serverless::Function', Properties: {CodeUri: !Ref No}}}}",
                "No is neither",
            ),
        ] {
            let error = format!("{:#}", parse(wrong).unwrap_err());
            assert!(error.contains(says), "{error}");
        }
    }
}
