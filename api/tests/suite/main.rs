//! The api through the wire: a real server on a free port, a client that can misbehave, one binary for all of it.

mod account;
mod browser;
mod fault;
mod health;
mod limits;
mod login;
mod process;
mod session;
mod support;
mod wire;
