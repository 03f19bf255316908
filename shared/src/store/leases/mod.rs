//! Who is running on this store: one owner at a time where the engine is memory, and everybody's share of the
//! connection budget (invariant 10).
//!
//! A process [`claim`]s before it serves, [`keep()`]s renewing every [`RENEW_EVERY`], and [`release`]s at its end.
//! A lease lives [`TTL`] without renewal; one whose process is seen to be dead (see `process.rs`) counts at once as
//! gone, so a restart right after `kill -9` succeeds. A process whose renewal says that the lease is lost must stop:
//! another one may be running already.
//!
//! Claiming needs a connection and decides how many there may be: `entry.rs` has the order.

mod keep;
mod process;

pub use keep::keep;
pub use process::Process;

use super::{
    StoreError,
    conn::{Conn, Tx, execute, with_conn},
};
use crate::clock::Timestamp;
use sqlx::FromRow;
use std::time::Duration;
use uuid::Uuid;

/// How long a lease lives without renewal: three renewals may fail.
pub const TTL: Duration = Duration::from_secs(10);
/// How often to renew.
pub const RENEW_EVERY: Duration = Duration::from_secs(3);
/// Connections of all processes together: the limit of the pooler that broke the old platform.
pub const BUDGET: u32 = 25;
/// With fewer a process cannot work: one would be enough for a deadlock with itself.
pub const LEAST: u32 = 2;

/// How a process shares the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Alone: its engine is its own memory, so a second process would not see its events.
    Owner,
    /// With others: the engine is Redis.
    Member,
}

text_column!(
    Role,
    |role| match role {
        Role::Owner => "owner".to_owned(),
        Role::Member => "member".to_owned(),
    },
    |text| match text {
        "owner" => Ok(Role::Owner),
        "member" => Ok(Role::Member),
        other => Err(format!("unknown role {other}").into()),
    }
);

/// What a process asks for.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// How it shares the store.
    pub role: Role,
    /// The pool size it would like.
    pub connections: u32,
    /// What all processes may have together, such as [`BUDGET`]. SQLite has no server to protect: not counted there.
    pub budget: u32,
}

/// Why a claim was refused: one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Somebody runs alone on this store, or the claimant wanted to.
    #[error(
        "{name} (process {pid}) already runs on this store; only with REDIS_URL may several processes share one \
         (if it was killed on another machine, its lease ends within {} s)", TTL.as_secs()
    )]
    Taken {
        /// The other process's name.
        name: String,
        /// Its pid, on its machine.
        pid: i64,
    },
    /// Nothing is left of the budget.
    #[error("other processes hold {held} of {budget} database connections; at least {LEAST} must be left")]
    Spent {
        /// What the others have.
        held: u32,
        /// What all may have.
        budget: u32,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(FromRow)]
struct Lease {
    id: Uuid,
    role: Role,
    name: String,
    machine: String,
    pid: i64,
    started: i64,
    #[sqlx(try_from = "i32")]
    connections: u32,
    expires_at: Timestamp,
}

impl Lease {
    fn process(&self) -> Process {
        let (name, machine) = (self.name.clone(), self.machine.clone());
        Process { id: self.id, name, machine, pid: self.pid, started: self.started }
    }
}

/// Registers the process and says how many connections it may have. Claiming again replaces its lease.
pub async fn claim(tx: &mut Tx, process: &Process, claim: Claim) -> Result<u32, Refused> {
    lock(tx).await?;
    let others = living(tx, process).await?;
    if let Some(other) = others.iter().find(|other| other.role == Role::Owner || claim.role == Role::Owner) {
        return Err(Refused::Taken { name: other.name.clone(), pid: other.pid });
    }
    let granted = if tx.is_postgres() { share(&others, claim)? } else { claim.connections };
    insert(tx, process, claim.role, granted).await?;
    Ok(granted)
}

/// What is left, but not more than asked for.
fn share(others: &[Lease], claim: Claim) -> Result<u32, Refused> {
    let held = others.iter().map(|other| other.connections).sum();
    let granted = claim.budget.saturating_sub(held).min(claim.connections);
    if granted < LEAST {
        return Err(Refused::Spent { held, budget: claim.budget });
    }
    Ok(granted)
}

/// One claim at a time: on SQLite there is only one writer anyway.
async fn lock(tx: &mut Tx) -> Result<(), StoreError> {
    if tx.is_postgres() {
        execute!(tx, sqlx::query("lock table process_leases in share row exclusive mode"))?;
    }
    Ok(())
}

/// The leases of others that still hold; the rest is removed on the way.
async fn living(tx: &mut Tx, process: &Process) -> Result<Vec<Lease>, StoreError> {
    let now = tx.now();
    let leases: Vec<Lease> = with_conn!(tx, |c| {
        sqlx::query_as("select id, role, name, machine, pid, started, connections, expires_at from process_leases")
            .fetch_all(c)
            .await
    })?;
    let mut living = Vec::with_capacity(leases.len());
    for lease in leases {
        if lease.id == process.id || lease.expires_at <= now || process.sees_dead(&lease.process()) {
            release(tx, lease.id).await?;
        } else {
            living.push(lease);
        }
    }
    Ok(living)
}

async fn insert(tx: &mut Tx, process: &Process, role: Role, connections: u32) -> Result<(), StoreError> {
    let now = tx.now();
    execute!(
        tx,
        sqlx::query(
            "insert into process_leases (id, role, name, machine, pid, started, connections, acquired_at, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(process.id)
        .bind(role)
        .bind(&process.name)
        .bind(&process.machine)
        .bind(process.pid)
        .bind(process.started)
        .bind(i32::try_from(connections).unwrap_or(i32::MAX))
        .bind(now)
        .bind(now + TTL)
    )?;
    Ok(())
}

/// Prolongs a lease for `ttl`: [`TTL`], or longer for a drain, during which nobody renews. False if it is gone because
/// somebody else claimed the store: then the process must stop. One that expired while the machine slept, and that
/// nobody wanted, goes on.
pub async fn renew(tx: &mut Tx, id: Uuid, ttl: Duration) -> Result<bool, StoreError> {
    let now = tx.now();
    execute!(tx, sqlx::query("update process_leases set expires_at = $2 where id = $1").bind(id).bind(now + ttl))
        .map(|changed| changed == 1)
}

/// Gives a lease back.
pub async fn release(tx: &mut Tx, id: Uuid) -> Result<(), StoreError> {
    execute!(tx, sqlx::query("delete from process_leases where id = $1").bind(id)).map(drop)
}

/// A process that runs on this store, for operators.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Running {
    /// Its name.
    pub name: String,
    /// Its pid, on its machine.
    pub pid: i64,
    /// How many connections it was granted.
    #[sqlx(try_from = "i32")]
    pub connections: u32,
    /// Since when.
    pub acquired_at: Timestamp,
}

/// Everybody whose lease holds, by name.
pub async fn running(conn: &mut Conn) -> Result<Vec<Running>, StoreError> {
    let now = conn.now();
    with_conn!(conn, |c| {
        sqlx::query_as(
            "select name, pid, connections, acquired_at from process_leases where expires_at > $1 order by name, pid",
        )
        .bind(now)
        .fetch_all(c)
        .await
    })
}
