//! The presence of one process: the lock, the clock and the announcements around [`Roster`].
//!
//! Changes are announced under the lock, so that a node hears a user's versions in order; announcing never waits.

use super::{Incarnation, Renewal, roster::Roster};
use crate::{
    clock::Clock,
    engine::{Signal, Topic, broker::MemoryBroker, shards::lock},
    id::UserId,
    protocol::{command::Status, event::PresenceState},
};
use std::sync::{Arc, Mutex};

/// Due entries one hold of the lock works off, so that the end of a big node does not stop everybody else's joins.
const SWEEP: usize = 1_024;

/// See [`super::Presence`]. A cheap clone.
#[derive(Clone, Debug)]
pub struct MemoryPresence(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    broker: MemoryBroker,
    roster: Mutex<Roster>,
}

impl MemoryPresence {
    pub(in crate::engine) fn new(clock: &Clock, broker: MemoryBroker) -> Self {
        Self(Arc::new(Inner { clock: clock.clone(), broker, roster: Mutex::default() }))
    }

    pub(super) fn renew(&self, node: &Incarnation) -> Renewal {
        lock(&self.0.roster).renew(node.id, self.0.clock.now())
    }

    pub(super) fn join(&self, node: &Incarnation, user: UserId, connection: u64, status: Status) {
        let mut roster = lock(&self.0.roster);
        let change = roster.join(node.id, user, connection, status, self.0.clock.now());
        self.announce(change);
    }

    pub(super) fn set(&self, node: &Incarnation, user: UserId, connection: u64, status: Status) {
        let mut roster = lock(&self.0.roster);
        let change = roster.set(node.id, user, connection, status, self.0.clock.now());
        self.announce(change);
    }

    pub(super) fn leave(&self, node: &Incarnation, user: UserId, connection: u64) {
        let mut roster = lock(&self.0.roster);
        let change = roster.leave(node.id, user, connection, self.0.clock.now());
        self.announce(change);
    }

    pub(super) fn snapshot(&self, users: &[UserId]) -> Vec<PresenceState> {
        let roster = lock(&self.0.roster);
        users.iter().map(|user| roster.state(*user)).collect()
    }

    pub(super) fn count(&self) -> usize {
        lock(&self.0.roster).present()
    }

    pub(super) fn sweep(&self) -> usize {
        let now = self.0.clock.now();
        let mut offline = 0;
        loop {
            let mut roster = lock(&self.0.roster);
            for _ in 0..SWEEP {
                let Some(changes) = roster.next_due(now) else { return offline };
                offline += changes.iter().filter(|state| state.status == Status::Offline).count();
                self.announce(changes);
            }
        }
    }

    pub(super) fn retire(&self, node: &Incarnation) {
        let mut roster = lock(&self.0.roster);
        let changes = roster.retire(node.id, self.0.clock.now());
        self.announce(changes);
    }

    fn announce(&self, changes: impl IntoIterator<Item = PresenceState>) {
        for state in changes {
            self.0.broker.signal(&Topic::Presence(state.user), Signal::Presence(state));
        }
    }
}
