//! The whole suite again, on the databases of production: this very binary, told by its environment where to stand.

use crate::support::ground::{self, Ground};
use shared::testkit::Postgres;
use std::{process::Stdio, time::Duration};
use tokio::{process::Command, time::timeout};

/// The suite takes seconds; an overloaded machine may take minutes.
const PATIENCE: Duration = Duration::from_mins(10);

/// Everything but what does not go by the variable: this file, the outages (whose servers are their own), and the
/// program's own processes.
async fn everything_passes_on(ground: &str) {
    let mut suite = Command::new(std::env::current_exe().unwrap());
    suite
        .args(["--skip", "stores::", "--skip", "process::", "--skip", "outage::", "--quiet"])
        .env(ground::VARIABLE, ground);
    let suite = suite.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(PATIENCE, suite).await.expect("it ends in time").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    // A filter that matches nothing succeeds too.
    let passed = said.split_once("test result: ok. ").and_then(|(_, rest)| rest.split(' ').next()?.parse::<u32>().ok());
    assert!(passed.is_some_and(|passed| passed > 80), "{said}");
}

#[tokio::test]
async fn the_whole_suite_passes_through_pgbouncer_in_transaction_mode() {
    if Ground::pgbouncer().await.is_some() {
        everything_passes_on(ground::PGBOUNCER).await;
    }
}

#[tokio::test]
async fn the_whole_suite_passes_on_postgres() {
    if Postgres::shared().is_some() {
        everything_passes_on(ground::POSTGRES).await;
    }
}
