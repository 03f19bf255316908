//! Certificates for tests, made on the spot: an authority, files as a server is configured with, and clients that trust
//! the authority.

use crate::{config::HttpConfig, tls::certificate};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName},
};
use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};

/// An authority and the folder its servers' files lie in.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// The name certificates are for.
const NAME: &str = "localhost";

fn name() -> ServerName<'static> {
    ServerName::try_from(NAME).expect("a name")
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// A new one, that nobody else trusts. Its files hold a certificate already.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names, no bad ones");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let authority = Self { issuer, folder: tempfile::tempdir().expect("a temporary folder") };
        authority.issue();
        authority
    }

    /// The authority's own certificate, for clients that read files.
    pub fn ca(&self) -> PathBuf {
        let path = self.folder.path().join("ca.pem");
        std::fs::write(&path, self.issuer.pem()).expect("a file");
        path
    }

    /// Where the certificate is: `TLS_CERT`.
    pub fn cert(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    /// Where its key is: `TLS_KEY`.
    pub fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    /// Makes a listener of this configuration speak TLS.
    pub fn configure(&self, http: &mut HttpConfig) {
        (http.tls_cert, http.tls_key) = (Some(self.cert()), Some(self.key()));
    }

    /// Writes a new certificate and key; returns the certificate as clients see it.
    pub fn issue(&self) -> CertificateDer<'static> {
        let params = CertificateParams::new(vec![NAME.to_owned()]).expect("a name");
        let key = KeyPair::generate().expect("a key");
        let leaf = params.signed_by(&key, &self.issuer).expect("a certificate");
        std::fs::write(self.cert(), leaf.pem()).expect("a file");
        std::fs::write(self.key(), key.serialize_pem()).expect("a file");
        leaf.der().clone()
    }

    /// A client that trusts this authority and offers these applications (ALPN).
    pub fn connector(&self, protocols: &[&str]) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("an authority");
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring speaks both versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }

    /// Connects as such a client.
    pub async fn connect(&self, addr: SocketAddr, protocols: &[&str]) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        self.connector(protocols).connect(name(), stream).await
    }

    /// Shakes hands as a client over any transport.
    pub async fn shake_hands<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<TlsStream<S>> {
        self.connector(&[]).connect(name(), stream).await
    }

    /// A server's side for any transport, with the certificate that is there now.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(certificate::load(&self.cert(), &self.key(), &[]).expect("our own files"))
    }
}
