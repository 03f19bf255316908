//! The test kit keeps its promises: servers come back where they were, the proxy does what it is told, and nothing is
//! left of any of it.

#![expect(clippy::unwrap_used, reason = "tests: a panic is the report")]

mod pgbouncer;
mod process;
mod proxy;
mod redis;
