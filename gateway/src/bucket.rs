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
    fn a_refused_taker_is_told_when_to_come_back() {
        let mut bucket = Bucket::new(1, 10);
        assert_eq!(bucket.take(0), Ok(()));
        let debt = bucket.take(0).unwrap_err();
        assert_eq!(debt, Debt { frames: 1, retry_after_ms: 101 });
        assert_eq!(bucket.take(300), Ok(()));
    }
}
