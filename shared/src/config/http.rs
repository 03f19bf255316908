//! The public listener: address, origins, body and rate limits.

use super::origin::{Origin, Pattern};
use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

/// Settings of the public listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// `HOST`.
    pub host: IpAddr,
    /// `PORT`; 0 takes a free one.
    pub port: u16,
    /// `TLS_CERT`: PEM file with the certificate chain, leaf first; with `TLS_KEY` the listener speaks TLS only.
    pub tls_cert: Option<PathBuf>,
    /// `TLS_KEY`: PEM file with the certificate's private key.
    pub tls_key: Option<PathBuf>,
    /// `PUBLIC_BASE_URL`: what links and cookies are built from, never the `Host` header. Unset: `http://HOST:PORT`,
    /// `https:` with a certificate.
    pub public_base_url: Option<String>,
    /// `CORS_ORIGINS`: exact origins, or `https://*.example.org`; also the WebSocket's allow-list. The public base
    /// URL is always allowed.
    pub allowed_origins: Vec<String>,
    /// `TRUSTED_PROXIES`: how many `X-Forwarded-For` hops, from the right, are our own proxies.
    pub trusted_proxies: u8,
    /// `MAX_BODY`: largest JSON body, in bytes.
    pub max_body_bytes: usize,
    /// `HEADER_TIMEOUT`: longest time for a request's head to arrive.
    pub header_timeout: Duration,
    /// `BODY_TIMEOUT`: longest time for a request's body to arrive.
    pub body_timeout: Duration,
    /// `REQUEST_TIMEOUT`: longest time to look the session up and handle the request.
    pub request_timeout: Duration,
    /// `RATE_PER_IP`: requests a minute from one address (IPv6: one /64).
    pub rate_per_ip: u32,
    /// `RATE_PER_USER`: requests a minute of one user.
    pub rate_per_user: u32,
    /// `LOGIN_RATE_PER_IP`: passwords a minute that one address (IPv6: one /64) may have checked, whatever the accounts.
    pub login_rate_per_ip: u32,
    /// `DRAIN_DELAY`: how long a process that was told to stop goes on taking work, and says that it is not ready.
    pub drain_delay: Duration,
    /// `DRAIN_TIMEOUT`: longest wait for open requests and sockets when the process stops.
    pub drain_timeout: Duration,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 8001,
            tls_cert: None,
            tls_key: None,
            public_base_url: None,
            allowed_origins: Vec::new(),
            trusted_proxies: 0,
            max_body_bytes: 1 << 20,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(20),
            request_timeout: Duration::from_secs(10),
            rate_per_ip: 300,
            rate_per_user: 100,
            login_rate_per_ip: 30,
            drain_delay: Duration::ZERO, // loading raises it where there is a balancer to wait for
            drain_timeout: Duration::from_secs(30),
        }
    }
}

impl HttpConfig {
    /// What links are built from: `PUBLIC_BASE_URL`, else the bound address (an unspecified one as `localhost`).
    /// A host that bound port 0 stores the port it got in `port` first.
    pub fn base_url(&self) -> String {
        self.public_base_url.clone().unwrap_or_else(|| {
            let host = match self.host {
                host if host.is_unspecified() => "localhost".into(),
                IpAddr::V4(host) => host.to_string(),
                IpAddr::V6(host) => format!("[{host}]"),
            };
            let scheme = if self.tls_cert.is_some() { "https" } else { "http" };
            format!("{scheme}://{host}:{}", self.port)
        })
    }

    /// Whether a browser's `Origin` header may call the api and open sockets: the base URL, an entry of
    /// `CORS_ORIGINS`, or, when bound to loopback, any name of this machine with our port.
    pub fn allows_origin(&self, header: &str) -> bool {
        let Some(origin) = Origin::parse(header) else { return false };
        let loopback = || self.host.is_loopback() && origin.is_loopback() && origin.port() == self.port;
        Origin::parse(&self.base_url()).is_some_and(|base| base == origin)
            || self.allowed_origins.iter().filter_map(|entry| Pattern::parse(entry)).any(|entry| entry.matches(&origin))
            || loopback()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_base_url_the_list_and_our_own_loopback_names_are_let_in() {
        let mut http = HttpConfig { allowed_origins: vec!["https://*.example.org".into()], ..HttpConfig::default() };
        for ours in ["http://127.0.0.1:8001", "http://localhost:8001", "http://[::1]:8001", "https://a.example.org"] {
            assert!(http.allows_origin(ours), "{ours}");
        }
        for foreign in ["http://localhost:3000", "https://evil.net", "null", "", "*", "http://a.example.org"] {
            assert!(!http.allows_origin(foreign), "{foreign}");
        }
        http.host = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        http.public_base_url = Some("https://pitchey.example.com".into());
        assert!(http.allows_origin("https://pitchey.example.com") && !http.allows_origin("http://127.0.0.1:8001"));
    }
}
