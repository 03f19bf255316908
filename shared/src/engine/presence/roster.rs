//! Who is present, as plain data: no lock, no clock, nobody told. Every operation returns the states to announce.
//!
//! Three things can fall due: a lease (its node stopped renewing), a grace (the user did not come back), and the memory
//! of an offline user's version. All stand in one ordered set, so that a sweep costs what is due and not what is there.
//!
//! ```text
//!            first connection                    last connection leaves, or its lease ends
//!   Gone ─────────────────────▶ Here ──────────────────────────────────────▶ Leaving
//!    ▲ announced                  ▲ ◀─ announced when the merged status changes │ nobody told
//!    │                            └──────────────── a connection ───────────────┤
//!    └───────────────────────────── GRACE ran out, announced ───────────────────┘
//! ```

use super::{GRACE, LEASE, REMEMBER, REMEMBERED, Renewal};
use crate::{
    clock::Timestamp,
    id::UserId,
    protocol::{command::Status, event::PresenceState},
};
use smallvec::SmallVec;
use std::collections::{BTreeSet, HashMap, HashSet};
use uuid::Uuid;

#[derive(Debug, Default)]
pub(super) struct Roster {
    people: HashMap<UserId, Person>,
    leases: HashMap<Uuid, Lease>,
    due: BTreeSet<(Timestamp, Due)>,
    /// Offline users whose version is remembered, the one who left longest ago first.
    gone: BTreeSet<(Timestamp, UserId)>,
}

/// One thing that falls due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Lease(Uuid),
    Grace(UserId),
}

#[derive(Debug)]
struct Lease {
    renewed: Timestamp,
    users: HashSet<UserId>,
    /// Whether `renew` has told the node that this lease is a new one.
    told: bool,
}

/// A user somebody has heard of.
#[derive(Debug)]
struct Person {
    /// What was announced last.
    status: Status,
    version: u64,
    /// One, for most.
    connections: SmallVec<[Connection; 1]>,
    phase: Phase,
}

#[derive(Debug)]
struct Connection {
    node: Uuid,
    id: u64,
    status: Status,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Here,
    /// No connection is left; offline then.
    Leaving(Timestamp),
    /// Offline; the version is forgotten then.
    Gone(Timestamp),
}

impl Roster {
    pub(super) fn renew(&mut self, node: Uuid, now: Timestamp) -> Renewal {
        let lease = self.lease(node, now);
        let (renewed, told) = (lease.renewed, lease.told);
        lease.told = true;
        // A clock that stepped back does not shorten a lease.
        lease.renewed = renewed.max(now);
        let dies = lease.renewed + LEASE;
        self.due.remove(&(renewed + LEASE, Due::Lease(node)));
        self.due.insert((dies, Due::Lease(node)));
        if told { Renewal::Prolonged } else { Renewal::Started }
    }

    pub(super) fn join(
        &mut self,
        node: Uuid,
        user: UserId,
        id: u64,
        status: Status,
        now: Timestamp,
    ) -> Option<PresenceState> {
        self.lease(node, now).users.insert(user);
        let person = self.people.entry(user).or_insert_with(|| Person {
            status: Status::Offline,
            version: 0,
            connections: SmallVec::new(),
            phase: Phase::Gone(now),
        });
        match person.connections.iter_mut().find(|connection| connection.is(node, id)) {
            Some(connection) => connection.status = status,
            None => person.connections.push(Connection { node, id, status }),
        }
        self.settle(user, now, now)
    }

    pub(super) fn set(
        &mut self,
        node: Uuid,
        user: UserId,
        id: u64,
        status: Status,
        now: Timestamp,
    ) -> Option<PresenceState> {
        let person = self.people.get_mut(&user)?;
        person.connections.iter_mut().find(|connection| connection.is(node, id))?.status = status;
        self.settle(user, now, now)
    }

    pub(super) fn leave(&mut self, node: Uuid, user: UserId, id: u64, now: Timestamp) -> Option<PresenceState> {
        let person = self.people.get_mut(&user)?;
        person.connections.retain(|connection| !connection.is(node, id));
        if !person.connections.iter().any(|connection| connection.node == node)
            && let Some(lease) = self.leases.get_mut(&node)
        {
            lease.users.remove(&user);
        }
        self.settle(user, now, now)
    }

