//! The session cache of one process.

use super::{CachedSession, MARK_TTL, TICKET_TTL, TTL};
use crate::{
    clock::Clock,
    engine::{Control, broker::MemoryBroker, ttl::TtlMap},
    id::SessionId,
    model::Identity,
    secret::TokenHash,
};
use std::sync::Arc;

/// Sessions and tombstones kept: some 300 bytes each. When full, what was written longest ago goes; the store knows it.
const SESSIONS: usize = 100_000;
/// Tickets kept. When full, the oldest is worth nothing any more, and its owner asks for another.
const TICKETS: usize = 100_000;

/// See [`super::SessionCache`]. A cheap clone.
#[derive(Clone, Debug)]
pub struct MemorySessions(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    broker: MemoryBroker,
    sessions: TtlMap<TokenHash, Slot>,
    tickets: TtlMap<TokenHash, Arc<Identity>>,
    /// Sessions revoked a short while ago: their tickets are worth nothing, and sockets that were being opened with
    /// them meanwhile must go.
    revoked: TtlMap<SessionId, ()>,
}

#[derive(Debug)]
enum Slot {
    /// Shared with the sockets that act for it.
    Live(Arc<Identity>),
    Tombstone,
}

impl Slot {
    fn live(identity: &Identity) -> Self {
        Self::Live(Arc::new(identity.clone()))
    }

    fn share(&self) -> Option<Arc<Identity>> {
        match self {
            Self::Live(identity) => Some(Arc::clone(identity)),
            Self::Tombstone => None,
        }
    }
}

impl MemorySessions {
    pub(in crate::engine) fn new(clock: &Clock, broker: MemoryBroker) -> Self {
        Self(Arc::new(Inner {
            broker,
            sessions: TtlMap::new(clock.clone(), TTL, SESSIONS),
            tickets: TtlMap::new(clock.clone(), TICKET_TTL, TICKETS),
            revoked: TtlMap::new(clock.clone(), MARK_TTL, TICKETS),
        }))
    }

    pub(super) fn get(&self, token: &TokenHash) -> CachedSession {
        let found = self.0.sessions.get(token, |slot| match slot {
            // A token from before the last two rotations is in its grace, and its session may be gone already.
            Slot::Live(identity) if self.is_revoked(identity.session_id) => CachedSession::Revoked,
            Slot::Live(identity) => CachedSession::Live(Arc::clone(identity)),
            Slot::Tombstone => CachedSession::Revoked,
        });
        found.unwrap_or(CachedSession::Unknown)
    }

    pub(super) fn fill(&self, token: &TokenHash, identity: &Identity) {
        self.0.sessions.put_if(*token, Slot::live(identity), |there| there.is_none());
    }

    pub(super) fn put(&self, token: &TokenHash, identity: &Identity) {
        let live = |there: Option<&Slot>| !matches!(there, Some(Slot::Tombstone));
        self.0.sessions.put_if(*token, Slot::live(identity), live);
    }

    pub(super) fn renew(&self, token: &TokenHash, identity: &Identity) {
        let slot = match self.0.sessions.get(token, Slot::share) {
            // The same allocation: sockets share it.
            Some(Some(known)) if *known == *identity => Slot::Live(known),
            _ => Slot::live(identity),
        };
        let same = |there: &Slot| matches!(there, Slot::Live(known) if **known == *identity);
        self.0.sessions.put_if(*token, slot, |there| there.is_none_or(same));
    }

    pub(super) fn prolong(&self, token: &TokenHash, seen: &Identity, later: &Identity) {
        let same = |there: Option<&Slot>| matches!(there, Some(Slot::Live(known)) if **known == *seen);
        self.0.sessions.put_if(*token, Slot::live(later), same);
    }

    pub(super) fn forget(&self, token: &TokenHash) {
        self.0.sessions.remove_if(token, |slot| matches!(slot, Slot::Live(_)));
    }

    pub(super) fn bury(&self, token: &TokenHash) {
        self.0.sessions.put_if(*token, Slot::Tombstone, |_| true);
    }

    pub(super) fn revoke(&self, session: SessionId, tokens: &[TokenHash]) {
        self.0.revoked.put_if(session, (), |_| true);
        for token in tokens {
            self.bury(token);
        }
        // Last, so that a node that hears of it and looks finds the tombstone.
        self.0.broker.control(&Control::SessionRevoked(session));
    }

    pub(super) fn issue_ticket(&self, ticket: &TokenHash, identity: &Identity) {
        self.0.tickets.put_if(*ticket, Arc::new(identity.clone()), |there| there.is_none());
    }

    pub(super) fn redeem_ticket(&self, ticket: &TokenHash) -> Option<Arc<Identity>> {
        let identity = self.0.tickets.remove_if(ticket, |_| true)?;
        (!self.is_revoked(identity.session_id)).then_some(identity)
    }

    pub(super) fn is_revoked(&self, session: SessionId) -> bool {
        self.0.revoked.get(&session, |()| ()).is_some()
    }
}
