//! A private PostgreSQL for tests: one server per test binary, one database per test.
//!
//! * A database is copied from a template that has the schema already, which takes milliseconds.
//! * `TEST_DATABASE_URL` names a server to use instead; its user must be allowed to create databases.

use super::{skipped, test_setting};
use crate::{clock::Clock, config::DatabaseConfig, secret::Secret, servers::PostgresServer, store::Store};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    path::Path,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};
use tokio::sync::OnceCell;

/// A server that tests may make databases on.
#[derive(Debug)]
pub struct Postgres {
    /// Without a database's name: `postgres://user@host:port`.
    server: String,
    /// What follows the name, such as `sslmode=require`.
    parameters: String,
    template: OnceCell<String>,
    /// `None` when it was not started by us: then nothing but the tests' own databases may be made there, because
    /// nothing else is removed.
    own: Option<PostgresServer>,
    made: AtomicU32,
}

/// A database of one test; gone with this value or with the cluster.
#[derive(Debug)]
pub struct Database {
    server: &'static Postgres,
    name: String,
}

impl Postgres {
    /// The server of this test binary, started when it is first asked for. `None`, and a loud line, if the machine has
    /// no PostgreSQL; a failure if `CI=true`.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Postgres>> = OnceLock::new();
        let start = || match test_setting("TEST_DATABASE_URL") {
            Some(url) => Some(Self::at(&url, None)),
            None => match Self::start() {
                Ok(server) => Some(server),
                Err(why) => {
                    skipped("PostgreSQL", &why.to_string());
                    None
                }
            },
        };
        SHARED.get_or_init(start).as_ref()
    }

    /// Starts a private server.
    pub fn start() -> io::Result<Self> {
        let server = PostgresServer::start(&[])?;
        Ok(Self::at(&format!("postgres://pitchey@{}", server.addr()), Some(server)))
    }

    fn at(url: &str, own: Option<PostgresServer>) -> Self {
        let (server, parameters) = url.split_once('?').unwrap_or((url, ""));
        let (server, parameters) = (server.trim_end_matches('/').to_owned(), parameters.to_owned());
        Self { server, parameters, template: OnceCell::new(), own, made: AtomicU32::new(0) }
    }

    /// Ends a private server at once, cutting every connection; databases stay for [`Postgres::start_again`].
    pub fn stop(&self) {
        self.own().stop();
    }

    /// Starts a stopped server on the same port, and returns when it takes connections.
    pub fn start_again(&self) -> io::Result<()> {
        self.own().start_again()
    }

    /// Makes a private server offer TLS from now on, with this certificate and key.
    pub async fn speak_tls(&self, cert: &Path, key: &Path) -> io::Result<()> {
        self.own().install_certificate(cert, key)?;
        self.execute("alter system set ssl = on").await.map_err(io::Error::other)?;
        self.stop();
        self.start_again()
    }

    /// Where it listens: for what stands in front of it.
    pub fn addr(&self) -> SocketAddr {
        if let Some(own) = &self.own {
            return own.addr();
        }
        let (_, host) = self.server.rsplit_once(['@', '/']).expect("a URL has a host");
        let mut addrs = host.to_socket_addrs().expect("TEST_DATABASE_URL names a host and a port");
        addrs.next().expect("the host has an address")
    }

    fn own(&self) -> &PostgresServer {
        self.own.as_ref().expect("only a server that the kit started is anybody's to stop")
    }

    /// A fresh database with the current schema.
    pub async fn create_database(&'static self) -> Database {
        if self.own.is_none() {
            let database = self.create("").await;
            migrate(&database.url()).await;
            return database;
        }
        let template = self.template.get_or_init(|| self.make_template()).await;
        self.create(&format!(" template {template}")).await
    }

    /// A fresh, empty database.
    pub async fn create_empty_database(&'static self) -> Database {
        self.create("").await
    }

    async fn create(&'static self, how: &str) -> Database {
        let name = self.fresh_name("t");
        self.execute(&format!("create database {name}{how}")).await.expect("a database can be created");
        Database { server: self, name }
    }

    async fn make_template(&self) -> String {
        let name = self.fresh_name("template");
        self.execute(&format!("create database {name}")).await.expect("a database can be created");
        migrate(&self.url(&name)).await;
        // Copying needs a template that nobody is connected to, and a closed socket takes a moment to be noticed.
        let others = format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'");
        self.execute(&others).await.expect("connections can be ended");
        name
    }

    /// Unique among the test binaries that share a server.
    fn fresh_name(&self, kind: &str) -> String {
        format!("pitchey_{kind}_{}_{}", std::process::id(), self.made.fetch_add(1, Ordering::Relaxed))
    }

    fn url(&self, database: &str) -> String {
        format!("{}/{database}?{}", self.server, self.parameters)
    }

    async fn execute(&self, sql: &str) -> Result<(), sqlx::Error> {
        let mut conn = PgConnection::connect(&self.url("postgres")).await?;
        // The names in it are made above.
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut conn).await?;
        conn.close().await
    }
}

async fn migrate(url: &str) {
    let config = DatabaseConfig { url: Some(Secret::new(url)), ..DatabaseConfig::default() };
    let store = Store::connect(&config, Path::new("."), "template", Clock::System).await.expect("it opens");
    store.migrate().await.expect("the migrations apply");
}

impl Database {
    /// Where it is.
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// The same through a proxy that listens there.
    pub fn url_through(&self, proxy: SocketAddr) -> String {
        self.url().replacen(&self.server.addr().to_string(), &proxy.to_string(), 1)
    }

    /// What it is called on its server.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.server.own.is_some() {
            return; // the whole cluster goes in a moment, and dropping a database is a checkpoint
        }
        let (server, sql) = (self.server, format!("drop database if exists {} with (force)", self.name));
        // A drop cannot await, and the test's runtime may be the one that is shutting down.
        let drop = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(server.execute(&sql)).map_err(io::Error::other)
        };
        if let Ok(Err(error)) = thread::spawn(drop).join() {
            eprintln!("a test's database was left behind: {error}");
        }
    }
}
