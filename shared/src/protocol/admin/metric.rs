//! The numbers that have a history: what curves draw, alerts watch and `--check` compares, by one name everywhere.
//!
//! A [`Sample`] holds them for one node and one second; [`History`] holds them for many seconds, a column per series. A
//! metric of a pool is one number per pool, all others one per node. Absent is not zero: a process without sockets has
//! no `connections`, and a second in which the process did not answer is a gap.

use crate::clock::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// What a number counts, so that it can be printed and a threshold be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Things in a second.
    PerSecond,
    /// Bytes.
    Bytes,
    /// Bytes in a second.
    BytesPerSecond,
    /// Milliseconds.
    Millis,
    /// Seconds.
    Seconds,
    /// A share, 0 to 1.
    Share,
    /// CPU cores.
    Cores,
}

/// Whose number it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The node's.
    Node,
    /// Each pool's.
    Pool,
}

macro_rules! metrics {
    ($($name:ident = $text:literal, $scope:ident, $unit:ident, $help:literal;)+) => {
        /// See the module. Names a reader does not know become [`Metric::Unknown`], so that a newer server can have more.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Metric {
            $(#[doc = $help] #[serde(rename = $text)] $name,)+
            /// One this reader does not know.
            #[serde(other)]
            Unknown,
        }

        impl Metric {
            /// Every metric.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its name: on the wire, in rules, in `--check`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)+ Self::Unknown => "unknown" }
            }

            /// Whose it is.
            pub const fn scope(self) -> Scope {
                match self { $(Self::$name => Scope::$scope,)+ Self::Unknown => Scope::Node }
            }

            /// What it counts.
            pub const fn unit(self) -> Unit {
                match self { $(Self::$name => Unit::$unit,)+ Self::Unknown => Unit::Count }
            }

            /// What it says, for people.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$name => $help,)+ Self::Unknown => "a number this program does not know" }
            }
        }
    };
}

