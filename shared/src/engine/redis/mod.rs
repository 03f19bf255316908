//! The engine in Redis or Valkey, through fred.
//!
//! ```text
//!  a concern (broker, presence, …) ──▶ Script ──▶ Link ──▶ Life (one fred client) ══▶ Redis
//!  the broker's subscriptions ───────────────────────────▶ Life (its own client)  ══▶ Redis
//! ```
//!
//! * Every change of state is one Lua script, so one round trip and one atomic step; every key and channel is named in
//!   [`keys`] and nowhere else.
//! * Commands stay within Redis 6.2 on a single server and behind Sentinel; a Cluster needs 7 (sharded pub/sub).
//! * What fred does badly it is not asked to do: see [`life`]. A connection that breaks ends its client; the next one
//!   begins from nothing, and nothing is ever sent twice.
//! * While Redis is away every call fails at once with [`super::EngineError::Unavailable`], and the process goes on.
//!
//! # Time
//!
//! Scripts take the time from Redis, so that the clocks of nodes need not agree. Only a hand-moved clock (tests) is
//! passed in instead.

mod address;
mod cache;
mod health;
mod info;
mod keys;
mod life;
mod link;
mod lives;
mod reply;
mod script;

pub(in crate::engine) use cache::{CACHE_FORGET, CACHE_GET, CACHE_PUT, millis};
pub use health::EngineHealth;
pub use info::ServerInfo;
pub(in crate::engine) use keys::{Keys, PRESENCE, SESSION_PARTITIONS, partition, session_partition};
pub(in crate::engine) use life::{Life, Task};
pub(in crate::engine) use link::{Link, Route};
pub use lives::LinkHealth;
pub(in crate::engine) use lives::{Lives, Pauses};
pub(in crate::engine) use reply::Reply;
pub(in crate::engine) use script::Script;
