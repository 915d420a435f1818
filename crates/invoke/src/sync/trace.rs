//! The trace header of a call.

use tasks::Ids;

use crate::lineage::Lineage;

/// `Root=1-8hex-24hex;Parent=16hex;Sampled=0`: the caller's root is kept.
pub(super) fn trace_header(
    given: Option<&str>,
    lineage: &Lineage,
    now: tasks::Time,
    ids: &Ids,
) -> String {
    let field = |name: &str| {
        given.and_then(|text| {
            text.split(';').find_map(|part| {
                let value = part.trim().strip_prefix(name)?.strip_prefix('=')?;
                let fits = value.len() <= 64
                    && value
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b == b'-');
                fits.then(|| value.to_owned())
            })
        })
    };
    let root =
        field("Root").unwrap_or_else(|| format!("1-{:08x}-{}", now.unix_secs(), ids.hex(12)));
    let sampled = field("Sampled").unwrap_or_else(|| "0".to_owned());
    let parent = ids.hex(8);
    format!("Root={root};Parent={parent};Sampled={sampled};Lineage={lineage}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_keeps_the_root_of_its_caller() {
        let ids = Ids::seeded(1);
        let chain = Lineage::default().and("arn");
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
