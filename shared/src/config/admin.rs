//! The operators' listener.

use std::net::{Ipv4Addr, SocketAddr};

/// Settings of the admin listener every process opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminConfig {
    /// `ADMIN_ADDR`: loopback, guarded by a token file in the data folder.
    pub addr: SocketAddr,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self { addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 8002)) }
    }
}
