use std::cmp::Ordering;
use std::net::IpAddr;

use super::Keys;
use super::pattern::{Case, Pattern};

/// A condition operator without prefix and suffix.  [IAM guide: condition operators]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operator {
    Text {
        is_negated: bool,
        case: Case,
    },
    Like {
        is_negated: bool,
    },
    Arn {
        is_negated: bool,
    },
    Number {
        is_negated: bool,
        order: Order,
    },
    Date {
        is_negated: bool,
        order: Order,
    },
    Address {
        is_negated: bool,
    },
    Bool,
    /// Base64, compared as text.
    Binary,
    Null,
}

/// How the request's value stands to the policy's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Order {
    Same,
    Less,
    LessOrSame,
    More,
    MoreOrSame,
}

impl Order {
    fn holds(self, found: Ordering) -> bool {
        match self {
            Order::Same => found == Ordering::Equal,
            Order::Less => found == Ordering::Less,
            Order::LessOrSame => found != Ordering::Greater,
            Order::More => found == Ordering::Greater,
            Order::MoreOrSame => found != Ordering::Less,
        }
    }

    /// `notequals` is told apart by its caller.
    fn named(word: &str) -> Option<Order> {
        Some(match word {
            "equals" | "notequals" => Order::Same,
            "lessthan" => Order::Less,
            "lessthanequals" => Order::LessOrSame,
            "greaterthan" => Order::More,
            "greaterthanequals" => Order::MoreOrSame,
            _ => return None,
        })
    }
}

impl Operator {
    /// `word` is in lower case.
    pub(super) fn named(word: &str) -> Option<Operator> {
        let is_negated = word.contains("not");
        if let Some(rest) = word.strip_prefix("numeric") {
            let order = Order::named(rest)?;
            return Some(Operator::Number { is_negated, order });
        }
        if let Some(rest) = word.strip_prefix("date") {
            let order = Order::named(rest)?;
            return Some(Operator::Date { is_negated, order });
        }
        Some(match word {
            "stringequals" | "stringnotequals" => Operator::Text {
                is_negated,
                case: Case::Exact,
            },
            "stringequalsignorecase" | "stringnotequalsignorecase" => Operator::Text {
                is_negated,
                case: Case::Ignored,
            },
            "stringlike" | "stringnotlike" => Operator::Like { is_negated },
            "arnequals" | "arnlike" | "arnnotequals" | "arnnotlike" => Operator::Arn { is_negated },
            "ipaddress" | "notipaddress" => Operator::Address { is_negated },
            "bool" => Operator::Bool,
            "binaryequals" => Operator::Binary,
            "null" => Operator::Null,
            _ => return None,
        })
    }

    pub(super) fn is_negated(self) -> bool {
        match self {
            Operator::Text { is_negated, .. }
            | Operator::Like { is_negated }
            | Operator::Arn { is_negated }
            | Operator::Number { is_negated, .. }
            | Operator::Date { is_negated, .. }
            | Operator::Address { is_negated } => is_negated,
            Operator::Bool | Operator::Binary | Operator::Null => false,
        }
    }

    /// Whether the policy's value `own` fits `value` of the request, negation left aside.
    pub(super) fn fits(self, own: &str, value: &str, keys: &Keys) -> bool {
        match self {
            Operator::Text { case, .. } => Pattern::read(own).is(value, case, keys),
            Operator::Like { .. } => Pattern::read(own).covers(value, Case::Exact, keys),
            Operator::Arn { .. } => Pattern::read(own).covers_arn(value, keys),
            Operator::Number { order, .. } => {
                let pair = (own.trim().parse::<f64>(), value.trim().parse::<f64>());
                let (Ok(own), Ok(value)) = pair else {
                    return false;
                };
                value.partial_cmp(&own).is_some_and(|o| order.holds(o))
            }
            Operator::Date { order, .. } => match (unix_seconds(own), unix_seconds(value)) {
                (Some(own), Some(value)) => value.partial_cmp(&own).is_some_and(|o| order.holds(o)),
                _ => false,
            },
            Operator::Address { .. } => is_within(own, value),
            Operator::Bool => own.eq_ignore_ascii_case(value),
            Operator::Binary => own == value,
            Operator::Null => false,
        }
    }
}

/// `own` is an address or a range in CIDR form.
fn is_within(own: &str, value: &str) -> bool {
    let (range, bits) = match own.split_once('/') {
        Some((range, bits)) => (range, bits.parse::<u32>().ok()),
        None => (own, Some(128)),
    };
    let (Some(bits), Ok(range), Ok(value)) = (bits, range.parse(), value.parse::<IpAddr>()) else {
        return false;
    };
    let same = |a: u128, b: u128, width: u32| {
        let ignored = width.saturating_sub(bits);
        a.checked_shr(ignored).unwrap_or(0) == b.checked_shr(ignored).unwrap_or(0)
    };
    match (range, value.to_canonical()) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
        _ => false,
    }
}

/// Reads `2026-11-21`, `2026-11-21T04:48:08Z`, `…T04:48:08.5+01:00`, or seconds since 1970.
fn unix_seconds(text: &str) -> Option<f64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Some(seconds);
    }
    let (date, time) = text.split_once(['T', 't']).unwrap_or((text, "00:00Z"));
    let mut fields = date.splitn(3, '-');
    let year: i64 = fields.next()?.parse().ok()?;
    let month: i64 = fields.next().unwrap_or("1").parse().ok()?;
    let day: i64 = fields.next().unwrap_or("1").parse().ok()?;
    if !(0..=9_999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (clock, offset) = match time.find(['Z', 'z', '+', '-']) {
        Some(at) => time.split_at(at),
        None => (time, "Z"),
    };
    let hms = |text: &str| -> Option<f64> {
        let mut parts = text.splitn(3, ':');
        let hours: f64 = parts.next()?.parse().ok()?;
        let minutes: f64 = parts.next().unwrap_or("0").parse().ok()?;
        let seconds: f64 = parts.next().unwrap_or("0").parse().ok()?;
        Some(hours * 3_600.0 + minutes * 60.0 + seconds)
    };
    let offset = match offset.chars().next() {
        Some('+') => hms(offset.get(1..)?)?,
        Some('-') => -hms(offset.get(1..)?)?,
        _ => 0.0,
    };
    let days = days_since_1970(year, month, day);
    Some(f64::from(i32::try_from(days).ok()?) * 86_400.0 + hms(clock)? - offset)
}

/// In the Gregorian calendar; years begin in March here, so that the leap day is their last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    days + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_each_form() {
        for (text, seconds) in [
            ("1970-01-01", Some(0.0)),
            ("2000-02-29T00:00:00Z", Some(951_782_400.0)),
            ("2026-11-21T04:48:08Z", Some(1_795_236_488.0)),
            ("2026-11-21T05:48:08+01:00", Some(1_795_236_488.0)),
            ("2026-11-21T04:48:08.5Z", Some(1_795_236_488.5)),
            ("1795236488", Some(1_795_236_488.0)),
            ("2026-13-01", None),
            ("soon", None),
        ] {
            assert_eq!(unix_seconds(text), seconds, "{text}");
        }
    }

    #[test]
    fn addresses_are_within_ranges() {
        for (range, address, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("2001:db8::/32", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("0.0.0.0/0", "::1", false),
            ("no", "127.0.0.1", false),
        ] {
            assert_eq!(is_within(range, address), expected, "{range} {address}");
        }
    }
}
