//! One function for each operation: shape → checks → engine → shape.

pub(crate) mod attachments;
pub(crate) mod boundaries;
pub(crate) mod inline;
pub(crate) mod policies;
pub(crate) mod roles;
pub(crate) mod tags;
pub(crate) mod users;
pub(crate) mod versions;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use wire::{Timestamp, paging};

use crate::fault::Fault;

/// `MaxItems` if the caller names none, and its most.  [IAM API: ListRoles]
const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: i64 = 1_000;

/// What RFC 3986 leaves as it is; policy documents are encoded so in answers.  [IAM API: GetRolePolicy]
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

pub(crate) fn encoded(document: &str) -> String {
    utf8_percent_encode(document, UNRESERVED).to_string()
}

/// A stored time as the API shows it: whole seconds.
pub(crate) fn date(micros: i64) -> Timestamp {
    Timestamp(micros.div_euclid(1_000_000) * 1_000)
}

/// One page of a listing.
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) is_truncated: bool,
    pub(crate) marker: Option<String>,
}

/// Cuts a listing, sorted by `key`, to the page that the caller asks for.
pub(crate) fn page<T>(
    items: impl IntoIterator<Item = T>,
    marker: Option<&str>,
    max_items: Option<i64>,
    key: impl Fn(&T) -> String,
) -> Result<Page<T>, Fault> {
    let limit = match max_items {
        None => PAGE_DEFAULT,
        Some(n) if n < 1 => {
            return Err(Fault::constraint(
                "maxItems",
                &n.to_string(),
                "Member must have value greater than or equal to 1",
            ));
        }
        Some(n) if n > PAGE_MAX => {
            return Err(Fault::constraint(
                "maxItems",
                &n.to_string(),
                "Member must have value less than or equal to 1000",
            ));
        }
        Some(n) => usize::try_from(n).unwrap_or(PAGE_DEFAULT),
    };
    let after = match marker {
        None => None,
        Some(text) => Some(
            paging::decode(text).ok_or_else(|| Fault::Validation("Invalid Marker.".to_owned()))?,
        ),
    };
    let rest = items
        .into_iter()
        .filter(|item| after.as_ref().is_none_or(|after| key(item) > *after))
        .collect();
    let (items, marker) = paging::page(rest, limit, key);
    Ok(Page {
        items,
        is_truncated: marker.is_some(),
        marker,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_without_gap() {
        let names = ["a", "b", "c", "d", "e"];
        let mut seen = Vec::new();
        let mut marker = None;
        loop {
            let got = page(names, marker.as_deref(), Some(2), |n| (*n).to_owned()).unwrap();
            seen.extend(got.items);
            assert_eq!(got.is_truncated, got.marker.is_some());
            marker = got.marker;
            if marker.is_none() {
                break;
            }
        }
        assert_eq!(seen, names);
    }

    #[test]
    fn a_page_size_out_of_bounds_is_refused() {
        for size in [-1, 0, 1_001] {
            assert!(page(["a"], None, Some(size), |n| (*n).to_owned()).is_err());
        }
        assert!(page(["a"], Some("?"), None, |n| (*n).to_owned()).is_err());
    }

    #[test]
    fn documents_are_encoded_to_the_last_sign() {
        assert_eq!(encoded(r#"{"a": "*"}"#), "%7B%22a%22%3A%20%22%2A%22%7D");
    }
}
