//! What every node says about itself, so that any node can answer for the cluster.
//!
//! # Contract
//!
//! A report replaces the node's earlier one and is forgotten after [`TTL`] (a node that stopped reporting is lost, and
//! the reader sees how old its last word is). At most [`NODES`] are kept; beyond, the oldest report goes.

mod memory;
mod redis;

use super::EngineError;
use crate::clock::Timestamp;
use bytes::Bytes;
use std::time::Duration;

pub use memory::MemoryStats;
pub use redis::RedisStats;

/// How long a report is kept.
pub const TTL: Duration = Duration::from_mins(1);

/// Nodes whose reports are kept: far more than one database lets run.
pub const NODES: usize = 1_024;

/// One node's last word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The node's name.
    pub node: String,
    /// When it was made.
    pub at: Timestamp,
    /// The admin protocol's JSON; opaque here.
    pub body: Bytes,
}

/// The nodes' reports. See the module's contract.
#[derive(Clone, Debug)]
pub enum NodeStats {
    /// Inside one process.
    Memory(MemoryStats),
    /// Among all processes on one Redis.
    Redis(RedisStats),
}

impl NodeStats {
    /// Replaces the node's report.
    pub async fn report(&self, node: &str, body: Bytes) -> Result<(), EngineError> {
        match self {
            Self::Memory(stats) => stats.report(node, body),
            Self::Redis(stats) => return stats.report(node, body).await,
        }
        Ok(())
    }

    /// Every node's last word, by name.
    pub async fn all(&self) -> Result<Vec<Report>, EngineError> {
        match self {
            Self::Memory(stats) => Ok(stats.all()),
            Self::Redis(stats) => stats.all().await,
        }
    }
}