    /// The lease ends: all its connections leave, as of `since`.
    fn end(&mut self, node: Uuid, since: Timestamp, now: Timestamp) -> Vec<PresenceState> {
        let Some(lease) = self.leases.remove(&node) else { return Vec::new() };
        self.due.remove(&(lease.renewed + LEASE, Due::Lease(node)));
        let mut changes = Vec::new();
        for user in lease.users {
            if let Some(person) = self.people.get_mut(&user) {
                person.connections.retain(|connection| connection.node != node);
                changes.extend(self.settle(user, since, now));
            }
        }
        changes
    }

    pub(super) fn retire(&mut self, node: Uuid, now: Timestamp) -> Vec<PresenceState> {
        self.end(node, now, now)
    }

    /// Works off the next thing that is due; `None` when nothing is.
    pub(super) fn next_due(&mut self, now: Timestamp) -> Option<Vec<PresenceState>> {
        let &(at, due) = self.due.first().filter(|(at, _)| *at <= now)?;
        match due {
            Due::Lease(node) => {
                let renewed = self.leases.get(&node).map_or(at, |lease| lease.renewed);
                Some(self.end(node, renewed, now))
            }
            Due::Grace(user) => Some(self.go(user, now).into_iter().collect()),
        }
    }

    pub(super) fn state(&self, user: UserId) -> PresenceState {
        self.people
            .get(&user)
            .map_or(PresenceState { user, status: Status::Offline, v: 0, devices: 0 }, |person| person.state(user))
    }

    pub(super) fn present(&self) -> usize {
        self.people.len() - self.gone.len()
    }

    fn lease(&mut self, node: Uuid, now: Timestamp) -> &mut Lease {
        self.leases.entry(node).or_insert_with(|| {
            self.due.insert((now + LEASE, Due::Lease(node)));
            Lease { renewed: now, users: HashSet::new(), told: false }
        })
    }

    /// Brings the user's phase and announced status in line with their connections; without any, the grace runs from
    /// `since`.
    fn settle(&mut self, user: UserId, since: Timestamp, now: Timestamp) -> Option<PresenceState> {
        let person = self.people.get_mut(&user)?;
        let Some(merged) = person.merged() else {
            if person.phase == Phase::Here {
                person.phase = Phase::Leaving(since + GRACE);
                self.due.insert((since + GRACE, Due::Grace(user)));
            }
            return None;
        };
        match std::mem::replace(&mut person.phase, Phase::Here) {
            Phase::Here => {}
            Phase::Leaving(until) => {
                self.due.remove(&(until, Due::Grace(user)));
            }
            Phase::Gone(until) => {
                self.gone.remove(&(until, user));
            }
        }
        (person.status != merged).then(|| person.change(user, merged, now))
    }

    /// The grace is over.
    fn go(&mut self, user: UserId, now: Timestamp) -> Option<PresenceState> {
        self.forget_gone(now);
        let person = self.people.get_mut(&user)?;
        if let Phase::Leaving(until) = person.phase {
            self.due.remove(&(until, Due::Grace(user)));
        }
        person.phase = Phase::Gone(now + REMEMBER);
        self.gone.insert((now + REMEMBER, user));
        Some(person.change(user, Status::Offline, now))
    }

    /// Forgets offline users whose time is over, two for each that comes, and the oldest when there are too many.
    fn forget_gone(&mut self, now: Timestamp) {
        for _ in 0..2 {
            let over = self.gone.first().filter(|(until, _)| *until <= now || self.gone.len() >= REMEMBERED).copied();
            let Some((until, user)) = over else { return };
            self.gone.remove(&(until, user));
            self.people.remove(&user);
        }
    }
}

impl Person {
    /// Online if any connection is, else away if there is any.
    fn merged(&self) -> Option<Status> {
        if self.connections.is_empty() {
            None
        } else if self.connections.iter().any(|connection| connection.status == Status::Online) {
            Some(Status::Online)
        } else {
            Some(Status::Away)
        }
    }

    fn change(&mut self, user: UserId, status: Status, now: Timestamp) -> PresenceState {
        self.status = status;
        self.version = (self.version + 1).max(now.as_millis().max(0).unsigned_abs());
        self.state(user)
    }

    fn state(&self, user: UserId) -> PresenceState {
        let devices = u32::try_from(self.connections.len()).unwrap_or(u32::MAX);
        PresenceState { user, status: self.status, v: self.version, devices }
    }
}

impl Connection {
    fn is(&self, node: Uuid, id: u64) -> bool {
        self.node == node && self.id == id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(0) + Duration::from_secs(seconds)
    }

    fn sweep(roster: &mut Roster, now: Timestamp) -> Vec<PresenceState> {
        std::iter::from_fn(|| roster.next_due(now)).flatten().collect()
    }

