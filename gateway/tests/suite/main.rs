//! Every promise of the protocol, against a real gateway on real sockets: SQLite in a temporary folder, the memory
//! engine, a relay. One binary, so that everything is linked once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod alone;
mod node;
mod raw;

mod actions;
mod admin;
mod auth;
mod bad_input;
mod browser_client;
mod closes;
mod drain;
mod echo;
mod events;
mod handshakes;
mod hostile;
mod inbox;
mod liveness;
mod presence;
mod promises;
mod redis;
mod rooms;
mod shed;
mod slow;
mod storm;
mod tls;
mod upgrade;
