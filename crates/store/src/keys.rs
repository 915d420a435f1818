use std::fmt;

/// The unit of atomicity and of order, for instance `lambda` or `iam`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Space(pub &'static str);

/// The revision of one record: grows with every commit in its space.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Rev(pub u64);

/// The name of a record within its space, at most [`Key::BYTES_MAX`]; parts are joined with `/`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    pub const BYTES_MAX: usize = 1_024;

    /// Joins parts; a part may hold anything, `/` and `%` in it are escaped.
    pub fn of(parts: &[&str]) -> Key {
        let mut text = String::new();
        for (i, part) in parts.iter().enumerate() {
            if i > 0 {
                text.push('/');
            }
            for c in part.chars() {
                match c {
                    '/' => text.push_str("%2F"),
                    '%' => text.push_str("%25"),
                    c => text.push(c),
                }
            }
        }
        Key(text)
    }

    /// A prefix that matches exactly the keys with these leading parts.
    pub fn prefix(parts: &[&str]) -> Key {
        let mut key = Key::of(parts);
        if !parts.is_empty() {
            key.0.push('/');
        }
        key
    }

    /// Takes stored bytes back.
    pub fn from_raw(text: &str) -> Key {
        Key(text.to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}