metrics! {
    Connections = "connections", Node, Count, "open sockets";
    Authenticated = "authenticated", Node, Count, "open sockets that are signed in";
    ConnectionShare = "connection_share", Node, Share, "open sockets of the node's limit";
    OpenedPerS = "opened_per_s", Node, PerSecond, "sockets opened";
    ClosedPerS = "closed_per_s", Node, PerSecond, "sockets closed";
    AbnormalShare = "abnormal_share", Node, Share, "closes without a close frame (1006) of all closes, over a minute";
    RefusedPerS = "refused_per_s", Node, PerSecond, "upgrades refused";
    SlowConnections = "slow_connections", Node, Count, "sockets that take nothing while frames wait for them";
    FramesInPerS = "frames_in_per_s", Node, PerSecond, "frames from clients";
    FramesOutPerS = "frames_out_per_s", Node, PerSecond, "writes to clients";
    BytesInPerS = "bytes_in_per_s", Node, BytesPerSecond, "payload from clients";
    BytesOutPerS = "bytes_out_per_s", Node, BytesPerSecond, "payload to clients";
    DeliveriesPerS = "deliveries_per_s", Node, PerSecond, "entries and events put into outboxes";
    DroppedPerS = "dropped_per_s", Node, PerSecond, "ephemeral frames that found no room";
    Rooms = "rooms", Node, Count, "rooms this node follows";
    OnlineUsers = "online_users", Node, Count, "users present on the whole cluster";
    RelayedPerS = "relayed_per_s", Node, PerSecond, "inbox rows handed to the engine";
    RelayFailuresPerS = "relay_failures_per_s", Node, PerSecond, "rounds of the relay that failed";
    RelayLagP95Ms = "relay_lag_p95_ms", Node, Millis, "from a row's commit to its delivery, 95th percentile of a minute";
    RequestsPerS = "requests_per_s", Node, PerSecond, "REST answers";
    RequestsInFlight = "requests_in_flight", Node, Count, "REST requests being handled";
    ClientErrorsPerS = "client_errors_per_s", Node, PerSecond, "4xx answers";
    ServerErrorsPerS = "server_errors_per_s", Node, PerSecond, "5xx answers";
    ErrorShare = "error_share", Node, Share, "5xx of all answers, over a minute";
    LatencyP50Ms = "latency_p50_ms", Node, Millis, "REST durations, median of a minute";
    LatencyP95Ms = "latency_p95_ms", Node, Millis, "REST durations, 95th percentile of a minute";
    LatencyP99Ms = "latency_p99_ms", Node, Millis, "REST durations, 99th percentile of a minute";
    CpuCores = "cpu_cores", Node, Cores, "CPU time used";
    RssBytes = "rss_bytes", Node, Bytes, "resident memory";
    OpenFds = "open_fds", Node, Count, "open files and sockets";
    FdShare = "fd_share", Node, Share, "open files of the limit";
    Tasks = "tasks", Node, Count, "tasks alive in the runtime";
    LoopLagMs = "loop_lag_ms", Node, Millis, "how late the sampler's timer was woken";
    OfflineUsers = "offline_users", Node, Count, "users with entries they have not acknowledged";
    OfflineEntries = "offline_entries", Node, Count, "entries not acknowledged by any device";
    OfflineOldestS = "offline_oldest_s", Node, Seconds, "age of the oldest of them";
    RedisPingMs = "redis_ping_ms", Node, Millis, "a PING's way to Redis and back";
    RedisMemoryShare = "redis_memory_share", Node, Share, "Redis' memory of its limit";
    RedisClients = "redis_clients", Node, Count, "connections Redis has";
    RedisOpsPerS = "redis_ops_per_s", Node, PerSecond, "commands Redis does";
    RedisHitShare = "redis_hit_share", Node, Share, "look-ups that found a key";
    RedisEvictedPerS = "redis_evicted_per_s", Node, PerSecond, "keys Redis gave up for want of memory";
    WarningsPerS = "warnings_per_s", Node, PerSecond, "log lines at WARN";
    LoggedErrorsPerS = "logged_errors_per_s", Node, PerSecond, "log lines at ERROR";
    Consoles = "consoles", Node, Count, "consoles that listen";
    ConsoleBytesPerS = "console_bytes_per_s", Node, BytesPerSecond, "sent to consoles";
    ConsoleCores = "console_cores", Node, Cores, "CPU time used for consoles";
    PoolInUse = "pool_in_use", Pool, Count, "database connections working";
    PoolConnections = "pool_connections", Pool, Count, "database connections open";
    PoolSaturation = "pool_saturation", Pool, Share, "connections working of the most that may be open";
    PoolWaiting = "pool_waiting", Pool, Count, "callers waiting for a connection";
    PoolGetsPerS = "pool_gets_per_s", Pool, PerSecond, "connections asked for";
    PoolTimeoutsPerS = "pool_timeouts_per_s", Pool, PerSecond, "asked for in vain";
    PoolWaitP95Ms = "pool_wait_p95_ms", Pool, Millis, "wait for a connection, 95th percentile of a minute";
    PoolFaultsPerS = "pool_faults_per_s", Pool, PerSecond, "connections closed because they were broken or invalid";
    PoolChurnPerMin = "pool_churn_per_min", Pool, Count, "connections opened or closed in the last minute";
}

impl Metric {
    /// Its place in [`Metric::ALL`]; none for an unknown one.
    pub fn index(self) -> Option<usize> {
        let at = self as usize;
        (at < Self::ALL.len()).then_some(at)
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no metric.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no metric {0:?}")]
pub struct UnknownMetric(pub String);

impl FromStr for Metric {
    type Err = UnknownMetric;

    /// By its name; a dot is taken for an underscore (`pool.saturation`).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.replace('.', "_");
        Self::ALL.iter().copied().find(|metric| metric.name() == name).ok_or_else(|| UnknownMetric(text.into()))
    }
}

/// A number per metric; many are absent.
#[derive(Clone, PartialEq)]
pub struct Values([Option<f32>; Metric::ALL.len()]);

impl Default for Values {
    fn default() -> Self {
        Self([None; Metric::ALL.len()])
    }
}

impl Values {
    /// The number, if it is known.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        self.0[metric.index()?].map(f64::from)
    }

