//! Counters of a process at one moment: what `/metrics` renders and the console draws. Counters count from the start
//! of the process, so that a reader who missed ticks still gets rates right: they subtract two moments.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Everything a process counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stats {
    /// REST.
    pub http: HttpStats,
    /// WebSockets.
    pub sockets: SocketStats,
    /// From inbox rows to the engine.
    pub relay: RelayStats,
    /// Errors by stable code.
    pub errors: Vec<NamedCount>,
}

/// The REST side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HttpStats {
    /// Requests being handled now.
    pub in_flight: u64,
    /// Requests that ended without an answer: the client left, or the handler panicked.
    pub abandoned: u64,
    /// Answers so far, by class: 1xx, 2xx, 3xx, 4xx, 5xx.
    pub by_class: [u64; 5],
    /// Durations of all routes together.
    pub durations: Histogram,
    /// What happened on each route that was asked for at least once. Not in the ticks of the stream: the endpoints view
    /// shows them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<RouteStats>,
}

impl HttpStats {
    /// Sums up the routes.
    pub fn of(in_flight: u64, abandoned: u64, routes: Vec<RouteStats>) -> Self {
        let mut all = Self { in_flight, abandoned, ..Self::default() };
        for route in &routes {
            all.durations.add(&route.durations);
            all.by_class = std::array::from_fn(|class| all.by_class[class] + route.by_class[class]);
        }
        Self { routes, ..all }
    }
}

/// One method and route template (never a raw path: the number of series must not be the client's choice).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RouteStats {
    /// `GET`, `POST`, …
    pub method: String,
    /// `/api/pitches/{id}`, …
    pub route: String,
    /// Answers by class: 1xx, 2xx, 3xx, 4xx, 5xx.
    pub by_class: [u64; 5],
    /// Those of the 4xx that were refused for asking too often (429).
    pub limited: u64,
    /// From the request's head to the answer's head.
    pub durations: Histogram,
}

/// The realtime side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SocketStats {
    /// Open and authenticated now.
    pub authenticated: u64,
    /// Open and not (yet) authenticated now.
    pub anonymous: u64,
    /// Upgrades that became sockets.
    pub accepted: u64,
    /// Upgrades that were refused, by reason.
    pub refused: Vec<NamedCount>,
    /// Sockets that ended, by close code.
    pub closed: Vec<CloseCount>,
    /// Frames from clients.
    pub frames_in: u64,
    /// Frames to clients.
    pub frames_out: u64,
    /// Payload bytes from clients.
    pub bytes_in: u64,
    /// Payload bytes to clients.
    pub bytes_out: u64,
    /// Inbox entries put into outboxes.
    pub inbox_deliveries: u64,
    /// Room events put into outboxes.
    pub event_deliveries: u64,
    /// Typing, presence and the like put into outboxes.
    pub ephemeral_deliveries: u64,
    /// Ephemeral frames that a newer one replaced or that found no room.
    pub ephemeral_dropped: u64,
}

impl SocketStats {
    /// Sockets open now.
    pub fn open(&self) -> u64 {
        self.authenticated + self.anonymous
    }

    /// Sockets that ended with this code.
    pub fn closed_with(&self, code: u16) -> u64 {
        self.closed.iter().filter(|close| close.code == code).map(|close| close.count).sum()
    }

    /// Sockets that ended, whatever the reason.
    pub fn closed_total(&self) -> u64 {
        self.closed.iter().map(|close| close.count).sum()
    }
}

/// The relay: from committed inbox rows to the engine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RelayStats {
    /// Inbox rows handed to the engine.
    pub delivered: u64,
    /// Rounds that failed and will be repeated.
    pub failures: u64,
    /// From a row's commit to its delivery.
    pub lag: Histogram,
}

/// What the operating system and the runtime say about a process; zero where they do not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessStats {
    /// Resident memory.
    pub rss_bytes: u64,
    /// CPU time so far, in milliseconds, all threads together.
    pub cpu_ms: u64,
    /// Threads.
    pub threads: u64,
    /// Open files and sockets.
    pub open_fds: u64,
    /// Most that may be open.
    pub max_fds: u64,
    /// Tasks alive in the runtime.
    pub tasks: u64,
    /// How late this tick was woken, in microseconds: what every task waits when the machine is busy.
    pub loop_lag_us: u64,
}

