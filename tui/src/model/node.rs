//! One node: who it is, what it said last, how old that is, and what it did before.

use super::{Freshness, Moment, STALE_AFTER, track::Track};
use shared::{
    clock::Timestamp,
    protocol::admin::{COARSE_POINTS, FINE_POINTS, History, NodeInfo, NodeStatus, State, Tick},
};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    name: String,
    info: NodeInfo,
    /// What its cluster says of it, when it does not speak itself.
    state: State,
    clock_ahead_ms: i64,
    last: Option<Box<Tick>>,
    heard: Option<Moment>,
    fine: Track,
    coarse: Track,
}

impl Node {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            info: NodeInfo { name: name.to_owned(), ..NodeInfo::default() },
            state: State::default(),
            clock_ahead_ms: 0,
            last: None,
            heard: None,
            fine: Track::new(FINE_POINTS, SECOND),
            coarse: Track::new(COARSE_POINTS, MINUTE),
        }
    }

    pub(super) fn is(&mut self, info: &NodeInfo) {
        self.info.clone_from(info);
    }

    pub(super) fn stands(&mut self, status: &NodeStatus) {
        self.is(&status.info);
        (self.state, self.clock_ahead_ms) = (status.state, status.clock_ahead_ms);
    }

    pub(super) fn remembers(&mut self, history: &History) {
        match history.step_ms {
            1_000 => self.fine.merge(history),
            60_000 => self.coarse.merge(history),
            _ => {}
        }
    }

    /// Takes in a tick. One that another link brought before is passed over.
    pub(super) fn ticked(&mut self, tick: Box<Tick>, now: Moment) {
        let again = |last: &Tick| tick.at <= last.at && tick.uptime_ms <= last.uptime_ms;
        if self.last.as_deref().is_some_and(again) {
            return;
        }
        self.fine.push(tick.at, &tick.sample);
        self.coarse.push(tick.at, &tick.sample);
        self.state = tick.state;
        self.last = Some(tick);
        self.heard = Some(now);
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Who it said it is.
    pub(crate) fn info(&self) -> &NodeInfo {
        &self.info
    }

    /// Whether it takes new work, by its own word or its cluster's.
    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// How far its clock is ahead of that of the node that tells, in milliseconds.
    pub(crate) fn clock_ahead_ms(&self) -> i64 {
        self.clock_ahead_ms
    }

    /// What it said last.
    pub(crate) fn tick(&self) -> Option<&Tick> {
        self.last.as_deref()
    }

    /// The last 15 minutes by the second.
    pub(crate) fn fine(&self) -> &Track {
        &self.fine
    }

    /// The last day by the minute.
    pub(crate) fn coarse(&self) -> &Track {
        &self.coarse
    }

    /// Its clock, as far as it can be known: the newest tick's, and later when it has been silent since.
    pub(crate) fn clock(&self, now: Moment) -> Option<Timestamp> {
        let (tick, heard) = (self.last.as_ref()?, self.heard?);
        let silent = now.saturating_sub(heard);
        Some(if silent < STALE_AFTER { tick.at } else { tick.at + silent })
    }

    /// Time since it was heard.
    pub(crate) fn age(&self, now: Moment) -> Option<Duration> {
        self.heard.map(|heard| now.saturating_sub(heard))
    }

    /// How old what is known of it is.
    pub(crate) fn freshness(&self, now: Moment) -> Freshness {
        match self.age(now) {
            None => Freshness::Waiting,
            Some(age) if age < STALE_AFTER && self.state != State::Lost => Freshness::Live,
            Some(age) => Freshness::Stale(age),
        }
    }
}
