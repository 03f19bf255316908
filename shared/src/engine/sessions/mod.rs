//! The session cache and one-time tickets. The store is the truth.
//!
//! # Contract
//!
//! * Entries live [`TTL`]. `fill` is set-if-absent and loses against a tombstone, so a fill that races a revoke cannot
//!   resurrect a session; `put` is for the one who just replaced a token; `prolong` is compare-and-set, because the
//!   token may be replaced between the refresh of a row and the word of it.
//! * `renew` lets an entry live another [`TTL`] if it says what the store just said, and fills an empty place; an entry
//!   that differs was put by somebody who knows more, and stays.
//! * `revoke` leaves a tombstone for [`TTL`] under every hash of the session and tells every node
//!   ([`super::Control::SessionRevoked`]).
//! * A ticket is redeemed at most once and dies after [`TICKET_TTL`]. A ticket of a revoked session is worth nothing.
//! * Bounded: when a memory engine holds 100 000 sessions, the one written longest ago is forgotten, and the store asked.

mod memory;
mod redis;

use super::EngineError;
use crate::{id::SessionId, model::Identity, secret::TokenHash};
use std::{sync::Arc, time::Duration};

pub use memory::MemorySessions;
pub use redis::RedisSessions;

/// How long a cached session or a tombstone lives.
pub const TTL: Duration = Duration::from_hours(1);
/// How long a ticket lives.
pub const TICKET_TTL: Duration = Duration::from_secs(30);
/// How long it is remembered that a session was revoked: twice a ticket's life, because a request that was under way
/// then may still issue one.
pub const MARK_TTL: Duration = Duration::from_mins(1);

/// What the cache knows about a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CachedSession {
    /// A live session (the caller still compares `expires_at` with the clock).
    Live(Arc<Identity>),
    /// It was revoked.
    Revoked,
    /// Ask the store.
    Unknown,
}

/// The session cache. See the module's contract.
#[derive(Clone, Debug)]
pub enum SessionCache {
    /// Inside one process.
    Memory(MemorySessions),
    /// Among all processes on one Redis.
    Redis(RedisSessions),
}

impl SessionCache {
    /// Looks a token up.
    pub async fn get(&self, token: &TokenHash) -> Result<CachedSession, EngineError> {
        match self {
            Self::Memory(sessions) => Ok(sessions.get(token)),
            Self::Redis(sessions) => sessions.get(token).await,
        }
    }

    /// Remembers what the store said, unless something is there already.
    pub async fn fill(&self, token: &TokenHash, identity: &Identity) -> Result<(), EngineError> {
        match self {
            Self::Memory(sessions) => sessions.fill(token, identity),
            Self::Redis(sessions) => return sessions.fill(token, identity).await,
        }
        Ok(())
    }

    /// Replaces what is there, but never a tombstone.
    pub async fn put(&self, token: &TokenHash, identity: &Identity) -> Result<(), EngineError> {
        match self {
            Self::Memory(sessions) => sessions.put(token, identity),
            Self::Redis(sessions) => return sessions.put(token, identity).await,
        }
        Ok(())
    }

    /// Keeps an entry that the store has confirmed, as it is.
    pub async fn renew(&self, token: &TokenHash, identity: &Identity) -> Result<(), EngineError> {
        match self {
            Self::Memory(sessions) => sessions.renew(token, identity),
            Self::Redis(sessions) => return sessions.renew(token, identity).await,
        }
        Ok(())
    }

    /// Replaces the identity that was `seen` with the same one of a later expiry; leaves anything else as it is.
    pub async fn prolong(&self, token: &TokenHash, seen: &Identity, later: &Identity) -> Result<(), EngineError> {
        match self {
            Self::Memory(sessions) => sessions.prolong(token, seen, later),
            Self::Redis(sessions) => return sessions.prolong(token, seen, later).await,
        }
        Ok(())
    }

    /// Forgets a token without a tombstone (a rotated one whose grace is over is answered by the store). A tombstone
    /// that is there stays.
    pub async fn forget(&self, token: &TokenHash) -> Result<(), EngineError> {
        match self {
            Self::Memory(sessions) => sessions.forget(token),
            Self::Redis(sessions) => return sessions.forget(token).await,
        }
        Ok(())
    }

    /// Leaves a tombstone under one token whose session goes on under another one.
    pub async fn bury(&self, token: &TokenHash) -> Result<(), EngineError> {
        match self {
            Self::Memory(sessions) => sessions.bury(token),
            Self::Redis(sessions) => return sessions.bury(token).await,
        }
        Ok(())
    }

    /// Buries a session under all its hashes and tells every node.
    pub async fn revoke(&self, session: SessionId, tokens: &[TokenHash]) -> Result<(), EngineError> {
        match self {
            Self::Memory(sessions) => sessions.revoke(session, tokens),
            Self::Redis(sessions) => return sessions.revoke(session, tokens).await,
        }
        Ok(())
    }

    /// Whether the session was revoked within the last minute: for whoever authenticated it a moment ago and has only
    /// now made itself reachable for [`super::Control::SessionRevoked`].
    pub async fn is_revoked(&self, session: SessionId) -> Result<bool, EngineError> {
        match self {
            Self::Memory(sessions) => Ok(sessions.is_revoked(session)),
            Self::Redis(sessions) => sessions.is_revoked(session).await,
        }
    }

    /// Makes a ticket redeemable once.
    pub async fn issue_ticket(&self, ticket: &TokenHash, identity: &Identity) -> Result<(), EngineError> {
        match self {
            Self::Memory(sessions) => sessions.issue_ticket(ticket, identity),
            Self::Redis(sessions) => return sessions.issue_ticket(ticket, identity).await,
        }
        Ok(())
    }

    /// Redeems a ticket: the first caller gets the identity, everybody else `None`.
    pub async fn redeem_ticket(&self, ticket: &TokenHash) -> Result<Option<Arc<Identity>>, EngineError> {
        match self {
            Self::Memory(sessions) => Ok(sessions.redeem_ticket(ticket)),
            Self::Redis(sessions) => sessions.redeem_ticket(ticket).await,
        }
    }
}
