//! The operators' listener.

use super::AlertRule;
use std::net::{Ipv4Addr, SocketAddr};

/// Settings of the admin listener every process opens.
#[derive(Clone, Debug, PartialEq)]
pub struct AdminConfig {
    /// `ADMIN_ADDR`: loopback, guarded by a token file in the data folder.
    pub addr: SocketAddr,
    /// `ALERT_RULES`: changes to the rules that alerts come from.
    pub alerts: Vec<AlertRule>,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self { addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 8002)), alerts: Vec::new() }
    }
}
