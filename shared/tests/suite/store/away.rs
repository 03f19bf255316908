//! A database that is not there yet, or not there any more. What clients see of it under load is proven in the api's
//! suite (`outage.rs`).

use super::*;
use shared::{
    clock::Clock,
    config::DatabaseConfig,
    secret::Secret,
    store::{
        by_deadline,
        testing::{execute, number},
    },
    testkit::{Postgres, Proxy, available},
};
use std::path::Path;

/// A server of the test's own, and how to reach a database on it.
async fn own_server() -> Option<(&'static Postgres, DatabaseConfig)> {
    let server = Box::leak(Box::new(available("PostgreSQL", Postgres::start())?));
    let url = Some(Secret::new(server.create_database().await.url()));
    Some((server, DatabaseConfig { url, ..DatabaseConfig::default() }))
}

/// The same behind a proxy, which counts who comes, and can go silent.
async fn own_server_behind_a_door() -> Option<(&'static Postgres, Proxy, DatabaseConfig)> {
    let server = Box::leak(Box::new(available("PostgreSQL", Postgres::start())?));
    let door = Proxy::start(server.addr()).expect("a proxy");
    let url = Some(Secret::new(server.create_database().await.url_through(door.addr())));
    Some((server, door, DatabaseConfig { url, ..DatabaseConfig::default() }))
}

async fn connect(config: &DatabaseConfig) -> Result<Store, StoreError> {
    Store::connect(config, Path::new("."), "test", Clock::System).await
}

async fn backend(store: &Store) -> Result<i64, StoreError> {
    store.read("test.pid", async |c| number(c, "select pg_backend_pid()::bigint").await).await
}

/// Idle connections of a store, so many, none of which was used since.
async fn warm(store: &Store, count: usize) {
    let together = std::sync::Arc::new(tokio::sync::Barrier::new(count));
    let occupied: Vec<_> = (0..count)
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
    assert_eq!(store.pool_stats()[0].idle as usize, count);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_starts_waits_for_a_database_that_wakes_up() {
    let Some((server, door, mut config)) = own_server_behind_a_door().await else { return };
    config.pool.start_timeout = Duration::from_mins(1);
    server.stop();
    let waiting = spawn(async move { connect(&config).await });
    eventually("it has knocked in vain", async || door.traffic().connections > 0 && door.traffic().open == 0).await;
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
    warm(&store, 14).await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_went_silent_makes_the_others_prove_that_they_answer() {
    let Some((_, door, mut config)) = own_server_behind_a_door().await else { return };
    config.pool.wait_timeout = Duration::from_millis(500);
    let store = connect(&config).await.expect("it opens");
    warm(&store, 2).await;
    door.stall();
    let cut_off = by_deadline(Instant::now() + Duration::from_millis(300), backend(&store)).await;
    assert!(matches!(cut_off, Err(StoreError::Timeout)), "{cut_off:?}");
    // Nobody set this one a deadline: it would sit on a dead connection for as long as a statement may take.
    let started = Instant::now();
    let refused = backend(&store).await;
    assert!(refused.as_ref().is_err_and(StoreError::is_transient), "{refused:?}");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    door.pass();
    eventually("it works again", async || backend(&store).await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_may_not_be_written_to_any_more_is_left() {
    let Some(kit) = TestStore::postgres_with(PoolConfig { max_size: 1, ..PoolConfig::default() }).await else { return };
    // What a connection to the old primary looks like after a failover.
    let demote = "set session characteristics as transaction read only";
    kit.store.tx("test.demote", async |tx| execute(tx, demote).await).await.expect("it is demoted");
    let refused = kit.store.tx("test.write", async |tx| insert_user(tx, "ada").await).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    user(&kit, "ada").await;
}

#[tokio::test]
async fn a_full_disk_is_an_invitation_to_come_back() {
    let kit = TestStore::sqlite().await;
    // It holds for this connection; the least that SQLite accepts is what the file has.
    let fill = async |tx: &mut Tx| execute(tx, "pragma max_page_count = 1").await;
    kit.store.tx("test.fill", fill).await.expect("the disk is full");
    let write = async |tx: &mut Tx| execute(tx, "create table big as select zeroblob(1000000) as bytes").await;
    let refused = kit.store.tx("test.write", write).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    kit.store.tx("test.write", write).await.expect("somebody made room, and the connection is another one");
}
