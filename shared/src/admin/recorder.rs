//! From counters to rates: what a process did in the last second and in the last minute, as one [`Sample`].
//!
//! Pure: moments go in, samples come out. Rates are those of the last second; shares and percentiles are those of the
//! last minute, because one second holds too few requests to say anything.

use super::SocketGauges;
use crate::{
    clock::Timestamp,
    model::PoolStats,
    protocol::admin::{Histogram, Metric, ProcessStats, RedisStats, Sample, Stats, Values},
};
use std::collections::VecDeque;

/// Moments kept: a minute and its beginning.
const WINDOW: usize = 61;

/// A process at one moment, in counters.
#[derive(Clone, Debug, Default)]
pub(super) struct Moment {
    pub(super) at: Timestamp,
    pub(super) stats: Stats,
    pub(super) process: ProcessStats,
    pub(super) pools: Vec<PoolStats>,
    pub(super) redis: Option<RedisStats>,
    pub(super) gauges: Gauges,
}

/// Numbers from elsewhere that have a history of their own.
#[derive(Clone, Debug, Default)]
pub(super) struct Gauges {
    /// Most sockets; 0 if the process takes none.
    pub(super) socket_limit: u64,
    /// What the gateway says; none for a process without one.
    pub(super) sockets: Option<SocketGauges>,
    /// Users present on the whole cluster.
    pub(super) online_users: Option<u64>,
    /// Consoles that listen.
    pub(super) consoles: u32,
    /// Bytes sent to consoles so far.
    pub(super) console_bytes: u64,
    /// CPU time used for consoles so far, in microseconds.
    pub(super) console_cpu_us: u64,
    /// Log lines so far: at WARN, at ERROR.
    pub(super) logged: (u64, u64),
    /// Users with a queue, entries in all queues, age of the oldest in seconds.
    pub(super) offline: Option<(u64, u64, u64)>,
}

/// The last minute of a process.
#[derive(Debug, Default)]
pub(super) struct Recorder(VecDeque<Moment>);

impl Recorder {
    /// Takes in a moment; the sample of the second before it. Without a second before there are no rates in it.
    pub(super) fn push(&mut self, now: Moment) -> Sample {
        let mut sample = Sample::default();
        levels(&mut sample.node, &now);
        if let (Some(last), Some(first)) = (self.0.back(), self.0.front()) {
            let seconds = now.at.since(last.at).as_secs_f64();
            if seconds > 0.01 {
                rates(&mut sample.node, last, &now, seconds);
            }
            shares(&mut sample.node, first, &now);
            for pool in &now.pools {
                let of = |moment: &Moment| moment.pools.iter().find(|earlier| earlier.name == pool.name).cloned();
                let values = sample.pools.entry(pool.name.clone()).or_default();
                pool_values(values, pool, of(last).zip(of(first)), seconds);
            }
        } else {
            for pool in &now.pools {
                pool_values(sample.pools.entry(pool.name.clone()).or_default(), pool, None, 1.0);
            }
        }
        if self.0.len() == WINDOW {
            self.0.pop_front();
        }
        self.0.push_back(now);
        sample
    }

    /// The moment a minute ago, or the oldest there is.
    pub(super) fn minute_ago(&self) -> Option<&Moment> {
        self.0.front()
    }

    /// The newest moment.
    pub(super) fn newest(&self) -> Option<&Moment> {
        self.0.back()
    }
}

#[expect(clippy::cast_precision_loss, reason = "curves; counts stay far below 2^52")]
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[expect(clippy::cast_precision_loss, reason = "curves; counts stay far below 2^52")]
fn level(values: &mut Values, metric: Metric, value: u64) {
    values.set(metric, value as f64);
}

fn set(values: &mut Values, metric: Metric, value: Option<f64>) {
    if let Some(value) = value {
        values.set(metric, value);
    }
}

/// What is true at the moment itself.
#[expect(clippy::cast_precision_loss, reason = "curves; counts stay far below 2^52")]
fn levels(values: &mut Values, now: &Moment) {
    let Moment { stats, process, gauges, .. } = now;
    if gauges.socket_limit > 0 {
        level(values, Metric::Connections, stats.sockets.open());
        level(values, Metric::Authenticated, stats.sockets.authenticated);
        set(values, Metric::ConnectionShare, share(stats.sockets.open(), gauges.socket_limit));
    }
    if let Some(sockets) = gauges.sockets {
        level(values, Metric::SlowConnections, sockets.slow);
        level(values, Metric::Rooms, sockets.rooms);
    }
    if let Some(users) = gauges.online_users {
        level(values, Metric::OnlineUsers, users);
    }
    if let Some((users, entries, oldest_s)) = gauges.offline {
        level(values, Metric::OfflineUsers, users);
        level(values, Metric::OfflineEntries, entries);
        level(values, Metric::OfflineOldestS, oldest_s);
    }
    level(values, Metric::RequestsInFlight, stats.http.in_flight);
    level(values, Metric::RssBytes, process.rss_bytes);
    level(values, Metric::OpenFds, process.open_fds);
    set(values, Metric::FdShare, share(process.open_fds, process.max_fds));
    level(values, Metric::Tasks, process.tasks);
    values.set(Metric::LoopLagMs, process.loop_lag_us as f64 / 1e3);
    level(values, Metric::Consoles, gauges.consoles.into());
    if let Some(redis) = now.redis.as_ref().filter(|redis| redis.up) {
        values.set(Metric::RedisPingMs, redis.ping_us as f64 / 1e3);
        set(values, Metric::RedisMemoryShare, share(redis.memory_bytes, redis.memory_limit_bytes));
        level(values, Metric::RedisClients, redis.clients);
        level(values, Metric::RedisOpsPerS, redis.ops_per_s);
    }
}

