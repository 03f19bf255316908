//! How a server's memory moves while it works, and whether it grew.
//!
//! "Flat" compares the second quarter of a run with its last: the first quarter is the server's warming up (arenas,
//! caches, pools), and what leaks is still there at the end.

use crate::{numbers::float, process::Process};
use serde::Serialize;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// Points kept. When there are more every other one goes, and the next are twice as far apart: a second is drawn as
/// finely as an hour, and an hour costs no more than a second.
const MOST_POINTS: usize = 240;
/// Points shown on a screen.
const SHOWN: usize = 12;
/// Distance of the first points.
const FIRST_STEP: Duration = Duration::from_millis(50);

/// One sample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Point {
    pub(crate) seconds: f64,
    /// How much work had been done.
    pub(crate) done: u64,
    pub(crate) rss_mib: f64,
}

/// Samples of one process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Curve(Vec<Point>);

impl Curve {
    /// Samples `server` until `over`; `done` says how far the work is.
    pub(crate) async fn draw(server: &Process, over: &CancellationToken, done: impl Fn() -> u64) -> Self {
        let (mut curve, start, mut step) = (Self::default(), Instant::now(), FIRST_STEP);
        loop {
            let Ok(snapshot) = server.snapshot() else { return curve };
            let rss_mib = float(snapshot.rss_bytes) / 1_048_576.0;
            curve.0.push(Point { seconds: start.elapsed().as_secs_f64(), done: done(), rss_mib });
            if curve.0.len() > MOST_POINTS {
                curve.thin();
                step *= 2;
            }
            if timeout(step, over.cancelled()).await.is_ok() {
                return curve;
            }
        }
    }

    fn thin(&mut self) {
        let mut keep = false;
        self.0.retain(|_| {
            keep = !keep;
            keep
        });
    }

    /// MiB by which the highest point of the last quarter is above the highest of the second; none for a curve too
    /// short to have quarters.
    pub(crate) fn growth_mib(&self) -> Option<f64> {
        let quarter = self.0.len() / 4;
        let highest = |points: &[Point]| points.iter().map(|point| point.rss_mib).reduce(f64::max);
        Some(highest(&self.0[self.0.len() - quarter..])? - highest(&self.0[quarter..2 * quarter])?)
    }

    /// Every sample kept.
    pub(crate) fn points(&self) -> &[Point] {
        &self.0
    }

    /// Some points of it in one line: work done, and MiB.
    pub(crate) fn line(&self) -> String {
        let step = self.0.len().div_ceil(SHOWN).max(1);
        // Counted from the end, so that the last point is always among them.
        let mut shown: Vec<String> =
            self.0.iter().rev().step_by(step).map(|point| format!("{} {:.1}", point.done, point.rss_mib)).collect();
        shown.reverse();
        shown.join(" · ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(rss: impl IntoIterator<Item = f64>) -> Curve {
        let points = rss.into_iter().zip(0..);
        Curve(points.map(|(rss_mib, done)| Point { seconds: 0.0, done, rss_mib }).collect())
    }

    #[test]
    fn warming_up_is_no_growth_and_a_leak_is() {
        assert_eq!(curve([1.0, 9.0, 10.0, 10.0, 10.0, 9.0, 10.0, 8.0]).growth_mib(), Some(0.0));
        assert_eq!(curve((0..80).map(f64::from)).growth_mib(), Some(40.0));
        assert_eq!(curve([1.0, 2.0, 3.0]).growth_mib(), None, "too short to tell");
    }

    #[test]
    fn the_line_ends_with_the_last_point() {
        assert_eq!(curve([1.0, 2.0]).line(), "0 1.0 · 1 2.0");
        assert!(curve((0..1_000).map(f64::from)).line().ends_with("999 999.0"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_run_keeps_a_bounded_number_of_points() {
        let over = CancellationToken::new();
        let end = async {
            tokio::time::sleep(Duration::from_mins(20)).await;
            over.cancel();
        };
        let own = Process::own();
        let (curve, ()) = tokio::join!(Curve::draw(&own, &over, || 7), end);
        assert!((MOST_POINTS / 2..=MOST_POINTS).contains(&curve.points().len()), "{}", curve.points().len());
        assert!(curve.points().last().is_some_and(|point| point.seconds > 1_100.0 && point.done == 7));
    }
}
