//! `pitchey-gateway`: the gateway as a process of its own, next to any number of others.
//!
//! Needs an engine the processes share: without `REDIS_URL` the api hosts the gateway itself, and this says so.

use anyhow::Context as _;
use gateway::{Gateway, Parts};
use shared::{
    admin::{Admin, AdminSources},
    clock::Clock,
    config::{Config, Source},
    engine::Engine,
    lifecycle::Lifecycle,
    metrics::Metrics,
    ops::Ops,
    store::Store,
    telemetry,
};
use std::{net::SocketAddr, process::ExitCode};
use tokio::net::TcpSocket;

/// This process's name in `pg_stat_activity` and in the admin token's file.
const NAME: &str = "gateway";
/// Handshakes that may wait to be accepted: a node that comes back is stormed.
const BACKLOG: u32 = 4_096;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("pitchey-gateway: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<ExitCode> {
    let arguments = std::env::args().skip(1);
    let loaded = Config::load(&Source::process(arguments))?;
    if loaded.print {
        print!("{}", loaded.render());
        return Ok(ExitCode::SUCCESS);
    }
    let config = loaded.config;
    anyhow::ensure!(
        config.redis_url.is_some(),
        "REDIS_URL is not set: with the memory engine the api hosts the gateway (run pitchey-api instead)"
    );
    telemetry::init(&config.log).context("LOG_FILTER")?;
    serve(config).await
}

async fn serve(config: Config) -> anyhow::Result<ExitCode> {
    let (clock, lifecycle, metrics) = (Clock::System, Lifecycle::new(), Metrics::new());
    config.data_dir.prepare()?;
    let address = SocketAddr::new(config.http.host, config.http.port);
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.context("PORT")?;
    socket.set_reuseaddr(true).context("PORT")?;
    socket.bind(address).with_context(|| format!("PORT={}", config.http.port))?;
    let listener = socket.listen(BACKLOG).with_context(|| format!("PORT={}", config.http.port))?;
    let engine = Engine::connect(config.redis_url.as_ref(), clock.clone()).context("REDIS_URL")?;
    let store = Store::connect(&config.database, &config.data_dir.0, NAME, clock.clone()).await;
    let store = store.context("DATABASE_URL")?;
    let ops = Ops::new(store.clone(), engine, clock, config.session.clone());
    let parts = Parts {
        config: config.gateway.clone(),
        http: config.http.clone(),
        cookie: config.session.cookie.clone(),
        ops: ops.with_public_rooms(&config.gateway.public_rooms),
        metrics: metrics.clone(),
        lifecycle: lifecycle.clone(),
    };
    let gateway = Gateway::start(parts).await.context("REDIS_URL")?;
    let admin = open_admin(&config, store, metrics, &lifecycle).await?;
    lifecycle.tracker().spawn(async move { gateway.serve(listener).await });
    let code = lifecycle.run(gateway::DRAIN_DEADLINE).await?;
    admin.close().await;
    Ok(code)
}

async fn open_admin(
    config: &Config,
    store: Store,
    metrics: Metrics,
    lifecycle: &Lifecycle,
) -> Result<Admin, shared::config::ConfigError> {
    let sources = AdminSources {
        name: config.gateway.node.clone(),
        environment: config.environment,
        clock: store.clock().clone(),
        store: Some(store),
        metrics,
        socket_limit: config.gateway.limits.connections,
    };
    Admin::open(&config.admin, &config.data_dir, sources, lifecycle).await
}
