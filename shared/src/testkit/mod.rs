//! What tests of every crate need and no release contains: a private PostgreSQL, and stores on either database.
//!
//! Nothing here waits by sleeping for a guessed time, and nothing stays behind: servers end with the test binary,
//! however that ends.

mod postgres;
pub mod socket;
mod store;

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
