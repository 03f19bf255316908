//! TLS for a process's public listener: one certificate, a handshake with a deadline, and a reload that no open
//! connection notices.
//!
//! ```text
//!  TLS_CERT, TLS_KEY ──▶ certificate.rs ──▶ ServerConfig ◀── SIGHUP reads both files again
//!                                               │              (bad ones are logged, the old config stays)
//!  TcpStream ──▶ Tls::accept: first byte, handshake, deadline ──▶ Stream
//! ```
//!
//! A reload replaces the whole configuration, ticket keys included: a client that comes back shakes hands in full and
//! sees the new certificate, while open connections keep what they began with.
//!
//! Names of applications (ALPN) are the listener's: the gateway's own speaks `http/1.1` only, because a WebSocket needs
//! its connection for itself; the api's speaks `h2` too.

pub(crate) mod certificate;
mod plain;

use crate::{
    config::{ConfigError, HttpConfig},
    lifecycle::Lifecycle,
};
use rustls::ServerConfig;
use std::{
    io,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::{
    net::TcpStream,
    signal::unix::{SignalKind, signal},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

/// A connection that has shaken hands.
pub type Stream = tokio_rustls::server::TlsStream<TcpStream>;

/// HTTP/1.1, as ALPN spells it.
pub const HTTP_1: &str = "http/1.1";
/// HTTP/2, as ALPN spells it.
pub const HTTP_2: &str = "h2";

/// Bytes that wait, encrypted, for a socket that takes none. One record holds 16 KiB, so more would not make writes
/// larger; rustls' own bound is 64 KiB, and a slow reader would hold that much outside the outbox's limits.
const BUFFERED_BYTES: usize = 16 * 1024;

/// A listener's TLS. A cheap clone: every clone sees a reload at once.
#[derive(Clone, Debug)]
pub struct Tls(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    cert: PathBuf,
    key: PathBuf,
    protocols: Vec<Vec<u8>>,
    current: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads `TLS_CERT` and `TLS_KEY`; `None` without them. `protocols` are the ALPN names the listener answers to, the
    /// one it prefers first; a client that names none is let in, one that names only others is refused.
    pub fn load(config: &HttpConfig, protocols: &[&str]) -> Result<Option<Self>, ConfigError> {
        let (Some(cert), Some(key)) = (config.tls_cert.clone(), config.tls_key.clone()) else { return Ok(None) };
        let protocols: Vec<_> = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let current = RwLock::new(certificate::load(&cert, &key, &protocols)?);
        Ok(Some(Self(Arc::new(Inner { cert, key, protocols, current }))))
    }

    /// Reads both files again. When they are unusable nothing changes.
    pub fn reload(&self) -> Result<(), ConfigError> {
        let Inner { cert, key, protocols, current } = &*self.0;
        let fresh = certificate::load(cert, key, protocols)?;
        *current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// Reloads whenever the process gets a SIGHUP, until the soft stop. Signals count from when this returns.
    pub fn reload_on_hangup(&self, lifecycle: &Lifecycle) -> Result<(), ConfigError> {
        let deaf = |error| ConfigError::unusable("TLS_CERT", self.0.cert.display(), format!("no SIGHUP: {error}"));
        let mut hangups = signal(SignalKind::hangup()).map_err(deaf)?;
        let (tls, stop) = (self.clone(), lifecycle.soft().clone());
        lifecycle.tracker().spawn(async move {
            loop {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    _ = hangups.recv() => tls.reload_and_say().await,
                }
            }
        });
        Ok(())
    }

    async fn reload_and_say(&self) {
        let tls = self.clone();
        // Files may lie on a disk that hangs: not on a thread that serves.
        match tokio::task::spawn_blocking(move || tls.reload()).await {
            Ok(Ok(())) => tracing::info!("SIGHUP: serving the certificate that is in TLS_CERT now"),
            Ok(Err(problem)) => tracing::error!(%problem, "SIGHUP: still serving the old certificate"),
            Err(problem) => tracing::error!(%problem, "SIGHUP: reading the certificate failed"),
        }
    }

    /// Shakes hands within `deadline`. Whoever speaks plain HTTP is told so in plain HTTP.
    pub async fn accept(&self, stream: TcpStream, deadline: Duration) -> io::Result<Stream> {
        let late = || io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake took too long");
        timeout(deadline, self.shake_hands(stream)).await.unwrap_or_else(|_| Err(late()))
    }

    async fn shake_hands(&self, stream: TcpStream) -> io::Result<Stream> {
        let mut first = [0];
        if stream.peek(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if plain::is_http(first[0]) {
            plain::refuse(stream).await?;
            return Err(io::Error::new(io::ErrorKind::InvalidData, "plain HTTP on a TLS port"));
        }
        let config = Arc::clone(&self.0.current.read().unwrap_or_else(PoisonError::into_inner));
        let acceptor = TlsAcceptor::from(config);
        acceptor.accept_with(stream, |connection| connection.set_buffer_limit(Some(BUFFERED_BYTES))).await
    }
}