    /// Sets it. What is no finite number is absent.
    pub fn set(&mut self, metric: Metric, value: f64) {
        if let Some(at) = metric.index() {
            #[expect(clippy::cast_possible_truncation, reason = "seven digits are more than a curve shows")]
            let value = value as f32;
            self.0[at] = value.is_finite().then_some(value);
        }
    }

    /// Those that are known.
    pub fn iter(&self) -> impl Iterator<Item = (Metric, f64)> {
        Metric::ALL.iter().zip(&self.0).filter_map(|(metric, value)| Some((*metric, f64::from((*value)?))))
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(metric, value)| (metric.name(), value))).finish()
    }
}

/// An object of names and numbers.
impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let known = Metric::ALL.iter().zip(&self.0).filter_map(|(metric, value)| Some((metric.name(), (*value)?)));
        serializer.collect_map(known)
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> de::Visitor<'de> for Object {
            type Value = Values;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("numbers by metric")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Values, A::Error> {
                let mut values = Values::default();
                while let Some((metric, value)) = map.next_entry::<Metric, f64>()? {
                    values.set(metric, value);
                }
                Ok(values)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// One node in one second: rates over that second, gauges at its end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sample {
    /// The node's numbers.
    pub node: Values,
    /// Each pool's.
    pub pools: BTreeMap<String, Values>,
}

impl Sample {
    /// One number: the node's, or with `of` a pool's.
    pub fn get(&self, metric: Metric, of: Option<&str>) -> Option<f64> {
        match of {
            None => self.node.get(metric),
            Some(pool) => self.pools.get(pool)?.get(metric),
        }
    }
}

/// What a node remembers: one message per node and resolution, right after the hello.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Whose.
    pub node: String,
    /// When the first point was taken; the others follow at even steps.
    pub from: Timestamp,
    /// Time between two points, in milliseconds: 1 000 for the last 15 minutes, 60 000 for the last day.
    pub step_ms: u64,
    /// A column per series; those that never had a value are left out.
    pub series: Vec<Series>,
}

/// One column of [`History`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// What.
    pub metric: Metric,
    /// Whose: a pool's name; absent for the node's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// A point per step; `null` is a gap.
    pub values: Vec<Option<f32>>,
}

/// Seconds remembered at one point a second.
pub const FINE_POINTS: usize = 900;
/// Minutes remembered at one point a minute.
pub const COARSE_POINTS: usize = 1_440;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_metric_has_a_name_of_its_own_and_is_found_by_it() {
        let names: HashSet<_> = Metric::ALL.iter().map(|metric| metric.name()).collect();
        assert_eq!(names.len(), Metric::ALL.len());
        for metric in Metric::ALL {
            assert_eq!(metric.name().parse(), Ok(*metric));
            assert_eq!(serde_json::to_string(metric).unwrap(), format!("{:?}", metric.name()));
            assert_eq!(metric.name().starts_with("pool_"), metric.scope() == Scope::Pool, "{metric}");
        }
        assert_eq!("pool.saturation".parse(), Ok(Metric::PoolSaturation));
        assert!("unknown".parse::<Metric>().is_err());
    }

    #[test]
    fn samples_read_back_and_a_newer_servers_metrics_are_passed_over() {
        let mut sample = Sample::default();
        sample.node.set(Metric::Connections, 3.0);
        sample.node.set(Metric::LatencyP95Ms, f64::NAN);
        sample.pools.entry("postgres".into()).or_default().set(Metric::PoolWaiting, 1.5);
        let json = serde_json::to_string(&sample).unwrap();
        assert_eq!(json, r#"{"node":{"connections":3.0},"pools":{"postgres":{"pool_waiting":1.5}}}"#);
        let newer = json.replace(r#"{"connections""#, r#"{"from_the_future":7,"connections""#);
        assert_eq!(serde_json::from_str::<Sample>(&newer).unwrap(), sample);
        assert_eq!(sample.get(Metric::PoolWaiting, Some("postgres")), Some(1.5));
        assert_eq!(sample.get(Metric::PoolWaiting, Some("other")), None);
        let series = r#"{"metric":"from_the_future","values":[1,null]}"#;
        assert_eq!(serde_json::from_str::<Series>(series).unwrap().metric, Metric::Unknown);
    }
}
