//! A private PostgreSQL: a cluster in a temporary folder, on a loopback port of its own, without fsync. `initdb` refuses
//! root, so as root it runs as the user `postgres` or `nobody`.

use super::process::{Port, START_TIMEOUT, Setup, Supervised, failed};
use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// What a server whose data need not survive the machine does without.
const SETTINGS: [&str; 4] =
    ["synchronous_commit=off", "full_page_writes=off", "max_connections=100", "shared_buffers=32MB"];

/// A running server; gone with this value. It trusts everybody on this machine; its one user is `pitchey`.
#[derive(Debug)]
pub struct PostgresServer {
    process: Supervised,
    port: Port,
    binaries: PathBuf,
}

impl PostgresServer {
    /// Makes a cluster and starts it, with these settings (`name=value`) beside the kit's own.
    pub fn start(settings: &[&str]) -> io::Result<Self> {
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
        command.extend(SETTINGS.iter().chain(settings).flat_map(|setting| ["-c", setting]));
        // SIGINT is the fast shutdown.
        let this = Self { process: setup.supervise(&command, "INT")?, port, binaries };
        this.start_again()?;
        Ok(this)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// What `DATABASE_URL` would be.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://pitchey@{}/{database}", self.addr())
    }

    /// Ends the server at once, cutting every connection; databases stay for [`PostgresServer::start_again`].
    pub fn stop(&self) {
        self.process.end("INT");
    }

    /// Starts a stopped server on the same port, and returns when it takes connections.
    pub fn start_again(&self) -> io::Result<()> {
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

    /// Runs one statement in `psql`, on a connection of its own; its rows, columns separated by `|`.
    pub fn ask(&self, database: &str, sql: &str) -> io::Result<String> {
        let mut psql = Command::new(self.binaries.join("psql"));
        psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql]).arg(self.url(database));
        let output = psql.output()?;
        if !output.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Puts a certificate and its key where the server finds them when `ssl` is switched on.
    pub fn install_certificate(&self, cert: &Path, key: &Path) -> io::Result<()> {
        let data = self.process.folder().join("data");
        let owner = fs::metadata(&data)?;
        for (file, name) in [(cert, "server.crt"), (key, "server.key")] {
            let path = data.join(name);
            fs::copy(file, &path)?;
            // It refuses a key that others can read.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            chown(&path, Some(owner.uid()), Some(owner.gid()))?;
        }
        Ok(())
    }
}

/// The newest `initdb` of Debian's folders, or the one in the path.
fn binaries() -> io::Result<PathBuf> {
    let version = |folder: &Path| folder.file_name()?.to_str()?.parse::<u32>().ok();
    let mut versions: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| version(&entry.ok()?.path()))
        .map(|version| (version, Path::new("/usr/lib/postgresql").join(version.to_string()).join("bin")))
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    let path = super::search_path();
    let in_path = path.split(':').map(|folder| fs::canonicalize(Path::new(folder).join("initdb")));
    let in_path = in_path.filter_map(|initdb| Some(initdb.ok()?.parent()?.to_owned()));
    let mut folders = versions.into_iter().map(|(_, folder)| folder).chain(in_path);
    folders.find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file()).ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, "there is no initdb in /usr/lib/postgresql/*/bin or in PATH")
    })
}
