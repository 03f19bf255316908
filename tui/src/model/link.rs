//! One link: how it stands, and what the process at its other end said it is and can do.

use super::{Freshness, Moment, STALE_AFTER};
use shared::protocol::admin::{Hello, View};

/// How a link stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LinkState {
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
pub(crate) struct Link {
    name: String,
    state: LinkState,
    hello: Option<Box<Hello>>,
    heard: Option<Moment>,
}

impl Link {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), state: LinkState::Connecting, hello: None, heard: None }
    }

    pub(super) fn greeted(&mut self, hello: Box<Hello>) {
        self.hello = Some(hello);
        self.state = LinkState::Up;
    }

    pub(super) fn heard(&mut self, now: Moment) {
        self.heard = Some(now);
        self.state = LinkState::Up;
    }

    pub(super) fn down(&mut self, why: String, retry_at: Moment) {
        let attempts = if let LinkState::Down { attempts, .. } = self.state { attempts + 1 } else { 1 };
        self.state = LinkState::Down { why, retry_at, attempts };
    }

    /// The process it leads to.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How it stands. While a new attempt runs, the reason of the last failure stays in sight.
    pub(crate) fn state(&self) -> &LinkState {
        &self.state
    }

    /// What the process said it is.
    pub(crate) fn hello(&self) -> Option<&Hello> {
        self.hello.as_deref()
    }

    /// Whether it is up, and the process can answer this view.
    pub(crate) fn offers(&self, view: View) -> bool {
        self.state == LinkState::Up
            && self.hello().is_some_and(|hello| hello.views.iter().any(|name| name == view.name()))
    }

    /// Whether it is up, and the process can do this.
    pub(crate) fn can(&self, action: &str) -> bool {
        self.state == LinkState::Up && self.hello().is_some_and(|hello| hello.actions.iter().any(|name| name == action))
    }

    /// How old what it said is.
    pub(crate) fn freshness(&self, now: Moment) -> Freshness {
        match (self.heard, &self.state) {
            (None, _) => Freshness::Waiting,
            (Some(heard), LinkState::Up) if now.saturating_sub(heard) < STALE_AFTER => Freshness::Live,
            (Some(heard), _) => Freshness::Stale(now.saturating_sub(heard)),
        }
    }
}
