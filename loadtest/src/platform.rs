//! A platform of the harness's own (`--spawn PROGRAM`): a fresh folder, a fresh store with as many users as the
//! scenario needs, a free port, and the limits a benchmark needs, so that each figure is one command.
//!
//! It ends with us, however we end (see `shared::servers::process`).

use crate::process::Process;
use anyhow::{Context as _, bail};
use shared::servers::process::{Port, Setup, Supervised};
use std::{
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

/// What a benchmark sets beyond the defaults, so that it measures the server and not its limits. In every report.
pub(crate) const LIMITS: [&str; 4] =
    ["WS_HANDSHAKE_RATE=1000000", "WS_FRAME_RATE=1000000", "WS_FRAME_BURST=1000000", "WS_MAX_PER_IP=1000"];
/// How long the server may take until it accepts connections.
const STARTING: Duration = Duration::from_mins(1);

/// A server of ours. Ends with this value.
#[derive(Debug)]
pub(crate) struct Platform {
    server: Supervised,
    process: Process,
    port: Port,
    tokens: PathBuf,
    settings: Vec<String>,
}

impl Platform {
    /// Seeds `users` users and starts `program`; blocks until it accepts connections. `settings` are `NAME=VALUE`, and
    /// win over the benchmark's own.
    pub(crate) fn start(program: &Path, users: usize, settings: &[String]) -> anyhow::Result<Self> {
        let (setup, port) =
            (Setup::new("loadtest").context("failed to make a folder for the server")?, Port::reserve()?);
        let folder = setup.folder().to_owned();
        let tokens = folder.join("tokens");
        let settings: Vec<String> = LIMITS.into_iter().map(str::to_owned).chain(settings.iter().cloned()).collect();
        if let Some(setting) = settings.iter().find(|setting| !setting.contains('=')) {
            bail!("{setting}: NAME=VALUE is wanted");
        }
        let place = [
            format!("DATA_DIR={}", folder.display()),
            format!("PORT={}", port.number()),
            "ADMIN_ADDR=127.0.0.1:0".into(),
        ];
        let program = program.canonicalize().with_context(|| format!("there is no {}", program.display()))?;
        let program = program.display().to_string();
        let words =
            ["env".to_owned()].into_iter().chain(place).chain(settings.iter().cloned()).chain([program.clone()]);
        let words: Vec<String> = words.collect();

        let mut seed = Command::new("env");
        seed.args(&words[1..]).args(["seed", "--users", &users.to_string(), "--tokens"]).arg(&tokens);
        let seeded = seed.output().with_context(|| format!("failed to run {program}"))?;
        if !seeded.status.success() {
            bail!("{program} seed failed: {}", String::from_utf8_lossy(&seeded.stderr).trim());
        }
        let server = setup.supervise(&words.iter().map(String::as_str).collect::<Vec<_>>(), "KILL")?;
        server.start();
        let process = Process::new(server.pid().context("the server did not start")?);
        let platform = Self { server, process, port, tokens, settings };
        platform.wait()?;
        Ok(platform)
    }

    fn wait(&self) -> anyhow::Result<()> {
        let until = Instant::now() + STARTING;
        while TcpStream::connect(self.address()).is_err() {
            if !self.server.is_running() || Instant::now() > until {
                let said = std::fs::read_to_string(self.server.folder().join("log")).unwrap_or_default();
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
        self.port.addr()
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
