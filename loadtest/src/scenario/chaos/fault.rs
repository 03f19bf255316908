//! What goes wrong in a chaos run: one fault of the table each, done to the real processes.

use crate::{
    fleet::{Fleet, Redis, Role, Topology},
    scenario::progress,
};
use anyhow::{Context as _, bail};
use clap::ValueEnum;
use shared::servers::{Proxy, RedisCluster};
use std::{sync::Arc, time::Duration};
use tokio::{task::spawn_blocking, time::sleep};

/// Into how many hash tags the engine spreads rooms (`shared::engine`'s `PARTITIONS`).
const PARTITIONS: u16 = 64;
/// Bytes a second that still reach a throttled node.
const TRICKLE: u64 = 8 * 1024;

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// One gateway ends with `kill -9` and stays away.
    KillGateway,
    /// Every process is told to stop and started again, one after the other.
    RollingRestart,
    /// Redis ends with `kill -9` and comes back with its append-only file.
    RedisRestart,
    /// The proxies cut every connection to Redis and take no new ones.
    RedisCut,
    /// The proxies keep every connection to Redis open and move nothing.
    RedisStall,
    /// Redis forgets everything.
    RedisFlush,
    /// The master under Sentinel ends with `kill -9`; the replica takes over.
    SentinelFailover,
    /// A master of the Cluster ends with `kill -9`; its replica takes over.
    ClusterNodeLoss,
    /// Slots of rooms in use move to other masters.
    ClusterSlotMove,
    /// One gateway's link to Redis is throttled until its subscription lags.
    Lag,
    /// PostgreSQL stops, and starts again.
    PostgresRestart,
    /// Every connection to PostgreSQL is ended by the server, three times.
    PostgresTerminateBackends,
}

/// What a fault did.
#[derive(Debug, Default)]
pub(super) struct Struck {
    /// Connections to PostgreSQL that were ended.
    pub(super) ended_backends: usize,
}

impl Fault {
    /// The Redis it needs.
    pub(crate) fn topology(self) -> Topology {
        match self {
            Self::SentinelFailover => Topology::Sentinel,
            Self::ClusterNodeLoss | Self::ClusterSlotMove => Topology::Cluster,
            _ => Topology::Alone { proxied: true },
        }
    }

    /// How long it lasts unless the command line says otherwise, for those that do not end by themselves.
    pub(crate) fn outage(self) -> Duration {
        match self {
            Self::RedisCut | Self::RedisStall => Duration::from_secs(15),
            Self::RedisRestart | Self::PostgresRestart => Duration::from_secs(3),
            Self::Lag => Duration::from_secs(5),
            _ => Duration::ZERO,
        }
    }

    /// Strikes, and returns when everything is whole again.
    pub(super) async fn strike(self, fleet: &Fleet, outage: Duration) -> anyhow::Result<Struck> {
        match self {
            Self::KillGateway => fleet.of(Role::Gateway)[0].kill().await?,
            Self::RollingRestart => {
                for service in fleet.services() {
                    progress(format_args!("restarting {}", service.name()));
                    service.stop().await?;
                    service.start_again().await?;
                }
            }
            Self::RedisRestart => {
                fleet.redis.alone()?.kill();
                sleep(outage).await;
                fleet.redis.alone()?.start_again().await?;
            }
            Self::RedisCut => {
                for proxy in fleet.proxies() {
                    proxy.refuse().await;
                }
                sleep(outage).await;
                fleet.proxies().iter().for_each(Proxy::pass);
            }
            Self::RedisStall => {
                fleet.proxies().iter().for_each(Proxy::stall);
                sleep(outage).await;
                fleet.proxies().iter().for_each(Proxy::pass);
            }
            Self::RedisFlush => fleet.redis.alone()?.flush().await,
            Self::SentinelFailover => match &fleet.redis {
                Redis::Sentinel(set) => set.fail_over().await,
                _ => bail!("this fleet's Redis has no Sentinel"),
            },
            Self::ClusterNodeLoss => {
                let cluster = cluster(fleet)?;
                cluster.fail_over(cluster.owner_of(slot_of_room(cluster, 0).await).await).await;
            }
            Self::ClusterSlotMove => move_slots(cluster(fleet)?).await,
            Self::Lag => {
                let lagging = fleet.proxies().first().context("there is no proxy to throttle")?;
                lagging.throttle(TRICKLE);
                sleep(outage).await;
                lagging.pass();
            }
            Self::PostgresRestart => {
                let postgres = Arc::clone(&fleet.postgres);
                let stopping = Arc::clone(&postgres);
                spawn_blocking(move || stopping.stop()).await?;
                sleep(outage).await;
                spawn_blocking(move || postgres.start_again()).await??;
            }
            Self::PostgresTerminateBackends => return terminate_backends(fleet).await,
        }
        Ok(Struck::default())
    }
}

fn cluster(fleet: &Fleet) -> anyhow::Result<&RedisCluster> {
    match &fleet.redis {
        Redis::Cluster(cluster) => Ok(cluster),
        _ => bail!("this fleet's Redis is no Cluster"),
    }
}

/// The slot where everything about a room of the run is.
async fn slot_of_room(cluster: &RedisCluster, room: usize) -> u16 {
    let partition = cluster.slot_of(&format!("public:chaos-{room}")).await % PARTITIONS;
    cluster.slot_of(&format!("{{p{partition}}}")).await
}

/// Moves the slots of three rooms, one after the other, to the next master.
async fn move_slots(cluster: &RedisCluster) {
    for room in 0..3 {
        let slot = slot_of_room(cluster, room).await;
        let from = cluster.owner_of(slot).await;
        cluster.migrate(slot, (from + 1) % 3).await;
    }
}

async fn terminate_backends(fleet: &Fleet) -> anyhow::Result<Struck> {
    let mut struck = Struck::default();
    for round in 0..3 {
        if round > 0 {
            sleep(Duration::from_millis(700)).await;
        }
        let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                   where datname = current_database() and pid <> pg_backend_pid()";
        let ended: usize = fleet.sql(end).await?.parse().context("a count was expected")?;
        struck.ended_backends += ended;
    }
    Ok(struck)
}
