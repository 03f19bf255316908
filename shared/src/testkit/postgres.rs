//! A private PostgreSQL for tests, from the machine's binaries: one cluster per test binary, one database per test.
//!
//! * The cluster lives in a temporary folder, on a free loopback port, without fsync. `initdb` refuses root, so as
//!   root it runs as the user `postgres` or `nobody`.
//! * It ends with the test binary, even if that is killed: a shell supervises it and reads from a pipe whose writing
//!   end this process never closes. When the pipe breaks, the shell ends the server and removes the folder.
//! * A database is copied from a template that has the schema already, which takes milliseconds.
//! * `TEST_DATABASE_URL` names a server to use instead; its user must be allowed to create databases.

use super::{skipped, test_setting};
use crate::{clock::Clock, config::DatabaseConfig, secret::Secret, store::Store};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::{
    fs, io,
    net::TcpListener,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::sync::OnceCell;

/// `initdb` and the first start take two seconds on two idle cores, and CI's are not idle.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// A server that tests may make databases on.
#[derive(Debug)]
pub struct Postgres {
    /// Without a database's name: `postgres://user@host:port`.
    server: String,
    /// What follows the name, such as `sslmode=require`.
    parameters: String,
    template: OnceCell<String>,
    /// Not started by us: nothing but the tests' own databases may be made there, because nothing else is removed.
    outlives_us: bool,
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
            Some(url) => Some(Self { outlives_us: true, ..Self::at(&url) }),
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
        let runner = Runner::find()?;
        let folder = tempfile::Builder::new().prefix("pitchey-pg-").tempdir()?.keep();
        let data = folder.join("data");
        runner.give(&folder)?;
        let log = fs::File::create(folder.join("log"))?;
        let mut initdb = runner.command(&binaries.join("initdb"), &folder);
        initdb.args(["-U", "pitchey", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D"]).arg(&data);
        let made = initdb.stdout(Stdio::null()).stderr(log.try_clone()?).status()?;
        if !made.success() {
            return Err(failed("initdb", &folder));
        }
        // Somebody else may take the port between its choice and its use: then another one.
        for _ in 0..5 {
            let port = free_port()?;
            let mut supervisor = supervise(&runner, &binaries, &folder, port, log.try_clone()?)?;
            if ready(&mut supervisor, &data)? {
                return Ok(Self::at(&format!("postgres://pitchey@127.0.0.1:{port}")));
            }
        }
        let why = failed("postgres", &folder);
        fs::remove_dir_all(&folder)?;
        Err(why)
    }

    fn at(url: &str) -> Self {
        let (server, parameters) = url.split_once('?').unwrap_or((url, ""));
        let (server, parameters) = (server.trim_end_matches('/').to_owned(), parameters.to_owned());
        Self { server, parameters, template: OnceCell::new(), outlives_us: false, made: AtomicU32::new(0) }
    }

    /// A fresh database with the current schema.
    pub async fn create_database(&'static self) -> Database {
        if self.outlives_us {
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
}

impl Drop for Database {
    fn drop(&mut self) {
        if !self.server.outlives_us {
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

/// Who runs the server: this user, or an unprivileged one if this is root.
struct Runner(Option<(u32, u32)>);

impl Runner {
    fn find() -> io::Result<Self> {
        if fs::metadata("/proc/self")?.uid() != 0 {
            return Ok(Self(None));
        }
        let passwd = fs::read_to_string("/etc/passwd")?;
        let ids = |name: &str| {
            let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
            let mut fields = line.split(':').skip(2);
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        };
        let found = ids("postgres").or_else(|| ids("nobody"));
        found
            .map(|ids| Self(Some(ids)))
            .ok_or_else(|| io::Error::other("initdb refuses root, and there is no other user"))
    }

    fn give(&self, folder: &Path) -> io::Result<()> {
        match self.0 {
            Some((uid, gid)) => chown(folder, Some(uid), Some(gid)),
            None => Ok(()),
        }
    }

    fn command(&self, program: &Path, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(folder).stdin(Stdio::null());
        if let Some((uid, gid)) = self.0 {
            command.uid(uid).gid(gid);
        }
        command
    }
}

/// Starts the server and waits for it; ends it when the pipe breaks, which only the end of the parent does. Then, and
/// not when the server ends by itself, the folder goes too. SIGINT is PostgreSQL's fast shutdown.
const SUPERVISOR: &str = r#"
exec 3<&0 </dev/null
folder=$1; shift
"$@" 3<&- & server=$!
(read _ <&3; : > "$folder/ending"; kill -INT "$server") & reader=$!
wait "$server"
kill "$reader"
[ -e "$folder/ending" ] && rm -rf "$folder"
"#;

fn supervise(runner: &Runner, binaries: &Path, folder: &Path, port: u16, log: fs::File) -> io::Result<Child> {
    let mut command = runner.command(Path::new("sh"), folder);
    command.arg("-c").arg(SUPERVISOR).arg("supervisor").arg(folder);
    command.arg(binaries.join("postgres")).arg("-D").arg(folder.join("data")).arg("-k").arg(folder);
    command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-F"]);
    for setting in ["synchronous_commit=off", "full_page_writes=off", "max_connections=100", "shared_buffers=32MB"] {
        command.args(["-c", setting]);
    }
    // A group of its own: Ctrl-C must not end it before it has done its work.
    command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log).process_group(0);
    let mut child = command.spawn()?;
    // Never closed by us: the end of the process is what closes it.
    std::mem::forget(child.stdin.take());
    Ok(child)
}

/// Waits until the server says it is ready; false if it ended instead.
fn ready(supervisor: &mut Child, data: &Path) -> io::Result<bool> {
    let deadline = Instant::now() + START_TIMEOUT;
    while Instant::now() < deadline {
        if supervisor.try_wait()?.is_some() {
            return Ok(false);
        }
        // What pg_ctl looks at too: the last line of the pid file.
        let state = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
        if state.lines().last().is_some_and(|line| line.trim() == "ready") {
            return Ok(true);
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(false)
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

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// What went wrong, in the program's own last words.
fn failed(program: &str, folder: &Path) -> io::Error {
    let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
    let last: Vec<_> = log.lines().rev().take(5).collect();
    io::Error::other(format!("{program} failed: {}", last.into_iter().rev().collect::<Vec<_>>().join(" | ")))
}
