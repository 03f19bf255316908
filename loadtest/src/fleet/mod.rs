//! A platform of many processes, all of them the harness's own: gateways and apis as they were built, a private Redis and
//! a private PostgreSQL, each on free loopback ports. All of it ends with the harness, however that ends (see
//! `shared::servers::process`).
//!
//! The processes are started together on an empty database, as an operator's `systemctl start` would.

mod balancer;
mod binaries;
mod figures;
mod redis;
mod service;

pub(crate) use balancer::Balancer;
pub(crate) use redis::{Redis, Topology};
pub(crate) use service::{Role, Service};

use crate::{crowd, platform::LIMITS, process::Process, scenario::progress, target::Target};
use anyhow::{Context as _, bail, ensure};
use binaries::Binaries;
use shared::servers::{PostgresServer, Proxy};
use std::{path::Path, process::Command, sync::Arc};
use tokio::task::spawn_blocking;

/// The database of the fleet.
pub(crate) const DATABASE: &str = "pitchey";
/// What a fleet sets beyond the benchmark's limits. Development, because only there users can be seeded and the demo's
/// accounts, whose password is known, can log in.
const SETTINGS: [&str; 4] =
    ["ENVIRONMENT=development", "RATE_PER_IP=1000000", "RATE_PER_USER=1000000", "LOGIN_RATE_PER_IP=1000000"];

/// Counts statements, and not those that begin and end transactions.
const POSTGRES: [&str; 2] = ["shared_preload_libraries=pg_stat_statements", "pg_stat_statements.track_utility=off"];

/// How large.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) gateways: usize,
    pub(crate) apis: usize,
    /// Users to seed.
    pub(crate) users: usize,
}

/// A running fleet. Ends with this value.
#[derive(Debug)]
pub(crate) struct Fleet {
    // Dropped in this order: processes before what they stand on.
    services: Vec<Service>,
    proxies: Vec<Proxy>,
    pub(crate) redis: Redis,
    pub(crate) postgres: Arc<PostgresServer>,
    tokens: Vec<String>,
    settings: Vec<String>,
}

impl Fleet {
    /// Starts everything, seeds users, and returns when every process is ready. `settings` (`NAME=VALUE`) win over the
    /// fleet's own.
    pub(crate) async fn start(size: Size, topology: Topology, settings: &[String]) -> anyhow::Result<Self> {
        let binaries = Binaries::beside_us()?;
        let own = LIMITS.iter().chain(&SETTINGS).map(|setting| (*setting).to_owned());
        let settings: Vec<String> = own.chain(settings.iter().cloned()).collect();
        progress(format_args!("starting Redis and PostgreSQL"));
        let postgres = Arc::new(spawn_blocking(|| PostgresServer::start(&POSTGRES)).await?.context("PostgreSQL")?);
        ask(&postgres, "postgres", &format!("create database {DATABASE}")).await?;
        ask(&postgres, DATABASE, "create extension pg_stat_statements").await?;
        let redis = Redis::start(topology).await?;
        let database = format!("DATABASE_URL={}", postgres.url(DATABASE));

        let Size { gateways, apis, users } = size;
        progress(format_args!("starting {gateways} gateways and {apis} apis with {users} users"));
        let (mut services, mut proxies) = (Vec::new(), Vec::new());
        let gateways = (1..=gateways).map(|number| (Role::Gateway, number, &binaries.gateway));
        for (role, number, program) in gateways.chain((1..=apis).map(|number| (Role::Api, number, &binaries.api))) {
            let (url, proxy) = redis.entrance()?;
            let settings = [&settings[..], &[database.clone(), format!("REDIS_URL={url}")]].concat();
            services.push(Service::start(role, number, program, &settings)?);
            proxies.extend(proxy);
        }
        for service in &services {
            service.until_ready().await?;
        }
        let seeding = [&settings[..], &[database]].concat();
        let tokens = spawn_blocking(move || seed(&binaries.api, users, &seeding)).await??;
        Ok(Self { services, proxies, redis, postgres, tokens, settings })
    }

    /// Every process.
    pub(crate) fn services(&self) -> &[Service] {
        &self.services
    }

    /// The processes of one role.
    pub(crate) fn of(&self, role: Role) -> Vec<Service> {
        self.services.iter().filter(|service| service.role() == role).cloned().collect()
    }

    /// Where the gateways are.
    pub(crate) fn gateways(&self) -> Vec<Target> {
        self.of(Role::Gateway).iter().map(Service::target).collect()
    }

    /// Where the apis are.
    pub(crate) fn apis(&self) -> Vec<Target> {
        self.of(Role::Api).iter().map(Service::target).collect()
    }

    /// The gateways' processes, to measure.
    pub(crate) fn gateway_processes(&self) -> Vec<Process> {
        self.of(Role::Gateway).iter().filter_map(Service::process).collect()
    }

    /// What stands between each process and Redis, in the order of [`Fleet::services`]; none if they reach it directly.
    pub(crate) fn proxies(&self) -> &[Proxy] {
        &self.proxies
    }

    /// Sessions of the users, one each.
    pub(crate) fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// What differs from the defaults, in one line.
    pub(crate) fn settings(&self) -> String {
        self.settings.join(" ")
    }

    /// The answer to one statement, as `psql` prints it.
    pub(crate) async fn sql(&self, sql: &str) -> anyhow::Result<String> {
        ask(&self.postgres, DATABASE, sql).await
    }
}

async fn ask(postgres: &Arc<PostgresServer>, database: &'static str, sql: &str) -> anyhow::Result<String> {
    let (postgres, sql) = (Arc::clone(postgres), sql.to_owned());
    Ok(spawn_blocking(move || postgres.ask(database, &sql)).await??)
}

/// Users with open sessions, made by the program itself; their tokens.
fn seed(program: &Path, users: usize, settings: &[String]) -> anyhow::Result<Vec<String>> {
    ensure!(users > 0, "a fleet without users cannot be asked anything");
    let folder = tempfile::tempdir().context("failed to make a folder")?;
    let tokens = folder.path().join("tokens");
    let mut seed = Command::new(program);
    seed.args(settings.iter().map(|setting| service::flag(setting)).collect::<anyhow::Result<Vec<_>>>()?);
    seed.arg(format!("--data-dir={}", folder.path().display()));
    seed.args(["seed", "--users", &users.to_string(), "--tokens"]).arg(&tokens);
    let seeded = seed.output().with_context(|| format!("failed to run {}", program.display()))?;
    if !seeded.status.success() {
        bail!("{} seed failed: {}", program.display(), String::from_utf8_lossy(&seeded.stderr).trim());
    }
    crowd::read_tokens(&tokens)
}
