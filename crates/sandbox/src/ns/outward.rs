//! The full network of an environment: what comes out of it is carried on by the server, which
//! connects to where it was meant to go.
//!
//! Differs: a connection from inside is accepted before the other end is reached; if that fails it
//! is closed. Only TCP and name lookups go out.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tasks::Tasks;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, oneshot};

use super::relay::{PAUSE, each, splice};

/// Longest wait for a connection to come about.
const CONNECT_MAX: Duration = Duration::from_secs(75);
/// Most name lookups of one environment at a time; further ones are dropped, as UDP does.
const LOOKUPS_MAX: usize = 32;
const LOOKUP_MAX: Duration = Duration::from_secs(5);
/// Longest message.  [RFC 6891: what EDNS peers commonly agree on]
const DNS_BYTES_MAX: usize = 4_096;

/// Whether functions may reach this address: not the host itself by its loopback, nor what lives on
/// the link, such as a cloud's metadata service.
fn may_reach(ip: Ipv4Addr) -> bool {
    !(ip.is_loopback()
        || ip.is_link_local()
        || ip.is_unspecified()
        || ip.is_broadcast()
        || ip.is_multicast()
        || ip.octets().first() == Some(&0))
}

/// Carries connections until the environment is `gone`.
pub(super) async fn connections(listener: TcpListener, gone: oneshot::Receiver<()>, tasks: Tasks) {
    let clock = tasks.clock().clone();
    let carry = move |inside: TcpStream| {
        let clock = clock.clone();
        async move {
            // The kernel remembers where the connection was meant to go.
            let Ok(meant) = rustix::net::sockopt::ip_original_dst(&inside) else {
                return;
            };
            if !may_reach(*meant.ip()) {
                return;
            }
            let connecting = TcpStream::connect(SocketAddr::V4(meant));
            if let Ok(Ok(outside)) = clock.timeout(CONNECT_MAX, connecting).await {
                splice(inside, outside).await;
            }
        }
    };
    each(listener, gone, tasks, "outward-connection", carry).await;
}

/// Answers name lookups by asking the host's first name server.
pub(super) async fn lookups(socket: UdpSocket, mut gone: oneshot::Receiver<()>, tasks: Tasks) {
    let socket = Arc::new(socket);
    let places = Arc::new(Semaphore::new(LOOKUPS_MAX));
    let mut buffer = vec![0; DNS_BYTES_MAX];
    loop {
        let (length, from) = tokio::select! {
            biased;
            _ = &mut gone => return,
            got = socket.recv_from(&mut buffer) => match got {
                Ok(got) => got,
                Err(_) => {
                    tasks.clock().sleep(PAUSE).await;
                    continue;
                }
            },
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            continue;
        };
        let question = buffer.get(..length).unwrap_or_default().to_vec();
        let (socket, clock) = (socket.clone(), tasks.clock().clone());
        tasks.spawn("outward-lookup", async move {
            let _place = place;
            if let Ok(Some(answer)) = clock.timeout(LOOKUP_MAX, ask(&question)).await {
                // If it is lost the function asks again.
                let _ = socket.send_to(&answer, from).await;
            }
        });
    }
}

async fn ask(question: &[u8]) -> Option<Vec<u8>> {
    let server = name_server(&std::fs::read_to_string("/etc/resolv.conf").ok()?)?;
    let any = match server {
        SocketAddr::V4(_) => "0.0.0.0:0",
        SocketAddr::V6(_) => "[::]:0",
    };
    let socket = UdpSocket::bind(any).await.ok()?;
    socket.connect(server).await.ok()?;
    socket.send(question).await.ok()?;
    let mut answer = vec![0; DNS_BYTES_MAX];
    let length = socket.recv(&mut answer).await.ok()?;
    answer.truncate(length);
    Some(answer)
}

fn name_server(resolv_conf: &str) -> Option<SocketAddr> {
    resolv_conf.lines().find_map(|line| {
        let address = line.trim().strip_prefix("nameserver")?.trim();
        let ip: IpAddr = address.parse().ok()?;
        Some(SocketAddr::new(ip, 53))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_server_is_asked() {
        let conf = "# x\nsearch a.b\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n";
        assert_eq!(name_server(conf), "10.0.0.2:53".parse().ok());
        assert_eq!(name_server("nameserver ::1"), "[::1]:53".parse().ok());
        assert_eq!(name_server("options x"), None);
    }

    #[test]
    fn the_host_itself_and_its_link_are_out_of_reach() {
        for (ip, may) in [
            ("127.0.0.1", false),
            ("127.9.9.9", false),
            ("169.254.169.254", false),
            ("0.0.0.0", false),
            ("0.1.2.3", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("10.0.0.1", true),
            ("203.0.113.7", true),
        ] {
            assert_eq!(may_reach(ip.parse().unwrap()), may, "{ip}");
        }
    }
}
