//! Rate limits in front of the handlers: one bucket per address, one per user, strict ones where a password or
//! a mail is at stake. The buckets live in the engine, so they hold across processes.
//!
//! When the engine cannot answer, requests pass: an outage of the limiter must not become an outage of the service
//! (the password hasher's own bound still holds).

use super::{ApiError, response::ceil_secs};
use http::{HeaderMap, HeaderName, HeaderValue};
use shared::engine::{Limits, Quota};
use std::time::Duration;

/// A named quota: so many at once, and so many per window in the long run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The name in keys and in `RateLimit-Policy`.
    pub name: &'static str,
    /// How many.
    pub burst: u32,
    /// In what time the whole burst is won back.
    pub window: Duration,
}

impl Policy {
    /// So many per so many seconds.
    pub const fn new(name: &'static str, burst: u32, seconds: u64) -> Self {
        Self { name, burst, window: Duration::from_secs(seconds) }
    }
}

/// Where a client stands with one policy, as headers and refusals tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    policy: Policy,
    remaining: u32,
    retry_after: Duration,
    reset_after: Duration,
}

impl Standing {
    /// A policy that is used up; one more will be allowed after `wait`.
    pub const fn spent(policy: Policy, wait: Duration) -> Self {
        Self { policy, remaining: 0, retry_after: wait, reset_after: policy.window }
    }

    /// When one more request will be allowed.
    pub const fn retry_after(&self) -> Duration {
        self.retry_after
    }

    /// The headers of the IETF draft, and the older ones many clients still read.
    pub fn write(&self, headers: &mut HeaderMap) {
        let Policy { name, burst, window } = self.policy;
        let reset = ceil_secs(self.reset_after);
        let mut put = |name: &'static str, value: String| {
            let value = HeaderValue::try_from(value).expect("digits and quotes are legal in a header");
            headers.insert(HeaderName::from_static(name), value);
        };
        put("ratelimit-policy", format!("\"{name}\";q={burst};w={}", ceil_secs(window)));
        put("ratelimit", format!("\"{name}\";r={};t={reset}", self.remaining));
        put("x-ratelimit-limit", burst.to_string());
        put("x-ratelimit-remaining", self.remaining.to_string());
        put("x-ratelimit-reset", reset.to_string());
    }

    /// The one with less left.
    #[must_use]
    pub fn tighter(self, other: Option<Self>) -> Self {
        other.filter(|other| other.remaining < self.remaining).unwrap_or(self)
    }
}

/// Takes one from `who`'s bucket. `Err` is a refusal; `Ok(None)` means that nobody could tell.
pub async fn take(limits: &Limits, policy: Policy, who: &str) -> Result<Option<Standing>, ApiError> {
    let quota = Quota { burst: policy.burst, per: policy.window };
    let decision = match limits.take(&format!("{}:{who}", policy.name), quota).await {
        Ok(decision) => decision,
        Err(error) => {
            tracing::warn!(policy = policy.name, %error, "failed to check a rate limit; the request passes");
            return Ok(None);
        }
    };
    let standing = Standing {
        policy,
        remaining: decision.remaining,
        retry_after: decision.retry_after,
        reset_after: decision.reset_after,
    };
    if decision.allowed { Ok(Some(standing)) } else { Err(ApiError::RateLimited(standing)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_tell_policy_rest_and_reset() {
        let mut headers = HeaderMap::new();
        Standing::spent(Policy::new("login", 5, 60), Duration::from_millis(100)).write(&mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"login\";q=5;w=60");
        assert_eq!(headers["ratelimit"], "\"login\";r=0;t=60");
        assert_eq!(headers["x-ratelimit-limit"], "5");
    }
}
