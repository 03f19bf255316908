//! What the console knows: every process it listens to, how old that is, and the last five minutes.
//!
//! Pure: events and the time go in, nothing else. The clock is a [`Moment`], the time since the console began, handed
//! in by the caller, so that tests and replays are exact. Data is never thrown away because it is old; it *looks* old.

mod cluster;
mod node;
mod pools;
mod rates;
mod series;

pub(crate) use cluster::Cluster;
pub(crate) use node::{Link, Node};
pub(crate) use pools::PoolRow;
pub(crate) use rates::{PoolRates, Rates};
pub(crate) use series::Series;

use shared::protocol::admin::{Hello, Tick};
use std::time::Duration;

/// Time since the console began.
pub(crate) type Moment = Duration;

/// Data older than this looks old. Ticks come once a second.
pub(crate) const STALE_AFTER: Duration = Duration::from_secs(2);
/// Time between two points of the curves.
const SAMPLE: Duration = Duration::from_secs(1);
/// Most processes shown; more token files than this are passed over.
pub(crate) const MOST_NODES: usize = 64;

/// What a link to a process has to say.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// The process.
    pub(crate) node: String,
    /// What happened.
    pub(crate) what: What,
}

/// See [`Event`].
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// Trying.
    Connecting,
    /// It said who it is.
    Hello(Box<Hello>),
    /// It said how it is.
    Tick(Box<Tick>),
    /// It skipped so many ticks, because we read too slowly.
    Lost(u64),
    /// No connection; the next attempt is in this time.
    Down {
        /// For people.
        why: String,
        /// When the next attempt comes.
        retry_in: Duration,
    },
}

/// How old something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// Nothing has been heard yet.
    Waiting,
    /// As new as it gets.
    Live,
    /// This old.
    Stale(Duration),
}

/// Everything known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    nodes: Vec<Node>,
    history: cluster::History,
    sampled: Option<Moment>,
    gap: u64,
}

impl Store {
    /// Takes in what a link said.
    pub(crate) fn apply(&mut self, event: Event, now: Moment) {
        if let What::Lost(count) = event.what {
            self.gap += count;
        }
        if let Some(node) = self.entry(&event.node) {
            node.apply(event.what, now);
        }
    }

    /// Adds a point to every curve, once a second; true when it did.
    pub(crate) fn sample(&mut self, now: Moment) -> bool {
        if self.nodes.is_empty() || self.sampled.is_some_and(|last| now < last + SAMPLE) {
            return false;
        }
        // On a grid, so that late calls do not stretch the time axis; after a long sleep it starts anew.
        self.sampled = Some(match self.sampled {
            Some(last) if now < last + SAMPLE * 2 => last + SAMPLE,
            _ => now,
        });
        self.history.push(self.freshness(now), &self.cluster(now));
        for node in &mut self.nodes {
            node.sample(now);
        }
        true
    }

    /// The processes, by name.
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// How many processes are heard.
    pub(crate) fn live(&self, now: Moment) -> usize {
        self.nodes.iter().filter(|node| node.freshness(now) == Freshness::Live).count()
    }

    /// Everything added up. A lost process no longer counts, except when all are lost: then the last that is known of
    /// each is better than nothing.
    pub(crate) fn cluster(&self, now: Moment) -> Cluster {
        let nobody = self.live(now) == 0;
        Cluster::of(self.nodes.iter().filter(|node| nobody || node.freshness(now) == Freshness::Live))
    }

    /// The curves of the whole.
    pub(crate) fn history(&self) -> &cluster::History {
        &self.history
    }

    /// Ticks that were skipped for us.
    pub(crate) fn gap(&self) -> u64 {
        self.gap
    }

    /// How old the picture is: live while anything is, else as old as the newest.
    pub(crate) fn freshness(&self, now: Moment) -> Freshness {
        let ages = self.nodes.iter().map(|node| node.freshness(now));
        ages.fold(Freshness::Waiting, |best, age| match (best, age) {
            (Freshness::Live, _) | (_, Freshness::Live) => Freshness::Live,
            (Freshness::Stale(a), Freshness::Stale(b)) => Freshness::Stale(a.min(b)),
            (Freshness::Stale(a), Freshness::Waiting) | (Freshness::Waiting, Freshness::Stale(a)) => {
                Freshness::Stale(a)
            }
            (Freshness::Waiting, Freshness::Waiting) => Freshness::Waiting,
        })
    }

    fn entry(&mut self, name: &str) -> Option<&mut Node> {
        match self.nodes.binary_search_by(|node| node.name().cmp(name)) {
            Ok(at) => self.nodes.get_mut(at),
            Err(_) if self.nodes.len() >= MOST_NODES => None,
            Err(at) => {
                self.nodes.insert(at, Node::new(name));
                self.nodes.get_mut(at)
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
