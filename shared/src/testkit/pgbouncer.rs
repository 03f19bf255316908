//! A private PgBouncer in transaction mode, in front of the private PostgreSQL: what stands between the platform and
//! its database at most hosts. It refuses root, so as root it runs as the user `postgres` or `nobody`.

use super::{Database, Postgres, available};
use crate::servers::process::{Port, Setup, Supervised};
use std::{io, net::SocketAddr};
use tokio::{net::TcpStream, sync::OnceCell};

/// Server connections for one database and user: what a hosted pooler gives a small plan.
const POOL_SIZE: u32 = 20;

/// A running pooler; gone with this value.
#[derive(Debug)]
pub struct PgBouncer {
    process: Supervised,
    port: Port,
}

impl PgBouncer {
    /// The pooler of this test binary, in front of [`Postgres::shared`]. `None`, and a loud line, if the machine lacks
    /// one of them; a failure if `CI=true`.
    pub async fn shared() -> Option<&'static Self> {
        static SHARED: OnceCell<Option<PgBouncer>> = OnceCell::const_new();
        let server = Postgres::shared()?;
        let start = async || available("PgBouncer", Self::start(server.addr(), &[]).await);
        SHARED.get_or_init(start).await.as_ref()
    }

    /// Starts a pooler in front of a server, with further lines in the `[pgbouncer]` section;
    /// [`io::ErrorKind::NotFound`] if the machine has none.
    pub async fn start(postgres: SocketAddr, settings: &[&str]) -> io::Result<Self> {
        let port = Port::reserve()?;
        let setup = Setup::unprivileged("pgbouncer")?;
        // `trust` still asks whether it knows the user.
        let users = setup.write("users", "\"pitchey\" \"\"\n")?;
        let ini = format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {}\nunix_socket_dir =\n\
             auth_type = trust\nauth_file = {}\nadmin_users = pitchey\npool_mode = transaction\n\
             default_pool_size = {POOL_SIZE}\nmax_client_conn = 2000\nignore_startup_parameters = extra_float_digits\n{}\n",
            postgres.ip(),
            postgres.port(),
            port.number(),
            users.display(),
            settings.join("\n"),
        );
        let ini = setup.write("pgbouncer.ini", &ini)?.display().to_string();
        let process = setup.supervise(&["pgbouncer", &ini], "KILL")?;
        let this = Self { process, port };
        this.start_again().await?;
        Ok(this)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// A database of its server, through the pooler.
    pub fn url(&self, database: &Database) -> String {
        format!("postgres://pitchey@{}/{}", self.addr(), database.name())
    }

    /// Its own console: `show pools`, `pause`, `resume`.
    pub fn admin_url(&self) -> String {
        format!("postgres://pitchey@{}/pgbouncer", self.addr())
    }

    /// Ends it as a crash does.
    pub fn kill(&self) {
        self.process.end("KILL");
    }

    /// Starts one that ended, on the same port, and waits until it takes connections.
    pub async fn start_again(&self) -> io::Result<()> {
        self.process.start();
        self.process.until_ready(async || TcpStream::connect(self.addr()).await.is_ok()).await
    }
}
