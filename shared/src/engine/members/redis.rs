//! The membership cache of many processes: an entry for each room and user.

use super::{Membership, TTL};
use crate::{
    engine::{
        Control, EngineError,
        broker::RedisBroker,
        redis::{CACHE_FORGET, CACHE_GET, CACHE_PUT, Link, millis},
    },
    id::UserId,
    protocol::RoomName,
};
use fred::types::Value;

/// A tombstone and a "no" are the same to a reader, and both win against a fill.
const YES: &str = "y";
const NO: &str = "n";

/// See [`super::MemberCache`]. A cheap clone.
#[derive(Clone, Debug)]
pub struct RedisMembers {
    link: Link,
    broker: RedisBroker,
}

impl RedisMembers {
    pub(in crate::engine) fn new(link: Link, broker: RedisBroker) -> Self {
        Self { link, broker }
    }

    pub(super) async fn get(&self, room: &RoomName, user: UserId) -> Result<Membership, EngineError> {
        let (key, args) = (self.link.keys().member(room, user), vec![self.link.now()]);
        let mut reply = self.link.run("look a membership up", &CACHE_GET, vec![key], args).await?;
        if reply.number()? == 0 {
            return Ok(Membership::Unknown);
        }
        Ok(if reply.bytes()? == YES { Membership::Allowed } else { Membership::Denied })
    }

    pub(super) async fn fill(&self, room: &RoomName, user: UserId, allowed: bool) -> Result<(), EngineError> {
        self.put(room, user, "everything", if allowed { YES } else { NO }).await
    }

    pub(super) async fn renew(&self, room: &RoomName, user: UserId) -> Result<(), EngineError> {
        self.put(room, user, "others", YES).await
    }

    pub(super) async fn grant(&self, room: &RoomName, user: UserId) -> Result<(), EngineError> {
        self.put(room, user, "nothing", YES).await
    }

    pub(super) async fn forget(&self, room: &RoomName, user: UserId) -> Result<(), EngineError> {
        let (key, args) = (self.link.keys().member(room, user), vec![self.link.now()]);
        self.link.run("forget a membership", &CACHE_FORGET, vec![key], args).await.map(drop)
    }

    pub(super) async fn revoke(&self, room: &RoomName, user: UserId) -> Result<(), EngineError> {
        self.put(room, user, "nothing", NO).await?;
        // Last, so that a node that hears of it and looks finds the tombstone.
        self.broker.control(&Control::MembershipRevoked(room.clone(), user)).await
    }

    async fn put(
        &self,
        room: &RoomName,
        user: UserId,
        stays: &'static str,
        answer: &'static str,
    ) -> Result<(), EngineError> {
        let key = self.link.keys().member(room, user);
        let [stays, answer] = [stays, answer].map(Value::from_static_str);
        let args = vec![self.link.now(), millis(TTL), stays, answer];
        self.link.run("remember a membership", &CACHE_PUT, vec![key], args).await.map(drop)
    }
}
