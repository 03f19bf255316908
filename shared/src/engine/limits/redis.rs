//! The rate limits of many processes: one bucket per key, one script that takes from it.
//!
//! Redis' own clock is the one clock of all of them. While Redis is away every process counts by itself, in buckets of
//! its own that are full at first: a limit then holds per process. That is the middle between refusing everybody and
//! letting everybody through, and an attacker gains one burst per process and outage.

use super::{Decision, MemoryLimits, Quota, gcra::Rate};
use crate::{
    clock::Clock,
    engine::{
        EngineError,
        redis::{Link, Script},
    },
};
use fred::types::Value;
use std::time::Duration;

static TAKE: Script = Script::new(include_str!("../scripts/limit_take.lua"));

/// See [`super::Limits`]. A cheap clone.
#[derive(Clone, Debug)]
pub struct RedisLimits {
    link: Link,
    /// What answers while Redis does not.
    alone: MemoryLimits,
}

impl RedisLimits {
    pub(in crate::engine) fn new(link: Link) -> Self {
        let alone = MemoryLimits::new(link.clock());
        Self { link, alone }
    }

    pub(super) async fn take(&self, key: &str, quota: Quota) -> Decision {
        match self.take_in_redis(key, quota).await {
            Ok(decision) => decision,
            Err(problem) => {
                tracing::debug!(%problem, "this process counts for itself");
                self.alone.take(key, quota)
            }
        }
    }

    async fn take_in_redis(&self, key: &str, quota: Quota) -> Result<Decision, EngineError> {
        let rate = Rate::of(quota);
        let now = match self.link.clock() {
            Clock::System => Value::from_static_str(""),
            clock @ Clock::Manual(_) => Value::Integer(clock.now().as_micros()),
        };
        let args = vec![now, rate.cost.into(), rate.burst.into()];
        let keys = vec![self.link.keys().limit(key)];
        let mut reply = self.link.run("check a rate limit", &TAKE, keys, args).await?;
        let (allowed, missing) = (reply.number()? == 1, reply.number()?);
        Ok(rate.decision(allowed, Duration::from_micros(missing)))
    }
}
