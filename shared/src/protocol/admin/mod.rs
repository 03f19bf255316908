//! The operators' wire: what the admin listener of every process sends. Plain data, both ways; no features.

mod stats;

pub use stats::{BOUNDS_US, CloseCount, Histogram, HttpStats, NamedCount, RelayStats, RouteStats, SocketStats, Stats};
