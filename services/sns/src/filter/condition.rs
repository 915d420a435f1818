use std::net::IpAddr;

use super::fields::Scalar;

/// One alternative of a key.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Condition {
    Is(Scalar),
    Prefix(String),
    Suffix(String),
    /// Kept in lower case.
    EqualsIgnoreCase(String),
    AnythingBut(Vec<Scalar>),
    AnythingButPrefix(String),
    Numeric(Range),
    Cidr(Cidr),
    Exists,
    /// Holds for a key that is not there.
    Absent,
}

impl Condition {
    pub(super) fn holds(&self, value: &Scalar) -> bool {
        match (self, value) {
            (Condition::Is(wanted), _) => wanted == value,
            (Condition::Prefix(prefix), Scalar::Text(text)) => text.starts_with(prefix.as_str()),
            (Condition::Suffix(suffix), Scalar::Text(text)) => text.ends_with(suffix.as_str()),
            (Condition::EqualsIgnoreCase(wanted), Scalar::Text(text)) => {
                text.to_lowercase() == *wanted
            }
            (Condition::AnythingBut(unwanted), _) => !unwanted.contains(value),
            (Condition::AnythingButPrefix(prefix), Scalar::Text(text)) => {
                !text.starts_with(prefix.as_str())
            }
            (Condition::Numeric(range), Scalar::Number(number)) => range.holds(*number),
            (Condition::Cidr(cidr), Scalar::Text(text)) => {
                text.parse().is_ok_and(|address| cidr.holds(address))
            }
            (Condition::Exists, _) => true,
            _ => false,
        }
    }
}

/// Numbers between two bounds; each is a number and whether it belongs to the range.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Range {
    pub(super) bottom: Option<(f64, bool)>,
    pub(super) top: Option<(f64, bool)>,
}

impl Range {
    fn holds(self, number: f64) -> bool {
        let above = self
            .bottom
            .is_none_or(|(bottom, is_in)| number > bottom || (is_in && number >= bottom));
        let below = self
            .top
            .is_none_or(|(top, is_in)| number < top || (is_in && number <= top));
        above && below
    }
}

/// A block of addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cidr {
    network: u128,
    is_v6: bool,
    bits: u32,
}

impl Cidr {
    pub(super) fn parse(text: &str) -> Result<Cidr, String> {
        let mut parts = text.split('/');
        let (Some(address), Some(bits), None) = (parts.next(), parts.next(), parts.next()) else {
            return Err("Malformed CIDR, one '/' required".to_owned());
        };
        let bits: u32 = bits
            .parse()
            .map_err(|_| "Malformed CIDR, mask bits must be an integer".to_owned())?;
        let parsed: IpAddr = address
            .parse()
            .map_err(|_| format!("Nonstandard IP address: {address}"))?;
        let (network, is_v6) = number(parsed);
        let (kind, most) = if is_v6 { ("IPv6", 128) } else { ("IPv4", 32) };
        if bits > most {
            return Err(format!("{kind} mask bits must be < {}", most + 1));
        }
        Ok(Cidr {
            network,
            is_v6,
            bits,
        })
    }

    fn holds(self, address: IpAddr) -> bool {
        let (number, is_v6) = number(address);
        let width = if is_v6 { 128 } else { 32 };
        let host = width - self.bits.min(width);
        is_v6 == self.is_v6
            && number.checked_shr(host).unwrap_or(0) == self.network.checked_shr(host).unwrap_or(0)
    }
}

fn number(address: IpAddr) -> (u128, bool) {
    match address {
        IpAddr::V4(address) => (u32::from(address).into(), false),
        IpAddr::V6(address) => (address.into(), true),
    }
}
