//! `application/vnd.amazon.eventstream`: messages with headers in a body that goes on.
//! [Amazon event stream encoding]
//!
//! ```text
//!   u32 total length · u32 headers length · u32 CRC of these · headers · payload · u32 CRC of all
//!   header: u8 name length · name · u8 7 (string) · u16 value length · value
//! ```

use bytes::{BufMut, Bytes, BytesMut};

/// The content type of a body made of messages.
pub const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";
/// Longest payload of one message, in bytes; longer ones have to be split.  [botocore refuses more]
pub const PAYLOAD_MAX: usize = 16 << 20;

const STRING: u8 = 7;
const PRELUDE: usize = 12;

/// One message of a stream.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// `:message-type`: `event`, `exception` or `error`.
    pub kind: &'a str,
    /// `:event-type` or `:exception-type`.
    pub name: &'a str,
    /// `:content-type`; none if there is no payload.
    pub content_type: Option<&'a str>,
}

impl<'a> Message<'a> {
    /// An event whose payload is one blob member.
    pub fn blob(name: &'a str) -> Message<'a> {
        let content_type = Some("application/octet-stream");
        Message {
            kind: "event",
            name,
            content_type,
        }
    }

    /// An event whose members are JSON.
    pub fn json(name: &'a str) -> Message<'a> {
        let content_type = Some("application/json");
        Message {
            kind: "event",
            name,
            content_type,
        }
    }

    /// The message as it is sent. Names and values longer than a header can hold are cut off, and so
    /// is a payload beyond [`PAYLOAD_MAX`].
    pub fn encode(&self, payload: &[u8]) -> Bytes {
        let payload = payload.get(..PAYLOAD_MAX).unwrap_or(payload);
        let mut headers = BytesMut::with_capacity(128);
        let name = match self.kind {
            "exception" => ":exception-type",
            _ => ":event-type",
        };
        header(&mut headers, name, self.name);
        if let Some(content_type) = self.content_type {
            header(&mut headers, ":content-type", content_type);
        }
        header(&mut headers, ":message-type", self.kind);
        let total = PRELUDE + headers.len() + payload.len() + 4;
        let mut message = BytesMut::with_capacity(total);
        message.put_u32(u32::try_from(total).unwrap_or(u32::MAX));
        message.put_u32(u32::try_from(headers.len()).unwrap_or(u32::MAX));
        message.put_u32(crc32fast::hash(&message));
        message.put_slice(&headers);
        message.put_slice(payload);
        message.put_u32(crc32fast::hash(&message));
        message.freeze()
    }
}

fn header(to: &mut BytesMut, name: &str, value: &str) {
    let name = cut(name, usize::from(u8::MAX));
    let value = cut(value, usize::from(u16::MAX));
    to.put_u8(u8::try_from(name.len()).unwrap_or(u8::MAX));
    to.put_slice(name);
    to.put_u8(STRING);
    to.put_u16(u16::try_from(value.len()).unwrap_or(u16::MAX));
    to.put_slice(value);
}

fn cut(text: &str, max: usize) -> &[u8] {
    text.as_bytes().get(..max).unwrap_or(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
        digits.chunks(2).map(|pair| byte(pair).unwrap()).collect()
    }

    /// What botocore's own parser makes of a message: checked by hand once, with its `EventStreamBuffer`.
    #[test]
    fn a_message_is_the_one_that_the_sdks_read() {
        let chunk = Message::blob("PayloadChunk").encode(b"hi");
        assert_eq!(chunk, hex(PAYLOAD_CHUNK));
        let end = Message::json("InvokeComplete").encode(b"{}");
        assert_eq!(end, hex(INVOKE_COMPLETE));
    }

    const PAYLOAD_CHUNK: &str = "\
        0000006c0000005ab25efdcf0b3a6576656e742d7479706507000c5061796c6f61644368756e6b0d\
        3a636f6e74656e742d747970650700186170706c69636174696f6e2f6f637465742d73747265616d\
        0d3a6d6573736167652d747970650700056576656e7468691162e469";
    const INVOKE_COMPLETE: &str = "\
        00000066000000541f56c8690b3a6576656e742d7479706507000e496e766f6b65436f6d706c6574\
        650d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d657373\
        6167652d747970650700056576656e747b7d7006d467";

    fn u32_at(bytes: &[u8], at: usize) -> u32 {
        u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
    }

    proptest! {
        #[test]
        fn lengths_and_sums_hold(name in ".{0,300}", payload in prop::collection::vec(any::<u8>(), 0..300)) {
            let message = Message { kind: "exception", name: &name, content_type: None };
            let bytes = message.encode(&payload);
            let headers = u32_at(&bytes, 4) as usize;
            prop_assert_eq!(u32_at(&bytes, 0) as usize, bytes.len());
            prop_assert_eq!(PRELUDE + headers + payload.len() + 4, bytes.len());
            prop_assert_eq!(u32_at(&bytes, 8), crc32fast::hash(&bytes[..8]));
            let end = bytes.len() - 4;
            prop_assert_eq!(u32_at(&bytes, end), crc32fast::hash(&bytes[..end]));
            prop_assert_eq!(&bytes[PRELUDE + headers..end], &payload[..]);
        }
    }
}
