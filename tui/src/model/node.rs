//! One process: what it said last, how old that is, and how the link to it stands.

use super::{
    Freshness, Moment, Rates, STALE_AFTER, Series, What,
    rates::{Minute, Window},
};
use shared::protocol::admin::{Hello, Tick};
use std::{collections::BTreeMap, time::Duration};

/// Most pools whose curve is kept; a process has two or three.
const MOST_POOLS: usize = 16;

/// How the link stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// Trying for the first time.
    Connecting,
    /// Connected.
    Up,
    /// Not connected.
    Down {
        /// For people.
        why: String,
        /// When the next attempt comes.
        retry_at: Moment,
        /// Failures since it was last up.
        attempts: u32,
    },
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    name: String,
    link: Link,
    hello: Option<Hello>,
    last: Option<Box<Tick>>,
    heard: Option<Moment>,
    rates: Option<Rates>,
    window: Window,
    pools: BTreeMap<String, Series>,
}

impl Node {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            link: Link::Connecting,
            hello: None,
            last: None,
            heard: None,
            rates: None,
            window: Window::default(),
            pools: BTreeMap::new(),
        }
    }

    pub(super) fn apply(&mut self, what: What, now: Moment) {
        match what {
            What::Hello(hello) => {
                if self.hello.as_ref().is_some_and(|known| known.node.started_at != hello.node.started_at) {
                    self.begin_anew();
                }
                self.hello = Some(*hello);
                self.link = Link::Up;
            }
            What::Tick(tick) => self.heard(tick, now),
            // While an attempt runs, the reason of the last failure stays in sight.
            What::Connecting | What::Lost(_) => {}
            What::Down { why, retry_in } => {
                let attempts = if let Link::Down { attempts, .. } = self.link { attempts + 1 } else { 1 };
                self.link = Link::Down { why, retry_at: now + retry_in, attempts };
            }
        }
    }

    fn heard(&mut self, tick: Box<Tick>, now: Moment) {
        self.rates = self.last.as_ref().and_then(|last| Rates::between(last, &tick));
        self.window.push(&tick);
        self.last = Some(tick);
        self.heard = Some(now);
        self.link = Link::Up;
    }

    fn begin_anew(&mut self) {
        self.last = None;
        self.rates = None;
        self.window.clear();
    }

    pub(super) fn sample(&mut self, now: Moment) {
        let live = self.freshness(now) == Freshness::Live;
        let pools = self.last.as_ref().map(|tick| tick.pools.as_slice()).unwrap_or_default();
        for pool in pools.iter().take(MOST_POOLS) {
            let series = self.pools.entry(pool.name.clone()).or_default();
            series.push(live.then(|| f64::from(pool.in_use)));
        }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How the link stands.
    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// Who it said it is.
    pub(crate) fn hello(&self) -> Option<&Hello> {
        self.hello.as_ref()
    }

    /// What it said last.
    pub(crate) fn tick(&self) -> Option<&Tick> {
        self.last.as_deref()
    }

    /// What it does in a second; none until two ticks of one life were heard.
    pub(crate) fn rates(&self) -> Option<&Rates> {
        self.rates.as_ref()
    }

    /// REST over the last minute.
    pub(crate) fn minute(&self) -> Minute {
        self.window.minute()
    }

    /// Connections in use of one pool, over time.
    pub(crate) fn pool_history(&self, pool: &str) -> Option<&Series> {
        self.pools.get(pool)
    }

    /// Time since it was heard.
    pub(crate) fn age(&self, now: Moment) -> Option<Duration> {
        self.heard.map(|heard| now.saturating_sub(heard))
    }

    /// How old what is known of it is.
    pub(crate) fn freshness(&self, now: Moment) -> Freshness {
        match (self.age(now), &self.link) {
            (None, _) => Freshness::Waiting,
            (Some(age), Link::Up) if age < STALE_AFTER => Freshness::Live,
            (Some(age), _) => Freshness::Stale(age),
        }
    }
}
