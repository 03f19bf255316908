//! What "trending" means: time-decayed engagement, stored as one number that never has to be recomputed.
//!
//! **Forward decay** (Cormode, Shkapenyuk, Srivastava, Xu: "Forward Decay", ICDE 2009). The heat of a pitch at time
//! `now` is the sum over everything people did with it of `weight · ½^((now − t) / 7 days)`. Every term has the same
//! factor `½^(now / 7 days)`, so leaving it out changes no order: the store keeps
//!
//! ```text
//! trend_score = Σ weight · 2^((t − EPOCH) / 7 days)
//! ```
//!
//! An event adds its share once, when it happens, in any order; nothing decays by a job; the list is a walk along
//! the index `idx_pitches_status_trending`; and a cursor `(trend_score, id)` means the same tomorrow. Between two
//! pages a pitch can only move if somebody did something with it in between.
//!
//! The founding documents' `idx_pitches_status_created` cannot serve an order by heat without sorting every published
//! pitch; it serves the lists by date.
//!
//! A pitch trends while its heat is at least [`MIN_HEAT`], so one look does not make a trend and old fame runs out.

use crate::clock::Timestamp;
use std::time::Duration;

/// After this long an event counts half.
pub const HALF_LIFE: Duration = Duration::from_hours(7 * 24);

/// Less heat than this is no trend: a like and a look, today.
pub const MIN_HEAT: f64 = 5.0;

/// 2040-01-01. Doubles reach 2^±1022, so scores stay finite and normal from 2021 to 2059.
const EPOCH: Timestamp = Timestamp::from_micros(2_208_988_800_000_000);

/// Beyond the range of doubles decay stops, instead of turning scores into zero or infinity.
const MAX_EXPONENT: f64 = 1_000.0;

/// What people do with a pitch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engagement {
    /// Looked at it: the first time in a day.
    View,
    /// Liked it.
    Like,
    /// Put it on a list.
    Save,
    /// Asked to see the confidential part.
    NdaRequest,
}

impl Engagement {
    /// How much it counts, in looks. The same numbers rank "popular", which does not decay.
    pub const fn weight(self) -> i64 {
        match self {
            Self::View => 1,
            Self::Like => 4,
            Self::Save => 6,
            Self::NdaRequest => 10,
        }
    }

    /// Its share of `trend_score` if it happened at this time.
    pub fn share(self, at: Timestamp) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "weights are small")]
        let weight = self.weight() as f64;
        weight * growth(at)
    }
}

/// The least `trend_score` that still trends at this time.
pub fn floor(now: Timestamp) -> f64 {
    MIN_HEAT * growth(now)
}

/// The heat that a score means at this time.
pub fn heat(trend_score: f64, now: Timestamp) -> f64 {
    trend_score / growth(now)
}

fn growth(at: Timestamp) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a microsecond is far below what a ranking shows")]
    let since_epoch = (at.as_micros() - EPOCH.as_micros()) as f64;
    #[expect(clippy::cast_precision_loss, reason = "604 800 000 000 is exact")]
    let half_lives = since_epoch / HALF_LIFE.as_micros() as f64;
    half_lives.clamp(-MAX_EXPONENT, MAX_EXPONENT).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_micros(1_795_310_400_000_000); // 2026-11-22

    #[test]
    fn an_event_counts_half_after_a_half_life() {
        let like = Engagement::Like.share(NOW);
        assert!((heat(like, NOW) - 4.0).abs() < 1e-9);
        assert!((heat(like, NOW + HALF_LIFE) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_like_and_a_look_trend_today_and_no_longer_tomorrow() {
        let score = Engagement::Like.share(NOW) + Engagement::View.share(NOW);
        assert!(score >= floor(NOW));
        assert!(score < floor(NOW + Duration::from_hours(24)));
        assert!(Engagement::View.share(NOW) < floor(NOW));
    }

    #[test]
    fn scores_are_finite_and_positive_from_1970_to_the_year_9999() {
        for micros in [0, 1_609_459_200_000_000, 2_808_000_000_000_000, 253_402_300_799_000_000] {
            let score = Engagement::NdaRequest.share(Timestamp::from_micros(micros));
            assert!(score.is_normal() && score > 0.0, "{micros}: {score}");
        }
    }

    proptest! {
        #[test]
        fn the_stored_score_orders_pitches_as_their_decayed_heat_does(
            a in prop::collection::vec(0_i32..90, 1..20),
            b in prop::collection::vec(0_i32..90, 1..20),
        ) {
            let day = |days: i32| Timestamp::from_micros(NOW.as_micros() - i64::from(days) * 86_400_000_000);
            let score = |days: &[i32]| days.iter().map(|d| Engagement::View.share(day(*d))).sum::<f64>();
            let decayed = |days: &[i32]| days.iter().map(|d| (-f64::from(*d) / 7.0).exp2()).sum::<f64>();
            prop_assume!((decayed(&a) - decayed(&b)).abs() > 1e-9);
            prop_assert_eq!(score(&a) > score(&b), decayed(&a) > decayed(&b));
        }
    }
}
