//! The public listener: address, origins, body and rate limits.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

/// Settings of the public listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// `HOST`.
    pub host: IpAddr,
    /// `PORT`; 0 takes a free one.
    pub port: u16,
    /// `PUBLIC_BASE_URL`: what links and cookies are built from, never the `Host` header. Unset: `http://HOST:PORT`.
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
    /// `REQUEST_TIMEOUT`: longest time a handler may take.
    pub request_timeout: Duration,
    /// `RATE_PER_IP`: requests a minute from one address (IPv6: one /64).
    pub rate_per_ip: u32,
    /// `RATE_PER_USER`: requests a minute of one user.
    pub rate_per_user: u32,
    /// `DRAIN_TIMEOUT`: longest wait for open requests and sockets when the process stops.
    pub drain_timeout: Duration,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 8001,
            public_base_url: None,
            allowed_origins: Vec::new(),
            trusted_proxies: 0,
            max_body_bytes: 1 << 20,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(20),
            request_timeout: Duration::from_secs(10),
            rate_per_ip: 300,
            rate_per_user: 100,
            drain_timeout: Duration::from_secs(30),
        }
    }
}
