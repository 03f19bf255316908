//! The state as JSON: a contract for scripts, described by `tui/schema/once.json`. Raw numbers, units in names, absent
//! for what is not known. Fields are only added; [`SCHEMA_VERSION`] grows when one changes its meaning or goes away.

use crate::{
    model::{Freshness, LinkState, Node, Picture},
    record::escaped,
};
use serde::Serialize;
use shared::{
    clock::Timestamp,
    model::PoolStats,
    protocol::admin::{Alert, Metric, NodeInfo, ProcessStats, RedisStats, State, Stats, Values},
};
use std::collections::BTreeMap;

/// Version of the shape.
const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
struct Answer<'a> {
    schema_version: u32,
    cluster: &'a str,
    /// The newest moment any node told of.
    at: Option<Timestamp>,
    nodes_live: usize,
    socket_limit: u64,
    metrics: Values,
    links: Vec<LinkAnswer<'a>>,
    nodes: Vec<NodeAnswer<'a>>,
    alerts: Vec<&'a Alert>,
}

#[derive(Serialize)]
struct LinkAnswer<'a> {
    name: &'a str,
    up: bool,
    why: Option<&'a str>,
}

#[derive(Serialize)]
struct NodeAnswer<'a> {
    #[serde(flatten)]
    info: &'a NodeInfo,
    live: bool,
    age_ms: Option<u64>,
    state: State,
    at: Option<Timestamp>,
    uptime_ms: Option<u64>,
    metrics: Option<&'a Values>,
    process: Option<&'a ProcessStats>,
    redis: Option<&'a RedisStats>,
    stats: Option<&'a Stats>,
    pools: Vec<PoolAnswer<'a>>,
}

#[derive(Serialize)]
struct PoolAnswer<'a> {
    #[serde(flatten)]
    stats: &'a PoolStats,
    metrics: Option<&'a Values>,
}

/// Everything, as JSON.
pub(super) fn print(picture: &Picture<'_>) -> serde_json::Result<String> {
    let store = picture.store;
    let mut metrics = Values::default();
    for metric in Metric::ALL {
        if let Some(value) = picture.total(*metric) {
            metrics.set(*metric, value);
        }
    }
    let answer = Answer {
        schema_version: SCHEMA_VERSION,
        cluster: store.hello().map_or("", |hello| &hello.cluster),
        at: picture.clock(),
        nodes_live: store.live(picture.now),
        socket_limit: picture.socket_limit(),
        metrics,
        links: store.links().iter().map(link).collect(),
        nodes: store.nodes().iter().map(|node| describe(node, picture)).collect(),
        alerts: picture.alerts(true),
    };
    Ok(escaped(&serde_json::to_string_pretty(&answer)?) + "\n")
}

fn link(link: &crate::model::Link) -> LinkAnswer<'_> {
    let why = if let LinkState::Down { why, .. } = link.state() { Some(why.as_str()) } else { None };
    LinkAnswer { name: link.name(), up: *link.state() == LinkState::Up, why }
}

fn describe<'a>(node: &'a Node, picture: &Picture<'_>) -> NodeAnswer<'a> {
    let tick = node.tick();
    let pools = tick.map(|tick| tick.pools.as_slice()).unwrap_or_default();
    let of_pools: Option<&BTreeMap<String, Values>> = tick.map(|tick| &tick.sample.pools);
    NodeAnswer {
        info: node.info(),
        live: node.freshness(picture.now) == Freshness::Live,
        age_ms: node.age(picture.now).and_then(|age| u64::try_from(age.as_millis()).ok()),
        state: node.state(),
        at: tick.map(|tick| tick.at),
        uptime_ms: tick.map(|tick| tick.uptime_ms),
        metrics: tick.map(|tick| &tick.sample.node),
        process: tick.map(|tick| &tick.process),
        redis: tick.and_then(|tick| tick.redis.as_ref()),
        stats: tick.map(|tick| &tick.stats),
        pools: pools
            .iter()
            .map(|stats| PoolAnswer { stats, metrics: of_pools.and_then(|pools| pools.get(&stats.name)) })
            .collect(),
    }
}
