//! The rate limits of one process.

use super::{Decision, KEYS, Quota, gcra};
use crate::{
    clock::Clock,
    engine::{pace::Pace, shards::Shards},
};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// Keys one shard holds.
const SHARD_KEYS: usize = KEYS / Shards::<Buckets>::COUNT;

/// When each key's bucket is full again, in microseconds since 1970. A full bucket is the same as none.
type Buckets = HashMap<Box<str>, i64>;

/// See [`super::Limits`]. A cheap clone.
#[derive(Clone, Debug)]
pub struct MemoryLimits(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    shards: Shards<Buckets>,
    sweeps: Pace,
}

impl MemoryLimits {
    pub(in crate::engine) fn new(clock: &Clock) -> Self {
        let sweeps = Pace::new(Duration::from_secs(10));
        Self(Arc::new(Inner { clock: clock.clone(), shards: Shards::default(), sweeps }))
    }

    pub(super) fn take(&self, key: &str, quota: Quota) -> Decision {
        let at = self.0.clock.now();
        let now = at.as_micros();
        let decision = {
            let mut buckets = self.0.shards.lock(&key);
            if let Some(full_at) = buckets.get_mut(key) {
                let (decision, next) = gcra::take(*full_at, now, quota);
                *full_at = next;
                decision
            } else {
                make_room(&mut buckets, now);
                let (decision, full_at) = gcra::take(now, now, quota);
                buckets.insert(key.into(), full_at);
                decision
            }
        };
        if self.0.sweeps.is_due(at) {
            self.0.shards.each().for_each(|mut buckets| forget_full(&mut buckets, now));
        }
        decision
    }
}

/// Before a new key in a full shard: drops the quarter that is nearest to being full again, which loses least.
fn make_room(buckets: &mut Buckets, now: i64) {
    if buckets.len() < SHARD_KEYS {
        return;
    }
    forget_full(buckets, now);
    if buckets.len() < SHARD_KEYS {
        return;
    }
    let mut times: Vec<i64> = buckets.values().copied().collect();
    let (_, &mut quarter, _) = times.select_nth_unstable(SHARD_KEYS / 4);
    buckets.retain(|_, full_at| *full_at > quarter);
}

fn forget_full(buckets: &mut Buckets, now: i64) {
    buckets.retain(|_, full_at| *full_at > now);
    if buckets.capacity() > 64 && buckets.len() < buckets.capacity() / 8 {
        buckets.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn a_million_strangers_leave_memory_bounded_and_then_empty() {
        let clock = Clock::manual(Timestamp::from_micros(1));
        let limits = MemoryLimits::new(&clock);
        let held = |limits: &MemoryLimits| limits.0.shards.each().map(|buckets| buckets.len()).sum::<usize>();
        let quota = Quota { burst: 10, per: Duration::from_mins(1) };
        for n in 0..KEYS + 50_000 {
            limits.take(&n.to_string(), quota);
        }
        assert!(held(&limits) <= KEYS, "{}", held(&limits));
        clock.advance(Duration::from_secs(61));
        limits.take("one", quota);
        assert_eq!(held(&limits), 1);
    }
}
