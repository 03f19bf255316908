//! The last sockets that ended, and why: a ring that operators read.

use crate::{connection::outbox::Outbox, node::Node};
use shared::{
    clock::Timestamp,
    model::{Identity, Portal},
    protocol::{
        CloseReason,
        admin::{CLOSED_RING, ClosedBy, ClosedRow, Field, Row, Value},
    },
};
use std::{
    cmp::Ordering,
    collections::VecDeque,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// The newest [`CLOSED_RING`] of them; the oldest goes when one more comes. Some 2 MiB when full.
#[derive(Debug, Default)]
pub(crate) struct ClosedRing(Mutex<VecDeque<Arc<Closed>>>);

/// One socket that ended.
#[derive(Debug)]
pub(crate) struct Closed {
    at: Timestamp,
    number: u64,
    who: Option<Arc<Identity>>,
    device: Option<Box<str>>,
    address: IpAddr,
    lived_s: u32,
    reason: CloseReason,
    operator: Option<Box<str>>,
    queue: u32,
    sent_bytes: u64,
    received_bytes: u64,
}

impl ClosedRing {
    /// Takes note of a socket's end.
    pub(crate) fn note(&self, node: &Node, outbox: &Outbox, reason: CloseReason) {
        let tally = outbox.tallied();
        let closed = Closed {
            at: node.ops.clock().now(),
            number: outbox.number,
            who: outbox.identity().cloned(),
            device: outbox.device().map(Into::into),
            address: outbox.address,
            lived_s: node.now_second().saturating_sub(outbox.opened_at),
            reason,
            operator: outbox.closed_by().map(Into::into),
            queue: tally.queue,
            sent_bytes: tally.sent_bytes,
            received_bytes: tally.received_bytes,
        };
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.len() == CLOSED_RING {
            ring.pop_front();
        }
        ring.push_back(Arc::new(closed));
    }

    /// What is remembered, the newest first.
    pub(crate) fn newest_first(&self) -> Vec<Arc<Closed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().cloned().collect()
    }
}

impl Closed {
    /// Who it was.
    pub(crate) fn who(&self) -> Option<&Arc<Identity>> {
        self.who.as_ref()
    }

    /// When it ended.
    pub(crate) fn at(&self) -> Timestamp {
        self.at
    }

    fn by(&self) -> ClosedBy {
        match (&self.operator, self.reason) {
            (Some(name), CloseReason::Disconnected | CloseReason::Drain) => ClosedBy::Operator(name.to_string()),
            (_, CloseReason::Normal | CloseReason::Gone) => ClosedBy::Peer,
            _ => ClosedBy::Server,
        }
    }
}

/// One of them as filters see it; the row is made when it was picked.
pub(crate) struct ClosedPeek<'a> {
    pub(crate) closed: Arc<Closed>,
    pub(crate) node: &'a str,
}

impl ClosedPeek<'_> {
    pub(crate) fn row(&self) -> ClosedRow {
        let Closed { at, number, who, device, address, lived_s, reason, queue, sent_bytes, received_bytes, .. } =
            &*self.closed;
        ClosedRow {
            at: *at,
            node: self.node.to_owned(),
            id: format!("c_{number:x}"),
            user: who.as_ref().map(|who| who.user_id),
            name: who.as_ref().map(|who| who.name.clone()),
            portal: who.as_ref().map(|who| who.portal),
            device: device.as_deref().map(str::to_owned),
            address: address.to_string(),
            lived_s: (*lived_s).into(),
            code: reason.code(),
            reason: reason.text().to_owned(),
            by: self.closed.by(),
            queue: (*queue).into(),
            sent_bytes: *sent_bytes,
            received_bytes: *received_bytes,
        }
    }
}

impl Row for ClosedPeek<'_> {
    const FIELDS: &'static [Field] = ClosedRow::FIELDS;

    /// In the order of [`ClosedRow`]'s fields, as a test holds.
    fn value(&self, field: usize) -> Value<'_> {
        let closed = &*self.closed;
        match field {
            0 => Value::time(closed.at),
            1 => Value::text(self.node),
            2 => Value::Text(format!("c_{:x}", closed.number).into()),
            3 => Value::user(closed.who.as_ref().map(|who| who.user_id)),
            4 => Value::maybe(closed.who.as_ref().map(|who| who.name.as_str())),
            5 => Value::maybe(closed.who.as_ref().map(|who| Portal::as_str(who.portal))),
            6 => Value::maybe(closed.device.as_deref()),
            7 => Value::Text(closed.address.to_string().into()),
            8 => Value::count(closed.lived_s.into()),
            9 => Value::count(closed.reason.code().into()),
            10 => Value::text(closed.reason.text()),
            11 => Value::Text(closed.by().name().to_owned().into()),
            12 => Value::count(closed.queue.into()),
            13 => Value::count(closed.sent_bytes),
            14 => Value::count(closed.received_bytes),
            _ => Value::Nothing,
        }
    }

    fn key(&self) -> String {
        format!("{}/{:016x}", self.node, self.closed.number)
    }

    fn key_order(&self, other: &Self) -> Ordering {
        self.closed.number.cmp(&other.closed.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::{
        id::{SessionId, UserId},
        model::Portals,
    };

    #[test]
    fn a_socket_that_ended_looks_to_filters_as_it_does_in_its_row() {
        let who = Identity {
            session_id: SessionId::new(),
            user_id: UserId::new(),
            name: "Ada".into(),
            portal: Portal::Creator,
            portals: Portals::of([Portal::Creator]),
            is_admin: false,
            created_at: Timestamp::default(),
            expires_at: Timestamp::default(),
            refreshed_at: Timestamp::default(),
        };
        let closed = Closed {
            at: Timestamp::from_micros(7_000_000),
            number: 0x7f31,
            who: Some(Arc::new(who)),
            device: Some("phone".into()),
            address: [203, 0, 113, 7].into(),
            lived_s: 9,
            reason: CloseReason::Disconnected,
            operator: Some("amy".into()),
            queue: 12,
            sent_bytes: 1,
            received_bytes: 2,
        };
        let peek = ClosedPeek { closed: Arc::new(closed), node: "gw-1" };
        let row = peek.row();
        for (at, field) in ClosedRow::FIELDS.iter().enumerate() {
            assert_eq!(peek.value(at), row.value(at), "{}", field.name);
        }
        assert_eq!(peek.key(), row.key());
        assert_eq!((row.code, row.by), (4411, ClosedBy::Operator("amy".into())));
    }
}
