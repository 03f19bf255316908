//! What the suite's platforms stand on: SQLite, unless the environment says otherwise. `stores.rs` runs the suite again
//! on PostgreSQL, and through a pooler.

use shared::{
    config::{DatabaseConfig, Pooler},
    secret::Secret,
    testkit::{Database, PgBouncer, Postgres, available},
};
use std::net::SocketAddr;
use tokio::sync::OnceCell;

/// The variable that says so.
pub(crate) const VARIABLE: &str = "PITCHEY_TEST_GROUND";
/// Its value for PostgreSQL, directly.
pub(crate) const POSTGRES: &str = "postgres";
/// Its value for PostgreSQL behind a `PgBouncer` in transaction mode that tracks no statements.
pub(crate) const PGBOUNCER: &str = "pgbouncer";

/// The database of one platform, for as long as it is needed.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) config: DatabaseConfig,
    /// Gone with this value.
    database: Option<Database>,
}

impl Ground {
    /// What the environment asks for.
    pub(crate) async fn chosen() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the word of a parent to its child")]
        let chosen = std::env::var(VARIABLE).ok();
        match chosen.as_deref() {
            None => Self { config: DatabaseConfig::default(), database: None },
            Some(POSTGRES) => Self::postgres().await.expect("the parent has looked"),
            Some(PGBOUNCER) => Self::pgbouncer().await.expect("the parent has looked"),
            Some(other) => panic!("{VARIABLE}={other}: no such ground"),
        }
    }

    /// PostgreSQL; `None` (said loudly) if the machine has none.
    pub(crate) async fn postgres() -> Option<Self> {
        Some(Self::on(Postgres::shared()?).await)
    }

    /// A database on a server of the test's own.
    pub(crate) async fn on(server: &'static Postgres) -> Self {
        let database = server.create_database().await;
        let config = DatabaseConfig { url: Some(Secret::new(database.url())), ..DatabaseConfig::default() };
        Self { config, database: Some(database) }
    }

    /// The same through a proxy that listens there.
    pub(crate) fn through(mut self, proxy: SocketAddr) -> Self {
        let database = self.database.as_ref().expect("a file needs no way");
        self.config.url = Some(Secret::new(database.url_through(proxy)));
        self
    }

    /// PostgreSQL through a pooler that knows nothing of prepared statements, and past it for migrations.
    pub(crate) async fn pgbouncer() -> Option<Self> {
        static POOLER: OnceCell<Option<PgBouncer>> = OnceCell::const_new();
        let server = Postgres::shared()?;
        // Every test has a database, and so a pool: idle connections must make room for the next test's.
        let settings = ["server_idle_timeout = 1"];
        let start = async || available("PgBouncer", PgBouncer::start(server.addr(), &settings).await);
        let pooler = POOLER.get_or_init(start).await.as_ref()?;
        let mut ground = Self::on(server).await;
        let url = pooler.url(ground.database.as_ref().expect("it was just made"));
        ground.config.direct_url = ground.config.url.replace(Secret::new(url));
        ground.config.pooler = Pooler::Legacy;
        Some(ground)
    }
}
