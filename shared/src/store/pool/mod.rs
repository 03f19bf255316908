//! A bounded pool of connections: bb8, with limits, honest numbers, and errors that say what happened.
//!
//! The queue in front of it is bb8's: callers wait in turn, each at most the wait timeout, and are then refused
//! with [`StoreError::Exhausted`] (a 503, never a hang). It is bounded by the requests the listener lets in.

mod interrupt;
mod manager;
mod opening;
mod tally;
mod trust;

pub(super) use interrupt::Interrupt;
pub(super) use manager::{Backend, Manager};

use super::StoreError;
use crate::{config::PoolConfig, model::PoolStats};
use bb8::{PooledConnection, QueueStrategy, RunError};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tally::{Sink, Tally};

/// A connection on loan.
pub(super) type Loan<B> = PooledConnection<'static, Manager<B>>;

/// A pool of connections to one kind of database.
pub(super) struct Pool<B: Backend> {
    bb8: bb8::Pool<Manager<B>>,
    tally: Arc<Tally>,
}

impl<B: Backend> Pool<B> {
    /// Opens the first connection, so that a wrong address or password shows at once and by its own name. A database
    /// that is away is waited for.
    pub(super) async fn open(name: &'static str, backend: B, config: &PoolConfig) -> Result<Self, StoreError> {
        let tally = Arc::new(Tally::new(name));
        let bb8 = bb8::Pool::builder()
            .max_size(config.max_size)
            // The newest first: busy ones stay warm and the rest may idle out.
            .queue_strategy(QueueStrategy::Lifo)
            .connection_timeout(config.wait_timeout)
            // The manager's jitter ends a connection earlier, when it comes back; this ends those that never leave.
            .max_lifetime(config.max_lifetime.mul_f64(1.1))
            .idle_timeout(config.idle_timeout)
            .reaper_rate(reaper_rate(config))
            .error_sink(Box::new(Sink(Arc::clone(&tally))))
            .build_unchecked(Manager::new(backend, config.clone(), Arc::clone(&tally)));
        let first = opening::first(&bb8, name, config.start_timeout).await?;
        // A pool of at least one has room for it, and nobody else uses the pool yet.
        let _ = bb8.add(first);
        Ok(Self { bb8, tally })
    }

    /// A connection, after at most the wait timeout.
    pub(super) async fn get(&self) -> Result<Loan<B>, StoreError> {
        let started = Instant::now();
        let waiting = self.tally.wait();
        let outcome = self.bb8.get_owned().await;
        drop(waiting);
        self.tally.waited(started.elapsed());
        outcome.map_err(|error| match error {
            RunError::User(error) => StoreError::Unavailable(error.to_string()),
            RunError::TimedOut => {
                self.tally.error_since(started).map_or(StoreError::Exhausted, StoreError::Unavailable)
            }
        })
    }

    /// The numbers now.
    pub(super) fn stats(&self) -> PoolStats {
        let state = self.bb8.state();
        let counted = &state.statistics;
        let retired = self.tally.retirements();
        let last_error = self.tally.last_error();
        PoolStats {
            name: self.tally.name().to_owned(),
            max_size: self.bb8.config().max_size,
            connections: state.connections,
            idle: state.idle_connections,
            in_use: state.connections.saturating_sub(state.idle_connections),
            waiting: self.tally.waiting(),
            gets: counted.get_started,
            timeouts: counted.get_timed_out,
            direct: counted.get_direct,
            waited: counted.get_waited,
            wait_total_us: u64::try_from(counted.get_wait_time.as_micros()).unwrap_or(u64::MAX),
            pending: bb8_pending(counted),
            wait_p50_us: self.tally.waits().percentile_us(50),
            wait_p95_us: self.tally.waits().percentile_us(95),
            waits: self.tally.waits_told(),
            wait_max_us: self.tally.waits().max_us(),
            wait_limit_ms: u64::try_from(self.bb8.config().connection_timeout.as_millis()).unwrap_or(u64::MAX),
            // bb8 does not count the first one, which was added from outside.
            created: counted.connections_created + 1,
            closed_broken: counted.connections_closed_broken.saturating_sub(retired),
            closed_invalid: counted.connections_closed_invalid,
            closed_max_lifetime: counted.connections_closed_max_lifetime + retired,
            closed_idle: counted.connections_closed_idle_timeout,
            errors: self.tally.errors(),
            last_error: last_error.as_ref().map(|(_, text)| text.clone()),
            last_error_s: last_error.map(|(at, _)| at.elapsed().as_secs()),
        }
    }
}

/// What `Statistics::pending_gets` says, without its underflow.
fn bb8_pending(counted: &bb8::Statistics) -> u64 {
    counted.get_started.saturating_sub(counted.get_direct + counted.get_waited + counted.get_timed_out)
}

/// Often enough to keep the shorter of the two limits, and not more than once in 50 ms.
fn reaper_rate(config: &PoolConfig) -> Duration {
    let shorter = config.max_lifetime.min(config.idle_timeout);
    (shorter / 2).clamp(Duration::from_millis(50), Duration::from_secs(30))
}
