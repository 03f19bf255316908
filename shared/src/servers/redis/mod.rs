//! Private Redis servers: one alone, a set under Sentinel, a Cluster.
//!
//! Every server has its own folder and a loopback port that stays its own while it is down, so that it can be killed
//! and started again in the same place. All of it ends with us (see [`super::process`]).

pub mod cluster;
mod resp;
pub mod sentinel;
mod server;

pub use cluster::RedisCluster;
pub use resp::{Connection, Reply};
pub use sentinel::RedisSentinel;
pub use server::{RedisOptions, RedisServer};
