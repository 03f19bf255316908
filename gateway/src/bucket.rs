//! A token bucket in whole thousandths: `per_second` tokens a second, at most `burst` saved up.

/// The bucket. Time is handed in, in milliseconds of any origin; it may stand still, and going back is ignored.
#[derive(Debug)]
pub(crate) struct Bucket {
    /// Thousandths of a token left; below zero while a taker ignores refusals.
    level: i64,
    at_ms: u64,
    per_second: i64,
    burst: i64,
}

/// What a taker owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Debt {
    /// Tokens, rounded down.
    pub(crate) frames: u64,
    /// When a token will be there again.
    pub(crate) retry_after_ms: u64,
}

impl Bucket {
    pub(crate) fn new(burst: u32, per_second: u32) -> Self {
        let burst = i64::from(burst) * 1_000;
        Self { level: burst, at_ms: 0, per_second: i64::from(per_second), burst }
    }

    /// Takes a token, going into debt where there is none: whoever goes on after a refusal waits longer.
    pub(crate) fn take(&mut self, now_ms: u64) -> Result<(), Debt> {
        self.refill(now_ms);
        self.level = self.level.saturating_sub(1_000);
        if self.level >= 0 {
            return Ok(());
        }
        let owed = self.level.unsigned_abs();
        Err(Debt { frames: owed / 1_000, retry_after_ms: owed / self.per_second.max(1).unsigned_abs() + 1 })
    }

    /// Takes this many tokens for something that is done, but not at once if they are not there: returns how many
    /// milliseconds it waits. A tenth of a burst is there again then, so that what comes right behind it is not refused.
    /// At most a whole burst is owed, so nobody waits much longer than it takes to save one up.
    pub(crate) fn charge(&mut self, tokens: u32, now_ms: u64) -> u64 {
        if tokens == 0 {
            return 0;
        }
        self.refill(now_ms);
        self.level = self.level.saturating_sub(i64::from(tokens) * 1_000).max(-self.burst);
        match u64::try_from(self.burst / 10 - self.level) {
            Ok(missing @ 1..) => missing / self.per_second.max(1).unsigned_abs() + 1,
            _ => 0,
        }
    }

    /// Takes a token if there is one.
    pub(crate) fn try_take(&mut self, now_ms: u64) -> bool {
        self.refill(now_ms);
        let there = self.level >= 1_000;
        if there {
            self.level -= 1_000;
        }
        there
    }

    fn refill(&mut self, now_ms: u64) {
        let elapsed = i64::try_from(now_ms.saturating_sub(self.at_ms)).unwrap_or(i64::MAX);
        self.at_ms = self.at_ms.max(now_ms);
        // `per_second` tokens a second are as many thousandths a millisecond.
        self.level = self.level.saturating_add(elapsed.saturating_mul(self.per_second)).min(self.burst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn try_take_never_goes_into_debt() {
        let mut bucket = Bucket::new(2, 1);
        assert_eq!((0..5).filter(|_| bucket.try_take(0)).count(), 2);
        assert!(!bucket.try_take(999) && bucket.try_take(1_000));
    }

    #[test]
    fn what_costs_more_than_is_there_waits_until_it_is_and_little_longer_than_for_a_burst() {
        let mut bucket = Bucket::new(100, 50);
        assert_eq!((bucket.charge(0, 0), bucket.charge(90, 0)), (0, 0));
        assert_eq!(bucket.charge(50, 0), 1_001);
        assert!(bucket.take(500).is_err(), "it is owed until then");
        assert!((0..10).all(|_| bucket.take(1_100).is_ok()), "a few frames may follow");
        assert_eq!(bucket.charge(u32::MAX, 5_000), 2_201);
        assert_eq!(bucket.charge(1, 8_000), 0);
    }

    #[test]
    fn a_refused_taker_is_told_when_to_come_back() {
        let mut bucket = Bucket::new(1, 10);
        assert_eq!(bucket.take(0), Ok(()));
        let debt = bucket.take(0).unwrap_err();
        assert_eq!(debt, Debt { frames: 1, retry_after_ms: 101 });
        assert_eq!(bucket.take(300), Ok(()));
    }
}
