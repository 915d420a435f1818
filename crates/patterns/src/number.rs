use std::cmp::Ordering;

use serde_json::Number;

/// Compares by value, whatever the spelling: `300`, `300.0` and `3.0e2` are one number. Whole
/// numbers compare exactly; others as 64-bit floating point.
pub(crate) fn compare(a: &Number, b: &Number) -> Ordering {
    if let (Some(a), Some(b)) = (whole(a), whole(b)) {
        return a.cmp(&b);
    }
    let (a, b) = (
        a.as_f64().unwrap_or(f64::NAN),
        b.as_f64().unwrap_or(f64::NAN),
    );
    a.partial_cmp(&b).unwrap_or(Ordering::Less)
}

fn whole(number: &Number) -> Option<i128> {
    let signed = number.as_i64().map(i128::from);
    signed.or_else(|| number.as_u64().map(i128::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_by_value() {
        for (a, b, expected) in [
            ("300", "300.0", Ordering::Equal),
            ("3.018e2", "301.8", Ordering::Equal),
            ("-1", "1", Ordering::Less),
            ("9007199254740993", "9007199254740992", Ordering::Greater),
            ("0.1", "0.2", Ordering::Less),
        ] {
            let (a, b) = (
                serde_json::from_str::<Number>(a).unwrap(),
                serde_json::from_str::<Number>(b).unwrap(),
            );
            assert_eq!(compare(&a, &b), expected, "{a} {b}");
        }
    }
}