    #[test]
    fn a_sweep_touches_only_what_is_due() {
        let mut roster = Roster::default();
        let (early, late) = (Uuid::now_v7(), Uuid::now_v7());
        for n in 0..1_000 {
            roster.join(late, UserId::new(), n, Status::Online, at(5));
        }
        roster.join(early, UserId::new(), 0, Status::Online, at(0));
        assert_eq!(roster.due.len(), 2, "one entry per lease, none per user");
        assert_eq!(sweep(&mut roster, at(10)), []);
        assert_eq!(roster.due.len(), 2, "the late lease, and one grace");
        assert_eq!(sweep(&mut roster, at(15)).len(), 1);
        assert_eq!(roster.present(), 1_000);
    }

    #[test]
    fn users_who_left_are_forgotten_in_the_end() {
        let mut roster = Roster::default();
        let node = Uuid::now_v7();
        for n in 0..1_000 {
            let user = UserId::new();
            roster.join(node, user, n, Status::Online, at(0));
            roster.leave(node, user, n, at(0));
        }
        assert_eq!(sweep(&mut roster, at(15)).len(), 1_000);
        assert_eq!((roster.people.len(), roster.due.len()), (1_000, 0));
        let day = REMEMBER.as_secs();
        for n in 0..1_000 {
            let user = UserId::new();
            roster.join(node, user, n, Status::Online, at(day + 20));
            roster.leave(node, user, n, at(day + 20));
            sweep(&mut roster, at(day + 40));
        }
        assert_eq!((roster.people.len(), roster.gone.len()), (1_000, 1_000), "one day's worth");
    }

    #[derive(Clone, Debug)]
    enum Step {
        Join(usize, usize, u64, bool),
        Set(usize, usize, u64, bool),
        Leave(usize, usize, u64),
        Renew(usize),
        Retire(usize),
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let (node, user, id) = (0..3_usize, 0..4_usize, 0..3_u64);
        prop_oneof![
            (node.clone(), user.clone(), id.clone(), any::<bool>()).prop_map(|(n, u, c, a)| Step::Join(n, u, c, a)),
            (node.clone(), user.clone(), id.clone(), any::<bool>()).prop_map(|(n, u, c, a)| Step::Set(n, u, c, a)),
            (node.clone(), user, id).prop_map(|(n, u, c)| Step::Leave(n, u, c)),
            node.clone().prop_map(Step::Renew),
            node.prop_map(Step::Retire),
            (1..20_u64).prop_map(Step::Wait),
        ]
    }

    proptest! {
        #[test]
        fn whatever_happens_announcements_are_changes_with_growing_versions_and_all_end_offline(
            steps in prop::collection::vec(step(), 1..80),
        ) {
            let (nodes, users) = ([1, 2, 3].map(Uuid::from_u128), [1, 2, 3, 4].map(|n| UserId(Uuid::from_u128(n))));
            let status = |away| if away { Status::Away } else { Status::Online };
            let mut roster = Roster::default();
            let (mut now, mut told) = (at(1_000), Vec::new());
            for step in steps {
                match step {
                    Step::Join(n, u, c, away) => told.extend(roster.join(nodes[n], users[u], c, status(away), now)),
                    Step::Set(n, u, c, away) => told.extend(roster.set(nodes[n], users[u], c, status(away), now)),
                    Step::Leave(n, u, c) => told.extend(roster.leave(nodes[n], users[u], c, now)),
                    Step::Renew(n) => {
                        let _ = roster.renew(nodes[n], now);
                    }
                    Step::Retire(n) => told.extend(roster.retire(nodes[n], now)),
                    Step::Wait(seconds) => {
                        now = now + Duration::from_secs(seconds);
                        told.extend(sweep(&mut roster, now));
                    }
                }
                let graces = roster.people.values().filter(|p| matches!(p.phase, Phase::Leaving(_))).count();
                prop_assert_eq!(roster.due.len(), graces + roster.leases.len());
                let gone = roster.people.values().filter(|p| matches!(p.phase, Phase::Gone(_))).count();
                prop_assert_eq!(roster.gone.len(), gone);
            }
            told.extend(sweep(&mut roster, now + LEASE + GRACE));
            for user in users {
                let mut last = PresenceState { user, status: Status::Offline, v: 0, devices: 0 };
                for state in told.iter().filter(|state| state.user == user) {
                    prop_assert!(state.v > last.v && state.status != last.status);
                    last = *state;
                }
                prop_assert_eq!(last.status, Status::Offline);
                prop_assert_eq!(roster.state(user), last);
            }
            prop_assert!(roster.due.is_empty() && roster.leases.is_empty() && roster.present() == 0);
        }
    }
}
