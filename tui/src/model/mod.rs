//! What the console knows: every link it has, every node it hears of, what it asked to see, and how old all of that is.
//!
//! ```text
//! Event ──▶ Store ─┬─ links   how each stands, and what it said it can do
//!                  ├─ nodes   the newest tick of each, and 15 minutes by the second (a Track)
//!                  ├─ alerts, jobs
//!                  └─ lists   what was subscribed to, the answers of all links put together
//! (Store, when) ──▶ Picture    the same, read at one moment: now, or one that was rewound to
//! ```
//!
//! Pure: events and the time go in, nothing else. The clock is a [`Moment`], the time since the console began, handed
//! in by the caller, so that tests and replays are exact. Data is never thrown away because it is old; it *looks* old.

mod link;
mod lists;
mod merge;
mod node;
mod picture;
mod rows;
mod store;
mod track;

pub(crate) use link::{Link, LinkState};
pub(crate) use lists::{Lists, Showing, Slot};
pub(crate) use merge::{Answer, by, each_row};
pub(crate) use node::Node;
pub(crate) use picture::{Picture, Window};
pub(crate) use rows::{NodeRow, PoolRow};
pub(crate) use store::Store;

use shared::protocol::admin::{Job, Message, ProblemBody};
use std::time::Duration;

/// Time since the console began.
pub(crate) type Moment = Duration;

/// Data older than this looks old. Ticks come once a second.
pub(crate) const STALE_AFTER: Duration = Duration::from_secs(2);
/// Most links, and most nodes shown; more than this are passed over.
pub(crate) const MOST_NODES: usize = 64;

/// What a link has to say.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// The link: the name of the process it leads to.
    pub(crate) link: String,
    /// What happened.
    pub(crate) what: What,
}

/// See [`Event`].
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// Trying.
    Connecting,
    /// The process said something.
    Said(Box<Message>),
    /// No connection; the next attempt is in this time.
    Down {
        /// For people.
        why: String,
        /// When the next attempt comes.
        retry_in: Duration,
    },
    /// The answer to an action.
    Acted {
        /// The key it was asked under.
        key: String,
        /// What became of it.
        outcome: Box<Result<Job, ProblemBody>>,
    },
}

impl Event {
    /// Something a process said.
    pub(crate) fn said(link: &str, message: Message) -> Self {
        Self { link: link.to_owned(), what: What::Said(Box::new(message)) }
    }
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

impl Freshness {
    /// Of two, the better one.
    pub(crate) fn best(self, other: Self) -> Self {
        match (self, other) {
            (Self::Live, _) | (_, Self::Live) => Self::Live,
            (Self::Stale(a), Self::Stale(b)) => Self::Stale(a.min(b)),
            (Self::Stale(age), Self::Waiting) | (Self::Waiting, Self::Stale(age)) => Self::Stale(age),
            (Self::Waiting, Self::Waiting) => Self::Waiting,
        }
    }
}

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
