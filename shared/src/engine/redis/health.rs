//! How an engine in Redis is, for health checks and the console.

use super::LinkHealth;

/// The two connections and what they carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineHealth {
    /// `single`, `sentinel` or `cluster`.
    pub deployment: &'static str,
    /// The connection for commands.
    pub commands: LinkHealth,
    /// The connection that hears. While it is down nothing arrives from other processes.
    pub subscriptions: LinkHealth,
    /// Topics this process is subscribed to.
    pub topics: usize,
    /// Messages that came faster than they could be handed over, since the start; each time every topic was filled.
    pub missed: u64,
}

impl EngineHealth {
    /// Whether everything works.
    pub fn is_up(&self) -> bool {
        self.commands.up && self.subscriptions.up
    }
}
