//! How a process comes to its store and leaves it: one order for the api and the gateway.
//!
//! ```text
//! connect with two ─▶ migrate, or wait for whoever does ─▶ claim a lease ─▶ connect with what was granted
//! ```
//!
//! Claiming needs a connection and decides how many there may be; so the first ones are closed before the granted
//! ones open, and a process that starts holds at most two beyond the budget, for a moment.

use super::{
    Store, StoreError, health,
    leases::{self, Claim, Lease, Process, Refused, Role},
};
use crate::{clock::Clock, config::DatabaseConfig};
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// Connections of commands, and of a process before it has a lease.
pub const FEW: u32 = 2;
/// How often to look whether somebody has migrated.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Who comes, and for what.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Its name, in leases and in `pg_stat_activity`.
    pub name: &'static str,
    /// How it shares the store.
    pub role: Role,
    /// The pool it would like.
    pub connections: u32,
    /// Whether it brings the schema up to date itself, where it can; otherwise it waits for somebody who does.
    pub migrates: bool,
    /// Where the store is.
    pub config: &'a DatabaseConfig,
    /// Where a SQLite file is by default.
    pub data_dir: &'a Path,
}

impl Entry<'_> {
    /// The store with a pool of the granted size, and the lease to keep and give back.
    pub async fn enter(&self, clock: Clock) -> Result<(Store, Lease), Refused> {
        let first = self.connect(FEW, clock.clone()).await?;
        if self.migrates && first.can_migrate() {
            first.migrate().await?;
        } else {
            wait_for_schema(&first, self.config.pool.start_timeout).await?;
        }
        let process = Process::this(self.name);
        let claim = Claim { role: self.role, connections: self.connections, budget: self.config.connection_budget };
        let lease = first.try_tx("leases.claim", async |tx| leases::claim(tx, &process, claim).await).await?;
        if lease.connections < self.connections {
            tracing::warn!(
                granted = lease.connections,
                wanted = self.connections,
                "a smaller pool: the others have the rest"
            );
        }
        drop(first);
        let store = self.connect(lease.connections, clock).await?;
        compare_with_server(&store, self.config.connection_budget).await;
        Ok((store, lease))
    }

    /// The store with a pool of this size, without a lease: for commands.
    pub async fn connect(&self, connections: u32, clock: Clock) -> Result<Store, StoreError> {
        let mut config = self.config.clone();
        config.pool.max_size = connections;
        Store::connect(&config, self.data_dir, self.name, clock).await
    }
}

/// Gives the lease back, so that its connections can be had at once.
pub async fn leave(store: &Store, lease: &Lease) {
    if let Err(error) = store.tx("leases.release", async |tx| leases::release(tx, lease.process.id).await).await {
        tracing::warn!(%error, "failed to give the lease back; it ends by itself");
    }
}

/// Processes are started together, and one of them, or a command, migrates.
async fn wait_for_schema(store: &Store, patience: Duration) -> Result<(), StoreError> {
    let deadline = Instant::now() + patience;
    loop {
        match store.check_schema().await {
            Err(StoreError::SchemaTooOld(_)) if Instant::now() < deadline => sleep(LOOK_EVERY).await,
            outcome => return outcome,
        }
    }
}

/// Tells the operator how the connections that all processes may take compare with what the PostgreSQL server has
/// (R-026). Only a word in the log: the server may be shared, or sit behind a pooler that multiplies its connections.
async fn compare_with_server(store: &Store, budget: u32) {
    let server = match store.read("health.server", async |c| health::server(c).await).await {
        Ok(Some(server)) => server,
        Ok(None) => return,
        Err(error) => return tracing::warn!(%error, "failed to ask the database server for its connection limit"),
    };
    let (available, connected) = (server.available, server.connected);
    tracing::info!(available, connected, budget, "the database server's connections");
    if !server.has_room_for(budget) {
        tracing::warn!(
            available,
            budget,
            "DB_CONNECTION_BUDGET is more than 80 % of the database server's max_connections: lower one or raise the other"
        );
    }
}
