//! The schema: the same on both databases by name, complete, and protected where the requirements say so.

use super::*;
use shared::{
    clock::Clock,
    config::DatabaseConfig,
    secret::Secret,
    store::testing::{execute, number, texts},
    testkit::Postgres,
};
use std::path::Path;
use tokio::sync::oneshot;

/// Read the same way from both catalogues: `kind table name detail`, a line each, sorted.
const POSTGRES_NAMES: &str = "
    select 'column ' || table_name || ' ' || column_name
            || case is_nullable when 'NO' then ' required' else ' optional' end
        from information_schema.columns where table_schema = 'public' and table_name <> '_sqlx_migrations'
    union all
    select 'index ' || t.relname || ' ' || i.relname || ' ' || case when x.indisunique then 'unique' else 'plain' end
            || case when x.indpred is not null then ' partial' else '' end
        from pg_index x join pg_class i on i.oid = x.indexrelid join pg_class t on t.oid = x.indrelid
        join pg_namespace n on n.oid = t.relnamespace
        where n.nspname = 'public' and i.relname like 'idx%'
    union all
    select 'key ' || t.relname || ' ' || string_agg(a.attname, ',' order by k.place)
        from pg_constraint c join pg_class t on t.oid = c.conrelid
        cross join lateral unnest(c.conkey) with ordinality as k (number, place)
        join pg_attribute a on a.attrelid = t.oid and a.attnum = k.number
        where c.connamespace = 'public'::regnamespace and c.contype in ('u', 'p') and t.relname <> '_sqlx_migrations'
        group by t.relname, c.conname
    union all
    select 'trigger ' || t.relname || ' ' || g.tgname
        from pg_trigger g join pg_class t on t.oid = g.tgrelid where not g.tgisinternal
    order by 1";

const SQLITE_NAMES: &str = "
    with tables (name) as (
        select name from sqlite_master where type = 'table' and name not like 'sqlite_%' and name <> '_sqlx_migrations')
    select 'column ' || t.name || ' ' || c.name || case c.\"notnull\" when 1 then ' required' else ' optional' end
        from tables t join pragma_table_info(t.name) c
    union all
    select 'index ' || t.name || ' ' || i.name || ' ' || case i.\"unique\" when 1 then 'unique' else 'plain' end
            || case i.partial when 1 then ' partial' else '' end
        from tables t join pragma_index_list(t.name) i where i.origin = 'c'
    union all
    select 'key ' || t.name || ' ' || (select string_agg(x.name, ',' order by x.seqno) from pragma_index_info(i.name) x)
        from tables t join pragma_index_list(t.name) i where i.origin = 'u'
    union all
    select 'key ' || t.name || ' '
            || (select string_agg(c.name, ',' order by c.pk) from pragma_table_info(t.name) c where c.pk > 0)
        from tables t
    union all
    select 'trigger ' || tbl_name || ' ' || name from sqlite_master where type = 'trigger'
    order by 1";

/// R-150…R-179 and C17's partial index, in the founding documents' words.
const NAMED_INDEXES: [&str; 31] = [
    "users idx_users_email",
    "users idx_users_username",
    "sessions idx_sessions_user_id",
    "sessions idx_sessions_token",
    "pitches idx_pitches_creator_id",
    "pitches idx_pitches_status",
    "pitches idx_pitches_created_at",
    "pitches idx_pitches_genre",
    "pitches idx_pitches_status_created",
    "ndas idx_ndas_user_id",
    "ndas idx_ndas_pitch_id",
    "ndas idx_ndas_status",
    "ndas idx_ndas_user_pitch",
    "investments idx_investments_investor_id",
    "investments idx_investments_pitch_id",
    "investments idx_investments_status",
    "follows idx_follows_follower_id",
    "follows idx_follows_following_id",
    "follows idx_follows_unique unique",
    "team_members idx_team_members_team_id",
    "team_members idx_team_members_user_id",
    "invitations idx_invitations_team_id",
    "invitations idx_invitations_email",
    "invitations idx_invitations_status",
    "notifications idx_notifications_user_id",
    "notifications idx_notifications_read",
    "notifications idx_notifications_created_at",
    "notifications idx_notifications_unread plain partial",
    "analytics_events idx_analytics_events_user_id",
    "analytics_events idx_analytics_events_event_type",
    "analytics_events idx_analytics_events_created_at",
];

async fn names(kit: &TestStore) -> Vec<String> {
    let sql = if is_postgres(kit) { POSTGRES_NAMES } else { SQLITE_NAMES };
    let names = kit.store.read("test.names", async |c| texts(c, sql).await).await;
    let mut names = names.expect("the catalogue is read");
    names.sort(); // each database has its own idea of the order of text
    names
}

/// Runs statements of the test's choice in one transaction.
async fn run(kit: &TestStore, sql: &'static str) -> Result<(), StoreError> {
    kit.store.tx("test.run", async |tx| execute(tx, sql).await).await
}

