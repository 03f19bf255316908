//! The mailboxes of one process.
//!
//! One lock for all hot copies: appends come at the pace of database commits, and one lock makes "touched longest ago"
//! exact. Delivery happens under it, which orders a user's entries; it never waits (see [`super::super::broker`]).

use super::{Appended, Look, MailboxEntry, PLACES, Place, TOTAL_BYTES, WINDOW_BYTES, WINDOW_ENTRIES, cursors::Cursors};
use crate::{
    engine::{broker::MemoryBroker, mailbox::AckEntry, shards::lock},
    id::UserId,
};
use smallvec::SmallVec;
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex},
};

/// What a mailbox costs besides its frames, an entry besides its frame, and a device's place.
const BOX_BYTES: usize = 256;
const ENTRY_BYTES: usize = 64;
const PLACE_BYTES: usize = 96;

/// See [`super::Mailbox`]. A cheap clone.
#[derive(Clone, Debug)]
pub struct MemoryMailbox(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    broker: MemoryBroker,
    boxes: Mutex<Boxes>,
    cursors: Mutex<Cursors>,
}

#[derive(Debug, Default)]
struct Boxes {
    by_user: HashMap<UserId, HotCopy>,
    /// Who was touched when, longest ago first; touches are counted, not timed.
    by_touch: BTreeMap<u64, UserId>,
    touches: u64,
    bytes: usize,
}

/// The newest entries of one inbox. Their numbers are contiguous and end at `head`.
#[derive(Debug)]
struct HotCopy {
    head: u64,
    entries: VecDeque<MailboxEntry>,
    /// A user's devices: one, for most.
    places: SmallVec<[(Box<str>, Place); 1]>,
    bytes: usize,
    /// What the total was last charged with for this copy.
    charged: usize,
    touch: u64,
}

impl MemoryMailbox {
    pub(in crate::engine) fn new(broker: MemoryBroker) -> Self {
        Self(Arc::new(Inner { broker, boxes: Mutex::default(), cursors: Mutex::default() }))
    }

    pub(super) fn append(&self, user: UserId, entries: &[MailboxEntry]) -> Appended {
        let mut boxes = lock(&self.0.boxes);
        let present = boxes.by_user.get(&user).map(|copy| copy.head);
        let Some(first) = entries.first() else { return Appended::UpTo(present.unwrap_or(0)) };
        let head = present.unwrap_or(first.seq.saturating_sub(1));
        if first.seq > head + 1 {
            return Appended::Gap { head };
        }
        let new = contiguous_after(head, entries);
        let copy = boxes.touched(user, head);
        for entry in new {
            copy.push(entry.clone());
        }
        let head = copy.head;
        boxes.settle(user);
        self.0.broker.deliver_inbox(user, new);
        Appended::UpTo(head)
    }

    pub(super) fn open(&self, user: UserId, head: u64, device: &str, place: Place) {
        let mut boxes = lock(&self.0.boxes);
        let head = boxes.by_user.get(&user).map_or(head, |copy| copy.head);
        boxes.touched(user, head).remember(device, place);
        boxes.settle(user);
    }

    pub(super) fn look(&self, user: UserId, device: &str) -> Option<Look> {
        let mut boxes = lock(&self.0.boxes);
        let head = boxes.by_user.get(&user)?.head;
        let copy = boxes.touched(user, head);
        Some(Look { base: copy.base(), head, place: copy.place(device).map(|place| *place) })
    }

    pub(super) fn forget(&self, user: UserId) {
        lock(&self.0.boxes).remove(user);
    }

    pub(super) fn read(&self, user: UserId, after: u64, limit: usize) -> Option<Vec<MailboxEntry>> {
        let mut boxes = lock(&self.0.boxes);
        let head = boxes.by_user.get(&user)?.head;
        let copy = boxes.touched(user, head);
        let skip = usize::try_from(after.checked_sub(copy.base())?).ok()?;
        // Beyond the head the reader knows more than this copy does.
        (skip <= copy.entries.len()).then(|| copy.entries.range(skip..).take(limit).cloned().collect())
    }

    pub(super) fn head(&self, user: UserId) -> Option<u64> {
        lock(&self.0.boxes).by_user.get(&user).map(|copy| copy.head)
    }

    pub(super) fn ack(&self, user: UserId, device: &str, seq: u64) {
        lock(&self.0.cursors).ack(user, device, seq);
    }

    pub(super) fn cursor(&self, user: UserId, device: &str) -> Option<u64> {
        lock(&self.0.cursors).get(user, device)
    }

    pub(super) fn unflushed(&self, max: usize) -> Vec<AckEntry> {
        lock(&self.0.cursors).oldest(max)
    }

