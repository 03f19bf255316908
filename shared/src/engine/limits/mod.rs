//! Rate limits: GCRA, the leaky bucket that needs one number per key (the theoretical arrival time).
//!
//! # Contract
//!
//! * A quota allows `burst` at once and `burst` per `per` in the long run. Exact across all callers of one engine.
//! * A refused take costs nothing: whoever waits for `retry_after` is let through.
//! * A key nobody used for `per` is forgotten. A memory engine keeps at most [`KEYS`]; beyond, the buckets that are
//!   nearest to full are forgotten first, so that a flood of new keys costs its neighbours least.
//! * A clock that steps back costs a key at most one burst.
//! * An engine that is away refuses nobody and frees nobody: each process then counts by itself, from full buckets.

mod gcra;
mod memory;
mod redis;

use super::EngineError;
use std::time::Duration;

pub use memory::MemoryLimits;
pub use redis::RedisLimits;

/// Buckets a memory engine keeps, some 80 bytes each.
pub const KEYS: usize = 262_144;

/// How much is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// At once, and per `per` in the long run.
    pub burst: u32,
    /// The time in which the whole burst is won back.
    pub per: Duration,
}

/// The answer, with what the `RateLimit` headers need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Go ahead.
    pub allowed: bool,
    /// How many more would be allowed right now.
    pub remaining: u32,
    /// When one will be allowed again; zero if one is.
    pub retry_after: Duration,
    /// When the whole burst is won back.
    pub reset_after: Duration,
}

/// Rate limits. See the module's contract.
#[derive(Clone, Debug)]
pub enum Limits {
    /// Inside one process.
    Memory(MemoryLimits),
    /// Among all processes on one Redis.
    Redis(RedisLimits),
}

impl Limits {
    /// Takes one from the key's bucket, if there is one.
    pub async fn take(&self, key: &str, quota: Quota) -> Result<Decision, EngineError> {
        match self {
            Self::Memory(limits) => Ok(limits.take(key, quota)),
            Self::Redis(limits) => Ok(limits.take(key, quota).await),
        }
    }
}