/// What happened in the last second.
fn rates(values: &mut Values, last: &Moment, now: &Moment, seconds: f64) {
    #[expect(clippy::cast_precision_loss, reason = "curves; counts stay far below 2^52")]
    let mut rate = |metric, before: u64, after: u64| values.set(metric, after.saturating_sub(before) as f64 / seconds);
    let (old, new) = (&last.stats, &now.stats);
    if now.gauges.socket_limit > 0 {
        let refused = |stats: &Stats| stats.sockets.refused.iter().map(|row| row.count).sum();
        let delivered = |stats: &Stats| {
            let sockets = &stats.sockets;
            sockets.inbox_deliveries + sockets.event_deliveries + sockets.ephemeral_deliveries
        };
        rate(Metric::OpenedPerS, old.sockets.accepted, new.sockets.accepted);
        rate(Metric::ClosedPerS, old.sockets.closed_total(), new.sockets.closed_total());
        rate(Metric::RefusedPerS, refused(old), refused(new));
        rate(Metric::FramesInPerS, old.sockets.frames_in, new.sockets.frames_in);
        rate(Metric::FramesOutPerS, old.sockets.frames_out, new.sockets.frames_out);
        rate(Metric::BytesInPerS, old.sockets.bytes_in, new.sockets.bytes_in);
        rate(Metric::BytesOutPerS, old.sockets.bytes_out, new.sockets.bytes_out);
        rate(Metric::DeliveriesPerS, delivered(old), delivered(new));
        rate(Metric::DroppedPerS, old.sockets.ephemeral_dropped, new.sockets.ephemeral_dropped);
    }
    rate(Metric::RelayedPerS, old.relay.delivered, new.relay.delivered);
    rate(Metric::RelayFailuresPerS, old.relay.failures, new.relay.failures);
    rate(Metric::RequestsPerS, old.http.by_class.iter().sum(), new.http.by_class.iter().sum());
    rate(Metric::ClientErrorsPerS, old.http.by_class[3], new.http.by_class[3]);
    rate(Metric::ServerErrorsPerS, old.http.by_class[4], new.http.by_class[4]);
    rate(Metric::WarningsPerS, last.gauges.logged.0, now.gauges.logged.0);
    rate(Metric::LoggedErrorsPerS, last.gauges.logged.1, now.gauges.logged.1);
    rate(Metric::ConsoleBytesPerS, last.gauges.console_bytes, now.gauges.console_bytes);
    if let (Some(old), Some(new)) = (&last.redis, &now.redis) {
        rate(Metric::RedisEvictedPerS, old.evicted, new.evicted);
    }
    let cpu_us = (last.process.cpu_ms * 1_000, now.process.cpu_ms * 1_000);
    rate(Metric::CpuCores, cpu_us.0, cpu_us.1);
    rate(Metric::ConsoleCores, last.gauges.console_cpu_us, now.gauges.console_cpu_us);
    for metric in [Metric::CpuCores, Metric::ConsoleCores] {
        set(values, metric, values.get(metric).map(|us| us / 1e6));
    }
}

/// What the last minute was like.
fn shares(values: &mut Values, first: &Moment, now: &Moment) {
    let millis = |durations: &Histogram, q| durations.quantile(q).map(|time| time.as_secs_f64() * 1e3);
    let (old, new) = (&first.stats, &now.stats);
    let answers = |stats: &Stats| stats.http.by_class.iter().sum::<u64>();
    let failed = new.http.by_class[4].saturating_sub(old.http.by_class[4]);
    set(values, Metric::ErrorShare, share(failed, answers(new).saturating_sub(answers(old))));
    let durations = new.http.durations.since(&old.http.durations);
    set(values, Metric::LatencyP50Ms, millis(&durations, 0.5));
    set(values, Metric::LatencyP95Ms, millis(&durations, 0.95));
    set(values, Metric::LatencyP99Ms, millis(&durations, 0.99));
    set(values, Metric::RelayLagP95Ms, millis(&new.relay.lag.since(&old.relay.lag), 0.95));
    let closed = new.sockets.closed_total().saturating_sub(old.sockets.closed_total());
    let abnormal = new.sockets.closed_with(1006).saturating_sub(old.sockets.closed_with(1006));
    set(values, Metric::AbnormalShare, share(abnormal, closed));
    if let (Some(old), Some(new)) = (&first.redis, &now.redis) {
        let (hits, misses) = (new.hits.saturating_sub(old.hits), new.misses.saturating_sub(old.misses));
        set(values, Metric::RedisHitShare, share(hits, hits + misses));
    }
}

