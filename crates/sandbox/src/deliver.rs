//! Delivers telemetry to extensions, by connections that begin inside the environment.
//!
//! A frozen subscriber takes a connection and answers when it goes on: so nothing here has a
//! deadline but the end of the environment, and what waits meanwhile is bounded by its queue.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use runtime_api::{Destination, Due, Host, Subscriber};
use tasks::{Clock, Tasks};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;

/// How often a batch is tried, and how long between two tries.
const TRIES_MAX: usize = 5;
const PAUSE: Duration = Duration::from_millis(100);
/// Longest answer of a subscriber that is read.
const ANSWER_BYTES_MAX: usize = 16 << 10;

/// The way into an environment.
#[async_trait]
pub(crate) trait Dial: Send + Sync {
    async fn dial(&self, port: u16) -> io::Result<Connection>;
}

/// A connection to a subscriber.
pub(crate) struct Connection {
    stream: TcpStream,
    /// Goes back there at the end.
    home: Option<(OwnedFd, Arc<Free>)>,
}

type Free = Mutex<Vec<OwnedFd>>;

/// Sockets that were made inside: each can be connected again and again, and always in there.
pub(crate) struct Sockets(Arc<Free>);

impl Sockets {
    pub(crate) fn new(sockets: Vec<OwnedFd>) -> Sockets {
        Sockets(Arc::new(Mutex::new(sockets)))
    }
}

fn lock(free: &Free) -> MutexGuard<'_, Vec<OwnedFd>> {
    free.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Dial for Sockets {
    async fn dial(&self, port: u16) -> io::Result<Connection> {
        let socket = lock(&self.0).pop();
        let socket = socket.ok_or_else(|| io::Error::other("all sockets are in use"))?;
        let again = socket.try_clone();
        // From here on the socket goes back whatever happens.
        let home = Home(Some((socket, self.0.clone())));
        if let Some((socket, _)) = &home.0 {
            rustix::net::connect_unspec(socket)?;
        }
        let socket = TcpSocket::from_std_stream(again?.into());
        let stream = socket.connect(address(port)).await?;
        Ok(Connection {
            stream,
            home: home.keep(),
        })
    }
}

struct Home(Option<(OwnedFd, Arc<Free>)>);

impl Home {
    fn keep(mut self) -> Option<(OwnedFd, Arc<Free>)> {
        self.0.take()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        give_back(self.0.take());
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        give_back(self.home.take());
    }
}

fn give_back(home: Option<(OwnedFd, Arc<Free>)>) {
    if let Some((socket, free)) = home {
        // Fails if it was not connected.
        let _ = rustix::net::shutdown(&socket, rustix::net::Shutdown::Both);
        lock(&free).push(socket);
    }
}

fn address(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Subscribers that listen on this host itself.
pub(crate) struct Local;

#[async_trait]
impl Dial for Local {
    async fn dial(&self, port: u16) -> io::Result<Connection> {
        Ok(Connection {
            stream: TcpStream::connect(address(port)).await?,
            home: None,
        })
    }
}

/// Delivers to all subscribers of one environment, each from a task of its own.
pub(crate) struct Deliveries {
    door: Arc<dyn Dial>,
    tasks: Tasks,
    gone: watch::Receiver<()>,
}

/// Dropping it ends the deliveries.
pub(crate) type Life = watch::Sender<()>;

impl Deliveries {
    pub(crate) fn begin(door: Arc<dyn Dial>, tasks: &Tasks) -> (Arc<dyn Host>, Life) {
        let (life, gone) = watch::channel(());
        let host = Deliveries {
            door,
            tasks: tasks.clone(),
            gone,
        };
        (Arc::new(host), life)
    }
}

impl Host for Deliveries {
    fn time(&self) -> String {
        self.tasks.clock().now().iso_millis()
    }

    fn subscribed(&self, subscriber: Arc<Subscriber>) {
        let carry = carry(subscriber, self.door.clone(), self.tasks.clock().clone());
        let mut gone = self.gone.clone();
        self.tasks.spawn("telemetry", async move {
            tokio::select! {
                biased;
                _ = gone.changed() => {}
                () = carry => {}
            }
        });
    }
}

async fn carry(subscriber: Arc<Subscriber>, door: Arc<dyn Dial>, clock: Clock) {
    let mut open = None;
    loop {
        match subscriber.due() {
            Due::Empty => {
                subscriber.changed().await;
                continue;
            }
            Due::Within(wait) => {
                let full = async {
                    while subscriber.due() != Due::Now {
                        subscriber.changed().await;
                    }
                };
                // Either way it is time.
                let _ = clock.timeout(wait, full).await;
            }
            Due::Now => {}
        }
        let batch = subscriber.take(&clock.now().iso_millis());
        let mut is_sent = false;
        for _ in 0..TRIES_MAX {
            match send(
                &subscriber.subscription.destination,
                &batch,
                &*door,
                &mut open,
            )
            .await
            {
                Ok(()) => {
                    is_sent = true;
                    break;
                }
                Err(error) => {
                    tracing::debug!(extension = %subscriber.name, %error, "telemetry not delivered");
                    open = None;
                    clock.sleep(PAUSE).await;
                }
            }
        }
        if !is_sent {
            subscriber.lose(&batch);
        }
    }
}

/// `open`: the connection to a subscriber that wants lines; requests have one each.
async fn send(
    to: &Destination,
    batch: &[Arc<str>],
    door: &dyn Dial,
    open: &mut Option<Connection>,
) -> io::Result<()> {
    match to {
        Destination::Http { port, path, method } => {
            let body = format!("[{}]", batch.join(",\n"));
            let head = format!(
                "{method} {path} HTTP/1.1\r\nHost: sandbox.localdomain:{port}\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n",
                body.len()
            );
            let mut connection = door.dial(*port).await?;
            connection.stream.write_all(head.as_bytes()).await?;
            connection.stream.write_all(body.as_bytes()).await?;
            status(&mut connection.stream).await
        }
        Destination::Tcp { port } => {
            let mut lines = batch.join("\n");
            lines.push('\n');
            let mut connection = match open.take() {
                Some(connection) => connection,
                None => door.dial(*port).await?,
            };
            connection.stream.write_all(lines.as_bytes()).await?;
            *open = Some(connection);
            Ok(())
        }
    }
}

/// Reads the answer's head.
async fn status(stream: &mut TcpStream) -> io::Result<()> {
    let mut answer = Vec::new();
    while !answer.windows(4).any(|w| w == b"\r\n\r\n") && answer.len() < ANSWER_BYTES_MAX {
        if stream.read_buf(&mut answer).await? == 0 {
            break;
        }
    }
    let line = String::from_utf8_lossy(&answer);
    match line.split(' ').nth(1) {
        Some(code) if code.starts_with('2') => Ok(()),
        other => Err(io::Error::other(format!("it answered {other:?}"))),
    }
}
