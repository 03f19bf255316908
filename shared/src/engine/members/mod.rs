//! Who may enter which room: a cache in front of the store's rules.
//!
//! # Contract
//!
//! Answers live [`TTL`]. `fill` is set-if-absent; `revoke` leaves a tombstone that a racing `fill` cannot overwrite and
//! tells every node ([`super::Control::MembershipRevoked`]); `grant` is for the one who just changed the rows, `forget`
//! for the relay, which comes later; `renew` lets a "yes" that the store has just repeated live on, and leaves a "no"
//! alone.

mod memory;
mod redis;

use super::EngineError;
use crate::{id::UserId, protocol::RoomName};
use std::time::Duration;

pub use memory::MemoryMembers;
pub use redis::RedisMembers;

/// How long an answer is believed: as long as a session, since both are what a client that comes back is asked for.
pub const TTL: Duration = Duration::from_hours(1);

/// What the cache knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// May enter.
    Allowed,
    /// May not.
    Denied,
    /// Ask the store.
    Unknown,
}

/// The membership cache. See the module's contract.
#[derive(Clone, Debug)]
pub enum MemberCache {
    /// Inside one process.
    Memory(MemoryMembers),
    /// Among all processes on one Redis.
    Redis(RedisMembers),
}

impl MemberCache {
    /// Looks an answer up.
    pub async fn get(&self, room: &RoomName, user: UserId) -> Result<Membership, EngineError> {
        match self {
            Self::Memory(members) => Ok(members.get(room, user)),
            Self::Redis(members) => members.get(room, user).await,
        }
    }

    /// Remembers what the store said, unless something is there already.
    pub async fn fill(&self, room: &RoomName, user: UserId, allowed: bool) -> Result<(), EngineError> {
        match self {
            Self::Memory(members) => members.fill(room, user, allowed),
            Self::Redis(members) => return members.fill(room, user, allowed).await,
        }
        Ok(())
    }

    /// Keeps a "yes" that the store has just repeated.
    pub async fn renew(&self, room: &RoomName, user: UserId) -> Result<(), EngineError> {
        match self {
            Self::Memory(members) => members.renew(room, user),
            Self::Redis(members) => return members.renew(room, user).await,
        }
        Ok(())
    }

    /// The rows were just changed in the user's favour.
    pub async fn grant(&self, room: &RoomName, user: UserId) -> Result<(), EngineError> {
        match self {
            Self::Memory(members) => members.grant(room, user),
            Self::Redis(members) => return members.grant(room, user).await,
        }
        Ok(())
    }

    /// The rows were changed, and the store knows how: whatever is here, a tombstone too, makes room for what it says.
    pub async fn forget(&self, room: &RoomName, user: UserId) -> Result<(), EngineError> {
        match self {
            Self::Memory(members) => members.forget(room, user),
            Self::Redis(members) => return members.forget(room, user).await,
        }
        Ok(())
    }

    /// The rows were just changed against the user.
    pub async fn revoke(&self, room: &RoomName, user: UserId) -> Result<(), EngineError> {
        match self {
            Self::Memory(members) => members.revoke(room, user),
            Self::Redis(members) => return members.revoke(room, user).await,
        }
        Ok(())
    }
}
