//! The state as JSON: a contract for scripts. Raw numbers, units in names, null for what is not known. Fields are only
//! added; [`SCHEMA_VERSION`] grows when one changes its meaning or goes away.

use crate::{
    figures::is_hostile,
    model::{Freshness, Moment, Node, Store},
};
use serde::Serialize;
use shared::{
    clock::Timestamp,
    model::PoolStats,
    protocol::admin::{CloseCount, NamedCount, ProcessStats, State},
};
use std::fmt::Write as _;

/// Version of the shape.
const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
struct Answer<'a> {
    schema_version: u32,
    nodes_live: usize,
    sockets_open: u64,
    sockets_authenticated: u64,
    socket_limit: u64,
    requests_in_flight: u64,
    requests_last_minute: u64,
    server_errors_last_minute: u64,
    request_p95_us: Option<u64>,
    rates_per_second: Option<RatesAnswer>,
    errors: &'a [NamedCount],
    closed_sockets: &'a [CloseCount],
    nodes: Vec<NodeAnswer<'a>>,
}

#[derive(Serialize)]
struct RatesAnswer {
    sockets_opened: f64,
    sockets_closed: f64,
    frames_in: f64,
    frames_out: f64,
    requests: f64,
}

#[derive(Serialize)]
struct NodeAnswer<'a> {
    name: &'a str,
    live: bool,
    age_ms: Option<u64>,
    version: Option<&'a str>,
    environment: Option<&'a str>,
    pid: Option<u32>,
    started_at: Option<Timestamp>,
    at: Option<Timestamp>,
    uptime_ms: Option<u64>,
    state: Option<State>,
    cpu_cores: Option<f64>,
    process: Option<&'a ProcessStats>,
    pools: Vec<PoolAnswer<'a>>,
}

#[derive(Serialize)]
struct PoolAnswer<'a> {
    #[serde(flatten)]
    stats: &'a PoolStats,
    gets_per_second: Option<f64>,
    timeouts_per_second: Option<f64>,
    churn_per_minute: Option<f64>,
}

/// Everything, as JSON.
pub(super) fn print(store: &Store, now: Moment) -> serde_json::Result<String> {
    let sum = store.cluster(now);
    let answer = Answer {
        schema_version: SCHEMA_VERSION,
        nodes_live: store.live(now),
        sockets_open: sum.sockets,
        sockets_authenticated: sum.authenticated,
        socket_limit: sum.socket_limit,
        requests_in_flight: sum.in_flight,
        requests_last_minute: sum.minute.answers,
        server_errors_last_minute: sum.minute.failures,
        request_p95_us: sum.minute.p95().and_then(|p95| u64::try_from(p95.as_micros()).ok()),
        rates_per_second: sum.has_rates.then_some(RatesAnswer {
            sockets_opened: sum.opened,
            sockets_closed: sum.closed,
            frames_in: sum.frames_in,
            frames_out: sum.frames_out,
            requests: sum.requests,
        }),
        errors: &sum.errors,
        closed_sockets: &sum.closes,
        nodes: store.nodes().iter().map(|node| describe(node, now)).collect(),
    };
    Ok(escaped(&serde_json::to_string_pretty(&answer)?))
}

fn describe(node: &Node, now: Moment) -> NodeAnswer<'_> {
    let (hello, tick, rates) = (node.hello(), node.tick(), node.rates());
    let pools = tick.map(|tick| tick.pools.as_slice()).unwrap_or_default();
    NodeAnswer {
        name: node.name(),
        live: node.freshness(now) == Freshness::Live,
        age_ms: node.age(now).and_then(|age| u64::try_from(age.as_millis()).ok()),
        version: hello.map(|hello| hello.node.version.as_str()),
        environment: hello.map(|hello| hello.node.environment.as_str()),
        pid: hello.map(|hello| hello.node.pid),
        started_at: hello.map(|hello| hello.node.started_at),
        at: tick.map(|tick| tick.at),
        uptime_ms: tick.map(|tick| tick.uptime_ms),
        state: tick.map(|tick| tick.state),
        cpu_cores: rates.map(|rates| rates.cores),
        process: tick.map(|tick| &tick.process),
        pools: pools
            .iter()
            .enumerate()
            .map(|(at, stats)| {
                let rates = rates.and_then(|rates| rates.pools.get(at));
                PoolAnswer {
                    stats,
                    gets_per_second: rates.map(|rates| rates.gets),
                    timeouts_per_second: rates.map(|rates| rates.timeouts),
                    churn_per_minute: rates.map(|rates| rates.churn_per_minute),
                }
            })
            .collect(),
    }
}

/// JSON allows some characters as they are that a terminal would obey: DEL, the C1 set, changes of direction.
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        if c != '\n' && is_hostile(c) {
            write!(out, "\\u{:04x}", u32::from(c)).expect("a string takes any text");
        } else {
            out.push(c);
        }
    }
    out.push('\n');
    out
}
