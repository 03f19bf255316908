//! A database that is not there yet, or not there any more. What clients see of it under load is proven in the api's
//! suite (`outage.rs`).

use super::*;
use shared::{
    clock::Clock,
    config::DatabaseConfig,
    secret::Secret,
    store::testing::number,
    testkit::{Postgres, available},
};
use std::path::Path;

/// A server of the test's own, and how to reach a database on it.
async fn own_server() -> Option<(&'static Postgres, DatabaseConfig)> {
    let server = Box::leak(Box::new(available("PostgreSQL", Postgres::start())?));
    let url = Some(Secret::new(server.create_database().await.url()));
    Some((server, DatabaseConfig { url, ..DatabaseConfig::default() }))
}

async fn connect(config: &DatabaseConfig) -> Result<Store, StoreError> {
    Store::connect(config, Path::new("."), "test", Clock::System).await
}

async fn backend(store: &Store) -> Result<i64, StoreError> {
    store.read("test.pid", async |c| number(c, "select pg_backend_pid()::bigint").await).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_starts_waits_for_a_database_that_wakes_up() {
    let Some((server, mut config)) = own_server().await else { return };
    config.pool.start_timeout = Duration::from_mins(1);
    server.stop();
    let waiting = spawn(async move { connect(&config).await });
    // It has asked in vain at least once: nobody listens yet.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!waiting.is_finished());
    server.start_again().expect("it starts");
    backend(&waiting.await.expect("it ended").expect("it is connected")).await.expect("it works");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_name_is_told_at_once_and_not_waited_for() {
    let Some(server) = Postgres::shared() else { return };
    let url = server.create_empty_database().await.url().replacen("pitchey_t_", "no_such_", 1);
    let mut config = DatabaseConfig { url: Some(Secret::new(url)), ..DatabaseConfig::default() };
    config.pool.start_timeout = Duration::from_hours(1);
    let refused = connect(&config).await;
    let Err(StoreError::Unavailable(why)) = refused else { panic!("{refused:?}") };
    assert!(why.contains("does not exist"), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_costs_one_request_however_many_connections_lay_idle() {
    let Some((server, config)) = own_server().await else { return };
    let store = connect(&config).await.expect("it opens");
    // As many connections as fit, all idle afterwards.
    let together = std::sync::Arc::new(tokio::sync::Barrier::new(14));
    let occupied: Vec<_> = (0..14)
        .map(|_| {
            let (store, together) = (store.clone(), together.clone());
            spawn(async move {
                let meet = async |c: &mut shared::store::Conn| {
                    together.wait().await;
                    number(c, "select 1::bigint").await
                };
                store.read("test.meet", meet).await
            })
        })
        .collect();
    for task in occupied {
        task.await.expect("it ended").expect("it works");
    }
    assert_eq!(store.pool_stats()[0].idle, 14);
    server.stop();
    server.start_again().expect("it starts");
    let mut failed = 0;
    for _ in 0..20 {
        failed += u32::from(backend(&store).await.is_err());
    }
    assert!(failed <= 1, "{failed} requests failed");
    // A transaction that cannot begin has done nothing, so it begins on another connection.
    server.stop();
    server.start_again().expect("it starts");
    for _ in 0..20 {
        store.tx("test.write", async |tx| number(tx, "select 1::bigint").await).await.expect("nobody notices");
    }
}