/// One pool; `earlier` is how it was a second and a minute ago.
#[expect(clippy::cast_precision_loss, reason = "curves; counts stay far below 2^52")]
fn pool_values(values: &mut Values, pool: &PoolStats, earlier: Option<(PoolStats, PoolStats)>, seconds: f64) {
    level(values, Metric::PoolInUse, pool.in_use.into());
    level(values, Metric::PoolConnections, pool.connections.into());
    set(values, Metric::PoolSaturation, share(pool.in_use.into(), pool.max_size.into()));
    level(values, Metric::PoolWaiting, pool.waiting.into());
    let Some((last, first)) = earlier else { return };
    if seconds > 0.01 {
        let mut rate = |metric, before: u64, after: u64| {
            values.set(metric, after.saturating_sub(before) as f64 / seconds);
        };
        rate(Metric::PoolGetsPerS, last.gets, pool.gets);
        rate(Metric::PoolTimeoutsPerS, last.timeouts, pool.timeouts);
        rate(Metric::PoolFaultsPerS, faults(&last), faults(pool));
    }
    let waits = pool.waits.since(&first.waits).quantile(0.95);
    set(values, Metric::PoolWaitP95Ms, waits.map(|wait| wait.as_secs_f64() * 1e3));
    level(values, Metric::PoolChurnPerMin, churn(pool).saturating_sub(churn(&first)));
}

fn faults(pool: &PoolStats) -> u64 {
    pool.closed_broken + pool.closed_invalid
}

fn churn(pool: &PoolStats) -> u64 {
    pool.created + faults(pool) + pool.closed_max_lifetime + pool.closed_idle
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use std::time::Duration;

    fn moment(second: u64, metrics: &Metrics) -> Moment {
        Moment {
            at: Timestamp::default() + Duration::from_secs(second),
            stats: metrics.stats(),
            process: ProcessStats { cpu_ms: second * 250, ..ProcessStats::default() },
            gauges: Gauges { socket_limit: 100, ..Gauges::default() },
            ..Moment::default()
        }
    }

    #[test]
    fn the_first_moment_has_levels_and_no_rates() {
        let metrics = Metrics::new();
        let sample = Recorder::default().push(moment(0, &metrics));
        assert_eq!(sample.get(Metric::Connections, None), Some(0.0));
        assert_eq!(sample.get(Metric::RequestsPerS, None), None);
        assert_eq!(sample.get(Metric::LatencyP95Ms, None), None, "nothing was measured: absent, not zero");
    }

    #[test]
    fn rates_are_of_the_second_and_shares_of_the_minute() {
        let (metrics, mut recorder) = (Metrics::new(), Recorder::default());
        recorder.push(moment(0, &metrics));
        (0..8).for_each(|_| metrics.request().finish("GET", "/", 200));
        metrics.request().finish("GET", "/", 503);
        metrics.request().finish("GET", "/", 429);
        let open = metrics.socket();
        let sample = recorder.push(moment(2, &metrics));
        let get = |metric| sample.get(metric, None);
        assert_eq!((get(Metric::RequestsPerS), get(Metric::ServerErrorsPerS)), (Some(5.0), Some(0.5)));
        assert_eq!((get(Metric::OpenedPerS), get(Metric::ConnectionShare)), (Some(0.5), Some(f64::from(0.01_f32))));
        assert_eq!((get(Metric::ErrorShare), get(Metric::CpuCores)), (Some(f64::from(0.1_f32)), Some(0.25)));
        assert!(get(Metric::LatencyP95Ms).is_some());
        drop(open);
        for second in 3..70 {
            recorder.push(moment(second, &metrics));
        }
        let later = recorder.push(moment(70, &metrics));
        assert_eq!(later.get(Metric::ErrorShare, None), None, "a minute later nothing of it is left");
    }

    #[test]
    fn a_pools_percentile_is_that_of_the_minute_and_its_share_of_its_size() {
        let pool = |gets: u64, slow: u64| {
            let mut waits = Histogram::default();
            waits.counts[0] = gets - slow;
            waits.counts[9] = slow;
            PoolStats {
                name: "postgres".into(),
                max_size: 4,
                in_use: 3,
                gets,
                waits,
                timeouts: 1,
                ..PoolStats::default()
            }
        };
        let at = |second, pool| Moment { pools: vec![pool], ..moment(second, &Metrics::new()) };
        let mut recorder = Recorder::default();
        recorder.push(at(0, pool(100, 100)));
        let sample = recorder.push(at(1, pool(300, 100)));
        let get = |metric| sample.get(metric, Some("postgres"));
        assert_eq!((get(Metric::PoolSaturation), get(Metric::PoolGetsPerS)), (Some(0.75), Some(200.0)));
        assert_eq!(get(Metric::PoolTimeoutsPerS), Some(0.0));
        assert!(get(Metric::PoolWaitP95Ms).unwrap() <= 0.5, "the slow ones were before");
    }
}
