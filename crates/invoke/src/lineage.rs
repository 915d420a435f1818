//! The root of what follows from an event.

use model::lineage::root;
use tasks::{Ids, Time};

/// The trace header with a root: the one it has, or a new one.
pub(crate) fn rooted(trace: Option<&str>, now: Time, ids: &Ids) -> String {
    let trace = trace.unwrap_or_default();
    if root(trace).is_some() {
        return trace.to_owned();
    }
    let root = format!("Root=1-{:08x}-{}", now.unix_secs(), ids.hex(12));
    match trace {
        "" => root,
        rest => format!("{root};{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use model::lineage::Lineage;

    use super::*;

    #[test]
    fn a_root_is_kept_or_made() {
        let (now, ids) = (Time::from_unix_secs(16), Ids::seeded(1));
        let made = rooted(Some("Lineage=1:00000001:9"), now, &ids);
        assert!(made.starts_with("Root=1-00000010-"), "{made}");
        assert_eq!(
            Lineage::of(Some(&made)),
            Lineage::of(Some("Lineage=1:00000001:9"))
        );
        let given = "Parent=a;Root=1-b";
        assert_eq!(rooted(Some(given), now, &ids), given);
    }
}
