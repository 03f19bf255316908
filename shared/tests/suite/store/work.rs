//! Units of work: whatever way they end, nothing stays open behind them (R-024, invariant 9).

use super::*;
use shared::store::{
    Conn, by_deadline,
    testing::{execute, number},
};
use tokio::{sync::oneshot, time::timeout};

fn impatient() -> PoolConfig {
    PoolConfig {
        statement_timeout: Duration::from_millis(300),
        idle_in_transaction_timeout: Duration::from_millis(900),
        ..PoolConfig::default()
    }
}

fn one() -> PoolConfig {
    PoolConfig { max_size: 1, ..PoolConfig::default() }
}

/// A statement that works for far longer than any test waits.
fn long_statement(kit: &TestStore) -> &'static str {
    if is_postgres(kit) {
        "select count(*) from (select pg_sleep(30)) s"
    } else {
        "with recursive n (i) as (select 1 union all select i + 1 from n where i < 1000000000000)
         select count(*) from n"
    }
}

/// From another process's point of view: every row can be locked at once, and no session sits in a transaction.
async fn assert_nothing_is_held(kit: &TestStore) {
    let other = kit.reopen().await;
    let postgres = is_postgres(kit);
    let lock_all = async || {
        let work = other.tx("test.lock", async |tx| {
            if postgres {
                execute(tx, "select id from users for update nowait").await?;
                let idle = "select count(*) from pg_stat_activity where datname = current_database()
                    and pid <> pg_backend_pid() and state like 'idle in transaction%'";
                return Ok(number(tx, idle).await? == 0);
            }
            execute(tx, "update users set name = name").await?;
            Ok(true)
        });
        // Shorter than SQLite's busy timeout, so that waiting for a lock shows.
        matches!(timeout(Duration::from_secs(1), work).await, Ok(Ok(true)))
    };
    eventually("no lock is held and no transaction is open", lock_all).await;
}

on_both! {
    what_is_committed_is_there_for_everybody,
    an_error_undoes_everything_and_leaves_no_lock,
    a_refusal_in_the_callers_own_terms_undoes_everything_too,
    a_panic_undoes_everything_and_the_connection_is_discarded,
    a_caller_that_goes_away_between_statements_undoes_everything,
    a_caller_that_goes_away_during_a_statement_ends_it,
    a_statement_that_takes_too_long_is_ended_and_the_connection_stays_usable with impatient(),
    a_unit_of_work_that_dawdles_is_ended with impatient(),
    whoever_has_no_time_left_takes_no_connection with one(),
    whoever_has_no_time_left_stops_waiting_for_a_connection with one(),
    a_failed_statement_cannot_be_swallowed,
    a_statement_that_was_dropped_half_way_dooms_its_transaction,
    a_read_that_fails_gives_its_connection_back,
    every_unit_of_work_is_counted_by_name,
}

async fn what_is_committed_is_there_for_everybody(kit: &TestStore) {
    user(kit, "ada").await;
    assert_eq!(count_users(&kit.reopen().await).await, 1);
}

async fn an_error_undoes_everything_and_leaves_no_lock(kit: &TestStore) {
    user(kit, "ada").await;
    let outcome: Result<(), StoreError> = kit
        .store
        .tx("test.fail", async |tx| {
            insert_user(tx, "bob").await?;
            execute(tx, "update users set name = 'changed'").await?;
            Err(StoreError::Corrupt("made up".into()))
        })
        .await;
    assert!(matches!(outcome, Err(StoreError::Corrupt(_))));
    assert_nothing_is_held(kit).await;
    assert_eq!(count_users(&kit.store).await, 1);
    assert_eq!(kit.store.pool_stats()[0].closed_broken, 0, "the connection is as good as new");
}

