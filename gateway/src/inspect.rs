//! This gateway as operators see it: [`shared::admin::Sockets`] over the registry, the hub and the ring of closed sockets.
//!
//! Rows are looked at through [`Peek`], which reads the connection's own atomics; only those that are picked become
//! rows. The registry is never held longer than it takes to clone a vector of handles.

use crate::{
    closed::ClosedPeek,
    connection::{outbox::Outbox, tally::Tallied},
    drain,
    node::Node,
    topic::Topic,
};
use shared::{
    admin::{Picked, Plan, SocketGauges, SocketHandle, Sockets, Which},
    clock::Timestamp,
    engine,
    id::UserId,
    model::Portal,
    protocol::{
        CloseReason, RoomName,
        admin::{
            ClosedRow, ConnectionDetail, ConnectionRow, ConnectionState, Field, Moment, RoomRow, Row, UserRow, Value,
        },
    },
};
use std::{
    cmp::Ordering as Order,
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

/// Rates of rooms are over at least this long…
const RATE_SPAN: Duration = Duration::from_secs(5);

/// A handle for the admin listener. Keeps the node alive, as every handle does.
pub(crate) struct Inspector {
    node: Arc<Node>,
    heads: Mutex<Heads>,
}

impl fmt::Debug for Inspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Inspector").field(&self.node.config.node).finish()
    }
}

/// How far each room was at two earlier moments: rates are counted from the older one.
#[derive(Default)]
struct Heads {
    older: Option<(Instant, HashMap<RoomName, u64>)>,
    newer: Option<(Instant, HashMap<RoomName, u64>)>,
}

impl Inspector {
    pub(crate) fn new(node: Arc<Node>) -> Self {
        Self { node, heads: Mutex::default() }
    }

    fn peek<'a>(&'a self, outbox: &'a Outbox) -> Peek<'a> {
        Peek { outbox, node: &self.node.config.node, now: self.node.now_second() }
    }

    fn pick(&self, outboxes: &[Arc<Outbox>], plan: &Plan) -> Picked<ConnectionRow> {
        plan.pick(outboxes.iter().map(|outbox| self.peek(outbox))).map(|peek| peek.row())
    }

    fn detail(&self, outbox: &Arc<Outbox>, siblings: bool) -> ConnectionDetail {
        let node = &self.node;
        let mut others = Vec::new();
        if let Some(user) = outbox.user().filter(|_| siblings) {
            node.registry.of_user(user, |other| {
                if !Arc::ptr_eq(other, outbox) {
                    others.push(self.peek(other).row());
                }
            });
        }
        let row = self.peek(outbox).row();
        let now = node.ops.clock().now();
        let ago = |seconds: u64| now - Duration::from_secs(seconds);
        ConnectionDetail {
            opened_at: ago(row.age_s),
            rooms: outbox.room_names().iter().map(ToString::to_string).collect(),
            siblings: others,
            timeline: timeline(&row, ago),
            row,
        }
    }

    fn room(&self, topic: &Topic, name: &RoomName, heads: &Heads) -> RoomRow {
        let events = topic.head().unwrap_or(0);
        let before = heads.older.as_ref().and_then(|(at, heads)| Some((at.elapsed(), *heads.get(name)?)));
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = before.map_or(0.0, |(span, head)| {
            (events.saturating_sub(head) as f64 / span.as_secs_f64().max(0.1) * 10.0).round() / 10.0
        });
        let members = topic.member_count() as u64;
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let fan_out = rate * members as f64;
        RoomRow {
            room: name.to_string(),
            members,
            rate,
            fan_out,
            events,
            kept: topic.held_frames() as u64,
            nodes: vec![self.node.config.node.clone()],
        }
    }
}

/// What its numbers say happened to a socket.
fn timeline(row: &ConnectionRow, ago: impl Fn(u64) -> Timestamp) -> Vec<Moment> {
    let mut moments = vec![Moment { at: ago(row.age_s), what: format!("opened from {}", row.address) }];
    if row.stalled_s > 0 {
        let what = format!("takes nothing; {} frames wait", row.queue);
        moments.push(Moment { at: ago(row.stalled_s), what });
    }
    moments.push(Moment { at: ago(row.silent_s), what: "last heard".into() });
    moments.sort_by_key(|moment| moment.at);
    moments
}

impl Sockets for Inspector {
    fn gauges(&self) -> SocketGauges {
        let node = &self.node;
        SocketGauges {
            slow: node.slow.load(Ordering::Relaxed).into(),
            rooms: node.hub.rooms() as u64,
            draining: node.draining.load(Ordering::Acquire),
        }
    }

    fn connections(&self, plan: &Plan) -> Picked<ConnectionRow> {
        self.pick(&self.node.registry.snapshot(), plan)
    }

