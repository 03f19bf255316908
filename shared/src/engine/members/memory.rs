//! The membership cache of one process.

use super::{Membership, TTL};
use crate::{
    clock::Clock,
    engine::{Control, broker::MemoryBroker, ttl::TtlMap},
    id::UserId,
    protocol::RoomName,
};
use std::sync::Arc;

/// Answers kept: some 250 bytes each, ten rooms for each of 20 000 users. When full, the oldest answer goes; the store
/// knows it.
const ANSWERS: usize = 200_000;

/// See [`super::MemberCache`]. A cheap clone.
#[derive(Clone, Debug)]
pub struct MemoryMembers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    broker: MemoryBroker,
    answers: TtlMap<(RoomName, UserId), Answer>,
}

/// A tombstone and a "no" are the same to a reader, and both win against a fill.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Yes,
    No,
}

impl MemoryMembers {
    pub(in crate::engine) fn new(clock: &Clock, broker: MemoryBroker) -> Self {
        Self(Arc::new(Inner { broker, answers: TtlMap::new(clock.clone(), TTL, ANSWERS) }))
    }

    pub(super) fn get(&self, room: &RoomName, user: UserId) -> Membership {
        match self.0.answers.get(&(room.clone(), user), |answer| *answer) {
            Some(Answer::Yes) => Membership::Allowed,
            Some(Answer::No) => Membership::Denied,
            None => Membership::Unknown,
        }
    }

    pub(super) fn fill(&self, room: &RoomName, user: UserId, allowed: bool) {
        let answer = if allowed { Answer::Yes } else { Answer::No };
        self.0.answers.put_if((room.clone(), user), answer, |there| there.is_none());
    }

    pub(super) fn renew(&self, room: &RoomName, user: UserId) {
        let allowed = |there: &Answer| matches!(there, Answer::Yes);
        self.0.answers.put_if((room.clone(), user), Answer::Yes, |there| there.is_none_or(allowed));
    }

    pub(super) fn grant(&self, room: &RoomName, user: UserId) {
        self.0.answers.put_if((room.clone(), user), Answer::Yes, |_| true);
    }

    pub(super) fn forget(&self, room: &RoomName, user: UserId) {
        self.0.answers.remove_if(&(room.clone(), user), |_| true);
    }

    pub(super) fn revoke(&self, room: &RoomName, user: UserId) {
        self.0.answers.put_if((room.clone(), user), Answer::No, |_| true);
        // Last, so that a node that hears of it and looks finds the tombstone.
        self.0.broker.control(&Control::MembershipRevoked(room.clone(), user));
    }
}
