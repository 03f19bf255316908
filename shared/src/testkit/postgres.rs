//! A private PostgreSQL for tests, from the machine's binaries: one cluster per test binary, one database per test.
//!
//! * The cluster lives in a temporary folder, on a loopback port of its own, without fsync. `initdb` refuses root, so
//!   as root it runs as the user `postgres` or `nobody`.
//! * It ends with the test binary, even if that is killed (see [`super::process`]).
//! * A database is copied from a template that has the schema already, which takes milliseconds.
//! * `TEST_DATABASE_URL` names a server to use instead; its user must be allowed to create databases.

use super::{
    process::{Port, START_TIMEOUT, Setup, Supervised, failed},
    skipped, test_setting,
};
use crate::{clock::Clock, config::DatabaseConfig, secret::Secret, store::Store};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::{
    fs, io,
    net::{SocketAddr, ToSocketAddrs},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::sync::OnceCell;

/// What a server for tests does without: a test's data need not survive the machine.
const SETTINGS: [&str; 4] =
    ["synchronous_commit=off", "full_page_writes=off", "max_connections=100", "shared_buffers=32MB"];

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
    cluster: Option<Cluster>,
    made: AtomicU32,
}

#[derive(Debug)]
struct Cluster {
    process: Supervised,
    port: Port,
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

    /// Starts a private cluster.
    pub fn start() -> io::Result<Self> {
        let binaries = binaries()?;
        let program = |name| binaries.join(name).display().to_string();
        let setup = Setup::unprivileged("pg")?;
        let folder = setup.folder().display().to_string();
        let data = format!("{folder}/data");
        let how = ["-U", "pitchey", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D", &data];
        setup.run(&[&[program("initdb").as_str()], &how[..]].concat())?;
        let port = Port::reserve()?;
        let (postgres, number) = (program("postgres"), port.number().to_string());
        let mut command = vec![postgres.as_str(), "-D", &data, "-k", &folder, "-h", "127.0.0.1", "-p", &number, "-F"];
        command.extend(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
        // SIGINT is the fast shutdown.
        let cluster = Cluster { process: setup.supervise(&command, "INT")?, port };
        cluster.start()?;
        Ok(Self::at(&format!("postgres://pitchey@{}", cluster.port.addr()), Some(cluster)))
    }

    fn at(url: &str, cluster: Option<Cluster>) -> Self {
        let (server, parameters) = url.split_once('?').unwrap_or((url, ""));
        let (server, parameters) = (server.trim_end_matches('/').to_owned(), parameters.to_owned());
        Self { server, parameters, template: OnceCell::new(), cluster, made: AtomicU32::new(0) }
    }

    /// Ends a private cluster's server at once, cutting every connection; databases stay for [`Postgres::start_again`].
    pub fn stop(&self) {
        self.own().process.end("INT");
    }

    /// Starts a stopped server on the same port, and returns when it takes connections.
    pub fn start_again(&self) -> io::Result<()> {
        self.own().start()
    }

    /// Makes a private cluster's server offer TLS from now on, with this certificate and key.
    pub async fn speak_tls(&self, cert: &Path, key: &Path) -> io::Result<()> {
        let data = self.own().process.folder().join("data");
        let owner = fs::metadata(&data)?;
        for (file, name) in [(cert, "server.crt"), (key, "server.key")] {
            let path = data.join(name);
            fs::copy(file, &path)?;
            // It refuses a key that others can read.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            chown(&path, Some(owner.uid()), Some(owner.gid()))?;
        }
        self.execute("alter system set ssl = on").await.map_err(io::Error::other)?;
        self.stop();
        self.start_again()
    }

    /// Where it listens: for what stands in front of it.
    pub fn addr(&self) -> SocketAddr {
        if let Some(cluster) = &self.cluster {
            return cluster.port.addr();
        }
        let (_, host) = self.server.rsplit_once(['@', '/']).expect("a URL has a host");
        let mut addrs = host.to_socket_addrs().expect("TEST_DATABASE_URL names a host and a port");
        addrs.next().expect("the host has an address")
    }

    fn own(&self) -> &Cluster {
        self.cluster.as_ref().expect("only a server that the kit started is anybody's to stop")
    }

    /// A fresh database with the current schema.
    pub async fn create_database(&'static self) -> Database {
        if self.cluster.is_none() {
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

impl Cluster {
    fn start(&self) -> io::Result<()> {
        let pid_file = self.process.folder().join("data/postmaster.pid");
        self.process.start();
        let deadline = Instant::now() + START_TIMEOUT;
        while self.process.is_running() && Instant::now() < deadline {
            // What pg_ctl looks at too: the last line of the pid file.
            let state = fs::read_to_string(&pid_file).unwrap_or_default();
            if state.lines().last().is_some_and(|line| line.trim() == "ready") {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(failed("postgres", self.process.folder()))
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

    /// What it is called on its server.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.server.cluster.is_some() {
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

/// The newest `initdb` of Debian's folders, or the one in the path.
fn binaries() -> io::Result<PathBuf> {
    let version = |folder: &Path| folder.file_name()?.to_str()?.parse::<u32>().ok();
    let mut versions: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some((version(&entry.ok()?.path())?, ())))
        .map(|(version, ())| (version, Path::new("/usr/lib/postgresql").join(version.to_string()).join("bin")))
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    let path = test_setting("PATH").unwrap_or_default();
    let in_path = path.split(':').map(|folder| fs::canonicalize(Path::new(folder).join("initdb")));
    let in_path = in_path.filter_map(|initdb| Some(initdb.ok()?.parent()?.to_owned()));
    let mut folders = versions.into_iter().map(|(_, folder)| folder).chain(in_path);
    folders
        .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
        .ok_or_else(|| io::Error::other("no initdb in /usr/lib/postgresql/*/bin or in PATH"))
}