    fn connection(&self, id: &str) -> Option<ConnectionDetail> {
        let number = number_of(id)?;
        let outbox = self.node.registry.snapshot().into_iter().find(|outbox| outbox.number == number)?;
        Some(self.detail(&outbox, true))
    }

    fn of_user(&self, user: UserId) -> Vec<ConnectionDetail> {
        let mut details = Vec::new();
        self.node.registry.of_user(user, |outbox| details.push(self.detail(outbox, false)));
        details
    }

    fn members(&self, room: &str, plan: &Plan) -> Picked<ConnectionRow> {
        let topic = room.parse().ok().and_then(|room| self.node.hub.find(&engine::Topic::Room(room)));
        let members = topic.map(|topic| topic.member_outboxes()).unwrap_or_default();
        self.pick(&members, plan)
    }

    fn rooms(&self) -> Vec<RoomRow> {
        let topics = self.node.hub.all();
        let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        let rooms = topics.iter().filter_map(|topic| match topic.key() {
            engine::Topic::Room(name) if topic.member_count() > 0 => Some((topic, name)),
            _ => None,
        });
        let rooms: Vec<_> = rooms.collect();
        let rows = rooms.iter().map(|(topic, name)| self.room(topic, name, &heads)).collect();
        if heads.newer.as_ref().is_none_or(|(at, _)| at.elapsed() >= RATE_SPAN) {
            let now = rooms.iter().map(|(topic, name)| ((*name).clone(), topic.head().unwrap_or(0))).collect();
            let fresh = (Instant::now(), now);
            let older = heads.newer.replace(fresh.clone());
            heads.older = Some(older.unwrap_or(fresh));
        }
        rows
    }

    fn users(&self) -> Vec<UserRow> {
        let node = &self.node;
        let a_minute_ago = node.ops.clock().now() - Duration::from_mins(1);
        let mut left: HashMap<UserId, u64> = HashMap::new();
        for closed in node.closed.newest_first().iter().take_while(|closed| closed.at() > a_minute_ago) {
            if let Some(who) = closed.who() {
                *left.entry(who.user_id).or_default() += 1;
            }
        }
        let mut users: HashMap<UserId, UserRow> = HashMap::new();
        for outbox in node.registry.snapshot() {
            let Some(who) = outbox.identity() else { continue };
            let age_s = node.now_second().saturating_sub(outbox.opened_at).into();
            let away = outbox.away.load(Ordering::Relaxed);
            let row = users.entry(who.user_id).or_insert_with(|| UserRow {
                user: who.user_id,
                name: who.name.clone(),
                portal: Some(who.portal),
                connections: 0,
                nodes: vec![node.config.node.clone()],
                away,
                age_s,
                reconnects: left.get(&who.user_id).copied().unwrap_or(0),
            });
            row.connections += 1;
            row.away &= away;
            row.age_s = row.age_s.max(age_s);
        }
        users.into_values().collect()
    }

    fn closed(&self, plan: &Plan) -> Picked<ClosedRow> {
        let node = self.node.config.node.as_str();
        let peeks = self.node.closed.newest_first().into_iter().map(|closed| ClosedPeek { closed, node });
        plan.pick(peeks).map(|peek| peek.row())
    }

    fn matching(&self, which: &Which) -> Vec<SocketHandle> {
        let meant = |outbox: &Outbox| match which {
            Which::Ids(ids) => ids.iter().any(|id| number_of(id) == Some(outbox.number)),
            Which::User(user) => outbox.user() == Some(*user),
            Which::Passing(filter) => filter.matches(&self.peek(outbox)),
            Which::All => true,
        };
        let open = self.node.registry.snapshot_with_slots();
        let meant = open.iter().filter(|(_, outbox)| meant(outbox));
        meant.map(|(slot, outbox)| SocketHandle { slot: *slot, number: outbox.number }).collect()
    }

    fn close(&self, sockets: &[SocketHandle], operator: &str) -> u64 {
        let mut closed = 0;
        for handle in sockets {
            let outbox = self.node.registry.get(handle.slot).filter(|outbox| outbox.number == handle.number);
            if let Some(outbox) = outbox {
                outbox.close_for(operator, CloseReason::Disconnected, 0);
                closed += 1;
            }
        }
        closed
    }

    fn drain(&self, per_second: Option<u32>, operator: &str) {
        drain::by_operator(&self.node, per_second, operator);
    }

    fn undrain(&self) {
        drain::undo(&self.node);
    }
}

/// `c_7f31` as its number.
fn number_of(id: &str) -> Option<u64> {
    u64::from_str_radix(id.strip_prefix("c_")?, 16).ok()
}

/// An open socket as filters see it.
struct Peek<'a> {
    outbox: &'a Outbox,
    node: &'a str,
    now: u32,
}

