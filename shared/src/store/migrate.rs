//! The schema, embedded: two folders of SQL with the same numbers, listed here because a list in the source is
//! what makes cargo rebuild when a file changes. See `migrations/README.md` for how to add one.

use super::{
    StoreError,
    conn::{Conn, with_conn},
};
use sqlx::{
    SqlSafeStr,
    migrate::{Migrate, Migration, MigrationType, Migrator},
};

/// Number, file without its ending, SQL.
type Step = (i64, &'static str, &'static str);

macro_rules! steps {
    ($folder:literal: $($number:literal $file:literal;)+) => {
        &[$((
            $number,
            $file,
            include_str!(concat!("../../../migrations/", $folder, "/", $file, ".sql")),
        )),+]
    };
}

macro_rules! both {
    ($($step:tt)+) => {
        pub(super) const POSTGRES: &[Step] = steps!("postgres": $($step)+);
        pub(super) const SQLITE: &[Step] = steps!("sqlite": $($step)+);
    };
}

both! {
    1 "0001_accounts";
    2 "0002_catalogue";
    3 "0003_deals";
    4 "0004_people";
    5 "0005_notifications";
    6 "0006_conversations";
    7 "0007_inbox";
    8 "0008_operations";
    9 "0009_browse";
    10 "0010_announcements";
    11 "0011_registrations";
    12 "0012_operators";
    13 "0013_invalidations";
}

/// Applies what is missing, each file in its own transaction. Refuses a database that is newer, or whose applied
/// files were edited. Keeps nobody else from doing the same meanwhile: that is the caller's part.
pub(super) async fn apply<C: Migrate>(conn: &mut C, steps: &[Step]) -> Result<(), StoreError> {
    let migrations = steps.iter().map(|(number, file, sql)| {
        Migration::new(*number, (*file).into(), MigrationType::Simple, (*sql).into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    migrator.set_locking(false);
    migrator.run_direct(None, conn, false).await?;
    Ok(())
}

/// The first migration that this release has and the database has not.
pub(super) async fn lacks(conn: &mut Conn) -> Result<Option<i64>, StoreError> {
    let table = if conn.is_postgres() {
        "select count(*) from pg_class where oid = to_regclass('_sqlx_migrations')"
    } else {
        "select count(*) from sqlite_master where type = 'table' and name = '_sqlx_migrations'"
    };
    let table = with_conn!(conn, |c| sqlx::query_scalar::<_, i64>(table).fetch_one(c).await)?;
    let applied: Vec<i64> = match table {
        0 => Vec::new(),
        _ => with_conn!(conn, |c| {
            sqlx::query_scalar("select version from _sqlx_migrations where success").fetch_all(c).await
        })?,
    };
    let steps = if conn.is_postgres() { POSTGRES } else { SQLITE };
    Ok(steps.iter().map(|(number, ..)| *number).find(|number| !applied.contains(number)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, path::Path};

    #[test]
    fn every_file_of_both_folders_is_listed() {
        for (folder, steps) in [("postgres", POSTGRES), ("sqlite", SQLITE)] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations").join(folder);
            let files: BTreeSet<_> =
                folder.read_dir().unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
            let listed = steps.iter().map(|(_, file, _)| format!("{file}.sql")).collect();
            assert!(steps.iter().all(|(number, file, _)| file.starts_with(&format!("{number:04}_"))));
            assert_eq!(files, listed, "{}", folder.display());
        }
    }
}
