//! Opaque page markers: `Marker`, `NextMarker`, `nextToken`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Longest marker that is looked at, in bytes.
const MARKER_BYTES_MAX: usize = 4096;

/// A marker from which the next page starts after `key`.
pub fn encode(key: &str) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

/// The key inside a marker that [`encode`] made; `None` for any other text.
pub fn decode(marker: &str) -> Option<String> {
    if marker.len() > MARKER_BYTES_MAX {
        return None;
    }
    String::from_utf8(URL_SAFE_NO_PAD.decode(marker).ok()?).ok()
}

/// Cuts `items` to one page of at most `limit` and gives the marker of the next page, if there is
/// one. Callers hand in everything after their marker, or at least `limit + 1` items of it.
pub fn page<T>(
    mut items: Vec<T>,
    limit: usize,
    key: impl Fn(&T) -> String,
) -> (Vec<T>, Option<String>) {
    if items.len() <= limit {
        return (items, None);
    }
    items.truncate(limit);
    let marker = items.last().map(|last| encode(&key(last)));
    (items, marker)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_gives_its_key_back() {
        for key in ["", "f", "größe/7", &"x".repeat(300)] {
            assert_eq!(decode(&encode(key)).as_deref(), Some(key));
        }
        assert_eq!(decode("no marker!"), None);
        assert_eq!(decode(&"A".repeat(MARKER_BYTES_MAX + 1)), None);
    }

    #[test]
    fn the_last_page_has_no_marker() {
        let key = |n: &u32| n.to_string();
        assert_eq!(page(vec![1, 2, 3], 3, key), (vec![1, 2, 3], None));
        assert_eq!(page(vec![1, 2, 3], 2, key), (vec![1, 2], Some(encode("2"))));
        assert_eq!(page(Vec::new(), 2, key), (Vec::new(), None));
    }
}
