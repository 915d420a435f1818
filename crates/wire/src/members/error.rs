use std::fmt;

use crate::Fault;

/// Why a shape could not be read from the members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InputError {
    pub(crate) why: Why,
    /// The names from the innermost member outwards.
    pub(crate) path: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// A value has the wrong type on the wire.
    Type(String),
    /// A required member is not there.
    Missing,
    /// A value is not in the set that the model allows.
    NotInSet { value: String, set: Vec<String> },
}

impl InputError {
    pub(crate) fn new(why: Why) -> InputError {
        let path = Vec::new();
        InputError { why, path }
    }

    pub(crate) fn wrong(message: impl Into<String>) -> InputError {
        InputError::new(Why::Type(message.into()))
    }

    /// The same error, seen from the structure around it.
    pub(crate) fn below(mut self, name: &str) -> InputError {
        self.path.push(name.to_owned());
        self
    }

    /// The answer that AWS gives. `is_query` chooses between the codes of the two families.
    pub(crate) fn fault(self, is_query: bool) -> Fault {
        let place = self.place();
        match self.why {
            Why::Type(message) if is_query => Fault::client("MalformedInput", 400, message),
            Why::Type(message) => Fault::client("SerializationException", 400, message),
            Why::Missing => Fault::invalid(format!(
                "1 validation error detected: Value null at '{place}' failed to satisfy \
                 constraint: Member must not be null"
            )),
            Why::NotInSet { value, set } => Fault::invalid(format!(
                "1 validation error detected: Value '{value}' at '{place}' failed to satisfy \
                 constraint: Member must satisfy enum value set: [{}]",
                set.join(", ")
            )),
        }
    }

    /// `environment.variables`: AWS writes every name with a small first letter.
    fn place(&self) -> String {
        let mut place = String::new();
        for name in self.path.iter().rev() {
            if !place.is_empty() {
                place.push('.');
            }
            let mut letters = name.chars();
            place.extend(letters.next().map(|c| c.to_ascii_lowercase()));
            place.push_str(letters.as_str());
        }
        place
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            Why::Type(message) => f.write_str(message),
            Why::Missing => write!(f, "{} is missing", self.place()),
            Why::NotInSet { value, .. } => write!(f, "{value} is not allowed"),
        }
    }
}

impl std::error::Error for InputError {}

impl serde::de::Error for InputError {
    fn custom<T: fmt::Display>(message: T) -> InputError {
        InputError::wrong(message.to_string())
    }

    fn missing_field(field: &'static str) -> InputError {
        InputError::new(Why::Missing).below(field)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> InputError {
        InputError::new(Why::NotInSet {
            value: variant.to_owned(),
            set: expected.iter().map(|&s| s.to_owned()).collect(),
        })
    }
}
