//! What a process remembers of itself: 15 minutes by the second and a day by the minute, a column of `f32` per series.
//!
//! Some fifty series make 180 KiB and 290 KiB. A second nobody sampled (a stalled machine) is a gap, as is what a
//! series did before it began.

use crate::{
    clock::Timestamp,
    protocol::admin::{COARSE_POINTS, FINE_POINTS, History as Told, Metric, Sample, Scope, Series, Unit},
};
use std::{collections::BTreeMap, time::Duration};

/// Pools whose series are kept; a process has three.
const MOST_POOLS: usize = 8;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

/// See the module.
#[derive(Debug)]
pub(super) struct History {
    fine: Ring,
    coarse: Ring,
    minute: Minute,
}

impl History {
    pub(super) fn new() -> Self {
        Self {
            fine: Ring::new(FINE_POINTS, SECOND),
            coarse: Ring::new(COARSE_POINTS, MINUTE),
            minute: Minute::default(),
        }
    }

    /// Takes in a second.
    pub(super) fn push(&mut self, at: Timestamp, sample: &Sample) {
        let numbers = flat(sample);
        self.fine.push(at, numbers.iter().cloned());
        if let Some(whole) = self.minute.push(at, &numbers) {
            self.coarse.push(at, whole.into_iter());
        }
    }

    /// All of it, as it is told.
    pub(super) fn tell(&self, node: &str) -> [Told; 2] {
        [self.fine.tell(node), self.coarse.tell(node)]
    }
}

type Key = (Metric, Option<String>);

fn flat(sample: &Sample) -> Vec<(Key, f32)> {
    #[expect(clippy::cast_possible_truncation, reason = "it was an f32 before")]
    let of = |pool: Option<&String>, (metric, value): (Metric, f64)| ((metric, pool.cloned()), value as f32);
    let pools = sample.pools.iter().take(MOST_POOLS);
    let pools = pools.flat_map(|(name, values)| values.iter().map(move |pair| of(Some(name), pair)));
    sample.node.iter().map(|pair| of(None, pair)).chain(pools).collect()
}

/// The minute that is under way.
#[derive(Debug, Default)]
struct Minute {
    began: Option<Timestamp>,
    numbers: BTreeMap<Key, (f32, u16)>,
}

impl Minute {
    /// Takes in a second; the minute before it, when this one begins a new one. Rates are averaged; of levels the
    /// highest is kept, because a pool that was full for a second is what one looks for.
    fn push(&mut self, at: Timestamp, numbers: &[(Key, f32)]) -> Option<Vec<(Key, f32)>> {
        let began = *self.began.get_or_insert(at);
        let over = at.since(began) >= MINUTE;
        let whole = over.then(|| {
            self.began = Some(at);
            let numbers = std::mem::take(&mut self.numbers).into_iter();
            numbers.map(|(key, (value, count))| {
                (key.clone(), if is_rate(key.0) { value / f32::from(count) } else { value })
            })
        });
        let whole = whole.map(Iterator::collect);
        for (key, value) in numbers {
            let (sum, count) = self.numbers.entry(key.clone()).or_insert((0.0, 0));
            *sum = if is_rate(key.0) { *sum + value } else { sum.max(*value) };
            *count = count.saturating_add(1);
        }
        whole
    }
}

fn is_rate(metric: Metric) -> bool {
    matches!(metric.unit(), Unit::PerSecond | Unit::BytesPerSecond | Unit::Cores)
}

/// The newest points of every series, at even steps.
#[derive(Debug)]
struct Ring {
    size: usize,
    step: Duration,
    newest: Option<Timestamp>,
    /// Points there are, gaps included.
    len: usize,
    /// Where the next point goes, in every column.
    next: usize,
    columns: BTreeMap<Key, Box<[f32]>>,
}

impl Ring {
    fn new(size: usize, step: Duration) -> Self {
        Self { size, step, newest: None, len: 0, next: 0, columns: BTreeMap::new() }
    }

    fn push(&mut self, at: Timestamp, numbers: impl Iterator<Item = (Key, f32)>) {
        // Rounded to the grid, so that a timer that is a little late makes no gap and a stalled machine does.
        let steps = self.newest.map_or(1, |newest| {
            let steps = at.since(newest).as_secs_f64() / self.step.as_secs_f64();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded by the ring's size")]
            let steps = steps.round().clamp(1.0, 1e6) as usize;
            steps
        });
        for _ in 0..steps.min(self.size) {
            for column in self.columns.values_mut() {
                column[self.next] = f32::NAN;
            }
            self.next = (self.next + 1) % self.size;
            self.len = (self.len + 1).min(self.size);
        }
        self.newest = Some(match self.newest {
            // On the grid as long as the clock goes evenly.
            Some(newest) if steps == 1 && at.since(newest) < self.step * 2 && at > newest => newest + self.step,
            _ => at,
        });
        let place = (self.next + self.size - 1) % self.size;
        for (key, value) in numbers {
            let column = self.columns.entry(key).or_insert_with(|| vec![f32::NAN; self.size].into_boxed_slice());
            column[place] = value;
        }
    }

