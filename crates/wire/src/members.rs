//! The members of a request, whatever part of it they came in, and how a shape reads them.

mod error;
pub(crate) mod probe;
mod read;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub(crate) use error::InputError;

/// A value as it came in: typed by JSON, or text that the reading shape gives a type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    /// From a path, a query, a header or a form.
    Text(String),
    Json(Value),
    /// The values of a query parameter that came more than once.
    Many(Vec<String>),
    /// Names below a name in a form: a structure, or a list or map in its flattened spelling.
    Names(BTreeMap<String, Tree>),
}

impl Tree {
    pub(crate) fn empty() -> Tree {
        Tree::Names(BTreeMap::new())
    }

    /// The node below `self` with this name, made if it is missing. Text that stood here gives way.
    pub(crate) fn child(&mut self, name: &str) -> &mut Tree {
        if !matches!(self, Tree::Names(_)) {
            *self = Tree::empty();
        }
        match self {
            Tree::Names(names) => names.entry(name.to_owned()).or_insert_with(Tree::empty),
            // Just made so; the compiler cannot know.
            other => other,
        }
    }

    /// Puts text here unless names are below already.
    pub(crate) fn set_text(&mut self, text: String) {
        match self {
            Tree::Names(names) if !names.is_empty() => {}
            node => *node = Tree::Text(text),
        }
    }
}

/// All members of one request.
#[derive(Clone, Debug)]
pub(crate) struct Members {
    pub(crate) names: BTreeMap<String, Tree>,
}

impl Members {
    pub(crate) fn from_json(body: Map<String, Value>) -> Members {
        let names = body.into_iter().map(|(k, v)| (k, Tree::Json(v)));
        Members {
            names: names.collect(),
        }
    }

    pub(crate) fn from_form(tree: Tree) -> Members {
        match tree {
            Tree::Names(names) => Members { names },
            _ => Members {
                names: BTreeMap::new(),
            },
        }
    }

    /// Members of path, query and headers, where every value is text.
    pub(crate) fn from_text(map: Map<String, Value>) -> Members {
        let mut members = Members {
            names: BTreeMap::new(),
        };
        members.add_text(map);
        members
    }

    /// Adds members of path, query and headers. They win over the body's, as the model binds each
    /// member to one place.
    pub(crate) fn add_text(&mut self, map: Map<String, Value>) {
        for (name, value) in map {
            let tree = match value {
                Value::String(text) => Tree::Text(text),
                Value::Array(list) => Tree::Many(
                    list.into_iter()
                        .filter_map(|v| v.as_str().map(str::to_owned))
                        .collect(),
                ),
                other => Tree::Json(other),
            };
            self.names.insert(name, tree);
        }
    }

    /// Reads the members as a shape.
    pub(crate) fn read<I: DeserializeOwned>(self) -> Result<I, InputError> {
        I::deserialize(read::Reader(Tree::Names(self.names)))
    }
}