impl Peek<'_> {
    fn row(&self) -> ConnectionRow {
        let (outbox, tally) = (self.outbox, self.outbox.tallied());
        let who = outbox.identity();
        ConnectionRow {
            id: format!("c_{:x}", outbox.number),
            node: self.node.to_owned(),
            user: who.map(|who| who.user_id),
            name: who.map(|who| who.name.clone()),
            portal: who.map(|who| who.portal),
            session: who.map(|who| who.session_id),
            device: outbox.device().map(str::to_owned),
            address: outbox.address.to_string(),
            state: self.state(),
            age_s: self.age().into(),
            rtt_ms: outbox.rtt_ms(),
            silent_s: self.since(outbox.heard_at.load(Ordering::Relaxed)).into(),
            stalled_s: self.stalled().into(),
            queue: tally.queue.into(),
            queue_bytes: tally.queue_bytes.into(),
            sent: tally.sent,
            sent_bytes: tally.sent_bytes,
            received: tally.received,
            received_bytes: tally.received_bytes,
            dropped: tally.dropped.into(),
            rooms: u32::try_from(outbox.room_count()).unwrap_or(u32::MAX),
        }
    }

    fn state(&self) -> ConnectionState {
        let outbox = self.outbox;
        if outbox.closing.load(Ordering::Relaxed) {
            ConnectionState::Closing
        } else if outbox.stalled_since.load(Ordering::Relaxed) != 0 {
            ConnectionState::Slow
        } else if outbox.user().is_none() {
            ConnectionState::Anonymous
        } else if outbox.away.load(Ordering::Relaxed) {
            ConnectionState::Away
        } else {
            ConnectionState::Ready
        }
    }

    fn since(&self, second: u32) -> u32 {
        self.now.saturating_sub(second)
    }

    fn age(&self) -> u32 {
        self.since(self.outbox.opened_at)
    }

    fn stalled(&self) -> u32 {
        match self.outbox.stalled_since.load(Ordering::Relaxed) {
            0 => 0,
            since => self.since(since),
        }
    }

    fn tally(&self) -> Tallied {
        self.outbox.tallied()
    }
}

impl Row for Peek<'_> {
    const FIELDS: &'static [Field] = ConnectionRow::FIELDS;

    /// In the order of [`ConnectionRow`]'s fields, as a test holds.
    fn value(&self, field: usize) -> Value<'_> {
        let outbox = self.outbox;
        let who = outbox.identity();
        match field {
            0 => Value::Text(format!("c_{:x}", outbox.number).into()),
            1 => Value::text(self.node),
            2 => Value::user(outbox.user()),
            3 => Value::maybe(who.map(|who| who.name.as_str())),
            4 => Value::maybe(who.map(|who| Portal::as_str(who.portal))),
            5 => Value::maybe(outbox.device()),
            6 => Value::Text(outbox.address.to_string().into()),
            7 => Value::text(self.state().name()),
            8 => Value::count(self.age().into()),
            9 => Value::number(outbox.rtt_ms().map(|ms| f64::from(ms) / 1e3)),
            10 => Value::count(self.since(outbox.heard_at.load(Ordering::Relaxed)).into()),
            11 => Value::count(self.stalled().into()),
            12 => Value::count(self.tally().queue.into()),
            13 => Value::count(self.tally().queue_bytes.into()),
            14 => Value::count(self.tally().sent),
            15 => Value::count(self.tally().sent_bytes),
            16 => Value::count(self.tally().received),
            17 => Value::count(self.tally().received_bytes),
            18 => Value::count(self.tally().dropped.into()),
            19 => Value::count(outbox.room_count() as u64),
            _ => Value::Nothing,
        }
    }

    fn key(&self) -> String {
        format!("{}/{:016x}", self.node, self.outbox.number)
    }

    fn key_order(&self, other: &Self) -> Order {
        self.outbox.number.cmp(&other.outbox.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_looks_to_filters_as_it_does_in_its_row() {
        let outbox = Outbox::new(0x7f31, 10, u32::MAX).at([203, 0, 113, 7].into());
        outbox.tally.note_sent(3, 4_000);
        outbox.tally.note_received(90);
        outbox.tally.note_queue(17, 5_000);
        outbox.stalled_since.store(12, Ordering::Relaxed);
        outbox.note_rtt(71);
        let peek = Peek { outbox: &outbox, node: "gw-1", now: 20 };
        let row = peek.row();
        for (at, field) in ConnectionRow::FIELDS.iter().enumerate() {
            assert_eq!(peek.value(at), row.value(at), "{}", field.name);
        }
        assert_eq!((peek.key(), row.state, row.queue, row.stalled_s), (row.key(), ConnectionState::Slow, 17, 8));
        assert_eq!(number_of(&row.id), Some(0x7f31));
    }
}
