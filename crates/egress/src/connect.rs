//! From a host to an open stream, by addresses that were checked.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use model::ports::Unanswered;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tasks::Tasks;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OnceCell, Semaphore};
use tokio_rustls::TlsConnector;

use crate::Networks;
use crate::endpoint::Endpoint;

/// Names that are looked up at once; each look-up holds a thread, also when nobody waits for it any more.
const LOOKUPS_MAX: usize = 16;
/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;

/// Gives the addresses of a name.
pub(crate) type Lookup = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// Opens streams to permitted addresses.
pub(crate) struct Connector {
    networks: Networks,
    lookup: Arc<Lookup>,
    lookups: Arc<Semaphore>,
    /// Set by tests; otherwise the certificates of the machine.
    roots: Option<Vec<CertificateDer<'static>>>,
    tls: OnceCell<TlsConnector>,
    tasks: Tasks,
}

/// A stream, encrypted or not.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

fn failed(what: &str, error: impl std::fmt::Display) -> Unanswered {
    Unanswered::Failed(format!("{what}: {error}"))
}

/// The machine's own way: its hosts file and its name servers. Names below `localhost`, as function URLs have
/// them, are this machine whatever the name servers say.  [RFC 6761, section 6.3]
fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if host.to_ascii_lowercase().ends_with(".localhost") {
        return Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))]);
    }
    Ok((host, port).to_socket_addrs()?.collect())
}

impl Connector {
    pub(crate) fn new(networks: Networks, tasks: &Tasks) -> Connector {
        Connector {
            networks,
            lookup: Arc::new(look_up),
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)),
            roots: None,
            tls: OnceCell::new(),
            tasks: tasks.clone(),
        }
    }

    #[cfg(test)]
    pub(crate) fn with_lookup(mut self, lookup: Arc<Lookup>) -> Connector {
        self.lookup = lookup;
        self
    }

    #[cfg(test)]
    pub(crate) fn with_roots(mut self, roots: Vec<CertificateDer<'static>>) -> Connector {
        self.roots = Some(roots);
        self
    }

    /// Refuses an endpoint that names an internal address itself.
    pub(crate) fn check(&self, endpoint: &Endpoint) -> Result<(), Unanswered> {
        match endpoint.address() {
            Some(address) if !self.networks.permit(address) => Err(forbidden(endpoint)),
            _ => Ok(()),
        }
    }

    pub(crate) async fn connect(&self, endpoint: &Endpoint) -> Result<Box<dyn Stream>, Unanswered> {
        let found = self.addresses(endpoint).await?;
        if found.is_empty() {
            return Err(failed(&endpoint.host, "the name has no address"));
        }
        let permitted = found.iter().filter(|a| self.networks.permit(a.ip()));
        let permitted: Vec<&SocketAddr> = permitted.take(ADDRESSES_MAX).collect();
        if permitted.is_empty() {
            return Err(forbidden(endpoint));
        }
        let mut last = None;
        for address in permitted {
            match TcpStream::connect(address).await {
                Ok(stream) => return self.secure(endpoint, stream).await,
                Err(error) => last = Some(error),
            }
        }
        let why = last.map_or_else(String::new, |error| error.to_string());
        Err(failed(&endpoint.authority, why))
    }

    async fn addresses(&self, endpoint: &Endpoint) -> Result<Vec<SocketAddr>, Unanswered> {
        if let Some(address) = endpoint.address() {
            return Ok(vec![SocketAddr::new(address, endpoint.port)]);
        }
        let turn = Arc::clone(&self.lookups).acquire_owned().await;
        let (lookup, host, port) = (
            Arc::clone(&self.lookup),
            endpoint.host.clone(),
            endpoint.port,
        );
        let looked = self
            .tasks
            .blocking(move || {
                // Given back when the thread is free, not when the caller has lost patience.
                let _turn = turn;
                lookup(&host, port)
            })
            .await;
        looked
            .map_err(|error| failed(&endpoint.host, error))?
            .map_err(|error| failed(&endpoint.host, error))
    }

    async fn secure(
        &self,
        endpoint: &Endpoint,
        stream: TcpStream,
    ) -> Result<Box<dyn Stream>, Unanswered> {
        if !endpoint.is_tls {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(endpoint.host.clone())
            .map_err(|error| failed(&endpoint.host, error))?;
        let tls = self.tls.get_or_try_init(|| self.make_tls()).await?;
        let secured = tls.connect(name, stream).await;
        Ok(Box::new(
            secured.map_err(|error| failed(&endpoint.authority, error))?,
        ))
    }

    /// Reads the certificates that the machine trusts; the first request over TLS waits for it.
    async fn make_tls(&self) -> Result<TlsConnector, Unanswered> {
        let mut roots = RootCertStore::empty();
        let trusted = match &self.roots {
            Some(given) => given.clone(),
            None => {
                let loaded = self.tasks.blocking(rustls_native_certs::load_native_certs);
                let loaded = loaded.await.map_err(|e| failed("certificates", e))?;
                for error in &loaded.errors {
                    tracing::warn!(%error, "some certificates that this machine trusts cannot be read");
                }
                loaded.certs
            }
        };
        let (added, _) = roots.add_parsable_certificates(trusted);
        if added == 0 {
            return Err(failed("certificates", "this machine trusts nobody"));
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| failed("TLS", error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

fn forbidden(endpoint: &Endpoint) -> Unanswered {
    Unanswered::Forbidden(format!(
        "{} leads to an internal address, and this server does not allow it",
        endpoint.host
    ))
}
