//! From counters to rates: two moments of one process, subtracted. A process that began anew has no rate yet; its
//! counters started over and would give nonsense.

use crate::figures::share;
use shared::{
    model::PoolStats,
    protocol::admin::{Histogram, Tick},
};
use std::{collections::VecDeque, time::Duration};

/// Ticks over which error shares and percentiles are taken: one second alone holds too few requests to say anything.
const WINDOW: usize = 60;

/// What a process does in a second.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rates {
    /// Sockets opened.
    pub(crate) opened: f64,
    /// Sockets closed.
    pub(crate) closed: f64,
    /// Frames from clients.
    pub(crate) frames_in: f64,
    /// Frames to clients.
    pub(crate) frames_out: f64,
    /// REST answers.
    pub(crate) requests: f64,
    /// CPU, in cores.
    pub(crate) cores: f64,
    /// By pool, in the order of the tick.
    pub(crate) pools: Vec<PoolRates>,
}

/// What a pool does in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct PoolRates {
    /// Connections asked for.
    pub(crate) gets: f64,
    /// Asked for in vain.
    pub(crate) timeouts: f64,
    /// Connections opened or closed, a minute.
    pub(crate) churn_per_minute: f64,
}

impl Rates {
    /// The rates between two ticks; none if they are not two moments of one life.
    pub(crate) fn between(before: &Tick, after: &Tick) -> Option<Self> {
        let seconds = after.at.since(before.at).as_secs_f64();
        if after.seq <= before.seq || after.uptime_ms < before.uptime_ms || seconds < 0.001 {
            return None;
        }
        let per_second = |before: u64, after: u64| share(after.saturating_sub(before), 1) / seconds;
        let (old, new) = (&before.stats, &after.stats);
        Some(Self {
            opened: per_second(old.sockets.accepted, new.sockets.accepted),
            closed: per_second(old.sockets.closed_total(), new.sockets.closed_total()),
            frames_in: per_second(old.sockets.frames_in, new.sockets.frames_in),
            frames_out: per_second(old.sockets.frames_out, new.sockets.frames_out),
            requests: per_second(old.http.by_class.iter().sum(), new.http.by_class.iter().sum()),
            cores: per_second(before.process.cpu_ms, after.process.cpu_ms) / 1e3,
            pools: after.pools.iter().map(|pool| PoolRates::of(pool, &before.pools, seconds)).collect(),
        })
    }
}

impl PoolRates {
    fn of(now: &PoolStats, before: &[PoolStats], seconds: f64) -> Self {
        let Some(before) = before.iter().find(|pool| pool.name == now.name) else { return Self::default() };
        let per_second = |before: u64, after: u64| share(after.saturating_sub(before), 1) / seconds;
        Self {
            gets: per_second(before.gets, now.gets),
            timeouts: per_second(before.timeouts, now.timeouts),
            churn_per_minute: per_second(churn(before), churn(now)) * 60.0,
        }
    }
}

fn churn(pool: &PoolStats) -> u64 {
    pool.created + pool.closed_broken + pool.closed_invalid + pool.closed_max_lifetime + pool.closed_idle
}

/// The REST side over the last minute.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window(VecDeque<Point>);

#[derive(Clone, Debug)]
struct Point {
    answers: u64,
    failures: u64,
    durations: Histogram,
}

/// What a [`Window`] says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Minute {
    /// Answers.
    pub(crate) answers: u64,
    /// 5xx among them.
    pub(crate) failures: u64,
    /// How long they took.
    pub(crate) durations: Histogram,
}

impl Window {
    /// Adds a tick.
    pub(crate) fn push(&mut self, tick: &Tick) {
        let classes = tick.stats.http.by_class;
        if self.0.len() > WINDOW {
            self.0.pop_front();
        }
        self.0.push_back(Point {
            answers: classes.iter().sum(),
            failures: classes[4],
            durations: tick.stats.http.durations.clone(),
        });
    }

    /// Forgets everything: the process began anew.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The last minute.
    pub(crate) fn minute(&self) -> Minute {
        let (Some(first), Some(last)) = (self.0.front(), self.0.back()) else { return Minute::default() };
        Minute {
            answers: last.answers.saturating_sub(first.answers),
            failures: last.failures.saturating_sub(first.failures),
            durations: last.durations.since(&first.durations),
        }
    }
}

impl Minute {
    /// Adds another process's.
    pub(crate) fn add(&mut self, other: &Self) {
        self.answers += other.answers;
        self.failures += other.failures;
        self.durations.add(&other.durations);
    }

    /// 5xx as a share of all answers.
    pub(crate) fn error_share(&self) -> f64 {
        share(self.failures, self.answers)
    }

    /// 95 % of the requests took at most this.
    pub(crate) fn p95(&self) -> Option<Duration> {
        self.durations.quantile(0.95)
    }
}
