//! The gateway alone on its own listener, for benchmarks: SQLite and the memory engine instead of what a fleet needs,
//! which `pitchey-gateway` rightly refuses. Understands the two commands that `pitchey-loadtest --spawn` uses:
//!
//! ```text
//! own_listener seed --users N --tokens FILE     users with sessions in $DATA_DIR; their tokens, a line each
//! own_listener                                  serve on HOST:PORT
//! ```

use anyhow::Context as _;
use gateway::{Gateway, Parts};
use shared::{
    clock::Clock,
    config::{Config, Source},
    engine::Engine,
    id::{SessionId, UserId},
    lifecycle::{Lifecycle, Signals},
    metrics::Metrics,
    model::{Portal, Portals},
    ops::Ops,
    relay::Relay,
    secret::Token,
    store::{Store, StoreError, Tx, sessions, users},
    telemetry,
};
use std::{net::SocketAddr, path::Path, time::Duration};
use tokio::net::TcpSocket;

/// As in `main.rs`.
const BACKLOG: u32 = 4_096;
/// Users in one transaction.
const BATCH: usize = 500;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let config = Config::load(&Source::process([]))?.config;
    config.data_dir.prepare()?;
    let store = Store::connect(&config.database, &config.data_dir.0, "bench", Clock::System).await?;
    store.migrate().await?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["seed", "--users", count, "--tokens", file] => seed(&store, count.parse()?, Path::new(file)).await,
        [] => serve(config, store).await,
        _ => anyhow::bail!("only `seed --users N --tokens FILE`, or nothing"),
    }
}

async fn serve(config: Config, store: Store) -> anyhow::Result<()> {
    telemetry::init(&config.log)?;
    let (lifecycle, metrics) = (Lifecycle::new(), Metrics::new());
    let ops = Ops::new(store.clone(), Engine::memory(Clock::System), Clock::System, config.session.clone());
    let relay = Relay::new(store, ops.engine().clone(), metrics.clone());
    lifecycle.tracker().spawn(relay.run(lifecycle.clone()));
    let parts = Parts {
        ops: ops.with_public_rooms(&config.gateway.public_rooms),
        cookie: config.session.cookie,
        config: config.gateway,
        http: config.http.clone(),
        metrics,
        lifecycle: lifecycle.clone(),
    };
    let gateway = Gateway::start(parts).await?;
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::new(config.http.host, config.http.port)).context("PORT")?;
    let listener = socket.listen(BACKLOG)?;
    lifecycle.tracker().spawn(async move { gateway.serve(listener, None).await });
    lifecycle.run(Signals::catch()?, config.http.drain_delay, config.http.drain_timeout).await;
    Ok(())
}

async fn seed(store: &Store, count: usize, file: &Path) -> anyhow::Result<()> {
    let numbers: Vec<usize> = (0..count).collect();
    let mut lines = String::new();
    for batch in numbers.chunks(BATCH) {
        let made = store.tx("seed", async |tx| {
            let mut made = Vec::with_capacity(batch.len());
            for number in batch {
                made.push(one(tx, *number).await?);
            }
            Ok(made)
        });
        for token in made.await? {
            lines.push_str(token.expose());
            lines.push('\n');
        }
    }
    Ok(std::fs::write(file, lines)?)
}

async fn one(tx: &mut Tx, number: usize) -> Result<Token, StoreError> {
    let (id, token, name) = (UserId::new(), Token::generate(), format!("bench-{number}"));
    let new = users::NewUser {
        id,
        email: &format!("{name}@bench.pitchey.test"),
        username: &name,
        name: &name,
        user_type: Portal::Creator,
        portals: Portals::of([Portal::Creator]),
        password_hash: "!no password opens this account",
        email_verified: true,
    };
    users::insert(tx, new).await?;
    let session = sessions::NewSession {
        id: SessionId::new(),
        user_id: id,
        portal: Portal::Creator,
        token: token.hash(),
        ip: None,
        user_agent: None,
        ttl: Duration::from_hours(24),
    };
    sessions::insert(tx, session).await?;
    Ok(token)
}