    pub(super) fn flushed(&self, acks: &[AckEntry]) {
        // The places move first: whoever reads both meanwhile finds the ack in one of them.
        let mut boxes = lock(&self.0.boxes);
        for AckEntry { user, device, seq } in acks {
            if let Some(place) = boxes.by_user.get_mut(user).and_then(|copy| copy.place(device)) {
                place.acked = place.acked.max(*seq);
            }
        }
        drop(boxes);
        let mut cursors = lock(&self.0.cursors);
        for ack in acks {
            cursors.confirm(ack);
        }
    }
}

/// The part of `entries` that continues `head`: what is already there is skipped, and a hole inside ends it.
fn contiguous_after(head: u64, entries: &[MailboxEntry]) -> &[MailboxEntry] {
    let new = &entries[entries.iter().take_while(|entry| entry.seq <= head).count()..];
    let fitting = (head + 1..).zip(new).take_while(|(seq, entry)| entry.seq == *seq).count();
    &new[..fitting]
}

impl Boxes {
    /// The user's hot copy, made if it is missing, now the one touched last.
    fn touched(&mut self, user: UserId, head: u64) -> &mut HotCopy {
        self.touches += 1;
        let touch = self.touches;
        let bytes = &mut self.bytes;
        let copy = self.by_user.entry(user).or_insert_with(|| {
            *bytes += BOX_BYTES;
            HotCopy { head, entries: VecDeque::new(), places: SmallVec::new(), bytes: 0, charged: 0, touch }
        });
        self.by_touch.remove(&copy.touch);
        copy.touch = touch;
        self.by_touch.insert(touch, user);
        copy
    }

    /// Trims the user's copy to its window, and everybody's to the total.
    fn settle(&mut self, user: UserId) {
        if let Some(copy) = self.by_user.get_mut(&user) {
            self.bytes -= copy.charged;
            copy.trim();
            copy.charged = copy.bytes;
            self.bytes += copy.charged;
        }
        while self.bytes > TOTAL_BYTES
            && let Some((_, user)) = self.by_touch.first_key_value()
        {
            self.remove(*user);
        }
    }

    fn remove(&mut self, user: UserId) {
        if let Some(copy) = self.by_user.remove(&user) {
            self.by_touch.remove(&copy.touch);
            self.bytes -= copy.charged + BOX_BYTES;
        }
    }
}

impl HotCopy {
    /// The position before the oldest entry that is here.
    fn base(&self) -> u64 {
        self.head - self.entries.len() as u64
    }

    fn place(&mut self, device: &str) -> Option<&mut Place> {
        self.places.iter_mut().find(|(name, _)| &**name == device).map(|(_, place)| place)
    }

    fn remember(&mut self, device: &str, place: Place) {
        if let Some(known) = self.place(device) {
            *known = Place { acked: known.acked.max(place.acked), ..place };
            return;
        }
        if self.places.len() >= PLACES
            && let Some(oldest) = (0..PLACES).min_by_key(|n| self.places[*n].1.noted)
        {
            self.places.swap_remove(oldest);
            self.bytes -= PLACE_BYTES;
        }
        self.places.push((device.into(), place));
        self.bytes += PLACE_BYTES;
    }

    fn push(&mut self, entry: MailboxEntry) {
        self.head = entry.seq;
        self.bytes += entry.frame.len() + ENTRY_BYTES;
        self.entries.push_back(entry);
    }

    fn trim(&mut self) {
        while self.entries.len() > WINDOW_ENTRIES || self.bytes > WINDOW_BYTES {
            let Some(entry) = self.entries.pop_front() else { break };
            self.bytes -= entry.frame.len() + ENTRY_BYTES;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use bytes::Bytes;

    #[test]
    fn all_mailboxes_together_stay_within_their_bytes_and_the_accounts_agree() {
        let mailbox = MemoryMailbox::new(MemoryBroker::new(Clock::manual(crate::clock::Timestamp::from_micros(0))));
        let frame = Bytes::from(vec![b'x'; WINDOW_BYTES - ENTRY_BYTES]);
        let users: Vec<UserId> = (0..2_000).map(|_| UserId::new()).collect();
        for (n, user) in users.iter().enumerate() {
            for seq in 1..=1 + (n as u64 % 3) {
                mailbox.append(*user, &[MailboxEntry { seq, frame: frame.clone() }]);
            }
        }
        let boxes = lock(&mailbox.0.boxes);
        assert!(boxes.bytes <= TOTAL_BYTES && boxes.bytes > TOTAL_BYTES - 2 * WINDOW_BYTES, "{}", boxes.bytes);
        assert_eq!(boxes.by_user.len(), boxes.by_touch.len());
        assert_eq!(boxes.bytes, boxes.by_user.values().map(|copy| copy.bytes + BOX_BYTES).sum::<usize>());
        assert!(boxes.by_user.contains_key(&users[1_999]) && !boxes.by_user.contains_key(&users[0]));
    }
}
