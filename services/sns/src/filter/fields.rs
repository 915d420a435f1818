use std::collections::BTreeMap;

use model::ports::{Attribute, AttributeValue};
use serde_json::Value;

/// A value of a field, as conditions compare it.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Scalar {
    Text(String),
    Number(f64),
    Truth(bool),
    Null,
}

/// Fields of one message; more are not looked at. A message of the largest size has fewer.
const FIELDS_MAX: usize = 65_536;

/// Deepest nesting of a body that is looked at.
const DEPTH_MAX: usize = 100;

/// The values of a message under their dotted paths.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    by_path: BTreeMap<String, Vec<Field>>,
    count: usize,
    arrays: usize,
}

/// A value, and in which element of which array it lies: values of different elements of one array do
/// not fulfil one policy together.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) value: Scalar,
    pub(super) elements: Vec<(usize, usize)>,
}

impl Fields {
    /// The fields of the message attributes; those of type Binary are not looked at.
    pub(crate) fn of_attributes(attributes: &[(String, Attribute)]) -> Fields {
        let mut fields = Fields::default();
        for (name, attribute) in attributes {
            let AttributeValue::Text(text) = &attribute.value else {
                continue;
            };
            let value = match attribute.kind.as_str() {
                "String.Array" => match serde_json::from_str(text) {
                    Ok(Value::Array(list)) => Value::Array(list),
                    _ => continue,
                },
                kind if kind == "Number" || kind.starts_with("Number.") => {
                    match text.trim().parse::<f64>() {
                        Ok(number) => Value::from(number),
                        Err(_) => continue,
                    }
                }
                _ => Value::from(text.as_str()),
            };
            fields.add(name, &value, &[], 0);
        }
        fields
    }

    /// The fields of a message that is a JSON object; of any other, none.
    pub(crate) fn of_body(message: &str) -> Option<Fields> {
        let value: Value = serde_json::from_str(message).ok()?;
        if !value.is_object() {
            return None;
        }
        let mut fields = Fields::default();
        fields.add("", &value, &[], 0);
        Some(fields)
    }

    pub(super) fn at(&self, path: &str) -> &[Field] {
        self.by_path.get(path).map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, path: &str, value: &Value, elements: &[(usize, usize)], depth: usize) {
        if depth > DEPTH_MAX || self.count >= FIELDS_MAX {
            return;
        }
        let scalar = match value {
            Value::Object(members) => {
                for (name, member) in members {
                    let path = match path {
                        "" => name.clone(),
                        path => format!("{path}.{name}"),
                    };
                    self.add(&path, member, elements, depth + 1);
                }
                return;
            }
            Value::Array(list) => {
                self.arrays += 1;
                let array = self.arrays;
                for (index, element) in list.iter().enumerate() {
                    let elements = [elements, &[(array, index)]].concat();
                    self.add(path, element, &elements, depth + 1);
                }
                return;
            }
            Value::String(text) => Scalar::Text(text.clone()),
            Value::Number(number) => Scalar::Number(number.as_f64().unwrap_or(f64::NAN)),
            Value::Bool(truth) => Scalar::Truth(*truth),
            Value::Null => Scalar::Null,
        };
        self.count += 1;
        self.by_path
            .entry(path.to_owned())
            .or_default()
            .push(Field {
                value: scalar,
                elements: elements.to_vec(),
            });
    }
}
