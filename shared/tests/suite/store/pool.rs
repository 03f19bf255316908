//! The pool: bounded waits, honest numbers, connections that are replaced (R-021…R-028, invariant 10).

use super::*;
use shared::{
    clock::Clock,
    config::DatabaseConfig,
    model::PoolStats,
    secret::Secret,
    store::{
        health,
        testing::{execute, number},
    },
};
use std::path::Path;
use tokio::sync::oneshot;

fn one_and_impatient() -> PoolConfig {
    PoolConfig { max_size: 1, wait_timeout: Duration::from_millis(300), ..PoolConfig::default() }
}

fn one() -> PoolConfig {
    PoolConfig { max_size: 1, ..PoolConfig::default() }
}

fn few() -> PoolConfig {
    PoolConfig { max_size: 5, ..PoolConfig::default() }
}

fn short_lived() -> PoolConfig {
    PoolConfig { max_lifetime: Duration::from_millis(100), ..PoolConfig::default() }
}

fn soon_idle() -> PoolConfig {
    PoolConfig { idle_timeout: Duration::from_millis(100), ..PoolConfig::default() }
}

/// The pool that writes.
fn writers(kit: &TestStore) -> PoolStats {
    kit.store.pool_stats().remove(0)
}

/// Work that needs the pool that writes, and does nothing with it.
async fn nothing(store: Store) -> Result<(), StoreError> {
    store.tx("test.nothing", async |_| Ok(())).await
}

/// Occupies the only connection that writes until the sender is used or dropped.
async fn occupy(kit: &TestStore) -> (oneshot::Sender<()>, JoinHandle<Result<(), StoreError>>) {
    let (store, (entered, inside), (release, released)) = (kit.store.clone(), oneshot::channel(), oneshot::channel());
    let task = spawn(async move {
        let hold = async move |_: &mut Tx| {
            entered.send(()).expect("the test waits");
            let _ = released.await;
            Ok(())
        };
        store.tx("test.occupy", hold).await
    });
    inside.await.expect("the connection is taken");
    (release, task)
}

on_both! {
    a_full_pool_is_a_bounded_wait_and_then_a_clear_error with one_and_impatient(),
    whoever_waits_gets_the_connection_when_it_is_free with one(),
    callers_that_stop_waiting_are_no_longer_counted with one(),
    two_hundred_callers_share_a_few_connections_and_all_get_their_turn with few(),
    a_store_that_does_nothing_holds_no_connection,
    connections_do_not_grow_old with short_lived(),
    connections_that_nobody_needs_are_closed with soon_idle(),
    a_ping_says_how_long_the_database_takes,
}

