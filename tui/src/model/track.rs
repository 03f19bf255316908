//! What one node did, a point per step: 15 minutes by the second, a day by the minute. A step in which nothing was heard
//! is a gap, not a zero and not a straight line.
//!
//! Every series is a ring of the same length, addressed by the number of the step. Steps are counted from point to point
//! rather than from the clock, because a node's timer is a few milliseconds early or late, and a point that fell on the
//! wrong side of a second would make a gap and a collision.

use shared::{
    clock::Timestamp,
    protocol::admin::{History, Metric, Sample},
};
use std::{collections::BTreeMap, time::Duration};

/// Pools whose series are kept; a process has three.
const MOST_POOLS: usize = 16;

type Columns = BTreeMap<Metric, Box<[f32]>>;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Track {
    step: Duration,
    size: usize,
    /// The newest point: when, and its number.
    newest: Option<(Timestamp, i64)>,
    /// The number of the oldest point there can be.
    oldest: i64,
    node: Columns,
    pools: BTreeMap<String, Columns>,
}

impl Track {
    pub(crate) fn new(size: usize, step: Duration) -> Self {
        Self { step, size, newest: None, oldest: 0, node: BTreeMap::new(), pools: BTreeMap::new() }
    }

    /// Takes in the newest point. One that is no newer than the last by half a step is passed over.
    pub(crate) fn push(&mut self, at: Timestamp, sample: &Sample) {
        let number = match self.newest {
            None => 0,
            Some((newest, number)) => {
                let steps = self.steps(newest, at);
                if steps < 1 {
                    return;
                }
                number + steps
            }
        };
        self.advance(at, number);
        for (metric, value) in sample.node.iter() {
            self.set(None, metric, number, value);
        }
        for (pool, values) in &sample.pools {
            for (metric, value) in values.iter() {
                self.set(Some(pool), metric, number, value);
            }
        }
    }

    /// Takes in what a node remembers: it fills the gaps of the time in which it was not heard.
    pub(crate) fn merge(&mut self, history: &History) {
        let points = history.series.iter().map(|series| series.values.len()).max().unwrap_or(0);
        let Some(last) = points.checked_sub(1).and_then(|last| u32::try_from(last).ok()) else { return };
        let end = history.from + self.step.saturating_mul(last);
        let end_number = match self.newest {
            None => 0,
            Some((newest, number)) => number + self.steps(newest, end),
        };
        let first = end_number - i64::from(last);
        if self.newest.is_none_or(|(_, number)| end_number > number) {
            self.advance(end, end_number);
        }
        let newest = self.newest.map_or(end_number, |(_, number)| number);
        self.oldest = self.oldest.min(first).max(newest + 1 - size(self.size));
        for series in &history.series {
            for (at, value) in (first..).zip(&series.values) {
                if let Some(value) = value.filter(|_| at >= self.oldest) {
                    self.set(series.of.as_ref(), series.metric, at, value.into());
                }
            }
        }
    }

    /// One number at a moment: the node's, or with `of` a pool's.
    pub(crate) fn get(&self, metric: Metric, of: Option<&str>, at: Timestamp) -> Option<f64> {
        let number = self.number(at)?;
        self.column(metric, of)?.at(number)
    }

    /// A whole series, to be read at many moments.
    pub(crate) fn column(&self, metric: Metric, of: Option<&str>) -> Option<Column<'_>> {
        let columns = match of {
            None => &self.node,
            Some(pool) => self.pools.get(pool)?,
        };
        Some(Column { track: self, points: columns.get(&metric)? })
    }

    /// When the newest point was taken.
    pub(crate) fn newest(&self) -> Option<Timestamp> {
        self.newest.map(|(at, _)| at)
    }

    /// When the oldest point was taken.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        let (newest, number) = self.newest?;
        let steps = u32::try_from(number - self.oldest).unwrap_or(0);
        Some(newest - self.step.saturating_mul(steps))
    }

    /// The number of the point at a moment; none if there can be none.
    fn number(&self, at: Timestamp) -> Option<i64> {
        let (newest, number) = self.newest?;
        let number_at = number + self.steps(newest, at);
        (self.oldest..=number).contains(&number_at).then_some(number_at)
    }

    /// Whole steps from one moment to another, rounded.
    fn steps(&self, from: Timestamp, to: Timestamp) -> i64 {
        let step = i64::try_from(self.step.as_micros()).unwrap_or(i64::MAX).max(1);
        (to.as_micros() - from.as_micros() + step / 2).div_euclid(step)
    }

    /// Makes a point the newest; what lies between it and the one before is a gap.
    fn advance(&mut self, at: Timestamp, number: i64) {
        let before = self.newest.map_or(number - 1, |(_, before)| before);
        if self.newest.is_none() {
            self.oldest = number;
        }
        self.newest = Some((at, number));
        self.oldest = self.oldest.max(number + 1 - size(self.size));
        let size = self.size;
        for points in self.node.values_mut().chain(self.pools.values_mut().flat_map(BTreeMap::values_mut)) {
            for gap in (before + 1).max(number + 1 - self::size(size))..=number {
                points[place(gap, size)] = f32::NAN;
            }
        }
    }

    fn set(&mut self, of: Option<&String>, metric: Metric, number: i64, value: f64) {
        let columns = match of {
            None => &mut self.node,
            Some(pool) if self.pools.len() < MOST_POOLS || self.pools.contains_key(pool) => {
                self.pools.entry(pool.clone()).or_default()
            }
            Some(_) => return,
        };
        if metric != Metric::Unknown {
            let points = columns.entry(metric).or_insert_with(|| vec![f32::NAN; self.size].into());
            #[expect(clippy::cast_possible_truncation, reason = "it was an f32 on the wire")]
            let value = value as f32;
            points[place(number, self.size)] = value;
        }
    }
}

