//! Open-loop pacing: when something is due is decided by the clock, never by how fast the answer came.
//!
//! A closed loop ("send, wait, send again") stops asking exactly when the server stalls, and so leaves the stall
//! out of its own statistics (coordinated omission). Here the n-th event is due at `start + n × interval`, computed
//! by multiplication so that rounding never adds up, and a late event is sent at once while its latency still
//! counts from when it was due.

use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Timers of tokio fire on a grid of one millisecond, at most two late. Lateness up to this is the harness's own
/// clock and is not charged to the server; anything above it is.
pub(crate) const GRID: Duration = Duration::from_millis(2);

/// A schedule of evenly spaced events.
#[derive(Debug)]
pub(crate) struct Pacer {
    interval: Duration,
    sent: u32,
    /// When the first event is due; moved along now and then, so that `sent` fits the multiplication.
    base: Instant,
}

impl Pacer {
    /// Events every `interval`, the first at `start`.
    pub(crate) fn new(start: Instant, interval: Duration) -> Self {
        Self { interval, sent: 0, base: start }
    }

    /// `per_second` events a second, shared by `parts` pacers that take turns; this is number `part`.
    pub(crate) fn share(start: Instant, per_second: f64, part: usize, parts: usize) -> Self {
        let one = Duration::from_secs_f64(1.0 / per_second);
        let scale = |n: usize| one.saturating_mul(u32::try_from(n).unwrap_or(u32::MAX));
        Self::new(start + scale(part), scale(parts.max(1)))
    }

    /// When the next event is due.
    pub(crate) fn due(&self) -> Instant {
        self.base + self.interval * self.sent
    }

    /// Waits until the next event is due and returns when that was. Cancel-safe: nothing is skipped.
    pub(crate) async fn next(&mut self) -> Instant {
        let due = self.due();
        sleep_until(due).await;
        self.sent += 1;
        if self.sent == 1 << 20 {
            self.base += self.interval * self.sent;
            self.sent = 0;
        }
        due
    }

    /// From when the latency of an event counts that was due at `due` and is sent `now`.
    pub(crate) fn counted_from(due: Instant, now: Instant) -> Instant {
        if now.saturating_duration_since(due) <= GRID { now } else { due }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_nth_event_is_due_n_intervals_after_the_start_without_drift() {
        let start = Instant::now();
        // A third of a millisecond does not fit the timer's grid: rounding would show within seconds.
        let mut pacer = Pacer::share(start, 3_000.0, 0, 1);
        for _ in 0..30_000 {
            pacer.next().await;
        }
        let error = (pacer.due() - start).abs_diff(Duration::from_secs(10));
        assert!(error < Duration::from_micros(100), "{error:?} off after ten seconds");
        assert!(start.elapsed().abs_diff(Duration::from_secs(10)) <= GRID);
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_sender_catches_up_and_its_events_keep_the_times_they_were_due() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start, Duration::from_millis(10));
        pacer.next().await;
        tokio::time::advance(Duration::from_millis(100)).await;
        let stalled = Instant::now();
        for n in 1..=10 {
            assert_eq!(pacer.next().await, start + Duration::from_millis(10 * n));
        }
        assert_eq!(Instant::now(), stalled, "what is overdue is sent at once");
        assert_eq!(Pacer::counted_from(start, stalled), start, "a stall counts in full");
    }

    #[tokio::test(start_paused = true)]
    async fn pacers_that_share_a_rate_take_turns() {
        let start = Instant::now();
        let starts: Vec<_> = (0..4).map(|part| Pacer::share(start, 1_000.0, part, 4).due() - start).collect();
        assert_eq!(starts, [0, 1, 2, 3].map(Duration::from_millis));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_wait_skips_nothing() {
        let mut pacer = Pacer::new(Instant::now(), Duration::from_secs(1));
        pacer.next().await;
        let due = pacer.due();
        assert!(tokio::time::timeout(Duration::from_millis(1), pacer.next()).await.is_err());
        assert_eq!(pacer.next().await, due);
    }

    #[tokio::test(start_paused = true)]
    async fn the_count_wraps_without_a_jump() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start, Duration::from_micros(1));
        pacer.sent = (1 << 20) - 1;
        let before = pacer.next().await;
        assert_eq!(pacer.due() - before, Duration::from_micros(1));
    }
}
