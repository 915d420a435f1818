//! Values inside of match expressions that have a form of their own.

use std::net::IpAddr;

use crate::matcher::{Cidr, Piece};

/// A wildcard pattern: `*` stands for any letters, `\*` and `\\` for the letters themselves.
///
/// # Errors
/// Tells why it is none, in AWS's words.
pub(crate) fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut letters = text.chars().enumerate();
    while let Some((at, c)) = letters.next() {
        let piece = match c {
            '*' => Piece::Any,
            '\\' => match letters.next() {
                Some((_, c @ ('*' | '\\'))) => Piece::Letter(c),
                _ => return Err(format!("Invalid escape character at pos {at}")),
            },
            c => Piece::Letter(c),
        };
        if piece == Piece::Any && pieces.last() == Some(&Piece::Any) {
            return Err(format!("Consecutive wildcard characters at pos {at}"));
        }
        pieces.push(piece);
    }
    Ok(pieces)
}

/// `10.0.0.0/24`, `2001:db8::/32`.
///
/// # Errors
/// Tells why it is none, in AWS's words.
pub(crate) fn cidr(text: &str) -> Result<Cidr, String> {
    let (address, bits) = text
        .split_once('/')
        .filter(|(_, bits)| !bits.contains('/'))
        .ok_or("Malformed CIDR, one '/' required")?;
    let bits: i64 = bits
        .parse()
        .map_err(|_| "Malformed CIDR, mask bits must be an integer")?;
    let bits = u32::try_from(bits).map_err(|_| "Malformed CIDR, mask bits must not be negative")?;
    let address: IpAddr = address
        .parse()
        .map_err(|_| format!("Nonstandard IP address: {address}"))?;
    let (most, kind) = match address {
        IpAddr::V4(_) => (32, "IPv4"),
        IpAddr::V6(_) => (128, "IPv6"),
    };
    if bits > most {
        return Err(format!("{kind} mask bits must be < {most}"));
    }
    Ok(Cidr { address, bits })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_values_are_told() {
        for (text, reason) in [
            ("10.0.0.0", "Malformed CIDR, one '/' required"),
            ("10.0.0.0/x", "Malformed CIDR, mask bits must be an integer"),
            ("10.0.0/8", "Nonstandard IP address: 10.0.0"),
        ] {
            assert_eq!(cidr(text).unwrap_err(), reason);
        }
        assert_eq!(
            pieces("a**").unwrap_err(),
            "Consecutive wildcard characters at pos 2"
        );
        assert_eq!(
            pieces(r"a\b").unwrap_err(),
            "Invalid escape character at pos 1"
        );
    }
}
