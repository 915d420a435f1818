//! The network of an environment: a namespace with a loopback device and nothing else.
//!
//! What goes out goes through listeners that are made in here and served outside by the server, so
//! the environment needs no device of the host and no address of its own. For the full network a
//! rule in the namespace sends every outgoing TCP connection to one such listener, whose server
//! side reads where it was meant to go; name lookups go to another.

use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, netlink, socket_with};

use super::netlink::{Attributes, MAKE, Messages};
use super::proto::{KILN_PORT, LINK_LOCAL, RUNTIME_API_PORT, Reach};
use crate::sys;

const DNS_PORT: u16 = 53;

/// Makes the network; gives the listeners in the order that [`super::proto::FromInit::Started`]
/// tells.
pub(super) fn make(reach: Reach) -> io::Result<Vec<OwnedFd>> {
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    sys::loopback_up(socket.as_fd(), LINK_LOCAL)?;
    // Clients take credentials from the loopback address only.  [AWS SDKs: container credentials]
    let mut listeners = vec![listen(Ipv4Addr::UNSPECIFIED, RUNTIME_API_PORT)?.0];
    if reach.kiln {
        listeners.push(listen(LINK_LOCAL, KILN_PORT)?.0);
    }
    if reach.full {
        let (proxy, port) = listen(Ipv4Addr::LOCALHOST, 0)?;
        divert_to(port)?;
        let dns = UdpSocket::bind((LINK_LOCAL, DNS_PORT))?;
        dns.set_nonblocking(true)?;
        listeners.extend([proxy, dns.into()]);
    }
    Ok(listeners)
}

fn listen(ip: Ipv4Addr, port: u16) -> io::Result<(OwnedFd, u16)> {
    let listener = TcpListener::bind((ip, port))?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    Ok((listener.into(), port))
}

/// Lets every outgoing TCP connection arrive at `port` of this loopback device, except those that
/// are meant for it.
fn divert_to(port: u16) -> io::Result<()> {
    default_route().send(None)?;
    redirection(port).send(Some(netlink::NETFILTER))
}

/// Everything leaves by the loopback device, so that a connection to anywhere can begin.
/// [Linux: rtnetlink(7)]
fn default_route() -> Messages {
    const NEW_ROUTE: u16 = 24;
    const OUT_DEVICE: u16 = 4;
    const LOOPBACK_INDEX: u32 = 1; // the first device of a namespace
    // family INET, no prefix, table main, protocol boot, scope link, type unicast
    let head = [2, 0, 0, 0, 254, 3, 253, 1, 0, 0, 0, 0];
    let device = Attributes::default().bytes(OUT_DEVICE, &LOOPBACK_INDEX.to_ne_bytes());
    Messages::default().add(NEW_ROUTE, MAKE, &head, device)
}

/// `table ip kiln { chain out { type nat hook output priority -100;
///   meta l4proto tcp ip daddr != { 127.0.0.0/8, 169.254.100.1 } redirect to :port } }`
fn redirection(port: u16) -> Messages {
    const SUBSYSTEM: u16 = 10 << 8;
    const BATCH_BEGIN: u16 = 16;
    const BATCH_END: u16 = 17;
    const NEW_TABLE: u16 = SUBSYSTEM;
    const NEW_CHAIN: u16 = SUBSYSTEM | 3;
    const NEW_RULE: u16 = SUBSYSTEM | 6;
    const LOCAL_OUT: u32 = 3;
    const ACCEPT: u32 = 1;
    const PRIORITY: i32 = -100;
    let batch = [0, 0, 0, 10]; // no family, version 0, for this subsystem
    let ip = [2, 0, 0, 0];
    let hook = Attributes::default()
        .number(1, LOCAL_OUT)
        .bytes(2, &PRIORITY.to_be_bytes());
    let chain = Attributes::default()
        .text(1, "kiln")
        .text(3, "out")
        .nested(4, hook)
        .number(5, ACCEPT)
        .text(7, "nat");
    let rule = Attributes::default()
        .text(1, "kiln")
        .text(2, "out")
        .nested(4, expressions(port));
    Messages::default()
        .mark(BATCH_BEGIN, &batch)
        .add(NEW_TABLE, MAKE, &ip, Attributes::default().text(1, "kiln"))
        .add(NEW_CHAIN, MAKE, &ip, chain)
        .add(NEW_RULE, MAKE, &ip, rule)
        .mark(BATCH_END, &batch)
}

/// The rule as the kernel's small program: load into a register, compare, go on.
fn expressions(port: u16) -> Attributes {
    const REGISTER: u32 = 1;
    const PROTOCOL: u32 = 16;
    const TCP: u8 = 6;
    const EQUAL: u32 = 0;
    const DIFFERENT: u32 = 1;
    const NETWORK_HEADER: u32 = 1;
    const DESTINATION: u32 = 16;
    let compare = |how, with: &[u8]| {
        let value = Attributes::default().bytes(1, with);
        Attributes::default()
            .number(1, REGISTER)
            .number(2, how)
            .nested(3, value)
    };
    let destination = |length| {
        Attributes::default()
            .number(1, REGISTER)
            .number(2, NETWORK_HEADER)
            .number(3, DESTINATION)
            .number(4, length)
    };
    let port = Attributes::default().bytes(1, &port.to_be_bytes());
    [
        (
            "meta",
            Attributes::default()
                .number(1, REGISTER)
                .number(2, PROTOCOL),
        ),
        ("cmp", compare(EQUAL, &[TCP])),
        ("payload", destination(1)),
        ("cmp", compare(DIFFERENT, &[127])),
        ("payload", destination(4)),
        ("cmp", compare(DIFFERENT, &LINK_LOCAL.octets())),
        (
            "immediate",
            Attributes::default().number(1, REGISTER).nested(2, port),
        ),
        ("redir", Attributes::default().number(1, REGISTER)),
    ]
    .into_iter()
    .fold(Attributes::default(), |list, (name, data)| {
        let expression = Attributes::default().text(1, name).nested(2, data);
        list.nested(1, expression)
    })
}
