//! Nodes: who they are, and how they are each second.

use super::{ProcessStats, RedisStats, Sample, Stats};
use crate::{clock::Timestamp, model::PoolStats};
use serde::{Deserialize, Serialize};

/// Whether a node takes new work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It does.
    #[default]
    Running,
    /// It finishes what it has, and then ends or waits to be undrained.
    Draining,
    /// It has not been heard for [`LOST_AFTER_MS`].
    Lost,
}

/// A node that has not been heard for this long is lost.
pub const LOST_AFTER_MS: u64 = 5_000;

/// What does not change while a node lives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeInfo {
    /// Its name.
    pub name: String,
    /// Its release.
    pub version: String,
    /// `development` or `production`.
    pub environment: String,
    /// Its process id.
    pub pid: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// Most sockets it takes; 0 if it takes none.
    pub socket_limit: u64,
    /// `memory` or `redis`; empty without an engine.
    pub engine: String,
    /// `sqlite` or `postgres`; empty without a store.
    pub store: String,
}

/// A node and when it was heard last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeStatus {
    /// Who.
    #[serde(flatten)]
    pub info: NodeInfo,
    /// How.
    pub state: State,
    /// When it was heard last, by the clock of the node that tells.
    pub seen_at: Timestamp,
    /// How far its clock is ahead of the clock of the node that tells, in milliseconds (a second's error is normal).
    pub clock_ahead_ms: i64,
}

/// One node in one second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tick {
    /// Whose.
    pub node: String,
    /// Grows by one a second, whoever listens.
    pub seq: u64,
    /// The node's clock.
    pub at: Timestamp,
    /// Since the process began, in milliseconds.
    pub uptime_ms: u64,
    /// Whether it takes new work.
    pub state: State,
    /// The second's rates and gauges: the same numbers as in [`super::History`], one more point of each.
    pub sample: Sample,
    /// Memory, CPU, files.
    pub process: ProcessStats,
    /// Database pools; empty for a process without a store.
    pub pools: Vec<PoolStats>,
    /// Redis; absent with the engine in memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis: Option<RedisStats>,
    /// Counters since the process began, without the routes ([`super::View::Endpoints`] has them).
    pub stats: Stats,
    /// Consoles that listen to this node.
    pub consoles: u32,
}
