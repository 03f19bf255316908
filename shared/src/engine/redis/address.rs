//! From `REDIS_URL` and its companions to what fred connects with.

use crate::{config::RedisConfig, engine::EngineError};
use fred::types::config::{Config, ServerConfig, TlsConfig, TlsConnector, TlsHostMapping};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use std::{fmt::Display, path::Path, sync::Arc};

/// Where Redis is and how it is spoken to.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Address {
    pub(in crate::engine) fred: Config,
}

impl Address {
    /// Reads the settings. The error says what is wrong and never shows the URL: it may hold a password.
    pub(in crate::engine) fn new(config: &RedisConfig) -> Result<Self, EngineError> {
        let url = config.url.as_ref().ok_or_else(|| settings("REDIS_URL is not set"))?;
        if !url.expose().starts_with("redis") {
            return Err(EngineError::Settings {
                why: "REDIS_URL is not understood: it does not begin with redis".into(),
            });
        }
        let mut fred = Config::from_url(&plain(url.expose()))
            .map_err(|problem| settings(format!("REDIS_URL is not understood: {problem}")))?;
        if url.expose().starts_with("rediss") {
            fred.tls = Some(tls(config.ca_file.as_deref(), &fred.server)?);
        }
        Ok(Self { fred })
    }

    pub(in crate::engine) fn is_cluster(&self) -> bool {
        self.fred.server.is_clustered()
    }

    /// How the servers are run, in a word.
    pub(in crate::engine) fn deployment(&self) -> &'static str {
        if self.is_cluster() {
            "cluster"
        } else if self.fred.server.is_sentinel() {
            "sentinel"
        } else {
            "single"
        }
    }
}

/// The URL with the scheme of an unencrypted one: TLS is set up here, since fred's own takes the process's default
/// provider and the system's certificates only.
fn plain(url: &str) -> String {
    url.strip_prefix("rediss").map_or_else(|| url.to_owned(), |rest| format!("redis{rest}"))
}

fn tls(ca_file: Option<&Path>, server: &ServerConfig) -> Result<TlsConfig, EngineError> {
    let roots = ca_file.map_or_else(system_roots, roots_in)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|problem| settings(format!("TLS cannot be set up: {problem}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // The nodes of a cluster name each other by address; their certificates name the host that was configured.
    let hostnames = if server.is_clustered() { TlsHostMapping::DefaultHost } else { TlsHostMapping::None };
    Ok(TlsConfig { connector: TlsConnector::from(client), hostnames })
}

fn roots_in(file: &Path) -> Result<RootCertStore, EngineError> {
    let unusable = |problem: &dyn Display| settings(format!("REDIS_CA_FILE={}: {problem}", file.display()));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|problem| unusable(&problem))? {
        let certificate = certificate.map_err(|problem| unusable(&problem))?;
        roots.add(certificate).map_err(|problem| unusable(&problem))?;
    }
    if roots.is_empty() { Err(unusable(&"there is no certificate in it")) } else { Ok(roots) }
}

fn system_roots() -> Result<RootCertStore, EngineError> {
    let mut roots = RootCertStore::empty();
    // One bad certificate among a system's hundreds is no reason not to trust the others.
    let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if added == 0 {
        return Err(settings("rediss:// needs certificates to trust, and the system has none: set REDIS_CA_FILE"));
    }
    Ok(roots)
}

fn settings(why: impl Into<String>) -> EngineError {
    EngineError::Settings { why: why.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn address(url: &str) -> Result<Address, EngineError> {
        Address::new(&RedisConfig { url: Some(Secret::new(url)), ..RedisConfig::default() })
    }

    #[test]
    fn every_kind_of_url_is_understood() {
        for (url, deployment) in [
            ("redis://localhost", "single"),
            ("redis://user:pass%20word@localhost:6380/2", "single"),
            ("redis-sentinel://:secret@s1:26379?node=s2:26379&sentinelServiceName=main", "sentinel"),
            ("redis-cluster://c1:7001?node=c2:7002", "cluster"),
        ] {
            let address = address(url).unwrap();
            assert_eq!((address.deployment(), address.fred.tls.is_some()), (deployment, false), "{url}");
        }
        let address = address("redis://user:pass%20word@localhost:6380/2").unwrap().fred;
        assert_eq!((address.username.as_deref(), address.password.as_deref()), (Some("user"), Some("pass word")));
        assert_eq!(address.database, Some(2));
    }

    #[test]
    fn a_bad_url_is_refused_without_being_shown() {
        for url in ["redis://:hunter2@host:notaport", "redis-sentinel://:hunter2@s1:26379", "http://:hunter2@host"] {
            let error = address(url).unwrap_err().to_string();
            assert!(error.contains("REDIS_URL") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_file_that_holds_no_certificate_is_refused_by_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for path in [file.path(), Path::new("/nonexistent/ca.pem")] {
            let url = Some(Secret::new("rediss://localhost"));
            let config = RedisConfig { url, ca_file: Some(path.to_owned()), ..RedisConfig::default() };
            let error = Address::new(&config).unwrap_err().to_string();
            assert!(error.contains("REDIS_CA_FILE"), "{error}");
        }
    }
}
