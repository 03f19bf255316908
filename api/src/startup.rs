//! From a configuration to a platform that serves, in the one order that works: what can be refused cheaply comes
//! first (folder, port), then the store, its owner lease and the schema, the engine, the demo, and last everything
//! that acts by itself. Clients that come early wait in the listener's backlog.
//!
//! Each failure is one line that names the setting to change.

use crate::{
    app::{App, Foundation},
    demo, embedded,
    http::{ApiError, error::chain},
    router::Table,
    routes, server,
};
use shared::{
    admin::{Admin, AdminSources},
    clock::Clock,
    config::{Config, ConfigError, Place},
    engine::{Engine, EngineError},
    lifecycle::{Lifecycle, Signals},
    metrics::Metrics,
    relay::Relay,
    store::{
        Store, StoreError,
        entry::{self, Entry},
        installation,
        leases::{self, Lease, Refused, Role},
    },
    tls::Tls,
};
use std::{net::SocketAddr, process::ExitCode};
use tokio::net::TcpListener;

/// This process's name in leases, in `pg_stat_activity` and in the admin token's file.
const NAME: &str = "api";

/// Why the platform did not start. Every text is one line, and names a setting if one can help.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Another process is there already, or has used the connections up.
    #[error("DATABASE_URL={url}: {refused}")]
    Refused {
        /// The store.
        url: String,
        /// Why.
        refused: Refused,
    },
    /// The store cannot be opened or migrated.
    #[error("DATABASE_URL={url}: {error}")]
    Store {
        /// The store.
        url: String,
        /// What happened.
        error: StoreError,
    },
    /// The engine. The cause is the error's source: whoever prints the whole chain says it once.
    #[error("the engine's settings")]
    Engine(#[from] EngineError),
    /// The demo data could not be brought in.
    #[error("failed to bring the demo data in: {}", chain(.0))]
    Demo(ApiError),
}

/// A platform that serves. Dropping it does not end it: [`Platform::close`] or the lifecycle does.
#[derive(Debug)]
pub struct Platform {
    /// What handlers see.
    pub app: App,
    /// Where it listens.
    pub address: SocketAddr,
    /// The operators' side.
    pub admin: Admin,
    lease: Lease,
}

impl Platform {
    /// Starts everything; the platform serves when this returns.
    pub async fn start(config: Config, clock: Clock, lifecycle: Lifecycle) -> Result<Self, StartError> {
        Self::start_with(config, clock, lifecycle, routes::table()).await
    }

    /// The same with another table of routes, for tests.
    pub async fn start_with(
        mut config: Config,
        clock: Clock,
        lifecycle: Lifecycle,
        table: Table,
    ) -> Result<Self, StartError> {
        config.data_dir.prepare()?;
        let tls = Tls::load(&config.http, &server::PROTOCOLS)?;
        let listener = bind(&mut config)?;
        let address = listener.local_addr().map_err(|error| ConfigError::unusable("PORT", config.http.port, error))?;
        let engine = Engine::connect(&config.redis, clock.clone())?;
        let (store, lease) = open_store(&config, clock).await?;
        let secret = installation_secret(&config, &store).await?;
        let metrics = Metrics::new();
        let foundation = Foundation {
            config,
            lifecycle: lifecycle.clone(),
            metrics,
            store,
            engine,
            secret: secret.as_bytes().to_vec(),
        };
        let app = App::with_routes(foundation, table);
        if app.config.environment.is_development() {
            demo::seed(&app).await.map_err(StartError::Demo)?;
        } else {
            tracing::warn!("no mail provider yet: verification mails are files in DATA_DIR/mail and reach nobody");
        }
        if app.config.gateway.place == Place::Hosted {
            embedded::start(&app).await?;
        }
        let admin = open_admin(&app).await?;
        let (tracker, drain) = (lifecycle.tracker(), app.config.http.drain_timeout);
        let relay = Relay::new(app.store.clone(), app.engine.clone(), app.metrics.clone());
        tracker.spawn(relay.run(lifecycle.clone()));
        tracker.spawn(leases::keep(app.store.clone(), lease.clone(), lifecycle.clone(), drain));
        tracker.spawn(crate::housekeeping::run(app.clone()));
        if let Some(tls) = &tls {
            tls.reload_on_hangup(&lifecycle)?;
        }
        tracker.spawn(server::serve(app.clone(), listener, tls));
        Ok(Self { app, address, admin, lease })
    }

