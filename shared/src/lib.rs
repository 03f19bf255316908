//! What two of Pitchey's processes must agree on.
//!
//! ```text
//!  browser ──ws──▶ gateway ─┐                                  ┌─ tui  (operators)
//!                           ├─▶ engine (memory | Redis) ◀──────┤
//!  REST ──http──▶ api ──────┤                                  └─ admin listener of every process
//!                           └─▶ store  (SQLite | PostgreSQL)
//! ```
//!
//! * [`model`] and [`protocol`] are plain data: no I/O, no features. The console and the load test stop here.
//! * `store` (feature) is what must survive: SQL, behind bb8 pools of sqlx connections.
//! * `engine` (feature) is what is live and may vanish: broker, presence, mailbox, caches, limits, node stats.
//! * `tls` (feature) is what a public listener needs to speak TLS: certificate, reload, handshake.
//! * `ops` (feature) joins the two: operations that REST and gateway share, the relay, the admin listener.
//!
//! # Invariants
//!
//! 1. SQL lives only in `store`; Redis commands only in `engine`; WebSocket frames only in the gateway.
//! 2. Losing the whole engine loses no durable data.
//! 3. A business change and its inbox rows commit in one transaction; the relay delivers them, gapless and in order.
//! 4. An open WebSocket holds no database connection.
//! 5. A node subscribes to a topic once, however many of its clients want it.
//! 6. No lock guard lives across an `.await` (a clippy lint for `DashMap`'s).
//! 7. Every queue has a bound in messages and bytes, and a sentence on what happens when it is full.
//! 8. Every task is spawned on [`lifecycle::Lifecycle::tracker`] and ends on its tokens (a clippy ban on `tokio::spawn`).
//! 9. All database work goes through calls that await `ROLLBACK` on error and discard a connection whose work was cut off.
//! 10. Database connections stay within a budget; exhaustion is a bounded wait, then 503, never a hang.
//! 11. What a user may not see never reaches their socket.
//!
//! `store` never imports `engine`, nor the reverse.

#[cfg(feature = "ops")]
pub mod admin;
pub mod backlog;
pub mod clock;
pub mod config;
#[cfg(feature = "ops")]
pub mod cors;
#[cfg(feature = "engine")]
pub mod engine;
#[cfg(feature = "ops")]
pub mod files;
pub mod forwarded;
pub mod id;
pub mod lifecycle;
pub mod memory;
pub mod metrics;
pub mod model;
#[cfg(feature = "ops")]
pub mod ops;
pub mod places;
pub mod protocol;
#[cfg(feature = "ops")]
pub mod relay;
pub mod secret;
#[cfg(feature = "servers")]
pub mod servers;
#[cfg(feature = "store")]
pub mod store;
pub mod tcp;
pub mod telemetry;
#[cfg(feature = "testkit")]
pub mod testkit;
#[cfg(feature = "tls")]
pub mod tls;
