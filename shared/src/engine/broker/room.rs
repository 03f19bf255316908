//! One room's memory, without locks and without nodes: numbering, recent events, ids that were seen.
//!
//! Everything is trimmed from its old end while it is used; [`Room::prune`] does the same for a room nobody uses.

use super::{DEDUPE_IDS, HISTORY_AGE, HISTORY_BYTES, HISTORY_EVENTS, History, HistoryEntry, Published};
use crate::{
    clock::Timestamp,
    id::UserId,
    protocol::{Epoch, Position},
};
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use uuid::Uuid;

/// Who published under which id.
pub(super) type EventId = (Option<UserId>, Uuid);

/// What a remembered id costs: its place in the map and in the queue.
const ID_BYTES: usize = 128;

#[derive(Debug)]
pub(super) struct Room {
    epoch: Epoch,
    /// The newest event's number; `log` holds the numbers just below and including it.
    seq: u64,
    log: VecDeque<Logged>,
    log_bytes: usize,
    /// Numbers of the ids seen in the last [`HISTORY_AGE`], and the order in which they are forgotten.
    ids: HashMap<EventId, u64>,
    id_order: VecDeque<(Timestamp, EventId)>,
    /// Last publication, or look at the position.
    touched: Timestamp,
}

#[derive(Debug)]
struct Logged {
    at: Timestamp,
    frame: Bytes,
}

impl Room {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            epoch: Epoch::random(),
            seq: 0,
            log: VecDeque::new(),
            log_bytes: 0,
            ids: HashMap::new(),
            id_order: VecDeque::new(),
            touched: now,
        }
    }

    /// The room may be forgotten as far as time goes.
    pub(super) fn is_stale(&self, now: Timestamp) -> bool {
        now.since(self.touched) >= HISTORY_AGE
    }

    /// Somebody relies on the position that is handed out now.
    pub(super) fn touch(&mut self, now: Timestamp) {
        self.touched = self.touched.max(now);
    }

    /// Numbers and remembers an event, or finds the earlier one with this id. The frame is made here because it
    /// contains the position.
    pub(super) fn publish(
        &mut self,
        id: EventId,
        now: Timestamp,
        frame: impl FnOnce(Position) -> Bytes,
    ) -> (Published, Option<Bytes>) {
        self.prune(now);
        self.touch(now);
        if let Some(&seq) = self.ids.get(&id) {
            return (Published { pos: Position { epoch: self.epoch, seq }, repeated: true }, None);
        }
        self.seq += 1;
        let pos = self.top();
        let frame = frame(pos);
        self.ids.insert(id, self.seq);
        self.id_order.push_back((now, id));
        self.log_bytes += frame.len();
        self.log.push_back(Logged { at: now, frame: frame.clone() });
        self.trim(HISTORY_EVENTS, HISTORY_BYTES, DEDUPE_IDS);
        (Published { pos, repeated: false }, Some(frame))
    }

    /// See [`super::Broker::history`].
    pub(super) fn history(&mut self, since: Option<Position>, limit: usize, now: Timestamp) -> History {
        self.prune(now);
        self.touch(now);
        let top = self.top();
        let Some(since) = since else {
            return History { top, recovered: true, entries: Vec::new() };
        };
        let oldest = self.seq - self.log.len() as u64;
        if since.epoch != self.epoch || since.seq > self.seq || since.seq < oldest {
            return History { top, recovered: false, entries: Vec::new() };
        }
        let skip = usize::try_from(since.seq - oldest).expect("at most the log's length");
        let entries = (since.seq + 1..)
            .zip(self.log.range(skip..))
            .take(limit)
            .map(|(seq, logged)| HistoryEntry { seq, frame: logged.frame.clone() })
            .collect();
        History { top, recovered: true, entries }
    }

    /// Forgets what is too old.
    pub(super) fn prune(&mut self, now: Timestamp) {
        while self.log.front().is_some_and(|logged| now.since(logged.at) >= HISTORY_AGE) {
            self.forget_event();
        }
        while self.id_order.front().is_some_and(|(at, _)| now.since(*at) >= HISTORY_AGE) {
            self.forget_id();
        }
    }

    /// Forgets the oldest down to these bounds.
    pub(super) fn trim(&mut self, events: usize, bytes: usize, ids: usize) {
        while self.log.len() > events || self.log_bytes > bytes {
            self.forget_event();
        }
        while self.id_order.len() > ids {
            self.forget_id();
        }
    }

    /// Trims to half of what `bytes` allow for events, and as much for ids.
    pub(super) fn trim_to_bytes(&mut self, bytes: usize) {
        self.trim(HISTORY_EVENTS, bytes / 2, bytes / 2 / ID_BYTES);
        self.shrink();
    }

    /// Gives back what a burst made the room grow to.
    pub(super) fn shrink(&mut self) {
        self.log.shrink_to_fit();
        self.ids.shrink_to_fit();
        self.id_order.shrink_to_fit();
    }

    /// Bytes this room is charged with.
    pub(super) fn bytes(&self) -> usize {
        self.log_bytes + self.id_order.len() * ID_BYTES
    }

    fn top(&self) -> Position {
        Position { epoch: self.epoch, seq: self.seq }
    }

    fn forget_event(&mut self) {
        if let Some(logged) = self.log.pop_front() {
            self.log_bytes -= logged.frame.len();
        }
    }

    fn forget_id(&mut self) {
        if let Some((_, id)) = self.id_order.pop_front() {
            self.ids.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(0) + Duration::from_secs(seconds)
    }

    fn publish(room: &mut Room, now: Timestamp, bytes: usize) -> u64 {
        room.publish((None, Uuid::now_v7()), now, |_| Bytes::from(vec![b'x'; bytes])).0.pos.seq
    }

    #[test]
    fn a_room_is_bounded_in_events_bytes_and_ids() {
        let mut room = Room::new(at(0));
        for _ in 0..DEDUPE_IDS + 10 {
            publish(&mut room, at(0), 10);
        }
        assert_eq!((room.log.len(), room.ids.len()), (HISTORY_EVENTS, DEDUPE_IDS));
        for _ in 0..100 {
            publish(&mut room, at(0), 64 * 1024);
        }
        assert!(room.log_bytes <= HISTORY_BYTES);
        room.trim_to_bytes(100_000);
        assert!(room.bytes() <= 100_000);
        assert_eq!(room.bytes(), room.log_bytes + room.ids.len() * ID_BYTES);
    }

    #[test]
    fn old_events_and_ids_go_and_the_number_stays() {
        let mut room = Room::new(at(0));
        publish(&mut room, at(0), 10);
        publish(&mut room, at(599), 10);
        room.prune(at(600));
        assert_eq!((room.log.len(), room.ids.len(), room.seq), (1, 1, 2));
        room.prune(at(1_199));
        assert_eq!((room.bytes(), room.seq), (0, 2));
        assert_eq!(publish(&mut room, at(1_199), 10), 3);
    }

    #[test]
    fn a_clock_that_steps_back_forgets_nothing_early() {
        let mut room = Room::new(at(1_000));
        publish(&mut room, at(1_000), 10);
        assert_eq!(publish(&mut room, at(0), 10), 2);
        assert!(!room.is_stale(at(1_599)));
        assert_eq!(room.log.len(), 2);
    }
}
