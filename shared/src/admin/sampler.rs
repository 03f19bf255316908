//! One sample of the process a second: remembered, judged, and sent to every console.

use super::{
    Shared, process,
    recorder::{Gauges, Moment},
};
use crate::{
    clock::Timestamp,
    protocol::admin::{Message, NodeStatus, Sample, State, TICK_MS, Tick},
};
use std::{
    sync::{
        Arc, PoisonError,
        atomic::Ordering::{Acquire, Relaxed},
    },
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// What a second brought, encoded once for every console.
#[derive(Clone, Debug, Default)]
pub(super) struct Beat {
    /// Grows by one a second.
    pub(super) seq: u64,
    /// The ticks of all nodes that were heard.
    pub(super) ticks: Arc<[Utf8Bytes]>,
}

/// The newest beat. A `watch` holds one value: a console that has not taken the last one finds a newer one in its
/// place, and sees from the sequence how many it missed.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    newest: watch::Sender<Beat>,
}

impl Sampler {
    /// Every beat from the next one on.
    pub(super) fn subscribe(&self) -> watch::Receiver<Beat> {
        self.newest.subscribe()
    }

    /// Replaces the newest beat.
    pub(super) fn publish(&self, beat: Beat) {
        self.newest.send_replace(beat);
    }

    /// Whether anybody would read a beat.
    pub(super) fn is_watched(&self) -> bool {
        self.newest.receiver_count() > 0
    }

    /// The number of the newest beat.
    pub(super) fn seq(&self) -> u64 {
        self.newest.borrow().seq
    }
}

/// Samples until the end, whether anybody listens or not: consoles that come find the last fifteen minutes.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut clock = interval(Duration::from_millis(TICK_MS));
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let due = tokio::select! {
            biased;
            () = shared.end.cancelled() => return,
            due = clock.tick() => due,
        };
        shared.beat(due.elapsed());
    }
}

/// A message as one text frame.
pub(super) fn encode(message: &Message) -> Utf8Bytes {
    serde_json::to_string(message).expect("plain data with text keys becomes JSON").into()
}

impl Shared {
    /// One second: sampled, remembered, told.
    pub(super) fn beat(&self, loop_lag: Duration) {
        let seq = self.sampler.seq() + 1;
        let moment = self.moment(loop_lag);
        let sample = self.recorder.lock().unwrap_or_else(PoisonError::into_inner).push(moment.clone());
        self.history.lock().unwrap_or_else(PoisonError::into_inner).push(moment.at, &sample);
        self.alerts.lock().unwrap_or_else(PoisonError::into_inner).judge(moment.at, &sample);
        let ticks: Arc<[Utf8Bytes]> = if self.sampler.is_watched() {
            let mut tick = self.tick(seq, moment, sample);
            tick.stats.http.routes = Vec::new();
            [encode(&Message::Tick(Box::new(tick)))].into()
        } else {
            Arc::default()
        };
        self.sampler.publish(Beat { seq, ticks });
    }

    /// The process now, for somebody who asked once; without rates, which take two looks.
    pub(super) fn snapshot(&self) -> Tick {
        let moment = self.moment(Duration::ZERO);
        let sample = super::recorder::Recorder::default().push(moment.clone());
        self.tick(self.sampler.seq(), moment, sample)
    }

    /// How this node is, as others see it.
    pub(super) fn status(&self) -> NodeStatus {
        let seen_at = self.sources.clock.now();
        NodeStatus { info: self.info(), state: self.state(), seen_at, clock_ahead_ms: 0 }
    }

    fn state(&self) -> State {
        let drained = self.sources.sockets.as_ref().is_some_and(|sockets| sockets.gauges().draining);
        if self.lifecycle.leaving() || drained { State::Draining } else { State::Running }
    }

    fn tick(&self, seq: u64, moment: Moment, sample: Sample) -> Tick {
        let Moment { at, stats, process, pools, redis, gauges } = moment;
        Tick {
            node: self.sources.name.clone(),
            seq,
            at,
            uptime_ms: u64::try_from(at.since(self.started_at).as_millis()).unwrap_or(u64::MAX),
            state: self.state(),
            sample,
            process,
            pools,
            redis,
            stats,
            consoles: gauges.consoles,
        }
    }

    fn moment(&self, loop_lag: Duration) -> Moment {
        let gauges = Gauges {
            socket_limit: self.sources.socket_limit as u64,
            sockets: self.sources.sockets.as_ref().map(|sockets| sockets.gauges()),
            consoles: self.consoles.load(Acquire),
            console_bytes: self.console_bytes.load(Relaxed),
            console_cpu_us: self.console_cpu_us.load(Relaxed),
            ..Gauges::default()
        };
        Moment {
            at: self.now(),
            stats: self.sources.metrics.stats(),
            process: process::read(loop_lag),
            pools: self.sources.store.as_ref().map(crate::store::Store::pool_stats).unwrap_or_default(),
            redis: None,
            gauges,
        }
    }

    /// What time it is.
    pub(super) fn now(&self) -> Timestamp {
        self.sources.clock.now()
    }
}
