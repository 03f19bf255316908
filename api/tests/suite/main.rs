//! The api through the wire: a real server on a free port, a client that can misbehave, one binary for all of it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod account;
mod browse;
mod browser;
mod conversations;
mod dashboard;
mod drain;
mod events;
mod fault;
mod health;
mod limits;
mod login;
mod notifications;
mod outage;
mod pitches;
mod process;
mod revocation;
mod session;
mod stores;
mod support;
mod tls;
mod transactions;
mod wire;
