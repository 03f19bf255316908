//! The engine's Redis: where it is, and how long it may take.

use crate::secret::Secret;
use std::{path::PathBuf, time::Duration};

/// Settings of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisConfig {
    /// `REDIS_URL`: `redis://`, `rediss://`, `redis-sentinel://…?sentinelServiceName=…`, `redis-cluster://`; none means
    /// that everything live stays in this process's memory.
    pub url: Option<Secret>,
    /// `REDIS_PREFIX`: what every key and channel begins with, so that installations can share a server.
    pub prefix: String,
    /// `REDIS_TIMEOUT`: longest wait for one command's answer.
    pub timeout: Duration,
    /// `REDIS_CA_FILE`: PEM certificates that `rediss://` trusts instead of the system's.
    pub ca_file: Option<PathBuf>,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self { url: None, prefix: "pitchey".into(), timeout: Duration::from_secs(2), ca_file: None }
    }
}
