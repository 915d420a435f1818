use std::cmp::Ordering;
use std::net::IpAddr;

use serde_json::{Number, Value};

use crate::number::compare;

/// What one value must be. A path has several of them; one is enough.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Matcher {
    /// Text, number, true, false or null.
    Equal(Value),
    Text(Text),
    Range(Range),
    Cidr(Cidr),
    Exists,
    /// The path has no value at all.
    Absent,
    NotValues(Vec<Value>),
    NotTexts(Vec<Text>),
}

/// What a text must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    Prefix(String),
    Suffix(String),
    /// These three are in lower case already.
    PrefixNoCase(String),
    SuffixNoCase(String),
    EqualNoCase(String),
    Wildcard(Vec<Piece>),
}

/// One letter of a wildcard pattern, or any number of any letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Letter(char),
    Any,
}

/// An interval; a bound is a number and whether it belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Range {
    pub(crate) bottom: Option<(Number, bool)>,
    pub(crate) top: Option<(Number, bool)>,
}

/// Addresses with the same leading bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cidr {
    pub(crate) address: IpAddr,
    pub(crate) bits: u32,
}

impl Matcher {
    /// Whether a value that is there is one of those wanted.
    pub(crate) fn takes(&self, value: &Value) -> bool {
        match self {
            Matcher::Equal(wanted) => equal(wanted, value),
            Matcher::Text(text) => value.as_str().is_some_and(|value| text.takes(value)),
            Matcher::Range(range) => matches!(value, Value::Number(n) if range.takes(n)),
            Matcher::Cidr(cidr) => value.as_str().is_some_and(|value| cidr.takes(value)),
            Matcher::Exists => true,
            Matcher::Absent => false,
            Matcher::NotValues(values) => !values.iter().any(|wanted| equal(wanted, value)),
            Matcher::NotTexts(texts) => match value.as_str() {
                Some(value) => !texts.iter().any(|text| text.takes(value)),
                None => true,
            },
        }
    }
}

fn equal(wanted: &Value, value: &Value) -> bool {
    match (wanted, value) {
        (Value::Number(a), Value::Number(b)) => compare(a, b) == Ordering::Equal,
        (a, b) => a == b,
    }
}

impl Text {
    fn takes(&self, value: &str) -> bool {
        match self {
            Text::Prefix(prefix) => value.starts_with(prefix.as_str()),
            Text::Suffix(suffix) => value.ends_with(suffix.as_str()),
            Text::PrefixNoCase(prefix) => value.to_lowercase().starts_with(prefix.as_str()),
            Text::SuffixNoCase(suffix) => value.to_lowercase().ends_with(suffix.as_str()),
            Text::EqualNoCase(wanted) => value.to_lowercase() == *wanted,
            Text::Wildcard(pieces) => wildcard(pieces, value),
        }
    }
}

/// Goes back to the last star only, so the cost is at most the product of both lengths.
fn wildcard(pieces: &[Piece], value: &str) -> bool {
    let letters: Vec<char> = value.chars().collect();
    let (mut piece, mut letter) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while letter < letters.len() {
        match (pieces.get(piece), letters.get(letter)) {
            (Some(Piece::Any), _) => {
                star = Some((piece, letter));
                piece += 1;
            }
            (Some(Piece::Letter(wanted)), Some(is)) if wanted == is => {
                piece += 1;
                letter += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    piece = at + 1;
                    letter = from + 1;
                }
                None => return false,
            },
        }
    }
    let rest = pieces.get(piece..).unwrap_or_default();
    rest.iter().all(|piece| *piece == Piece::Any)
}

impl Range {
    fn takes(&self, value: &Number) -> bool {
        let is_over = self.bottom.as_ref().is_none_or(|(bound, closed)| {
            let order = compare(value, bound);
            order == Ordering::Greater || (*closed && order == Ordering::Equal)
        });
        is_over
            && self.top.as_ref().is_none_or(|(bound, closed)| {
                let order = compare(value, bound);
                order == Ordering::Less || (*closed && order == Ordering::Equal)
            })
    }
}

impl Cidr {
    fn takes(&self, value: &str) -> bool {
        let Ok(address) = value.parse::<IpAddr>() else {
            return false;
        };
        match (self.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                same_head(u32::from(a).into(), u32::from(b).into(), 32, self.bits)
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                same_head(u128::from(a), u128::from(b), 128, self.bits)
            }
            _ => false,
        }
    }
}

fn same_head(a: u128, b: u128, width: u32, bits: u32) -> bool {
    let tail = width.saturating_sub(bits);
    let shifted = |n: u128| n.checked_shr(tail).unwrap_or_default();
    shifted(a) == shifted(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::pieces;

    #[test]
    fn a_star_stands_for_any_letters() {
        for (pattern, value, expected) in [
            ("a*c", "abbc", true),
            ("a*c", "ac", true),
            ("a*c", "acb", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("*a*b", "xaxxab", true),
            ("a*", "ba", false),
            (r"\*", "*", true),
            (r"\*", "x", false),
            (r"a\\b", r"a\b", true),
            ("ü*ß", "üxxß", true),
        ] {
            let pieces = pieces(pattern).unwrap();
            assert_eq!(wildcard(&pieces, value), expected, "{pattern} {value}");
        }
    }
}
