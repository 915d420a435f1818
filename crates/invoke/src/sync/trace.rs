//! The trace header of a call.

use std::fmt::Write;

use model::lineage::Lineage;
use tasks::Ids;

/// `Root=1-8hex-24hex;Parent=16hex;Sampled=0`: the caller's root is kept.
pub(super) fn trace_header(
    given: Option<&str>,
    lineage: &Lineage,
    now: tasks::Time,
    ids: &Ids,
) -> String {
    let mut text = String::with_capacity(160);
    let (parent, sampled) = (ids.hex(8), field(given, "Sampled").unwrap_or("0"));
    // Writing to a string never fails.
    let _ = match field(given, "Root") {
        Some(root) => write!(text, "Root={root}"),
        None => write!(text, "Root=1-{:08x}-{}", now.unix_secs(), ids.hex(12)),
    };
    let _ = write!(text, ";Parent={parent};Sampled={sampled};Lineage={lineage}");
    text
}

/// A field of the caller's header, if it can stand in ours.
fn field<'a>(given: Option<&'a str>, name: &str) -> Option<&'a str> {
    let value = given?
        .split(';')
        .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))?;
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    (value.len() <= 64 && value.bytes().all(is_plain)).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_keeps_the_root_of_its_caller() {
        let ids = Ids::seeded(1);
        let chain = Lineage::of(Some("Lineage=1:00000001:1"));
        let now = tasks::Time::from_unix_secs(0x1234_5678);
        let fresh = trace_header(None, &chain, now, &ids);
        assert!(fresh.starts_with("Root=1-12345678-"), "{fresh}");
        assert!(fresh.contains(";Sampled=0;Lineage=1:"), "{fresh}");
        let kept = trace_header(Some("Root=1-aa-bb;Parent=cc;Sampled=1"), &chain, now, &ids);
        assert!(kept.starts_with("Root=1-aa-bb;Parent="), "{kept}");
        assert!(kept.contains(";Sampled=1;Lineage=1:"), "{kept}");
        let hostile = trace_header(Some("Root=1-a\r\nX: y;Sampled=1"), &chain, now, &ids);
        assert!(!hostile.contains('\r'), "{hostile}");
    }
}
