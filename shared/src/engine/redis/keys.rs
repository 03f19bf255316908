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
//! | `{pN}box:<user>` | hash | 25 h after the last use | where a user's mailbox stands, and the user's devices |
//! | `{pN}frames:<user>` | list | an hour after the last use | its last 64 entries |
//! | `{acks}seqs`, `{acks}line` | hash, sorted set | a day after the last ack | cursors on their way to the store |
//! | `{sN}token:<hash>` | string | an hour | a session, or the tombstone of one |
//! | `{sN}ticket:<hash>` | string | 30 s | a ticket |
//! | `{sN}ended:<session>` | string | a minute | in every partition of sessions: this one was revoked |
//! | `{pN}member:<room>:<user>` | string | an hour | whether a user may enter a room |
//! | `{pN}in:<room>` | hash | 30 s after a node's last word | how many and who of each node is in a room |
//! | `{pN}limit:<key>` | string | a minute longer than it takes to fill | a rate limit's bucket |
//! | `{stats}times`, `{stats}reports` | sorted set, hash | a minute | what nodes say about themselves |
//! | `{presence}…` | see `scripts/roster.lua` | until swept; an offline user's `user:<user>` a day | who is present |
//!
//! | channel | carries |
//! |---|---|
//! | `{pN}ch:room:<room>` | a room's events and typing |
//! | `{pN}ch:inbox:<user>` | a user's new inbox entries |
//! | `{presence}ch:<user>` | changes of a user's presence |
//! | `{control}ch` | what every node must hear |
//! | `{bell}ch` | inbox rows were committed |
//! | `{…}canary:<process>` | under every tag of a channel: a process's proof that it still hears |
//!
//! "Lives" is about what Redis is told, give or take a minute; nothing lives for ever. What a contract promises is decided by the scripts, which look
//! at the time themselves: a key may outlive its meaning, never the reverse.

use crate::{
    engine::Topic,
    id::{SessionId, UserId},
    protocol::RoomName,
    secret::TokenHash,
};
use std::{
    fmt::{Display, Write as _},
    sync::Arc,
};
use uuid::Uuid;

/// Into how many hash tags topics are spread. Part of the data's layout: never changed while processes run.
const PARTITIONS: u16 = 64;

/// Into how many hash tags sessions are spread. Few, because a revocation leaves its mark in each of them.
pub(in crate::engine) const SESSION_PARTITIONS: u8 = 16;