async fn a_refusal_in_the_callers_own_terms_undoes_everything_too(kit: &TestStore) {
    let outcome: Result<(), Refusal> = kit
        .store
        .try_tx("test.refuse", async |tx| {
            insert_user(tx, "bob").await?;
            Err(Refusal::NotToday)
        })
        .await;
    assert!(matches!(outcome, Err(Refusal::NotToday)));
    assert_eq!(count_users(&kit.store).await, 0);
    assert_nothing_is_held(kit).await;
}

async fn a_panic_undoes_everything_and_the_connection_is_discarded(kit: &TestStore) {
    user(kit, "ada").await;
    let store = kit.store.clone();
    let task = spawn(async move {
        let work = async |tx: &mut Tx| {
            execute(tx, "update users set name = 'changed'").await?;
            assert!(tx.now().as_micros() == 0, "the panic of this test");
            Ok(())
        };
        store.tx("test.panic", work).await
    });
    assert!(task.await.is_err_and(|error| error.is_panic()));
    assert_nothing_is_held(kit).await;
    assert_eq!(kit.store.pool_stats()[0].closed_broken, 1);
    user(kit, "bob").await;
}

async fn a_caller_that_goes_away_between_statements_undoes_everything(kit: &TestStore) {
    user(kit, "ada").await;
    let (store, (entered, inside)) = (kit.store.clone(), oneshot::channel());
    let task = spawn(async move {
        store
            .tx("test.leave", async move |tx| {
                execute(tx, "update users set name = 'changed'").await?;
                entered.send(()).expect("the test waits");
                std::future::pending::<Result<(), StoreError>>().await
            })
            .await
    });
    inside.await.expect("the work began");
    task.abort();
    assert!(task.await.is_err_and(|error| error.is_cancelled()));
    assert_nothing_is_held(kit).await;
    assert_eq!(kit.store.pool_stats()[0].closed_broken, 1);
}

async fn a_caller_that_goes_away_during_a_statement_ends_it(kit: &TestStore) {
    user(kit, "ada").await;
    let (store, (entered, inside), long) = (kit.store.clone(), oneshot::channel(), long_statement(kit));
    let task = spawn(async move {
        store
            .tx("test.leave", async move |tx| {
                execute(tx, "update users set name = 'changed'").await?;
                entered.send(()).expect("the test waits");
                number(tx, long).await
            })
            .await
    });
    inside.await.expect("the work began");
    task.abort();
    assert!(task.await.is_err_and(|error| error.is_cancelled()));
    assert_nothing_is_held(kit).await;
}

async fn a_statement_that_takes_too_long_is_ended_and_the_connection_stays_usable(kit: &TestStore) {
    let long = long_statement(kit);
    let outcome = kit.store.tx("test.slow", async |tx| number(tx, long).await).await;
    assert!(matches!(outcome, Err(StoreError::Timeout)), "{outcome:?}");
    user(kit, "ada").await;
    let stats = &kit.store.pool_stats()[0];
    assert_eq!((stats.created, stats.closed_broken), (1, 0), "{stats:?}");
}

async fn a_unit_of_work_that_dawdles_is_ended(kit: &TestStore) {
    let outcome: Result<(), _> = kit
        .store
        .tx("test.dawdle", async |tx| {
            insert_user(tx, "ada").await?;
            std::future::pending().await
        })
        .await;
    assert!(matches!(outcome, Err(StoreError::Timeout)), "{outcome:?}");
    assert_nothing_is_held(kit).await;
    assert_eq!(count_users(&kit.store).await, 0);
}

async fn whoever_has_no_time_left_takes_no_connection(kit: &TestStore) {
    let before = kit.store.pool_stats();
    let late = by_deadline(Instant::now(), async {
        (count(&kit.store).await, kit.store.tx("test.late", async |_| Ok(())).await)
    });
    assert!(matches!(late.await, (Err(StoreError::Timeout), Err(StoreError::Timeout))));
    let after = kit.store.pool_stats();
    assert!(before.iter().zip(&after).all(|(before, after)| (before.gets, 0) == (after.gets, after.closed_broken)));
}

