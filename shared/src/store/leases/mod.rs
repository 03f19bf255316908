//! Who is running on this store: one owner at a time where the engine is memory, and everybody's share of the
//! connection budget (invariant 10).
//!
//! A process [`claim`]s before it serves, [`keep()`]s renewing every [`RENEW_EVERY`], and [`release`]s at its end.
//! A lease lives [`TTL`] without renewal; one whose process is seen to be dead (see `process.rs`) counts at once as
//! gone, so a restart right after `kill -9` succeeds, and one whose process is seen to be alive never does.
//!
//! A lease lapses without anybody's fault: the database was away, the pool was full. Who shares the store claims again
//! and goes on, with the connections it has, because no lease ever closed one. Only where a process runs alone is a
//! lost lease the end: another one may be running already, and neither would see the other's events.
//!
//! Leases expire by the database's time: clocks of machines differ by more than a lease lives.
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

/// What a process was granted: what it renews, claims again if it lapsed, and gives back.
#[derive(Clone, Debug)]
pub struct Lease {
    /// Whose it is; its id is the lease's.
    pub process: Process,
    /// How it shares the store.
    pub role: Role,
    /// How many connections it has.
    pub connections: u32,
}

/// What became of a lease that was to be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// It goes on.
    Kept,
    /// It had lapsed and somebody had removed it; now it is there again.
    Regained,
    /// Somebody else has the store: the process must stop.
    Lost,
}

#[derive(FromRow)]
struct Row {
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

impl Row {
    fn process(&self) -> Process {
        let (name, machine) = (self.name.clone(), self.machine.clone());
        Process { id: self.id, name, machine, pid: self.pid, started: self.started }
    }
}

/// Registers the process and decides how many connections it may have. Claiming again replaces its lease.
pub async fn claim(tx: &mut Tx, process: &Process, claim: Claim) -> Result<Lease, Refused> {
    lock(tx).await?;
    let others = living(tx, process).await?;
    if let Some(other) = others.iter().find(|other| other.role == Role::Owner || claim.role == Role::Owner) {
        return Err(Refused::Taken { name: other.name.clone(), pid: other.pid });
    }
    let granted = if tx.is_postgres() { share(&others, claim)? } else { claim.connections };
    let lease = Lease { process: process.clone(), role: claim.role, connections: granted };
    insert(tx, &lease, TTL).await?;
    Ok(lease)
}

/// What is left, but not more than asked for.
fn share(others: &[Row], claim: Claim) -> Result<u32, Refused> {
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
async fn living(tx: &mut Tx, process: &Process) -> Result<Vec<Row>, StoreError> {
    let now = database_time(tx).await?;
    let leases: Vec<Row> = with_conn!(tx, |c| {
        sqlx::query_as("select id, role, name, machine, pid, started, connections, expires_at from process_leases")
            .fetch_all(c)
            .await
    })?;
    let mut living = Vec::with_capacity(leases.len());
    for lease in leases {
        let holds = process.sees(&lease.process()).unwrap_or(lease.expires_at > now);
        if holds && lease.id != process.id {
            living.push(lease);
        } else {
            release(tx, lease.id).await?;
        }
    }
    Ok(living)
}

/// The time by which leases expire: one for the processes of all machines. A SQLite file's processes share this one's.
async fn database_time(conn: &mut Conn) -> Result<Timestamp, StoreError> {
    if !conn.is_postgres() {
        return Ok(conn.now());
    }
    with_conn!(conn, |c| sqlx::query_scalar("select clock_timestamp()").fetch_one(c).await)
}

async fn insert(tx: &mut Tx, lease: &Lease, ttl: Duration) -> Result<(), StoreError> {
    let (now, Lease { process, role, connections }) = (database_time(tx).await?, lease);
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
        .bind(i32::try_from(*connections).unwrap_or(i32::MAX))
        .bind(now)
        .bind(now + ttl)
    )?;
    Ok(())
}

/// Prolongs a lease for `ttl`: [`TTL`], or longer for a drain, during which nobody renews. One that expired and that
/// nobody removed goes on. One that was removed is claimed again by a member, unless the store has an owner now; its
/// connections are open, so they count even if others were promised the rest of the budget meanwhile.
pub async fn renew(tx: &mut Tx, lease: &Lease, ttl: Duration) -> Result<Renewal, StoreError> {
    let (id, until) = (lease.process.id, database_time(tx).await? + ttl);
    let prolong = "update process_leases set expires_at = $2 where id = $1";
    if execute!(tx, sqlx::query(prolong).bind(id).bind(until))? == 1 {
        return Ok(Renewal::Kept);
    }
    if lease.role == Role::Owner {
        return Ok(Renewal::Lost);
    }
    lock(tx).await?;
    if living(tx, &lease.process).await?.iter().any(|other| other.role == Role::Owner) {
        return Ok(Renewal::Lost);
    }
    insert(tx, lease, ttl).await?;
    Ok(Renewal::Regained)
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
    let now = database_time(conn).await?;
    with_conn!(conn, |c| {
        sqlx::query_as(
            "select name, pid, connections, acquired_at from process_leases where expires_at > $1 order by name, pid",
        )
        .bind(now)
        .fetch_all(c)
        .await
    })
}