/// Hash tags of what is not spread.
pub(in crate::engine) const PRESENCE: &str = "presence";
const CONTROL: &str = "control";
const BELL: &str = "bell";

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
            Topic::Presence(user) => self.tagged(PRESENCE, &format!("ch:{user}")),
        }
    }

    /// The channel that every node hears.
    pub(in crate::engine) fn control_channel(&self) -> String {
        self.tagged(CONTROL, "ch")
    }

    /// The channel of the bell.
    pub(in crate::engine) fn bell_channel(&self) -> String {
        self.tagged(BELL, "ch")
    }

    /// The channels on which a process hears itself: one under every hash tag that a channel can have. The tags' slots
    /// may be on different nodes of a Cluster, and move one by one.
    pub(in crate::engine) fn canary_channels(&self, process: Uuid) -> impl Iterator<Item = String> {
        let tags = (0..PARTITIONS).map(|n| format!("p{n}")).chain([PRESENCE, CONTROL, BELL].map(str::to_owned));
        tags.map(move |tag| self.tagged(&tag, &format!("canary:{process}")))
    }

    /// The keys of a user's mailbox, in the order its scripts take them.
    pub(in crate::engine) fn mailbox(&self, user: UserId) -> Vec<String> {
        vec![self.user("box", user), self.user("frames", user)]
    }

    /// The keys of all cursors, in the order their scripts take them.
    pub(in crate::engine) fn cursors(&self) -> Vec<String> {
        vec![self.tagged("acks", "seqs"), self.tagged("acks", "line")]
    }

    /// A session by its token.
    pub(in crate::engine) fn token(&self, token: &TokenHash) -> String {
        self.tagged(&session_tag(session_partition(token)), &format!("token:{}", hex(token)))
    }

    /// A ticket.
    pub(in crate::engine) fn ticket(&self, ticket: &TokenHash) -> String {
        self.tagged(&session_tag(session_partition(ticket)), &format!("ticket:{}", hex(ticket)))
    }

    /// What the marks of ended sessions begin with, beside the session of a token.
    pub(in crate::engine) fn ended_base(&self, token: &TokenHash) -> String {
        self.tagged(&session_tag(session_partition(token)), "ended:")
    }

    /// The mark of an ended session in one partition.
    pub(in crate::engine) fn ended(&self, partition: u8, session: SessionId) -> String {
        self.tagged(&session_tag(partition), &format!("ended:{session}"))
    }

    /// Whether a user may enter a room.
    pub(in crate::engine) fn member(&self, room: &RoomName, user: UserId) -> String {
        self.in_partition(room.as_str(), "member", format_args!("{room}:{user}"))
    }

    /// Who of each node is in a room.
    pub(in crate::engine) fn occupants(&self, room: &RoomName) -> String {
        self.in_partition(room.as_str(), "in", room)
    }

    /// The bucket of a rate limit.
    pub(in crate::engine) fn limit(&self, key: &str) -> String {
        self.in_partition(key, "limit", key)
    }

    /// The keys of the nodes' reports, in the order their scripts take them.
    pub(in crate::engine) fn stats(&self) -> Vec<String> {
        vec![self.tagged("stats", "times"), self.tagged("stats", "reports")]
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

/// The partition of a session's or ticket's entry: hashes are spread evenly as they are.
pub(in crate::engine) fn session_partition(token: &TokenHash) -> u8 {
    token.as_bytes()[0] % SESSION_PARTITIONS
}

fn session_tag(partition: u8) -> String {
    format!("s{partition}")
}

fn hex(hash: &TokenHash) -> String {
    hash.as_bytes().iter().fold(String::with_capacity(64), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("writing to a string");
        hex
    })
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
            assert!(keys.mailbox(user).iter().all(|key| slot(key) == slot(&keys.channel(&Topic::Inbox(user)))));
            assert_eq!(slot(&keys.tagged("presence", "x")), slot(&keys.channel(&Topic::Presence(user))));
            let (token, session) = (TokenHash::of(&n.to_string()), SessionId::new());
            let mark = keys.ended(session_partition(&token), session);
            assert_eq!(mark, format!("{}{session}", keys.ended_base(&token)));
            assert!([keys.token(&token), keys.ticket(&token)].iter().all(|key| slot(key) == slot(&mark)));
        }
    }

    #[test]
    fn a_canary_is_beside_every_channel() {
        fn tag(name: &str) -> &str {
            name.split_once('{').unwrap().1.split_once('}').unwrap().0
        }
        let keys = Keys::new("pitchey");
        let canaries: Vec<_> = keys.canary_channels(Uuid::nil()).collect();
        let user = UserId::new();
        let mut channels = vec![keys.control_channel(), keys.bell_channel(), keys.channel(&Topic::Presence(user))];
        channels.push(keys.channel(&Topic::Inbox(user)));
        channels.extend((0..1_000).map(|n| keys.channel(&Topic::Room(format!("public:{n}").parse().unwrap()))));
        for channel in channels {
            assert!(canaries.iter().any(|canary| tag(canary) == tag(&channel)), "{channel}");
        }
    }

    #[test]
    fn topics_spread_over_all_partitions() {
        let used: std::collections::HashSet<u16> = (0..10_000).map(|n| partition(&format!("public:{n}"))).collect();
        assert_eq!(used.len(), usize::from(PARTITIONS));
    }
}
