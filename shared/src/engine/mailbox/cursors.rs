//! Device cursors that the store does not have yet: a map that only grows each value, and a line in which they wait.

use super::{AckEntry, CURSORS};
use crate::id::UserId;
use std::collections::{BTreeMap, HashMap};

#[derive(Debug, Default)]
pub(super) struct Cursors {
    by_user: HashMap<UserId, Vec<Cursor>>,
    /// Place in the line, first come first.
    line: BTreeMap<u64, (UserId, String)>,
    places: u64,
}

#[derive(Debug)]
struct Cursor {
    device: String,
    seq: u64,
    place: u64,
}

impl Cursors {
    /// Moves a cursor forward; a new one goes to the end of the line, a moved one keeps its place.
    pub(super) fn ack(&mut self, user: UserId, device: &str, seq: u64) {
        if let Some(cursor) = self.find(user, device) {
            cursor.seq = cursor.seq.max(seq);
            return;
        }
        let place = self.queue_up(user, device);
        self.by_user.entry(user).or_default().push(Cursor { device: device.to_owned(), seq, place });
        if self.line.len() > CURSORS
            && let Some((_, (user, device))) = self.line.pop_first()
        {
            self.remove(user, &device);
        }
    }

    pub(super) fn get(&self, user: UserId, device: &str) -> Option<u64> {
        self.by_user.get(&user)?.iter().find(|cursor| cursor.device == device).map(|cursor| cursor.seq)
    }

    /// The cursors that have waited longest.
    pub(super) fn oldest(&self, max: usize) -> Vec<AckEntry> {
        let seq = |user: &UserId, device: &str| self.get(*user, device).expect("whoever waits in line has a cursor");
        self.line
            .values()
            .take(max)
            .map(|(user, device)| AckEntry { user: *user, device: device.clone(), seq: seq(user, device) })
            .collect()
    }

    /// The store has this much. A cursor that moved on meanwhile goes to the end of the line, so that a busy device
    /// does not keep the others waiting.
    pub(super) fn confirm(&mut self, ack: &AckEntry) {
        let Some(cursor) = self.find(ack.user, &ack.device) else { return };
        let (place, moved_on) = (cursor.place, cursor.seq > ack.seq);
        self.line.remove(&place);
        if !moved_on {
            self.remove(ack.user, &ack.device);
            return;
        }
        let place = self.queue_up(ack.user, &ack.device);
        if let Some(cursor) = self.find(ack.user, &ack.device) {
            cursor.place = place;
        }
    }

    fn queue_up(&mut self, user: UserId, device: &str) -> u64 {
        self.places += 1;
        self.line.insert(self.places, (user, device.to_owned()));
        self.places
    }

    fn find(&mut self, user: UserId, device: &str) -> Option<&mut Cursor> {
        self.by_user.get_mut(&user)?.iter_mut().find(|cursor| cursor.device == device)
    }

    fn remove(&mut self, user: UserId, device: &str) {
        if let Some(cursors) = self.by_user.get_mut(&user) {
            cursors.retain(|cursor| cursor.device != device);
            if cursors.is_empty() {
                self.by_user.remove(&user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_device_does_not_keep_the_others_waiting() {
        let (busy, quiet) = (UserId::new(), UserId::new());
        let mut cursors = Cursors::default();
        cursors.ack(busy, "d", 1);
        cursors.ack(quiet, "d", 1);
        let batch = cursors.oldest(1);
        assert_eq!(batch[0].user, busy);
        cursors.ack(busy, "d", 2);
        cursors.confirm(&batch[0]);
        assert_eq!(cursors.oldest(1)[0].user, quiet);
        assert_eq!(cursors.get(busy, "d"), Some(2));
    }

    #[test]
    fn cursors_that_nobody_flushes_are_bounded() {
        let user = UserId::new();
        let mut cursors = Cursors::default();
        for n in 0..CURSORS + 10 {
            cursors.ack(UserId::new(), "d", n as u64);
        }
        cursors.ack(user, "d", 5);
        assert_eq!((cursors.line.len(), cursors.by_user.len()), (CURSORS, CURSORS));
        assert_eq!(cursors.get(user, "d"), Some(5));
        for ack in cursors.oldest(usize::MAX) {
            cursors.confirm(&ack);
        }
        assert!(cursors.line.is_empty() && cursors.by_user.is_empty());
    }
}