/// One series of a [`Track`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column<'a> {
    track: &'a Track,
    points: &'a [f32],
}

impl Column<'_> {
    /// The number at a moment.
    pub(crate) fn get(&self, at: Timestamp) -> Option<f64> {
        self.at(self.track.number(at)?)
    }

    fn at(&self, number: i64) -> Option<f64> {
        let value = self.points[place(number, self.track.size)];
        value.is_finite().then(|| value.into())
    }
}

fn place(number: i64, size: usize) -> usize {
    usize::try_from(number.rem_euclid(self::size(size))).unwrap_or(0)
}

fn size(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::protocol::admin::Series;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_micros(1_000_000_000) + Duration::from_millis(ms)
    }

    fn sample(value: f64) -> Sample {
        let mut sample = Sample::default();
        sample.node.set(Metric::Connections, value);
        sample
    }

    fn read(track: &Track, seconds: std::ops::Range<u64>) -> Vec<Option<f64>> {
        seconds.map(|second| track.get(Metric::Connections, None, at(second * 1_000))).collect()
    }

    #[test]
    fn a_timer_that_is_early_or_late_makes_no_gap_and_a_missed_second_is_one() {
        let mut track = Track::new(10, SECOND);
        for (ms, value) in [(0, 1.0), (1_400, 2.0), (2_100, 3.0), (4_050, 5.0)] {
            track.push(at(ms), &sample(value));
        }
        assert_eq!(read(&track, 0..6), [Some(1.0), Some(2.0), Some(3.0), None, Some(5.0), None]);
        track.push(at(4_100), &sample(9.0));
        assert_eq!(track.get(Metric::Connections, None, at(4_000)), Some(5.0), "the same second is told once");
    }

    #[test]
    fn only_the_newest_points_are_kept_and_a_long_silence_empties_it() {
        let mut track = Track::new(3, SECOND);
        (0..5).for_each(|second| track.push(at(second * 1_000), &sample(1.0)));
        assert_eq!(read(&track, 0..5), [None, None, Some(1.0), Some(1.0), Some(1.0)]);
        track.push(at(1_000_000), &sample(7.0));
        assert_eq!(read(&track, 997..1_001), [None, None, None, Some(7.0)]);
        assert_eq!(track.oldest(), Some(at(998_000)));
    }

    #[test]
    fn what_the_node_remembers_fills_the_gap_in_which_it_was_not_heard() {
        let mut track = Track::new(10, SECOND);
        track.push(at(0), &sample(0.0));
        track.push(at(6_000), &sample(6.0));
        let series = Series { metric: Metric::Connections, of: None, values: vec![Some(2.0), None, Some(4.0)] };
        track.merge(&History { node: String::new(), from: at(2_000), step_ms: 1_000, series: vec![series] });
        assert_eq!(read(&track, 0..7), [Some(0.0), None, Some(2.0), None, Some(4.0), None, Some(6.0)]);
    }

    #[test]
    fn a_history_longer_than_the_track_leaves_its_newest_points() {
        let mut track = Track::new(3, SECOND);
        let values = (0..5_u8).map(|value| Some(f32::from(value))).collect();
        let series = Series { metric: Metric::Connections, of: None, values };
        track.merge(&History { node: String::new(), from: at(0), step_ms: 1_000, series: vec![series] });
        assert_eq!(read(&track, 0..5), [None, None, Some(2.0), Some(3.0), Some(4.0)]);
        track.push(at(5_000), &sample(5.0));
        assert_eq!(read(&track, 2..6), [None, Some(3.0), Some(4.0), Some(5.0)]);
    }
}