/// What Redis says about itself, asked by one node every few seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RedisStats {
    /// Whether it answered.
    pub up: bool,
    /// `primary`, `replica`, or what it says.
    pub role: String,
    /// Its release.
    pub version: String,
    /// A PING's way there and back, in microseconds.
    pub ping_us: u64,
    /// Memory used.
    pub memory_bytes: u64,
    /// Most memory it may use; 0 without a limit.
    pub memory_limit_bytes: u64,
    /// Connections.
    pub clients: u64,
    /// Connections that wait in a blocking command.
    pub blocked_clients: u64,
    /// Commands a second, by its own word.
    pub ops_per_s: u64,
    /// Look-ups that found a key.
    pub hits: u64,
    /// Look-ups that did not.
    pub misses: u64,
    /// Keys given up for want of memory.
    pub evicted: u64,
    /// Connections refused because there were too many.
    pub rejected: u64,
    /// Channels somebody is subscribed to.
    pub channels: u64,
    /// Replicas connected to it.
    pub replicas: u64,
    /// Seconds since it began.
    pub uptime_s: u64,
    /// The last error on the way to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// A count under a name from a closed set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedCount {
    /// The name.
    pub name: String,
    /// The count.
    pub count: u64,
}

/// Sockets that ended for one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseCount {
    /// The close code.
    pub code: u16,
    /// Its meaning.
    pub reason: String,
    /// How many.
    pub count: u64,
}

/// Upper bounds of the buckets of every [`Histogram`], in microseconds; the last bucket is open.
///
/// OpenTelemetry's advice for request durations, refined below 5 ms, where an embedded platform's reads live.
pub const BOUNDS_US: [u64; 17] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 75_000, 100_000, 250_000, 500_000, 750_000, 1_000_000, 2_500_000,
    5_000_000, 7_500_000, 10_000_000,
];

/// Durations in fixed buckets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// How many fell into each bucket of [`BOUNDS_US`], and above the last.
    pub counts: [u64; BOUNDS_US.len() + 1],
    /// The sum of all durations, in microseconds.
    pub sum_us: u64,
}

impl Histogram {
    /// The bucket of a duration.
    pub fn bucket(us: u64) -> usize {
        BOUNDS_US.partition_point(|bound| *bound < us)
    }

    /// How many durations there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Adds another histogram's durations.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(other.counts) {
            *mine += theirs;
        }
        self.sum_us += other.sum_us;
    }

    /// What came after an earlier moment of the same histogram; all of it if that was another process's.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        if self.counts.iter().zip(earlier.counts).any(|(now, then)| *now < then) {
            return self.clone();
        }
        let counts = std::array::from_fn(|bucket| self.counts[bucket] - earlier.counts[bucket]);
        Self { counts, sum_us: self.sum_us.saturating_sub(earlier.sum_us) }
    }

    /// An estimate of the quantile `q` (0 to 1), straight within its bucket; nothing if there are no durations. In the
    /// open bucket it is the last bound: "at least".
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let total = self.count();
        if total == 0 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "an estimate; counts stay far below 2^52")]
        let rank = q.clamp(0.0, 1.0) * total as f64;
        let mut below = 0.0;
        for (bucket, count) in self.counts.iter().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "as above")]
            let count = *count as f64;
            if below + count >= rank && count > 0.0 {
                return Some(within(bucket, (rank - below) / count));
            }
            below += count;
        }
        None
    }
}

fn within(bucket: usize, share: f64) -> Duration {
    let lower = bucket.checked_sub(1).map_or(0, |below| BOUNDS_US[below]);
    let width = BOUNDS_US.get(bucket).map_or(0, |upper| upper - lower);
    Duration::from_micros(lower) + Duration::from_micros(width).mul_f64(share.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(durations: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        for us in durations {
            histogram.counts[Histogram::bucket(*us)] += 1;
            histogram.sum_us += us;
        }
        histogram
    }

    #[test]
    fn nothing_measured_has_no_quantiles() {
        assert_eq!(Histogram::default().quantile(0.95), None);
        assert_eq!(of(&[20_000_000]).quantile(0.5), Some(Duration::from_secs(10)), "the open bucket says at least");
    }

    #[test]
    fn a_restarted_process_does_not_give_negative_rates() {
        let (before, after) = (of(&[1, 2, 3]), of(&[7]));
        assert_eq!(after.since(&before), after);
        assert_eq!(of(&[1, 2, 3]).since(&of(&[1])).count(), 2);
    }

    proptest! {
        #[test]
        fn a_quantile_lies_in_the_bucket_of_the_true_one(mut durations in prop::collection::vec(0_u64..10_000_000, 1..200), q in 0.01_f64..1.0) {
            let estimate = of(&durations).quantile(q).unwrap();
            durations.sort_unstable();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "small positive numbers")]
            let rank = ((q * durations.len() as f64).ceil() as usize).clamp(1, durations.len());
            let bucket = Histogram::bucket(durations[rank - 1]);
            let lower = bucket.checked_sub(1).map_or(0, |below| BOUNDS_US[below]);
            let us = u64::try_from(estimate.as_micros()).unwrap();
            prop_assert!(lower <= us && us <= BOUNDS_US[bucket], "{us} outside {lower}..={}", BOUNDS_US[bucket]);
        }
    }
}
