//! Just enough netlink to set up one fresh network namespace: messages of nested attributes, sent in
//! one piece, answered one by one.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

/// Flags of a message that makes something and wants an answer.
pub(super) const MAKE: u16 = 0x1 | 0x4 | 0x400; // REQUEST, ACK, CREATE
const REQUEST: u16 = 0x1;
const NESTED: u16 = 0x8000;
const HEADER: usize = 16;
const ERROR: u16 = 2;

/// Several messages, sent together.
#[derive(Default)]
pub(super) struct Messages {
    bytes: Vec<u8>,
    answers: u32,
}

/// The attributes of one message or of a nested one.
#[derive(Default)]
pub(super) struct Attributes(Vec<u8>);

impl Attributes {
    pub(super) fn bytes(mut self, kind: u16, value: &[u8]) -> Attributes {
        let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// With the NUL that the kernel wants.
    pub(super) fn text(self, kind: u16, value: &str) -> Attributes {
        self.bytes(kind, &[value.as_bytes(), b"\0"].concat())
    }

    /// Big-endian, as netfilter wants numbers.
    pub(super) fn number(self, kind: u16, value: u32) -> Attributes {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub(super) fn nested(self, kind: u16, value: Attributes) -> Attributes {
        self.bytes(kind | NESTED, &value.0)
    }
}

impl Messages {
    /// `head`: the fixed part that comes before the attributes.
    pub(super) fn add(mut self, kind: u16, flags: u16, head: &[u8], rest: Attributes) -> Messages {
        let length = u32::try_from(HEADER + head.len() + rest.0.len()).unwrap_or(u32::MAX);
        self.bytes.extend(length.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(flags.to_ne_bytes());
        self.bytes.extend([0; 8]); // sequence and port: nobody else uses this socket
        self.bytes.extend(head);
        self.bytes.extend(rest.0);
        self.answers += u32::from(flags == MAKE);
        self
    }

    /// Without an answer.
    pub(super) fn mark(self, kind: u16, head: &[u8]) -> Messages {
        self.add(kind, REQUEST, head, Attributes::default())
    }

    /// Sends all to `family`, by default that of routes and devices; fails with the first error that the kernel answers.
    pub(super) fn send(self, family: Option<Protocol>) -> io::Result<()> {
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            family,
        )?;
        send(&socket, &self.bytes, SendFlags::empty())?;
        let mut left = self.answers;
        while left > 0 {
            left = left.saturating_sub(answers(&socket)?);
        }
        Ok(())
    }
}

/// Reads one packet of answers; gives how many there were.
fn answers(socket: &OwnedFd) -> io::Result<u32> {
    let mut buffer = [0; 8_192];
    let (length, _) = recv(socket, &mut buffer[..], RecvFlags::empty())?;
    let mut rest = buffer.get(..length).unwrap_or_default();
    let mut count = 0;
    while let Some((header, _)) = rest.split_first_chunk::<HEADER>() {
        let [l0, l1, l2, l3, k0, k1, ..] = *header;
        let length = usize::try_from(u32::from_ne_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
        if u16::from_ne_bytes([k0, k1]) == ERROR {
            let code = rest.get(HEADER..).and_then(|r| r.first_chunk::<4>());
            match code.map(|c| i32::from_ne_bytes(*c)) {
                Some(0) => count += 1,
                Some(code) => return Err(io::Error::from_raw_os_error(-code)),
                None => return Err(Errno::BADMSG.into()),
            }
        }
        rest = rest
            .get(length.next_multiple_of(4).max(HEADER)..)
            .unwrap_or_default();
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_nested() {
        let inner = Attributes::default().bytes(1, &[6]);
        let outer = Attributes::default().nested(3, inner).text(7, "nat");
        let u16s = |a: u16, b: u16| [a.to_ne_bytes(), b.to_ne_bytes()].concat();
        let want = [
            u16s(12, 3 | NESTED),
            u16s(5, 1),
            vec![6, 0, 0, 0],
            u16s(8, 7),
            b"nat\0".to_vec(),
        ];
        assert_eq!(outer.0, want.concat());
    }

    #[test]
    fn the_kernels_error_comes_back() {
        const UNKNOWN: u16 = 4_000;
        let message = Messages::default().add(UNKNOWN, MAKE, &[0; 4], Attributes::default());
        let code = message.send(None).unwrap_err().raw_os_error();
        assert_eq!(code, Some(libc::EOPNOTSUPP));
    }
}
