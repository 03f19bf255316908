//! What tests of every crate need and no release contains: the servers of [`crate::servers`], one per test binary where
//! tests can share it, PgBouncer, stores on either database, a client for WebSockets and one for event streams.
//!
//! Nothing here waits by sleeping for a guessed time, and nothing stays behind: servers end with the test binary,
//! however that ends.

pub mod console;
pub mod events;
mod pgbouncer;
mod postgres;
mod redis_shared;
pub mod socket;
mod store;
pub mod tls;

pub use crate::servers::{
    Certificates, Port, Proxy, RedisCluster, RedisOptions, RedisSentinel, RedisServer, Traffic, redis,
};
pub use console::Console;
pub use events::Events;
pub use pgbouncer::PgBouncer;
pub use postgres::{Database, Postgres};
pub use socket::Socket;
pub use store::TestStore;

/// An environment variable of the test run: what a test may use is decided outside of any configuration.
fn test_setting(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "decides where tests run, not how the platform behaves")]
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Says loudly that something was not tested; in CI (`CI=true`), where everything must be, it is a failure.
pub fn skipped(what: &str, why: &str) {
    assert!(test_setting("CI").is_none_or(|ci| ci != "true"), "{what} cannot be tested, and CI=true: {why}");
    eprintln!("\n*** SKIPPED: {what} is not tested: {why} ***\n");
}

/// What was started; `None`, said loudly, if its program is missing (a failure if `CI=true`). A program that is there
/// and does not start fails the test.
pub fn available<T>(what: &str, started: std::io::Result<T>) -> Option<T> {
    match started {
        Ok(started) => Some(started),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            skipped(what, &error.to_string());
            None
        }
        Err(error) => panic!("{what} did not start: {error}"),
    }
}
