//! Which life of a connection there is now, for everybody to see, and the pauses between two.

use crate::{
    clock::{Clock, Timestamp},
    engine::EngineError,
};
use fred::error::Error;
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// Pause before the second attempt to connect; doubled for each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longest pause: how late it may be noticed that Redis is back.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The lives of one connection; `T` is what belongs to the present one.
///
/// ```text
///  Starting ──▶ Up (connects 1) ──▶ Down ──▶ Up (connects 2) ──▶ …
///      └──────────────────────────▶ Down
/// ```
#[derive(Debug)]
pub(in crate::engine) struct Lives<T> {
    /// What it is for, as the log says it.
    purpose: &'static str,
    clock: Clock,
    state: watch::Sender<State<T>>,
}

#[derive(Clone, Debug)]
struct State<T> {
    phase: Phase<T>,
    connects: u64,
    since: Timestamp,
}

#[derive(Clone, Debug)]
pub(in crate::engine) enum Phase<T> {
    /// The first attempt is not over yet.
    Starting,
    Up(T),
    Down(Arc<str>),
}

/// How a connection is, for health checks and the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkHealth {
    /// Whether it serves right now.
    pub up: bool,
    /// How often it came up: while it is up, one more than how often it was lost.
    pub connects: u64,
    /// Since when it is as it is.
    pub since: Timestamp,
    /// Why it is down, in Redis' or the network's words.
    pub problem: Option<String>,
}

impl<T: Clone> Lives<T> {
    pub(in crate::engine) fn new(purpose: &'static str, clock: Clock) -> Self {
        let state = State { phase: Phase::Starting, connects: 0, since: clock.now() };
        Self { purpose, clock, state: watch::Sender::new(state) }
    }

    /// A life has begun.
    pub(in crate::engine) fn up(&self, with: T) {
        self.state.send_modify(|state| {
            *state = State { phase: Phase::Up(with), connects: state.connects + 1, since: self.clock.now() };
        });
        tracing::info!(connects = self.connects(), "connected to Redis {}", self.purpose);
    }

    /// A life has ended, or one more attempt failed.
    pub(in crate::engine) fn down(&self, problem: &Error) {
        let why = problem.to_string();
        let (first, same) = match &self.state.borrow().phase {
            Phase::Down(last) => (false, **last == *why),
            Phase::Starting | Phase::Up(_) => (true, false),
        };
        if same {
            return;
        }
        tracing::warn!(%problem, "no connection to Redis {}: going on without it, trying again", self.purpose);
        self.state.send_modify(|state| {
            state.since = if first { self.clock.now() } else { state.since };
            state.phase = Phase::Down(why.into());
        });
    }

    /// The present life, waiting at most `patience` for the end of the first attempt. While it is down, nobody waits.
    pub(in crate::engine) async fn present(&self, what: &'static str, patience: Duration) -> Result<T, EngineError> {
        let mut phase = self.state.borrow().phase.clone();
        if matches!(phase, Phase::Starting) {
            let mut states = self.state.subscribe();
            let started = states.wait_for(|state| !matches!(state.phase, Phase::Starting));
            if let Ok(Ok(state)) = tokio::time::timeout(patience, started).await {
                phase = state.phase.clone();
            }
        }
        match phase {
            Phase::Up(life) => Ok(life),
            Phase::Starting | Phase::Down(_) => Err(EngineError::Unavailable { what }),
        }
    }

    /// The present life, if there is one.
    pub(in crate::engine) fn now(&self) -> Option<T> {
        match &self.state.borrow().phase {
            Phase::Up(life) => Some(life.clone()),
            Phase::Starting | Phase::Down(_) => None,
        }
    }

    /// Which life this is, counted from 1; `None` while there is none.
    pub(in crate::engine) fn number(&self) -> Option<u64> {
        self.state.borrow().number()
    }

    /// Waits until it is another life than this, or none, or one at last.
    pub(in crate::engine) async fn other_than(&self, number: Option<u64>) {
        let mut states = self.state.subscribe();
        // It cannot be closed: we hold the sender.
        let _ = states.wait_for(|state| state.number() != number).await;
    }

    /// How many lives there have been.
    pub(in crate::engine) fn connects(&self) -> u64 {
        self.state.borrow().connects
    }

    pub(in crate::engine) fn health(&self) -> LinkHealth {
        let state = self.state.borrow();
        let problem = match &state.phase {
            Phase::Down(why) => Some(why.to_string()),
            Phase::Starting | Phase::Up(_) => None,
        };
        LinkHealth { up: matches!(state.phase, Phase::Up(_)), connects: state.connects, since: state.since, problem }
    }
}

impl<T> State<T> {
    fn number(&self) -> Option<u64> {
        matches!(self.phase, Phase::Up(_)).then_some(self.connects)
    }
}

/// The pauses between attempts to connect.
#[derive(Debug)]
pub(in crate::engine) struct Pauses(Duration);

impl Pauses {
    pub(in crate::engine) const fn new() -> Self {
        Self(FIRST_PAUSE)
    }

    /// An attempt worked: the next pause is a short one again.
    pub(in crate::engine) fn reset(&mut self) {
        self.0 = FIRST_PAUSE;
    }

    /// Sleeps between half and all of the pause that is due: processes that lost one server do not come back in step.
    pub(in crate::engine) async fn pause(&mut self) {
        let random = getrandom::u32().unwrap_or(u32::MAX);
        let pause = self.0 / 2 + (self.0 / 2).mul_f64(f64::from(random) / f64::from(u32::MAX));
        self.0 = (2 * self.0).min(LONGEST_PAUSE);
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fred::error::ErrorKind;

    #[tokio::test]
    async fn calls_wait_for_the_first_attempt_and_for_no_other() {
        let lives = Lives::new("for a test", Clock::System);
        let patience = Duration::from_secs(20);
        let (first, ()) = tokio::join!(lives.present("wait", patience), async { lives.up(1) });
        assert_eq!(first.unwrap(), 1);
        lives.down(&Error::new(ErrorKind::IO, "gone"));
        assert!(lives.present("wait", patience).await.is_err());
        assert_eq!(lives.health().problem.as_deref(), Some("IO Error: gone"));
        lives.up(2);
        assert_eq!((lives.now(), lives.health().connects), (Some(2), 2));
    }

    #[test]
    fn since_counts_from_the_first_failure() {
        let clock = Clock::manual(Timestamp::from_micros(0));
        let lives: Lives<()> = Lives::new("for a test", clock.clone());
        lives.down(&Error::new(ErrorKind::IO, "refused"));
        clock.advance(Duration::from_secs(1));
        lives.down(&Error::new(ErrorKind::Timeout, "silent"));
        let health = lives.health();
        assert_eq!(
            (health.since, health.problem.as_deref()),
            (Timestamp::from_micros(0), Some("Timeout Error: silent"))
        );
        lives.up(());
        assert_eq!(lives.health().since, Timestamp::from_micros(1_000_000));
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_to_a_bound() {
        let mut pauses = Pauses::new();
        let mut took = Vec::new();
        for _ in 0..20 {
            let start = tokio::time::Instant::now();
            pauses.pause().await;
            took.push(start.elapsed());
        }
        assert!(took[0] <= 2 * FIRST_PAUSE && took[19] >= LONGEST_PAUSE / 2, "{took:?}");
        assert!(took.iter().all(|pause| *pause <= LONGEST_PAUSE + Duration::from_millis(2)), "{took:?}");
    }
}
