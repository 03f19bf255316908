//! From two PEM files to what rustls serves. Each failure is one line that names the setting to change.

use crate::config::ConfigError;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
    sign::{CertifiedKey, SingleCertAndKey},
};
use std::{fmt::Display, path::Path, sync::Arc};

pub(crate) fn load(cert: &Path, key: &Path, protocols: &[Vec<u8>]) -> Result<Arc<ServerConfig>, ConfigError> {
    let provider = Arc::new(ring::default_provider());
    let certified = certified(cert, key, &provider)?;
    let failed = |error: rustls::Error| unusable_cert(cert, error);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = protocols.to_vec();
    // A client that comes back resumes without a signature, and costs the server no memory meanwhile.
    config.ticketer = ring::Ticketer::new().map_err(failed)?;
    Ok(Arc::new(config))
}

fn certified(cert: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, ConfigError> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .map_err(|error| unusable_cert(cert, explained(&error, "no certificate in PEM form in this file")))?;
    if chain.is_empty() {
        return Err(unusable_cert(cert, "no certificate in PEM form in this file"));
    }
    let nothing = "no private key in PEM form in this file (an encrypted one must be decrypted first)";
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable_key(key, explained(&error, nothing)))?;
    let private = provider.key_provider.load_private_key(private);
    let private = private.map_err(|error| unusable_key(key, format!("not a key a server can use: {error}")))?;
    let certified = CertifiedKey::new(chain, private);
    match certified.keys_match() {
        // `Unknown`: a key that cannot tell its public half; the first handshake will show.
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => Err(unusable_key(key, "not the key of the certificate in TLS_CERT")),
        Err(error) => Err(unusable_cert(cert, format!("not a certificate a server can use: {error}"))),
    }
}

fn unusable_cert(path: &Path, reason: impl Display) -> ConfigError {
    ConfigError::unusable("TLS_CERT", path.display(), reason)
}

fn unusable_key(path: &Path, reason: impl Display) -> ConfigError {
    ConfigError::unusable("TLS_KEY", path.display(), reason)
}

fn explained(error: &pem::Error, nothing: &str) -> String {
    match error {
        pem::Error::Io(error) => format!("failed to read: {error}"),
        pem::Error::NoItemsFound => nothing.to_owned(),
        error => format!("not PEM: {error}"),
    }
}
