use std::collections::HashMap;

use serde_json::Value;

/// An array of the event, numbered in the order in which it was met.
pub(crate) type ArrayId = usize;

/// One value of an event that is neither object nor array.
#[derive(Debug)]
pub(crate) struct Leaf<'e> {
    pub(crate) value: &'e Value,
    /// The arrays that it lies in, outermost first, and in which of their elements.
    pub(crate) within: Vec<(ArrayId, usize)>,
}

/// The leaves of an event by their paths: names joined with dots, arrays left out. A name that
/// holds a dot is not told from two names, as with AWS.
#[derive(Debug, Default)]
pub(crate) struct Flat<'e> {
    leaves: HashMap<String, Vec<Leaf<'e>>>,
    arrays: usize,
}

impl<'e> Flat<'e> {
    pub(crate) fn of(event: &'e Value) -> Flat<'e> {
        let mut flat = Flat::default();
        flat.add("", event, &mut Vec::new());
        flat
    }

    pub(crate) fn at(&self, path: &str) -> &[Leaf<'e>] {
        self.leaves.get(path).map(Vec::as_slice).unwrap_or_default()
    }

    fn add(&mut self, path: &str, value: &'e Value, within: &mut Vec<(ArrayId, usize)>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    if path.is_empty() {
                        self.add(name, value, within);
                    } else {
                        self.add(&format!("{path}.{name}"), value, within);
                    }
                }
            }
            Value::Array(items) => {
                let id = self.arrays;
                self.arrays += 1;
                for (index, item) in items.iter().enumerate() {
                    within.push((id, index));
                    self.add(path, item, within);
                    within.pop();
                }
            }
            leaf => {
                let leaf = Leaf {
                    value: leaf,
                    within: within.clone(),
                };
                self.leaves.entry(path.to_owned()).or_default().push(leaf);
            }
        }
    }
}
