//! One sample of the process a second, made once and sent to every console.

use super::{Shared, process};
use crate::protocol::admin::{Message, State, TICK_MS, Tick};
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// The newest tick, encoded. A `watch` holds one value: a console that has not taken the last one finds a newer one in
/// its place, and sees from the sequence how many it missed.
#[derive(Debug)]
pub(super) struct Sampler {
    newest: watch::Sender<(u64, Utf8Bytes)>,
}

impl Sampler {
    pub(super) fn new() -> Self {
        Self { newest: watch::Sender::new((0, Utf8Bytes::default())) }
    }

    /// Every tick from the next one on.
    pub(super) fn subscribe(&self) -> watch::Receiver<(u64, Utf8Bytes)> {
        self.newest.subscribe()
    }

    /// Replaces the newest tick.
    pub(super) fn publish(&self, seq: u64, encoded: Utf8Bytes) {
        self.newest.send_replace((seq, encoded));
    }

    /// Whether anybody would read a tick.
    pub(super) fn is_watched(&self) -> bool {
        self.newest.receiver_count() > 0
    }

    fn seq(&self) -> u64 {
        self.newest.borrow().0
    }
}

/// Samples until the end. Without a console it only counts on: the numbers are elsewhere.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut clock = interval(Duration::from_millis(TICK_MS));
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let due = tokio::select! {
            biased;
            () = shared.end.cancelled() => return,
            due = clock.tick() => due,
        };
        let seq = shared.sampler.seq() + 1;
        let encoded = if shared.sampler.is_watched() {
            encode(&Message::Tick(Box::new(shared.sample(seq, due.elapsed()))))
        } else {
            Utf8Bytes::default()
        };
        shared.sampler.publish(seq, encoded);
    }
}

/// A message as one text frame.
pub(super) fn encode(message: &Message) -> Utf8Bytes {
    serde_json::to_string(message).expect("plain data with text keys becomes JSON").into()
}

impl Shared {
    /// The process now.
    pub(super) fn sample(&self, seq: u64, loop_lag: Duration) -> Tick {
        let at = self.sources.clock.now();
        let store = self.sources.store.as_ref();
        Tick {
            seq,
            at,
            uptime_ms: u64::try_from(at.since(self.started_at).as_millis()).unwrap_or(u64::MAX),
            state: if self.lifecycle.leaving() { State::Draining } else { State::Running },
            process: process::read(loop_lag),
            pools: store.map(crate::store::Store::pool_stats).unwrap_or_default(),
            statements: store.map(crate::store::Store::statement_stats).unwrap_or_default(),
            stats: self.sources.metrics.stats(),
            consoles: self.consoles.load(Relaxed),
        }
    }

    /// The process now, for somebody who asked once.
    pub(super) fn snapshot(&self) -> Tick {
        self.sample(self.sampler.seq(), Duration::ZERO)
    }
}