    /// Serves until a signal; drains; says how it went.
    pub async fn run(self, signals: Signals) -> ExitCode {
        let http = &self.app.config.http;
        let code = self.app.lifecycle.run(signals, http.drain_delay, http.drain_timeout).await;
        self.close().await;
        code
    }

    /// Gives the lease back and closes the operators' side. The lifecycle has ended before.
    pub async fn close(self) {
        entry::leave(&self.app.store, &self.lease).await;
        self.admin.close().await;
    }
}

/// Binds first, so that a taken port is told before anything is touched; port 0 becomes the port it got.
fn bind(config: &mut Config) -> Result<TcpListener, ConfigError> {
    let wanted = SocketAddr::new(config.http.host, config.http.port);
    let setting = |error: &std::io::Error| match error.kind() {
        std::io::ErrorKind::AddrNotAvailable => ("HOST", config.http.host.to_string()),
        _ => ("PORT", config.http.port.to_string()),
    };
    let listener = server::bind(wanted).map_err(|error| {
        let (name, value) = setting(&error);
        ConfigError::unusable(name, value, error)
    })?;
    if let Ok(address) = listener.local_addr() {
        config.http.port = address.port();
    }
    Ok(listener)
}

/// Comes to the store: migrates it, claims a share of it, and has the lease to give back.
async fn open_store(config: &Config, clock: Clock) -> Result<(Store, Lease), StartError> {
    let entered = entry_of(config).enter(clock).await;
    entered.map_err(|refused| match refused {
        Refused::Store(error) => StartError::Store { url: shown_url(config), error },
        refused => StartError::Refused { url: shown_url(config), refused },
    })
}

fn entry_of(config: &Config) -> Entry<'_> {
    Entry {
        name: NAME,
        role: if config.redis.url.is_none() { Role::Owner } else { Role::Member },
        connections: config.database.pool.max_size,
        migrates: true,
        config: &config.database,
        data_dir: &config.data_dir.0,
    }
}

/// The store for commands that run for a moment, perhaps beside a serving process.
pub async fn open_small(config: &Config, clock: Clock) -> Result<Store, StartError> {
    let store = entry_of(config).connect(entry::FEW, clock).await;
    store.map_err(|error| StartError::Store { url: shown_url(config), error })
}

async fn installation_secret(config: &Config, store: &Store) -> Result<shared::secret::TokenHash, StartError> {
    let secret = store.tx("installation.secret", async |tx| installation::secret(tx, "cursors").await).await;
    secret.map_err(|error| StartError::Store { url: shown_url(config), error })
}

/// An app for commands: nothing listens, nothing acts by itself.
pub async fn offline(config: Config, clock: Clock) -> Result<App, StartError> {
    config.data_dir.prepare()?;
    let store = open_small(&config, clock.clone()).await?;
    store.migrate().await.map_err(|error| StartError::Store { url: shown_url(&config), error })?;
    let secret = installation_secret(&config, &store).await?;
    Ok(App::new(Foundation {
        lifecycle: Lifecycle::new(),
        metrics: Metrics::new(),
        engine: Engine::memory(clock),
        secret: secret.as_bytes().to_vec(),
        store,
        config,
    }))
}

async fn open_admin(app: &App) -> Result<Admin, ConfigError> {
    let sources = AdminSources {
        name: app.config.gateway.node.clone(),
        environment: app.config.environment,
        store: Some(app.store.clone()),
        metrics: app.metrics.clone(),
        clock: app.clock.clone(),
        socket_limit: app.config.gateway.limits.connections,
        ops: Some(app.ops.clone()),
        sockets: app.sockets.get().map(crate::embedded::Sockets::inspector),
    };
    Admin::open(&app.config.admin, &app.config.data_dir, sources, &app.lifecycle).await
}

/// The store's address as it may be printed: a URL with a password stays hidden.
fn shown_url(config: &Config) -> String {
    if config.database.is_sqlite() { config.database_url().expose().to_owned() } else { "<redacted>".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_cannot_be_used_is_said_once_with_its_setting() {
        let error = StartError::from(EngineError::Settings { why: "REDIS_URL: there is no host".into() });
        let said = format!("{:#}", anyhow::Error::from(error));
        assert_eq!(said, "the engine's settings: REDIS_URL: there is no host");
    }
}
