//! What the suite's platforms stand on: SQLite, unless the environment says otherwise. `stores.rs` runs the suite again
//! on PostgreSQL, and through a pooler.

use shared::{
    config::DatabaseConfig,
    secret::Secret,
    testkit::{Database, Postgres},
};

/// The variable that says so.
pub(crate) const VARIABLE: &str = "PITCHEY_TEST_GROUND";
/// Its value for PostgreSQL, directly.
pub(crate) const POSTGRES: &str = "postgres";

/// The database of one platform, for as long as it is needed.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) config: DatabaseConfig,
    _database: Option<Database>,
}

impl Ground {
    /// What the environment asks for.
    pub(crate) async fn chosen() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the word of a parent to its child")]
        let chosen = std::env::var(VARIABLE).ok();
        match chosen.as_deref() {
            None => Self { config: DatabaseConfig::default(), _database: None },
            Some(POSTGRES) => Self::postgres().await.expect("the parent has looked"),
            Some(other) => panic!("{VARIABLE}={other}: no such ground"),
        }
    }

    /// PostgreSQL; `None` (said loudly) if the machine has none.
    pub(crate) async fn postgres() -> Option<Self> {
        let database = Postgres::shared()?.create_database().await;
        let config = DatabaseConfig { url: Some(Secret::new(database.url())), ..DatabaseConfig::default() };
        Some(Self { config, _database: Some(database) })
    }
}