    fn tell(&self, node: &str) -> Told {
        let first = (self.next + self.size - self.len) % self.size;
        let order = |column: &[f32]| -> Vec<Option<f32>> {
            let points = (0..self.len).map(|at| column[(first + at) % self.size]);
            points.map(|value| value.is_finite().then(|| rounded(value))).collect()
        };
        let series = self.columns.iter().map(|((metric, of), column)| Series {
            metric: *metric,
            of: of.clone().filter(|_| metric.scope() == Scope::Pool),
            values: order(column),
        });
        let span = self.step * u32::try_from(self.len.saturating_sub(1)).unwrap_or(0);
        Told {
            node: node.to_owned(),
            from: self.newest.map_or_else(Timestamp::default, |newest| newest - span),
            step_ms: u64::try_from(self.step.as_millis()).unwrap_or(u64::MAX),
            series: series.filter(|series| series.values.iter().any(Option::is_some)).collect(),
        }
    }
}

/// Four digits: more than a curve shows, and half the bytes.
pub(super) fn rounded(value: f32) -> f32 {
    if value == 0.0 || !value.is_finite() || value.fract() == 0.0 {
        return value;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the exponent of an f32")]
    let digits = 3 - value.abs().log10().floor() as i32;
    let factor = 10_f32.powi(digits.clamp(0, 9));
    (value * factor).round() / factor
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Timestamp {
        Timestamp::default() + Duration::from_secs(second)
    }

    fn sample(connections: f64, rate: f64) -> Sample {
        let mut sample = Sample::default();
        sample.node.set(Metric::Connections, connections);
        sample.node.set(Metric::RequestsPerS, rate);
        sample
    }

    fn series(told: &Told, metric: Metric) -> Vec<Option<f32>> {
        told.series.iter().find(|series| series.metric == metric).unwrap().values.clone()
    }

    #[test]
    fn seconds_nobody_sampled_are_gaps_and_a_series_that_begins_later_has_some_in_front() {
        let mut history = History::new();
        history.push(at(0), &Sample::default());
        history.push(at(1), &sample(1.0, 0.5));
        history.push(at(4), &sample(2.0, 0.5));
        let [fine, coarse] = history.tell("gw-1");
        assert_eq!((fine.from, fine.step_ms, fine.node.as_str()), (at(0), 1_000, "gw-1"));
        assert_eq!(series(&fine, Metric::Connections), [None, Some(1.0), None, None, Some(2.0)]);
        assert!(coarse.series.is_empty(), "no minute is over yet");
    }

    #[test]
    fn the_ring_keeps_fifteen_minutes_and_of_each_minute_the_mean_rate_and_the_highest_level() {
        let mut history = History::new();
        for second in 0..=1_800 {
            let peak = if second % 60 == 7 { 9.0 } else { 1.0 };
            history.push(at(second), &sample(peak, if second % 2 == 0 { 1.0 } else { 3.0 }));
        }
        let [fine, coarse] = history.tell("gw-1");
        assert_eq!(series(&fine, Metric::Connections).len(), FINE_POINTS);
        assert_eq!(fine.from, at(1_800 - 899));
        let connections = series(&coarse, Metric::Connections);
        assert!(connections.len() == 30 && connections.iter().all(|value| *value == Some(9.0)), "{connections:?}");
        assert!(series(&coarse, Metric::RequestsPerS).iter().all(|value| *value == Some(2.0)));
    }

    #[test]
    fn fifteen_full_minutes_of_every_series_fit_into_one_frame() {
        let mut history = History::new();
        for second in 0..1_000_u32 {
            let mut sample = Sample::default();
            for (at, metric) in Metric::ALL.iter().enumerate() {
                let value = f64::from(second) * 1.237 + f64::from(u32::try_from(at).unwrap());
                if metric.scope() == Scope::Pool {
                    for pool in ["postgres", "sqlite-read", "sqlite-write"] {
                        sample.pools.entry(pool.into()).or_default().set(*metric, value);
                    }
                } else {
                    sample.node.set(*metric, value);
                }
            }
            history.push(at(second.into()), &sample);
        }
        for told in history.tell("gw-1") {
            let json = serde_json::to_string(&told).unwrap();
            assert!(json.len() < 600 * 1024, "{}", json.len());
            assert_eq!(serde_json::from_str::<Told>(&json).unwrap(), told);
        }
    }

    #[test]
    fn numbers_keep_four_digits() {
        let cases = [(0.123_456, 0.1235), (12.345_6, 12.35), (123_456.7, 123_457.0), (0.0, 0.0), (5.0, 5.0)];
        for (value, expected) in cases {
            assert!((rounded(value) - expected).abs() < 1e-6 * expected.max(1.0), "{value}: {}", rounded(value));
        }
    }
}