async fn ask(kit: &TestStore, sql: &'static str) -> i64 {
    kit.store.read("test.ask", async |c| number(c, sql).await).await.expect("it is answered")
}

/// A pitch of `creator`, an investment of `creator` in it and an NDA request for it.
const A_DEAL: &str = "
    insert into pitches (id, creator_id, title, logline, genre, format, stage, created_at, updated_at)
        select id, id, 'Title', 'Logline', 'Drama', 'feature', 'script', created_at, created_at from users;
    insert into investments (id, investor_id, pitch_id, amount_minor, created_at, updated_at)
        select id, id, id, 100, created_at, created_at from users;
    insert into nda_requests (id, pitch_id, requester_id, purpose, terms_accepted_at, created_at, updated_at)
        select id, id, id, 'Reading', created_at, created_at, created_at from users;";

#[tokio::test]
async fn both_schemas_have_the_same_tables_columns_indexes_keys_and_triggers() {
    let Some(postgres) = TestStore::postgres().await else { return };
    let (postgres, sqlite) = (names(&postgres).await, names(&TestStore::sqlite().await).await);
    let only = |a: &[String], b: &[String]| a.iter().filter(|name| !b.contains(name)).cloned().collect::<Vec<_>>();
    assert_eq!(
        (only(&postgres, &sqlite), only(&sqlite, &postgres)),
        (vec![], vec![]),
        "(PostgreSQL only, SQLite only)"
    );
    assert!(postgres.len() > 300, "the catalogue was read: {} names", postgres.len());
}

on_both! {
    every_index_of_the_founding_documents_exists_by_name,
    migrating_again_changes_nothing,
    a_database_that_is_newer_than_the_release_is_refused_by_number,
    a_migration_that_was_edited_is_refused,
    the_six_genres_are_there,
    every_update_of_an_investment_is_dated_and_audited,
    deleting_a_pitch_leaves_no_orphans,
    the_audit_log_only_grows,
    values_outside_of_what_the_schema_allows_are_refused,
    the_second_row_of_a_kind_is_refused_under_the_same_name_everywhere,
}

async fn every_index_of_the_founding_documents_exists_by_name(kit: &TestStore) {
    let names = names(kit).await;
    let missing = |index: &&str| !names.iter().any(|name| name.starts_with(&format!("index {index}")));
    assert_eq!(NAMED_INDEXES.into_iter().filter(missing).collect::<Vec<_>>(), Vec::<&str>::new());
}

async fn migrating_again_changes_nothing(kit: &TestStore) {
    let before = names(kit).await;
    kit.store.migrate().await.expect("it runs again");
    assert_eq!(names(kit).await, before);
}

async fn a_database_that_is_newer_than_the_release_is_refused_by_number(kit: &TestStore) {
    run(kit, "update _sqlx_migrations set version = 9999 where version = 8").await.expect("it is changed");
    let outcome = kit.store.migrate().await;
    assert!(matches!(outcome, Err(StoreError::SchemaTooNew(9999))), "{outcome:?}");
}

async fn a_migration_that_was_edited_is_refused(kit: &TestStore) {
    let postgres = r"update _sqlx_migrations set checksum = '\x00'";
    let sqlite = "update _sqlx_migrations set checksum = x'00'";
    run(kit, if is_postgres(kit) { postgres } else { sqlite }).await.expect("it is changed");
    let outcome = kit.store.migrate().await;
    assert!(matches!(outcome, Err(StoreError::Migrate(_))), "{outcome:?}");
}

async fn the_six_genres_are_there(kit: &TestStore) {
    let genres = "select name from genres order by position";
    let genres = kit.store.read("test.genres", async |c| texts(c, genres).await).await;
    assert_eq!(genres.expect("they are read"), ["Action", "Comedy", "Drama", "Horror", "Sci-Fi", "Thriller"]);
}

async fn every_update_of_an_investment_is_dated_and_audited(kit: &TestStore) {
    user(kit, "ada").await;
    user(kit, "bob").await;
    run(kit, A_DEAL).await.expect("two deals");
    let change = "update investments set status = 'completed', amount_minor = amount_minor + 50";
    run(kit, change).await.expect("a bulk update");
    assert_eq!(ask(kit, "select count(*) from investments where updated_at > created_at").await, 2);
    let audited = "select count(*) from investment_audit a join investments i on i.id = a.investment_id
        where a.status_before = 'pending' and a.status_after = 'completed'
          and a.amount_minor_before = 100 and a.amount_minor_after = 150 and a.changed_at = i.updated_at";
    assert_eq!(ask(kit, audited).await, 2);
}

async fn deleting_a_pitch_leaves_no_orphans(kit: &TestStore) {
    user(kit, "ada").await;
    run(kit, A_DEAL).await.expect("a deal");
    run(kit, "delete from pitches").await.expect("it is deleted");
    assert_eq!(ask(kit, "select (select count(*) from nda_requests) + (select count(*) from investments)").await, 0);
}

