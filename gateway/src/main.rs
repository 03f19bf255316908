//! `pitchey-gateway`: the gateway as a process of its own, next to any number of others.
//!
//! Needs an engine the processes share: without `REDIS_URL` the api hosts the gateway itself, and this says so. It
//! never migrates: it waits for the schema that an api or `pitchey-api migrate` brings.

use anyhow::Context as _;
use gateway::{Gateway, Parts};
use shared::{
    admin::{Admin, AdminSources},
    clock::Clock,
    config::{Config, Source},
    engine::Engine,
    files::Files,
    lifecycle::{Lifecycle, Signals},
    metrics::Metrics,
    ops::Ops,
    store::{
        Store,
        entry::{self, Entry},
        leases::{self, Role},
    },
    telemetry,
    tls::Tls,
};
use std::{net::SocketAddr, process::ExitCode};
use tokio::net::{TcpListener, TcpSocket};

/// This process's name in leases, in `pg_stat_activity` and in the admin token's file.
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
    let loaded = Config::load(&Source::process(arguments).of_gateway())?;
    if loaded.print {
        print!("{}", loaded.render());
        return Ok(ExitCode::SUCCESS);
    }
    let config = loaded.config;
    anyhow::ensure!(
        config.redis.url.is_some(),
        "REDIS_URL is not set: with the memory engine the api hosts the gateway (run pitchey-api instead)"
    );
    telemetry::init(&config.log).context("LOG_FILTER")?;
    serve(config).await
}

/// In the order of the api's start: what can be refused cheaply comes first, and what acts by itself last.
async fn serve(mut config: Config) -> anyhow::Result<ExitCode> {
    let (clock, lifecycle, metrics) = (Clock::System, Lifecycle::new(), Metrics::new());
    let files = Files::allow();
    config.data_dir.prepare()?;
    let tls = Tls::load(&config.http, &gateway::PROTOCOLS)?;
    let listener = bind(&mut config)?;
    let engine = Engine::connect(&config.redis, clock.clone()).context("the engine's settings")?;
    let (store, lease) = entry_of(&config).enter(clock.clone()).await.context("DATABASE_URL")?;
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
    let admin = open_admin(&config, store.clone(), metrics, &gateway, &lifecycle).await?;
    let (tracker, http) = (lifecycle.tracker(), &config.http);
    tracker.spawn(leases::keep(store.clone(), lease.clone(), lifecycle.clone(), http.drain_timeout));
    if let Some(tls) = &tls {
        tls.reload_on_hangup(&lifecycle)?;
    }
    let scheme = if tls.is_some() { "wss" } else { "ws" };
    tracker.spawn(async move { gateway.serve(listener, tls).await });
    let signals = Signals::catch()?;
    files.check(config.gateway.limits.connections);
    println!("pitchey-gateway {} is up: {scheme}://{}:{}/ws", config.gateway.node, http.host, http.port);
    let code = lifecycle.run(signals, http.drain_delay, http.drain_timeout).await;
    entry::leave(&store, &lease).await;
    admin.close().await;
    Ok(code)
}

/// Port 0 becomes the port it got.
fn bind(config: &mut Config) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::new(config.http.host, config.http.port);
    let named = || format!("PORT={}", address.port());
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.with_context(named)?;
    socket.set_reuseaddr(true).with_context(named)?;
    socket.bind(address).with_context(named)?;
    let listener = socket.listen(BACKLOG).with_context(named)?;
    config.http.port = listener.local_addr().with_context(named)?.port();
    Ok(listener)
}

fn entry_of(config: &Config) -> Entry<'_> {
    Entry {
        name: NAME,
        role: Role::Member,
        connections: config.database.gateway_pool_size,
        migrates: false,
        config: &config.database,
        data_dir: &config.data_dir.0,
    }
}

async fn open_admin(
    config: &Config,
    store: Store,
    metrics: Metrics,
    gateway: &Gateway,
    lifecycle: &Lifecycle,
) -> Result<Admin, shared::config::ConfigError> {
    let sources = AdminSources {
        name: config.gateway.node.clone(),
        environment: config.environment,
        clock: store.clock().clone(),
        store: Some(store),
        metrics,
        socket_limit: config.gateway.limits.connections,
        ops: Some(gateway.ops().clone()),
        sockets: Some(gateway.inspector()),
    };
    Admin::open(&config.admin, &config.data_dir, sources, lifecycle).await
}
