//! Every key and channel in Redis: its name, its type, how long it lives.
//!
//! Names begin with `REDIS_PREFIX` (`pitchey`). The part in braces is the hash tag: on a Cluster all keys with the same
//! one live on the same node, so that one script may touch them. What belongs to one topic shares the tag of the
//! topic's partition, its channel included; partitions are fixed in number, so that a node needs few subscriptions'
//! round trips and a Cluster spreads the load.
//!
//! | key | type | lives | what |
//! |---|---|---|---|
//! | `{pN}room:<room>` | hash | 15 min after the last use | a room's epoch, top, last use, server, size of its log |
//! | `{pN}log:<room>` | stream | 12 min after the last event | its last 500 events; ids are `<seq>-<ms>` |
//! | `{pN}ids:<room>`, `{pN}ids0:<room>` | hash | 20 min | ids of events, with time and position; a newer and an older half |
//! | `{presence}…` | see `scripts/roster.lua` | until swept; an offline user's `user:<user>` a day | who is present |
//!
//! | channel | carries |
//! |---|---|
//! | `{pN}ch:room:<room>` | a room's events and typing |
//! | `{pN}ch:inbox:<user>` | a user's new inbox entries |
//! | `{presence}ch:<user>` | changes of a user's presence |
//! | `{control}ch` | what every node must hear |
//! | `{bell}ch` | inbox rows were committed |
//! | `{pN}canary:<process>` | a process's proof that it still hears |
//!
//! "Lives" is what Redis is told; nothing lives for ever. What a contract promises is decided by the scripts, which look
//! at the time themselves: a key may outlive its meaning, never the reverse.

use crate::{engine::Topic, id::UserId, protocol::RoomName};
use std::{fmt::Display, sync::Arc};
use uuid::Uuid;

/// Into how many hash tags topics are spread. Part of the data's layout: never changed while processes run.
pub(in crate::engine) const PARTITIONS: u16 = 64;

/// Names keys. A cheap clone.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Keys {
    prefix: Arc<str>,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.into() }
    }

    /// The keys of a room, in the order its scripts take them: room, log, ids, older ids.
    pub(in crate::engine) fn room(&self, room: &RoomName) -> [String; 4] {
        ["room", "log", "ids", "ids0"].map(|kind| self.in_partition(room.as_str(), kind, room))
    }

    /// A key about one user, in the partition of the user's inbox.
    pub(in crate::engine) fn user(&self, kind: &str, user: UserId) -> String {
        let user = user.to_string();
        self.in_partition(&user, kind, &user)
    }

    /// Where a topic's messages are published.
    pub(in crate::engine) fn channel(&self, topic: &Topic) -> String {
        match topic {
            Topic::Room(room) => self.in_partition(room.as_str(), "ch:room", room),
            Topic::Inbox(user) => self.user("ch:inbox", *user),
            Topic::Presence(user) => self.tagged("presence", &format!("ch:{user}")),
        }
    }

    /// The channel that every node hears.
    pub(in crate::engine) fn control_channel(&self) -> String {
        self.tagged("control", "ch")
    }

    /// The channel of the bell.
    pub(in crate::engine) fn bell_channel(&self) -> String {
        self.tagged("bell", "ch")
    }

    /// The channel on which a process hears itself in one partition.
    pub(in crate::engine) fn canary_channel(&self, partition: u16, process: Uuid) -> String {
        self.tagged(&format!("p{partition}"), &format!("canary:{process}"))
    }

    /// A name in the partition that `topic` belongs to.
    fn in_partition(&self, topic: &str, kind: &str, rest: impl Display) -> String {
        format!("{}:{{p{}}}{kind}:{rest}", self.prefix, partition(topic))
    }

    /// A name under a hash tag of its own.
    pub(in crate::engine) fn tagged(&self, tag: &str, rest: &str) -> String {
        format!("{}:{{{tag}}}{rest}", self.prefix)
    }
}

/// The same in every process and version: the hash that Redis Cluster itself uses.
pub(in crate::engine) fn partition(topic: &str) -> u16 {
    fred::util::redis_keyslot(topic.as_bytes()) % PARTITIONS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_one_topic_is_on_one_cluster_node() {
        let keys = Keys::new("pitchey");
        let slot = |key: &str| fred::util::redis_keyslot(key.as_bytes());
        for n in 0..100 {
            let (room, user) = (format!("public:{n}").parse::<RoomName>().unwrap(), UserId::new());
            let channel = slot(&keys.channel(&Topic::Room(room.clone())));
            assert!(keys.room(&room).iter().all(|key| slot(key) == channel));
            assert_eq!(slot(&keys.user("box", user)), slot(&keys.channel(&Topic::Inbox(user))));
            assert_eq!(slot(&keys.tagged("presence", "x")), slot(&keys.channel(&Topic::Presence(user))));
        }
    }

    #[test]
    fn topics_spread_over_all_partitions() {
        let used: std::collections::HashSet<u16> = (0..10_000).map(|n| partition(&format!("public:{n}"))).collect();
        assert_eq!(used.len(), usize::from(PARTITIONS));
    }
}