async fn the_audit_log_only_grows(kit: &TestStore) {
    let entry = if is_postgres(kit) {
        "insert into audit_log (seq, action, created_at, previous_hash, hash)
         values (1, 'test', now(), decode(repeat('00', 32), 'hex'), decode(repeat('01', 32), 'hex'))"
    } else {
        "insert into audit_log (seq, action, created_at, previous_hash, hash)
         values (1, 'test', '2026-01-01T00:00:00.000000Z', zeroblob(32), randomblob(32))"
    };
    run(kit, entry).await.expect("it is appended");
    for change in ["update audit_log set action = 'other'", "delete from audit_log"] {
        let outcome = run(kit, change).await;
        let Err(StoreError::Database(error)) = outcome else { panic!("{change}: {outcome:?}") };
        assert!(error.to_string().contains("append-only"), "{error}");
    }
    assert_eq!(ask(kit, "select count(*) from audit_log where action = 'test'").await, 1);
}

async fn values_outside_of_what_the_schema_allows_are_refused(kit: &TestStore) {
    user(kit, "ada").await;
    let outcome = run(kit, "update users set user_type = 'astronaut'").await;
    assert!(matches!(outcome, Err(StoreError::CheckViolation(_))), "{outcome:?}");
    let narcissus = "insert into follows (id, follower_id, following_id, created_at)
        select id, id, id, created_at from users";
    let outcome = run(kit, narcissus).await;
    assert!(matches!(outcome, Err(StoreError::CheckViolation(_))), "nobody follows themselves: {outcome:?}");
    run(kit, A_DEAL).await.expect("a deal");
    let outcome = run(kit, "update pitches set genre = 'Opera'").await;
    assert!(matches!(outcome, Err(StoreError::ForeignKeyViolation)), "{outcome:?}");
}

async fn the_second_row_of_a_kind_is_refused_under_the_same_name_everywhere(kit: &TestStore) {
    user(kit, "ada").await;
    user(kit, "bob").await;
    let follow = "insert into follows (id, follower_id, following_id, created_at)
        select case n when 1 then a.id else b.id end, a.id, b.id, a.created_at
        from users a, users b, (select 1 as n union all select 2) twice
        where a.username = 'ada' and b.username = 'bob'";
    let outcome = run(kit, follow).await;
    assert!(matches!(&outcome, Err(error) if error.is_unique("idx_follows_unique")), "{outcome:?}");
    let outcome = run(kit, "insert into genres (name, position) values ('Opera', 1)").await;
    assert!(matches!(&outcome, Err(error) if error.is_unique("genres_position_key")), "{outcome:?}");
    let outcome = run(kit, "insert into genres (name, position) values ('Drama', 7)").await;
    assert!(matches!(&outcome, Err(error) if error.is_unique("genres_pkey")), "{outcome:?}");
    let outcome = kit.store.tx("test.user", async |tx| insert_user(tx, "ADA").await).await;
    let named = |error: &StoreError| error.is_unique("idx_users_email") || error.is_unique("idx_users_username");
    assert!(matches!(&outcome, Err(error) if named(error)), "{outcome:?}");
}

#[tokio::test]
async fn two_processes_may_migrate_postgres_at_once() {
    let Some(server) = Postgres::shared() else { return };
    let database = server.create_empty_database().await;
    let config = DatabaseConfig { url: Some(Secret::new(database.url())), ..DatabaseConfig::default() };
    let a = Store::connect(&config, Path::new("."), "a", Clock::System).await.expect("it opens");
    let b = Store::connect(&config, Path::new("."), "b", Clock::System).await.expect("it opens");
    let (first, second) = tokio::join!(a.migrate(), b.migrate());
    first.expect("one migrates");
    second.expect("the other one waits and finds nothing to do");
    assert_eq!(count_users(&a).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_gives_way_to_whoever_uses_a_table_and_comes_back() {
    let Some(kit) = TestStore::postgres().await else { return };
    let (user, (locked, is_locked), (finish, finished)) = (kit.reopen().await, oneshot::channel(), oneshot::channel());
    let busy = spawn(async move {
        let use_table = async move |tx: &mut Tx| {
            execute(tx, "lock table _sqlx_migrations in access exclusive mode").await?;
            locked.send(()).expect("the test waits");
            finished.await.expect("the test lets go");
            Ok(())
        };
        user.tx("test.use", use_table).await
    });
    is_locked.await.expect("the table is in use");
    let store = kit.store.clone();
    let migration = spawn(async move { store.migrate().await });
    let watcher = kit.reopen().await;
    let waiting = "select count(*) from pg_locks where not granted and locktype = 'relation'
        and relation = '_sqlx_migrations'::regclass";
    let waits =
        async || watcher.read("test.locks", async |c| number(c, waiting).await).await.expect("they are read") > 0;
    eventually("it waits for the table", async || waits().await).await;
    eventually("it gives way", async || !waits().await).await;
    assert!(!migration.is_finished(), "it has not given up");
    finish.send(()).expect("the table's user waits");
    busy.await.expect("it ended").expect("it was not disturbed");
    migration.await.expect("it ended").expect("it came back");
}
