//! What one user's inbox must do: positions follow each other on every connection, a position always carries the same
//! entry, nothing that was accepted is missing, and the previous user's letters arrive in their order.

use super::verdict::Breaches;
use crate::ledger::Ledger;
use shared::protocol::event::ReadyInbox;
use std::collections::HashMap;

/// A letter, as far as an entry is told apart: its sender and number. None for other entries.
pub(super) type Content = Option<(usize, u64)>;

/// The ledger of one inbox.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// Where this connection is.
    at: u64,
    /// The last entry ever seen; none before the first `ready`.
    last: Option<u64>,
    entries: HashMap<u64, Content>,
    letters: Ledger,
    /// Entries that came again, each at the position it had before.
    pub(super) repeated: u64,
}

impl Inbox {
    /// What a client that remembers asks for.
    pub(super) fn position(&self) -> Option<u64> {
        self.last
    }

    /// A connection is signed in. `asked` is the position it asked for.
    pub(super) fn ready(&mut self, asked: Option<u64>, ready: ReadyInbox, breaches: &mut Breaches) {
        if !ready.recovered {
            breaches.note("inbox entries trimmed before they were read", format!("{ready:?}"));
        }
        let too_late = self.last.is_some_and(|last| ready.pos > last) || asked.is_some_and(|asked| ready.pos != asked);
        if too_late && ready.recovered {
            breaches.note("inbox resumed elsewhere than asked", format!("{ready:?}, last seen {:?}", self.last));
        }
        self.at = ready.pos;
        self.last = Some(self.last.unwrap_or(ready.pos).max(ready.pos));
    }

    /// An entry has arrived; true if it is a new one. `from` is whose letters are counted.
    pub(super) fn arrived(&mut self, pos: u64, content: Content, from: usize, breaches: &mut Breaches) -> bool {
        if pos != self.at + 1 {
            breaches.note("inbox positions that do not follow each other", format!("{pos} after {}", self.at));
        }
        self.at = pos;
        if let Some(before) = self.entries.get(&pos) {
            self.repeated += 1;
            if *before != content {
                breaches.note("another inbox entry at a known position", format!("{content:?} at {pos}: {before:?}"));
            }
            return false;
        }
        self.entries.insert(pos, content);
        self.last = Some(self.last.unwrap_or(0).max(pos));
        if let Some((_, number)) = content.filter(|(sender, _)| *sender == from) {
            self.letters.arrived(number);
        }
        true
    }

    /// The verdict, now that `accepted` letters were acknowledged to their sender.
    pub(super) fn close(self, accepted: u64, breaches: &mut Breaches) {
        let faults = self.letters.close(accepted);
        for (what, count) in [
            ("letters lost", faults.lost),
            ("letters doubled", faults.doubled),
            ("letters out of order", faults.reordered),
        ] {
            breaches.count(what, count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(pos: u64) -> ReadyInbox {
        ReadyInbox { pos, pending: 0, recovered: true }
    }

    #[test]
    fn a_repeat_of_the_same_entry_is_fine_and_anything_else_is_told() {
        let (mut inbox, mut breaches) = (Inbox::default(), Breaches::default());
        inbox.ready(None, ready(7), &mut breaches);
        assert!(inbox.arrived(8, Some((3, 0)), 3, &mut breaches));
        inbox.ready(None, ready(7), &mut breaches);
        assert!(!inbox.arrived(8, Some((3, 0)), 3, &mut breaches));
        assert!(inbox.arrived(9, None, 3, &mut breaches));
        assert_eq!((inbox.repeated, breaches.is_empty()), (1, true), "{breaches:?}");
        inbox.ready(Some(9), ready(7), &mut breaches);
        inbox.arrived(8, Some((3, 5)), 3, &mut breaches);
        inbox.arrived(10, None, 3, &mut breaches);
        inbox.ready(None, ready(11), &mut breaches);
        inbox.close(2, &mut breaches);
        let names: Vec<_> = breaches.lines();
        assert_eq!(names.len(), 4, "{names:?}");
    }
}
