//! Who is in a room, on all nodes together.
//!
//! # Contract
//!
//! * A node (an [`Incarnation`]) tells how many of its connections are in a room, and which users if they may be known;
//!   what it tells replaces what it told before, and none ends it. It tells of changes, not of every connection: a room
//!   of ten thousand that come within a second is told of once.
//! * What was told is believed for [`LIVES`] and told again every [`RENEW`], so the occupants of a node that died vanish
//!   with it, and those of a living one are back soon after an engine was flushed.
//! * [`Occupancy::exchange`] tells and asks in one step; the answer is about the *other* nodes, at most [`LISTED`] users
//!   and everybody's number. The asker knows its own people better.

mod memory;
mod redis;

use super::{EngineError, Incarnation};
use crate::{id::UserId, protocol::RoomName};
use std::time::Duration;

pub use memory::MemoryOccupancy;
pub use redis::RedisOccupancy;

/// How long a node's word about a room is believed.
pub const LIVES: Duration = Duration::from_secs(30);
/// How often a node repeats it.
pub const RENEW: Duration = Duration::from_secs(10);
/// Most users a node tells of, and most that are listed.
pub const LISTED: usize = 100;

/// Who is in a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Occupants {
    /// How many connections.
    pub count: u64,
    /// Some of the users, at most [`LISTED`]; none where they may not know of each other.
    pub users: Vec<UserId>,
}

/// Who is in which room. See the module's contract.
#[derive(Clone, Debug)]
pub enum Occupancy {
    /// Inside one process.
    Memory(MemoryOccupancy),
    /// Between processes.
    Redis(RedisOccupancy),
}

impl Occupancy {
    /// Who of this node is in these rooms now.
    pub async fn tell(&self, node: &Incarnation, rooms: &[(RoomName, Occupants)]) -> Result<(), EngineError> {
        match self {
            Self::Memory(occupancy) => {
                occupancy.tell(node, rooms);
                Ok(())
            }
            Self::Redis(occupancy) => occupancy.tell(node, rooms).await,
        }
    }

    /// Who of this node is in the room now, and in return who of the others is.
    pub async fn exchange(
        &self,
        node: &Incarnation,
        room: &RoomName,
        own: &Occupants,
    ) -> Result<Occupants, EngineError> {
        match self {
            Self::Memory(occupancy) => Ok(occupancy.exchange(node, room, own)),
            Self::Redis(occupancy) => occupancy.exchange(node, room, own).await,
        }
    }
}

impl Occupants {
    /// Adds those of another node; a user who is on both is listed once.
    pub fn add(&mut self, others: &Self) {
        self.count += others.count;
        for user in &others.users {
            if self.users.len() >= LISTED {
                return;
            }
            if !self.users.contains(user) {
                self.users.push(*user);
            }
        }
    }
}