async fn a_full_pool_is_a_bounded_wait_and_then_a_clear_error(kit: &TestStore) {
    let (release, task) = occupy(kit).await;
    let started = Instant::now();
    let refused = nothing(kit.store.clone()).await;
    assert!(matches!(refused, Err(StoreError::Exhausted)), "{refused:?}");
    assert!((250..1_500).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
    assert_eq!((writers(kit).timeouts, writers(kit).in_use), (1, 1));
    release.send(()).expect("the work goes on");
    task.await.expect("it ended").expect("it was not disturbed");
    nothing(kit.store.clone()).await.expect("the pool is free again");
}

async fn whoever_waits_gets_the_connection_when_it_is_free(kit: &TestStore) {
    let (release, task) = occupy(kit).await;
    let waiter = spawn(nothing(kit.store.clone()));
    eventually("one caller waits", async || writers(kit).waiting == 1).await;
    release.send(()).expect("the work goes on");
    waiter.await.expect("it ended").expect("it got the connection");
    task.await.expect("it ended").expect("it was not disturbed");
    assert_eq!(writers(kit).waiting, 0);
    assert!(writers(kit).wait_p95_us > 0);
}

async fn callers_that_stop_waiting_are_no_longer_counted(kit: &TestStore) {
    let (release, task) = occupy(kit).await;
    let waiters: Vec<_> = (0..10).map(|_| spawn(nothing(kit.store.clone()))).collect();
    eventually("ten callers wait", async || writers(kit).waiting == 10).await;
    waiters.iter().for_each(JoinHandle::abort);
    eventually("nobody waits", async || writers(kit).waiting == 0).await;
    release.send(()).expect("the work goes on");
    task.await.expect("it ended").expect("it was not disturbed");
    nothing(kit.store.clone()).await.expect("no connection was lost");
    assert_eq!(writers(kit).in_use, 0);
}

async fn two_hundred_callers_share_a_few_connections_and_all_get_their_turn(kit: &TestStore) {
    let ada = user(kit, "ada").await;
    let caller = |_| {
        let store = kit.store.clone();
        spawn(async move {
            store.tx("users.grant", async |tx| users::grant_portal(tx, ada, Portal::Investor).await).await?;
            store.read("users.by_id", async |c| users::by_id(c, ada).await).await
        })
    };
    for task in (0..200).map(caller).collect::<Vec<_>>() {
        assert!(task.await.expect("it ended").expect("nobody was refused").is_some());
    }
    assert!(kit.store.pool_stats().iter().all(|stats| stats.created <= 5 && stats.timeouts == 0 && stats.in_use == 0));
}

async fn a_store_that_does_nothing_holds_no_connection(kit: &TestStore) {
    user(kit, "ada").await;
    count_users(&kit.store).await;
    assert!(kit.store.pool_stats().iter().all(|stats| stats.in_use == 0 && stats.waiting == 0));
}

async fn connections_do_not_grow_old(kit: &TestStore) {
    eventually("an old connection was replaced", async || {
        nothing(kit.store.clone()).await.expect("work goes on meanwhile");
        let stats = writers(kit);
        stats.closed_max_lifetime >= 2 && stats.created >= 3 && stats.closed_broken == 0
    })
    .await;
}

async fn connections_that_nobody_needs_are_closed(kit: &TestStore) {
    eventually("no connection is open", async || writers(kit).connections == 0 && writers(kit).closed_idle >= 1).await;
    user(kit, "ada").await;
}

async fn a_ping_says_how_long_the_database_takes(kit: &TestStore) {
    assert!(kit.store.ping().await.expect("it answers") < Duration::from_secs(3));
}

#[tokio::test]
async fn the_server_counts_our_connections_by_name() {
    let Some(kit) = TestStore::postgres().await else { return };
    let server = kit.store.read("health.server", async |c| health::server(c).await).await;
    let server = server.expect("it is asked").expect("it is a server");
    assert!(server.available > 0 && server.pitchey >= 1 && server.connected >= server.pitchey, "{server:?}");
    let sqlite = TestStore::sqlite().await;
    assert_eq!(sqlite.store.read("health.server", async |c| health::server(c).await).await.expect("it is asked"), None);
}

#[tokio::test]
async fn a_postgres_backend_that_was_terminated_costs_at_most_one_request() {
    let Some(kit) = TestStore::postgres_with(one()).await else { return };
    let pid = "select pg_backend_pid()::bigint";
    let backend = async || kit.store.read("test.pid", async |c| number(c, pid).await).await;
    let first = backend().await.expect("a backend");
    let end = "select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()";
    kit.reopen().await.tx("test.terminate", async |tx| execute(tx, end).await).await.expect("it is ended");
    let outcome = backend().await;
    assert!(matches!(outcome, Err(StoreError::Unavailable(_)) | Ok(_)), "{outcome:?}");
    assert_ne!(backend().await.expect("another backend"), first);
}

#[tokio::test]
async fn a_database_that_is_not_there_is_named_at_once() {
    // Bound and closed again: nobody listens there.
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).and_then(|l| l.local_addr()).expect("a port").port();
    let url = Some(Secret::new(format!("postgres://pitchey@127.0.0.1:{port}/pitchey")));
    let pool = PoolConfig { start_timeout: Duration::ZERO, ..PoolConfig::default() };
    let config = DatabaseConfig { url, pool, ..DatabaseConfig::default() };
    let outcome = Store::connect(&config, Path::new("."), "test", Clock::System).await;
    assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("file"), "").expect("a file");
    let below = folder.path().join("file/data");
    let outcome = Store::connect(&DatabaseConfig::default(), &below, "test", Clock::System).await;
    let Err(StoreError::Config(message)) = outcome else { panic!("{outcome:?}") };
    assert!(message.contains("file/data"), "{message}");
}
