//! When a client comes back, and whether: the rules of the browser client (`gateway/client/pitchey.js`).

use crate::numbers::{float_len, random_below};
use std::time::{Duration, Instant};

/// The first step; doubled each time.
const BASE: Duration = Duration::from_millis(500);
/// The longest step.
const CAP: Duration = Duration::from_secs(30);
/// A connection that lived shorter does not start the steps over.
const STABLE: Duration = Duration::from_secs(5);

/// The state between two connections.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    attempts: u32,
    ready_at: Option<Instant>,
}

impl Backoff {
    /// The connection is signed in.
    pub(super) fn ready(&mut self) {
        self.ready_at = Some(Instant::now());
    }

    /// The connection is gone with this close code, or there was none: how long to wait. `asked` is the server's
    /// `retry_after`, which is obeyed instead of our own steps.
    pub(super) fn pause(&mut self, code: u16, asked: Option<Duration>) -> Duration {
        let stable = self.ready_at.take().is_some_and(|at| at.elapsed() >= STABLE);
        self.attempts = if stable { 1 } else { self.attempts.saturating_add(1) };
        let step = CAP.min(BASE.saturating_mul(1 << (self.attempts - 1).min(16)));
        let jittered = step.mul_f64(float_len(random_below(1_000)) / 1_000.0);
        asked.filter(|asked| !asked.is_zero()).unwrap_or_else(|| jittered.max(least(code)))
    }
}

/// What a close code asks for at least.
fn least(code: u16) -> Duration {
    match code {
        1013 => Duration::from_secs(1),
        4410 => Duration::from_secs(30),
        4429 => Duration::from_secs(5),
        _ => Duration::ZERO,
    }
}

/// The close-code table: 4000–4499 come back, 4500–4999 do not, and of RFC 6455's those that say "not like this" do not.
pub(super) fn may_return(code: u16) -> bool {
    !matches!(code, 1000 | 1002 | 1003 | 1007..=1010 | 4500..=4999)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::protocol::CloseReason;

    #[test]
    fn the_table_is_the_servers_own() {
        for reason in CloseReason::ALL.into_iter().filter(|reason| *reason != CloseReason::Normal) {
            assert_eq!(may_return(reason.code()), reason.can_resume(), "{reason:?}");
        }
    }

    #[test]
    fn the_server_is_obeyed_and_otherwise_the_steps_double_with_full_jitter() {
        let mut backoff = Backoff::default();
        let asked = Duration::from_millis(3_721);
        assert_eq!(backoff.pause(1012, Some(asked)), asked);
        for attempt in 2..40_u32 {
            let most = CAP.min(BASE.saturating_mul(1 << (attempt - 1).min(16)));
            assert!(backoff.pause(1006, None) <= most);
        }
        assert!(Backoff::default().pause(4410, None) >= Duration::from_secs(30));
    }
}
