//! The Redis of a fleet: alone behind a fault proxy for every process, under Sentinel, or as a Cluster.
//!
//! Sentinel and Cluster send their clients to the servers' own addresses, so that no proxy can stand in between there.

use anyhow::{Context as _, bail};
use shared::servers::{Proxy, RedisCluster, RedisOptions, RedisSentinel, RedisServer};

/// What kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topology {
    /// One server with an append-only file. `proxied`: every process reaches it through a proxy of its own.
    Alone { proxied: bool },
    /// A master, a replica and three Sentinels.
    Sentinel,
    /// Three masters with a replica each.
    Cluster,
}

/// A running one.
#[derive(Debug)]
pub(crate) enum Redis {
    Alone { server: Box<RedisServer>, proxied: bool },
    Sentinel(RedisSentinel),
    Cluster(RedisCluster),
}

impl Redis {
    pub(crate) async fn start(topology: Topology) -> anyhow::Result<Self> {
        let options = RedisOptions { aof: true, ..RedisOptions::default() };
        let started = match topology {
            Topology::Alone { proxied } => {
                RedisServer::start(&options).await.map(|server| Self::Alone { server: Box::new(server), proxied })
            }
            Topology::Sentinel => RedisSentinel::start(1).await.map(Self::Sentinel),
            Topology::Cluster => RedisCluster::start().await.map(Self::Cluster),
        };
        started.context("Redis did not start")
    }

    /// What `REDIS_URL` is for one more process, and the proxy it leads through.
    pub(crate) fn entrance(&self) -> anyhow::Result<(String, Option<Proxy>)> {
        Ok(match self {
            Self::Alone { server, proxied: true } => {
                let proxy = Proxy::start(server.addr())?;
                (server.url_through(proxy.addr()), Some(proxy))
            }
            Self::Alone { server, proxied: false } => (server.url(), None),
            Self::Sentinel(set) => (set.url(), None),
            Self::Cluster(cluster) => (cluster.url(), None),
        })
    }

    /// The one server.
    pub(crate) fn alone(&self) -> anyhow::Result<&RedisServer> {
        match self {
            Self::Alone { server, .. } => Ok(server),
            _ => bail!("this fleet's Redis is not one server"),
        }
    }
}
