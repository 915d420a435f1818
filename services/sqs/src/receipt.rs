use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::shelf::Seq;

/// Names one receive of one message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Receipt {
    /// The queue, by the id that no later queue of the name has.
    pub(crate) queue: String,
    pub(crate) seq: Seq,
    pub(crate) nonce: u64,
    /// Records besides the first that hold the body.
    pub(crate) parts: u32,
}

/// First part of every handle, so that another form can come.
const FORM: &str = "1";

impl Receipt {
    /// The handle that clients get; they must not look into it.
    pub(crate) fn handle(&self) -> String {
        let Receipt {
            queue,
            seq,
            nonce,
            parts,
        } = self;
        STANDARD.encode(format!("{FORM}|{queue}|{seq:x}|{nonce:x}|{parts:x}"))
    }

    pub(crate) fn parse(handle: &str) -> Option<Receipt> {
        let text = String::from_utf8(STANDARD.decode(handle).ok()?).ok()?;
        let mut parts = text.split('|');
        let mut next = || parts.next();
        let receipt = match (next()?, next()?, next()?, next()?, next()?, next()) {
            (FORM, queue, seq, nonce, parts, None) => Receipt {
                queue: queue.to_owned(),
                seq: Seq::from_str_radix(seq, 16).ok()?,
                nonce: u64::from_str_radix(nonce, 16).ok()?,
                parts: u32::from_str_radix(parts, 16).ok()?,
            },
            _ => return None,
        };
        Some(receipt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_comes_back_and_others_do_not() {
        let receipt = Receipt {
            queue: "ab12".to_owned(),
            seq: u64::MAX,
            nonce: 7,
            parts: 2,
        };
        let handle = receipt.handle();
        assert_eq!(Receipt::parse(&handle), Some(receipt));
        for bad in ["", "garbage", "MXxhfHh8eHww", &handle[1..]] {
            assert_eq!(Receipt::parse(bad), None, "{bad}");
        }
    }
}
