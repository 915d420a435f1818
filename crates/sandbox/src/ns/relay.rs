//! Carries connections from inside an environment to Kiln's own API, and nowhere else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tasks::Tasks;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};

/// Most connections of one environment at a time; further ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 64;

/// After a failed accept, so that a lack of descriptors does not become a busy loop.
pub(super) const PAUSE: Duration = Duration::from_millis(50);

/// Carries connections to Kiln's API until the environment is `gone`.
pub(super) async fn serve(
    listener: TcpListener,
    endpoint: SocketAddr,
    gone: oneshot::Receiver<()>,
    tasks: Tasks,
) {
    each(
        listener,
        gone,
        tasks,
        "kiln-relay-connection",
        move |inside| async move {
            // If Kiln does not listen, closing tells it.
            if let Ok(outside) = TcpStream::connect(endpoint).await {
                splice(inside, outside).await;
            }
        },
    )
    .await;
}

/// Accepts connections until the environment is `gone`, and has each carried by a task of its own.
pub(super) async fn each<F>(
    listener: TcpListener,
    mut gone: oneshot::Receiver<()>,
    tasks: Tasks,
    name: &'static str,
    carry: impl Fn(TcpStream) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accept = async {
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            _ = &mut gone => return,
            both = accept => both,
        };
        let Ok((inside, _)) = accepted else {
            tasks.clock().sleep(PAUSE).await;
            continue;
        };
        let carried = carry(inside);
        tasks.spawn(name, async move {
            let _place = place;
            carried.await;
        });
    }
}

/// Copies both ways until both sides are done or one fails.
pub(super) async fn splice(mut inside: TcpStream, mut outside: TcpStream) {
    // Without it small messages wait for each other, nothing worse.
    let _ = inside.set_nodelay(true);
    let _ = outside.set_nodelay(true);
    // Either side failing closes both; there is nobody else to tell.
    let _ = tokio::io::copy_bidirectional(&mut inside, &mut outside).await;
}
