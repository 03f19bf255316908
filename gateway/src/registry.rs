//! Every connection of this node: by number for the heartbeat, by user and session for whoever must reach them, by
//! address for the limits.
//!
//! Entries are guards: what registers a connection also forgets it, however its task ends.

use crate::{connection::outbox::Outbox, slots::Slots};
use dashmap::DashMap;
use shared::{
    forwarded::network,
    id::{SessionId, UserId},
};
use smallvec::SmallVec;
use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// Connections of one user; one or two need no allocation.
type Few = SmallVec<[Arc<Outbox>; 2]>;

/// The connections of one node.
#[derive(Default)]
pub(crate) struct Registry {
    all: Mutex<Slots<Arc<Outbox>>>,
    users: DashMap<UserId, Few>,
    sessions: DashMap<SessionId, Few>,
    addresses: DashMap<IpAddr, usize>,
}

impl Registry {
    /// Adds an open connection; returns its slot, for [`Registry::remove`].
    pub(crate) fn add(&self, outbox: &Arc<Outbox>) -> u32 {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).insert(Arc::clone(outbox))
    }

    pub(crate) fn remove(&self, slot: u32) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(slot);
    }

    /// How many connections are open.
    pub(crate) fn len(&self) -> usize {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether no connection is open.
    pub(crate) fn is_empty(&self) -> bool {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Looks at every connection. What it does must be short and must not come back here.
    pub(crate) fn for_each(&self, mut look: impl FnMut(&Arc<Outbox>)) {
        for outbox in self.all.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            look(outbox);
        }
    }

    /// Every connection, oldest slot first.
    pub(crate) fn snapshot(&self) -> Vec<Arc<Outbox>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Every connection with its slot.
    pub(crate) fn snapshot_with_slots(&self) -> Vec<(u32, Arc<Outbox>)> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter_with_slots().map(|(slot, outbox)| (slot, Arc::clone(outbox))).collect()
    }

    /// The connection in a slot.
    pub(crate) fn get(&self, slot: u32) -> Option<Arc<Outbox>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).get(slot).cloned()
    }

    /// Adds an authenticated connection. Beyond `most` of one user the oldest is returned: it has to go.
    pub(crate) fn add_user(
        &self,
        user: UserId,
        session: SessionId,
        outbox: &Arc<Outbox>,
        most: usize,
    ) -> Option<Arc<Outbox>> {
        self.sessions.entry(session).or_default().push(Arc::clone(outbox));
        let mut connections = self.users.entry(user).or_default();
        connections.push(Arc::clone(outbox));
        (connections.len() > most).then(|| connections.remove(0))
    }

    pub(crate) fn remove_user(&self, user: UserId, session: SessionId, outbox: &Arc<Outbox>) {
        forget(&self.users, &user, outbox);
        forget(&self.sessions, &session, outbox);
    }

    pub(crate) fn of_user(&self, user: UserId, look: impl FnMut(&Arc<Outbox>)) {
        // Cloned out: what `look` does must not run under the map's lock.
        let connections = self.users.get(&user).map(|connections| connections.clone()).unwrap_or_default();
        connections.iter().for_each(look);
    }

    pub(crate) fn of_session(&self, session: SessionId, look: impl FnMut(&Arc<Outbox>)) {
        let connections = self.sessions.get(&session).map(|connections| connections.clone()).unwrap_or_default();
        connections.iter().for_each(look);
    }

    /// Every session somebody is connected with.
    pub(crate) fn sessions(&self) -> Vec<SessionId> {
        self.sessions.iter().map(|entry| *entry.key()).collect()
    }

    /// Counts one more connection of an address; `None` when it has `most` already.
    pub(crate) fn admit_address(self: &Registry, address: IpAddr, most: usize) -> Option<IpAddr> {
        let key = network(address);
        let mut count = self.addresses.entry(key).or_insert(0);
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(key)
    }

    /// One connection of an admitted address ended.
    pub(crate) fn release_address(&self, key: IpAddr) {
        if let Some(mut count) = self.addresses.get_mut(&key) {
            *count = count.saturating_sub(1);
        }
        self.addresses.remove_if(&key, |_, count| *count == 0);
    }

    /// Whether nothing is left: what a test of the end looks at.
    pub(crate) fn nothing_left(&self) -> bool {
        self.is_empty() && self.users.is_empty() && self.sessions.is_empty() && self.addresses.is_empty()
    }
}

fn forget<K: std::hash::Hash + Eq>(map: &DashMap<K, Few>, key: &K, outbox: &Arc<Outbox>) {
    if let Some(mut connections) = map.get_mut(key) {
        connections.retain(|other| !Arc::ptr_eq(other, outbox));
    }
    map.remove_if(key, |_, connections| connections.is_empty());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox() -> Arc<Outbox> {
        Arc::new(Outbox::new(1, 0, u32::MAX))
    }

    #[test]
    fn one_connection_too_many_makes_the_oldest_go() {
        let registry = Registry::default();
        let (user, session) = (UserId::new(), SessionId::new());
        let (a, b) = (outbox(), outbox());
        assert!(registry.add_user(user, session, &a, 1).is_none());
        assert!(Arc::ptr_eq(&registry.add_user(user, session, &b, 1).unwrap(), &a));
        registry.remove_user(user, session, &a);
        let mut reached = 0;
        registry.of_session(session, |outbox| reached += usize::from(Arc::ptr_eq(outbox, &b)));
        assert_eq!(reached, 1);
        registry.remove_user(user, session, &b);
        assert!(registry.nothing_left());
    }

    #[test]
    fn an_ipv6_network_shares_one_limit() {
        let registry = Registry::default();
        let (a, b): (IpAddr, IpAddr) = ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
        let key = registry.admit_address(a, 1).unwrap();
        assert!(registry.admit_address(b, 1).is_none());
        registry.release_address(key);
        assert!(registry.admit_address(b, 1).is_some());
    }
}
