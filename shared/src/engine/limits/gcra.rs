//! GCRA, the generic cell rate algorithm: a leaky bucket that keeps one number per key.
//!
//! The number is the *theoretical arrival time*: when the bucket would be full again. Taking one moves it by the time
//! one costs; a take that would move it further than the whole burst ahead of now is refused. Whole microseconds, no
//! floating point, no state but the number. `scripts/limit_take.lua` are the same lines.

use super::{Decision, Quota};
use std::time::Duration;

/// The longest time a quota may be about, 71 years: with it every number here stays exact in Lua too.
const LONGEST: i64 = 1 << 51;

/// A quota in whole microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    /// What one costs. Rounded up, so that the long run never allows more than the quota.
    pub(super) cost: i64,
    /// How many fit.
    pub(super) burst: i64,
}

impl Rate {
    pub(super) fn of(quota: Quota) -> Self {
        let burst = i64::from(quota.burst);
        let per = i64::try_from(quota.per.as_micros()).unwrap_or(LONGEST).min(LONGEST);
        let cost = (per / burst.max(1) + i64::from(per % burst.max(1) != 0)).max(1);
        Self { cost, burst }
    }

    fn whole(self) -> i64 {
        self.cost * self.burst
    }

    /// The answer when `missing` is in what time the bucket will be full.
    pub(super) fn decision(self, allowed: bool, missing: Duration) -> Decision {
        let missing = i64::try_from(missing.as_micros()).unwrap_or(self.whole()).min(self.whole());
        let retry_after = if self.burst == 0 { self.cost } else { (missing + self.cost - self.whole()).max(0) };
        Decision {
            allowed,
            remaining: u32::try_from((self.whole() - missing) / self.cost).unwrap_or(u32::MAX),
            retry_after: micros(retry_after),
            reset_after: micros(missing),
        }
    }
}

/// Takes one at `now` from a bucket that will be full at `full_at` (both in microseconds; a new bucket is full, so any
/// time in the past). Returns the answer and when the bucket will be full from now on.
///
/// A clock that stepped back is harmless: no bucket is ever further from full than empty.
pub(super) fn take(full_at: i64, now: i64, quota: Quota) -> (Decision, i64) {
    let rate = Rate::of(quota);
    let full_at = full_at.clamp(now, now.saturating_add(rate.whole()));
    let after = full_at.saturating_add(rate.cost);
    let allowed = after - now <= rate.whole();
    let full_at = if allowed { after } else { full_at };
    (rate.decision(allowed, micros(full_at - now)), full_at)
}

fn micros(micros: i64) -> Duration {
    Duration::from_micros(micros.max(0).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quota() -> impl Strategy<Value = Quota> {
        (1_u32..200, 1_u64..120_000_000).prop_map(|(burst, per)| Quota { burst, per: Duration::from_micros(per) })
    }

    /// The longest time one unit may cost, as the contract has it.
    fn cost(quota: Quota) -> u64 {
        u64::try_from(quota.per.as_micros()).unwrap().div_ceil(u64::from(quota.burst)).max(1)
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_what_was_won_back_in_any_window(
            quota in quota(),
            gaps in prop::collection::vec(0_i64..3_000_000, 1..300),
        ) {
            let (mut now, mut full_at, mut taken) = (0, i64::MIN, Vec::new());
            for gap in gaps {
                now += gap;
                let (decision, next) = take(full_at, now, quota);
                full_at = next;
                if decision.allowed {
                    taken.push(now);
                }
            }
            for (first, start) in taken.iter().enumerate() {
                for (last, end) in taken.iter().enumerate().skip(first) {
                    let won_back = u64::try_from(end - start).unwrap() / cost(quota);
                    prop_assert!((last - first + 1) as u64 <= u64::from(quota.burst) + won_back);
                }
            }
        }

        #[test]
        fn who_keeps_to_the_rate_is_never_refused(quota in quota(), takes in 1_i64..500) {
            let step = i64::try_from(cost(quota)).unwrap();
            let mut full_at = i64::MIN;
            for n in 0..takes {
                let (decision, next) = take(full_at, n * step, quota);
                prop_assert!(decision.allowed);
                full_at = next;
            }
        }

        #[test]
        fn the_answer_tells_when_to_come_back(quota in quota(), at: u32) {
            let (mut full_at, now) = (i64::MIN, i64::from(at));
            for left in (0..quota.burst).rev() {
                let (decision, next) = take(full_at, now, quota);
                prop_assert!(decision.allowed && decision.remaining == left);
                prop_assert_eq!(decision.retry_after.is_zero(), left > 0);
                full_at = next;
            }
            let (refused, same) = take(full_at, now, quota);
            prop_assert!(!refused.allowed && refused.remaining == 0 && same == full_at);
            let wait = i64::try_from(refused.retry_after.as_micros()).unwrap();
            prop_assert!(!take(full_at, now + wait - 1, quota).0.allowed);
            prop_assert!(take(full_at, now + wait, quota).0.allowed);
            let reset = i64::try_from(refused.reset_after.as_micros()).unwrap();
            prop_assert_eq!(take(full_at, now + reset, quota).0.remaining, quota.burst - 1);
        }

        #[test]
        fn a_clock_that_steps_back_costs_at_most_one_burst(quota in quota(), back in 0_i64..1_000_000_000_000) {
            let now = 2_000_000_000_000;
            let (_, full_at) = take(i64::MIN, now, quota);
            let (decision, next) = take(full_at, now - back, quota);
            prop_assert!(decision.reset_after <= quota.per + Duration::from_micros(u64::from(quota.burst)));
            let wait = i64::try_from(decision.retry_after.as_micros()).unwrap();
            prop_assert!(take(next, now - back + wait, quota).0.allowed);
        }
    }

    #[test]
    fn a_quota_of_nothing_allows_nothing() {
        let (decision, full_at) = take(i64::MIN, 5, Quota { burst: 0, per: Duration::from_secs(1) });
        assert!(!decision.allowed && decision.remaining == 0);
        assert_eq!((decision.retry_after, full_at), (Duration::from_secs(1), 5));
    }
}
