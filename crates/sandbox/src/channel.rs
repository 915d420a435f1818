//! Messages with descriptors over a SOCK_SEQPACKET socket: one JSON value per packet.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, recvmsg,
    sendmsg, socketpair,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest message, JSON text.
pub(crate) const MESSAGE_BYTES_MAX: usize = 160 * 1024;

/// Most descriptors in one message.
const FDS_MAX: usize = 16;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ChannelError {
    #[error("the other side is gone")]
    Closed,
    #[error("nothing to read or no room to write now")]
    WouldBlock,
    #[error("message of {0} bytes is too long")]
    TooLong(usize),
    #[error("malformed message: {0}")]
    Malformed(String),
    #[error(transparent)]
    System(Errno),
}

impl From<Errno> for ChannelError {
    fn from(errno: Errno) -> ChannelError {
        match errno {
            Errno::AGAIN => ChannelError::WouldBlock,
            Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN => ChannelError::Closed,
            other => ChannelError::System(other),
        }
    }
}

/// Two connected ends, both closed on exec; each blocks until made non-blocking.
pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
}

pub(crate) fn encode(message: &impl Serialize) -> Result<Vec<u8>, ChannelError> {
    let text = serde_json::to_vec(message).map_err(|e| ChannelError::Malformed(e.to_string()))?;
    if text.len() > MESSAGE_BYTES_MAX {
        return Err(ChannelError::TooLong(text.len()));
    }
    Ok(text)
}

pub(crate) fn send_bytes(
    socket: impl AsFd,
    text: &[u8],
    fds: &[BorrowedFd<'_>],
) -> Result<(), ChannelError> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(ChannelError::Malformed("too many descriptors".to_owned()));
    }
    retry_on_intr(|| {
        sendmsg(
            &socket,
            &[IoSlice::new(text)],
            &mut control,
            SendFlags::NOSIGNAL,
        )
    })?;
    Ok(())
}

pub(crate) fn send(
    socket: impl AsFd,
    message: &impl Serialize,
    fds: &[BorrowedFd<'_>],
) -> Result<(), ChannelError> {
    send_bytes(socket, &encode(message)?, fds)
}

pub(crate) fn receive<T: DeserializeOwned>(
    socket: impl AsFd,
) -> Result<(T, Vec<OwnedFd>), ChannelError> {
    let (text, fds) = receive_bytes(socket)?;
    let message =
        serde_json::from_slice(&text).map_err(|e| ChannelError::Malformed(e.to_string()))?;
    Ok((message, fds))
}

/// A message as it came. Memory for the longest one would have to be cleared for each; so it is asked
/// for its length first.
pub(crate) fn receive_bytes(socket: impl AsFd) -> Result<(Vec<u8>, Vec<OwnedFd>), ChannelError> {
    let look = RecvFlags::PEEK | RecvFlags::TRUNC;
    let peek = || retry_on_intr(|| recv(&socket, &mut [0; 1][..], look));
    // A side that ends before it read everything resets the connection. The kernel tells that once,
    // and before the last words of that side, which are still there.
    let (_, length) = match peek() {
        Err(Errno::CONNRESET) => peek(),
        other => other,
    }?;
    if length > MESSAGE_BYTES_MAX {
        return Err(ChannelError::TooLong(length));
    }
    let mut text = vec![0; length.max(1)];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = retry_on_intr(|| {
        recvmsg(
            &socket,
            &mut [IoSliceMut::new(&mut text)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )
    })?;
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    if got.bytes == 0 {
        return Err(ChannelError::Closed);
    }
    if got.flags.contains(ReturnFlags::TRUNC) {
        return Err(ChannelError::TooLong(got.bytes));
    }
    text.truncate(got.bytes);
    Ok((text, fds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_heard_though_the_speaker_left_without_reading() {
        let (here, there) = pair().unwrap();
        send(&here, &"never read", &[]).unwrap();
        send(&there, &"last words", &[]).unwrap();
        drop(there);
        let (word, _) = receive::<String>(&here).unwrap();
        assert_eq!(word, "last words");
        assert!(matches!(
            receive::<String>(&here),
            Err(ChannelError::Closed)
        ));
    }
}
