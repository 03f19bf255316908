//! A platform of the harness's own (`--spawn PROGRAM`): a fresh folder, a fresh store with as many users as the
//! scenario needs, a free port, and the limits a benchmark needs, so that each figure is one command.
//!
//! The server is started behind a shell that waits for the end of a pipe we hold: it ends with us, however we end.

use crate::process::Process;
use anyhow::{Context as _, bail};
use std::{
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// What a benchmark sets beyond the defaults, so that it measures the server and not its limits. In every report.
const LIMITS: [&str; 4] =
    ["WS_HANDSHAKE_RATE=1000000", "WS_FRAME_RATE=1000000", "WS_FRAME_BURST=1000000", "WS_MAX_PER_IP=1000"];
/// How long the server may take until it accepts connections.
const STARTING: Duration = Duration::from_mins(1);

/// Prints the server's process id, and ends the server when standard input ends.
const GUARD: &str = r#"log=$1; shift; "$@" >"$log" 2>&1 & echo $!; cat >/dev/null; kill -9 $! 2>/dev/null"#;

/// A server of ours. Ends with this value.
#[derive(Debug)]
pub(crate) struct Platform {
    guard: Child,
    process: Process,
    address: SocketAddr,
    tokens: PathBuf,
    settings: Vec<String>,
    _folder: TempDir,
}

impl Platform {
    /// Seeds `users` users and starts `program`; blocks until it accepts connections. `settings` are `NAME=VALUE`, and
    /// win over the benchmark's own.
    pub(crate) fn start(program: &Path, users: usize, settings: &[String]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("failed to make a folder for the server")?;
        let tokens = folder.path().join("tokens");
        let address = free_address()?;
        let settings: Vec<String> = LIMITS.into_iter().map(str::to_owned).chain(settings.iter().cloned()).collect();
        let with_settings = |command: &mut Command| -> anyhow::Result<()> {
            command.env("DATA_DIR", folder.path()).env("PORT", address.port().to_string());
            command.env("ADMIN_ADDR", "127.0.0.1:0").stdin(Stdio::null());
            for setting in &settings {
                let (name, value) =
                    setting.split_once('=').with_context(|| format!("{setting}: NAME=VALUE is wanted"))?;
                command.env(name, value);
            }
            Ok(())
        };
        let mut seed = Command::new(program);
        with_settings(&mut seed)?;
        seed.args(["seed", "--users", &users.to_string(), "--tokens"]).arg(&tokens);
        let seeded = seed.output().with_context(|| format!("failed to run {}", program.display()))?;
        if !seeded.status.success() {
            bail!("{} seed failed: {}", program.display(), String::from_utf8_lossy(&seeded.stderr).trim());
        }
        let log = folder.path().join("server.log");
        let mut serve = Command::new("sh");
        with_settings(&mut serve)?;
        serve.args(["-c", GUARD, "guard"]).arg(&log).arg(program).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut guard = serve.spawn().context("failed to start a shell")?;
        let mut pid = String::new();
        BufReader::new(guard.stdout.take().expect("stdout was asked for as a pipe")).read_line(&mut pid)?;
        let process = Process::new(pid.trim().parse().context("the shell did not say the server's process id")?);
        let platform = Self { guard, process, address, tokens, settings, _folder: folder };
        platform.wait(&log)?;
        Ok(platform)
    }

    fn wait(&self, log: &Path) -> anyhow::Result<()> {
        let until = Instant::now() + STARTING;
        while TcpStream::connect(self.address).is_err() {
            if self.process.snapshot().is_err() || Instant::now() > until {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                bail!("the server did not start: {}", said.lines().last().unwrap_or("it said nothing"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    pub(crate) fn process(&self) -> Process {
        self.process.clone()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the users' tokens are, a line each.
    pub(crate) fn tokens(&self) -> &Path {
        &self.tokens
    }

    /// What differs from the defaults, in one line.
    pub(crate) fn settings(&self) -> String {
        self.settings.join(" ")
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        // Fails only if it has ended already.
        let _ = self.guard.wait();
    }
}

/// A port nobody listens on. Somebody else may take it in between; the server then says so.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