async fn whoever_has_no_time_left_stops_waiting_for_a_connection(kit: &TestStore) {
    let (store, (entered, inside), (release, released)) = (kit.store.clone(), oneshot::channel(), oneshot::channel());
    let task = spawn(async move {
        let hold = async move |_: &mut Conn| {
            entered.send(()).expect("the test waits");
            released.await.expect("the test lets go");
            Ok(())
        };
        store.read("test.occupy", hold).await
    });
    inside.await.expect("the connection is taken");
    let soon = Instant::now() + Duration::from_millis(100);
    let refused = by_deadline(soon, count(&kit.store)).await;
    assert!(matches!(refused, Err(StoreError::Exhausted)), "{refused:?}");
    assert!(Instant::now() < soon + Duration::from_secs(2), "as long as it had, and not as long as anybody may");
    release.send(()).expect("the work goes on");
    task.await.expect("it ended").expect("it was not disturbed");
    count(&kit.store).await.expect("the pool is free again");
    assert!(kit.store.pool_stats().iter().all(|pool| (pool.created, pool.closed_broken) == (1, 0)));
}

async fn count(store: &Store) -> Result<i64, StoreError> {
    store.read("test.count", async |c| number(c, "select count(*) from users").await).await
}

async fn a_failed_statement_cannot_be_swallowed(kit: &TestStore) {
    let outcome = kit
        .store
        .tx("test.swallow", async |tx| {
            insert_user(tx, "ada").await?;
            assert!(execute(tx, "insert into nowhere values (1)").await.is_err());
            Ok(())
        })
        .await;
    assert!(matches!(outcome, Err(StoreError::Aborted)), "{outcome:?}");
    assert_eq!(count_users(&kit.store).await, 0);
    assert_nothing_is_held(kit).await;
}

async fn a_statement_that_was_dropped_half_way_dooms_its_transaction(kit: &TestStore) {
    let long = long_statement(kit);
    let outcome = kit
        .store
        .tx("test.drop", async |tx| {
            insert_user(tx, "ada").await?;
            assert!(timeout(Duration::from_millis(100), number(tx, long)).await.is_err());
            Ok(())
        })
        .await;
    assert!(matches!(outcome, Err(StoreError::Aborted)), "{outcome:?}");
    assert_nothing_is_held(kit).await;
    assert_eq!(count_users(&kit.store).await, 0);
}

async fn a_read_that_fails_gives_its_connection_back(kit: &TestStore) {
    let outcome = kit.store.read("test.fail", async |c| number(c, "select count(*) from nowhere").await).await;
    assert!(matches!(outcome, Err(StoreError::Database(_))), "{outcome:?}");
    assert!(kit.store.pool_stats().iter().all(|stats| stats.closed_broken == 0 && stats.in_use == 0));
}

async fn every_unit_of_work_is_counted_by_name(kit: &TestStore) {
    user(kit, "ada").await;
    let _: Result<(), _> = kit.store.tx("test.user", async |_| Err(StoreError::Aborted)).await;
    let stats = kit.store.statement_stats();
    let stats = stats.iter().find(|stats| stats.name == "test.user").expect("the name is there");
    assert_eq!((stats.count, stats.errors), (2, 1));
    assert!(stats.p50_us > 0 && stats.p50_us <= stats.p95_us && stats.p95_us <= stats.max_us, "{stats:?}");
}

/// An error of a caller of the store.
#[derive(Debug)]
enum Refusal {
    NotToday,
    Store,
}

impl From<StoreError> for Refusal {
    fn from(_: StoreError) -> Self {
        Self::Store
    }
}

#[tokio::test]
async fn sqlite_refuses_a_write_in_a_read() {
    let kit = TestStore::sqlite().await;
    let outcome = kit.store.read("test.write", async |c| execute(c, "delete from users").await).await;
    assert!(matches!(outcome, Err(StoreError::Database(_))), "{outcome:?}");
}
