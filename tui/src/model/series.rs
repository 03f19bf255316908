//! A curve of the last five minutes, a point a second. A second in which nothing was heard is a gap, not a zero and not
//! a straight line.

use std::collections::VecDeque;

/// Points kept: five minutes.
pub(crate) const POINTS: usize = 300;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Series(VecDeque<Option<f64>>);

impl Series {
    /// Adds the newest point, and drops the oldest when it is full.
    pub(crate) fn push(&mut self, point: Option<f64>) {
        if self.0.len() == POINTS {
            self.0.pop_front();
        }
        self.0.push_back(point.filter(|value| value.is_finite()));
    }

    /// The last `width` points, oldest first; gaps where there was nothing yet.
    pub(crate) fn last(&self, width: usize) -> impl Iterator<Item = Option<f64>> + '_ {
        let missing = width.saturating_sub(self.0.len());
        let skip = self.0.len().saturating_sub(width);
        std::iter::repeat_n(None, missing).chain(self.0.iter().skip(skip).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_bounded_and_keeps_its_gaps() {
        let mut series = Series::default();
        series.push(Some(1.0));
        series.push(None);
        series.push(Some(f64::NAN));
        assert_eq!(series.last(4).collect::<Vec<_>>(), [None, Some(1.0), None, None]);
        for point in 0..1_000 {
            series.push(Some(f64::from(point)));
        }
        assert_eq!(series.0.len(), POINTS);
        assert_eq!(series.last(2).collect::<Vec<_>>(), [Some(998.0), Some(999.0)]);
        assert_eq!(series.last(0).count(), 0);
    }
}
