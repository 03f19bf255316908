//! What stands before PostgreSQL (`DB_POOLER`): limits that are in effect in every mode, and statements that leave
//! nothing behind where nothing may stay. What a real PgBouncer makes of it is proven by the REST
//! suite, which runs through one.

use super::*;
use shared::{
    config::{DatabaseConfig, Pooler},
    secret::Secret,
    store::testing::{execute, number, texts},
};

/// Makes each of these functions a test in every mode.
macro_rules! in_every_mode {
    ($($name:ident,)+) => {$(
        mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn direct() {
                super::run(Pooler::Direct, super::$name).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn tracked() {
                super::run(Pooler::Tracked, super::$name).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn legacy() {
                super::run(Pooler::Legacy, super::$name).await;
            }
        }
    )+};
}

/// Odd numbers, so that nothing else can have set them.
fn limits() -> PoolConfig {
    PoolConfig {
        max_size: 1,
        statement_timeout: Duration::from_millis(1_234),
        idle_in_transaction_timeout: Duration::from_millis(5_678),
        ..PoolConfig::default()
    }
}

async fn run(pooler: Pooler, test: impl AsyncFnOnce(&TestStore)) {
    let change = |config: &mut DatabaseConfig| {
        (config.pooler, config.pool) = (pooler, limits());
        config.direct_url.clone_from(&config.url);
    };
    if let Some(kit) = TestStore::postgres_as(change).await {
        test(&kit).await;
    }
}

in_every_mode! {
    limits_and_names_are_on_every_connection_whatever_it_is_used_for,
    a_statement_that_takes_too_long_is_cut_off_and_the_connection_goes_on,
    work_that_only_reads_and_fails_leaves_a_connection_that_works,
    what_was_read_and_written_is_there,
    statements_keep_their_names_only_where_they_may,
    the_schema_is_brought_up_to_date_past_the_pooler,
}

const LIMITS: &str = "select setting || unit from pg_settings where name in
    ('statement_timeout', 'idle_in_transaction_session_timeout', 'client_connection_check_interval') order by name";

async fn limits_and_names_are_on_every_connection_whatever_it_is_used_for(kit: &TestStore) {
    let expected = ["1000ms", "5678ms", "1234ms"];
    for _ in 0..2 {
        let reading = kit.store.read("test.settings", async |c| texts(c, LIMITS).await).await;
        assert_eq!(reading.expect("settings are read"), expected);
        let writing = kit.store.tx("test.settings", async |tx| texts(tx, LIMITS).await).await;
        assert_eq!(writing.expect("settings are read"), expected);
    }
    let name = "select application_name from pg_stat_activity where pid = pg_backend_pid()";
    let name = kit.store.read("test.name", async |c| texts(c, name).await).await;
    assert_eq!(name.expect("the name is read"), ["pitchey-test"]);
}

async fn a_statement_that_takes_too_long_is_cut_off_and_the_connection_goes_on(kit: &TestStore) {
    let pid = async || {
        let pid = kit.store.read("test.pid", async |c| number(c, "select pg_backend_pid()::bigint").await).await;
        pid.expect("the connection works")
    };
    let before = pid().await;
    let started = Instant::now();
    let reading = kit.store.read("test.sleep", async |c| execute(c, "select pg_sleep(60)").await).await;
    let writing = kit.store.tx("test.sleep", async |tx| execute(tx, "select pg_sleep(60)").await).await;
    assert!(matches!((&reading, &writing), (Err(StoreError::Timeout), Err(StoreError::Timeout))), "{reading:?}");
    assert!(started.elapsed() >= Duration::from_millis(2 * 1_234), "the server cut them off, not a shorter limit");
    assert_eq!(pid().await, before, "the connection was kept");
}

async fn work_that_only_reads_and_fails_leaves_a_connection_that_works(kit: &TestStore) {
    let failed = kit.store.read("test.fail", async |c| number(c, "select 1 / 0").await).await;
    assert!(matches!(failed, Err(StoreError::Database(_))), "{failed:?}");
    // The second statement sees what the first one left behind, in whatever way the two are wrapped.
    let after_it = async |c: &mut shared::store::Conn| {
        let _ = number(c, "select 1 / 0").await;
        number(c, "select 1::bigint").await
    };
    let _ = kit.store.read("test.fail", after_it).await;
    assert_eq!(count_users(&kit.store).await, 0);
    let stats = kit.store.pool_stats().remove(0);
    assert_eq!((stats.in_use, stats.created, stats.closed_broken), (0, 1, 0), "one connection did all of it");
}

async fn what_was_read_and_written_is_there(kit: &TestStore) {
    let ada = user(kit, "ada").await;
    let found = kit.store.read("users.by_id", async |c| users::by_id(c, ada).await).await.expect("it is read");
    assert_eq!(found.expect("she is there").id, ada);
    let refused: Result<(), StoreError> = kit
        .store
        .tx("test.undo", async |tx| {
            insert_user(tx, "ben").await?;
            Err(StoreError::Conflict)
        })
        .await;
    assert!(matches!(refused, Err(StoreError::Conflict)));
    assert_eq!(count_users(&kit.store).await, 1);
}

async fn statements_keep_their_names_only_where_they_may(kit: &TestStore) {
    user(kit, "ada").await;
    count_users(&kit.store).await;
    let count = "select count(*) from pg_prepared_statements where name like 'sqlx_%'";
    let named = kit.store.read("test.names", async |c| texts(c, "select name from pg_prepared_statements").await).await;
    let named = named.expect("names are read").into_iter().filter(|name| name.starts_with("sqlx_")).count();
    let again = kit.store.read("test.count", async |c| number(c, count).await).await.expect("they are counted");
    match kit.config.pooler {
        Pooler::Direct | Pooler::Tracked => assert!(named > 0 && again > 0),
        Pooler::Legacy => assert_eq!((named, again), (0, 0), "nothing stays on a server that is somebody else's next"),
    }
}

async fn the_schema_is_brought_up_to_date_past_the_pooler(kit: &TestStore) {
    assert!(kit.store.can_migrate());
    kit.store.migrate().await.expect("again");
    kit.store.check_schema().await.expect("it is up to date");
    let forget = "delete from _sqlx_migrations where version >= 7";
    kit.store.tx("test.forget", async |tx| execute(tx, forget).await).await.expect("it is forgotten");
    let old = kit.store.check_schema().await;
    assert!(matches!(old, Err(StoreError::SchemaTooOld(7))), "{old:?}");
}

#[tokio::test]
async fn work_that_only_reads_cannot_write_behind_a_pooler() {
    let Some(kit) = TestStore::postgres_as(|config| config.pooler = Pooler::Legacy).await else { return };
    let sneaky = kit.store.read("test.sneak", async |c| execute(c, "delete from users").await).await;
    let Err(StoreError::Database(error)) = &sneaky else { panic!("{sneaky:?}") };
    assert!(error.to_string().contains("read-only"), "{error}");
}

#[tokio::test]
async fn without_a_way_past_the_pooler_nothing_is_migrated_and_the_setting_is_named() {
    let Some(kit) = TestStore::postgres_as(|config| config.pooler = Pooler::Legacy).await else { return };
    assert!(!kit.store.can_migrate());
    let refused = kit.store.migrate().await.expect_err("it is refused").to_string();
    assert!(refused.starts_with("DATABASE_DIRECT_URL "), "{refused}");
}

#[tokio::test]
async fn a_database_without_any_schema_lacks_the_first_migration() {
    let Some(server) = shared::testkit::Postgres::shared() else { return };
    let database = server.create_empty_database().await;
    let config = DatabaseConfig { url: Some(Secret::new(database.url())), ..DatabaseConfig::default() };
    let opened = Store::connect(&config, std::path::Path::new("."), "test", shared::clock::Clock::System).await;
    let checked = opened.expect("it opens").check_schema().await;
    assert!(matches!(checked, Err(StoreError::SchemaTooOld(1))), "{checked:?}");
}
