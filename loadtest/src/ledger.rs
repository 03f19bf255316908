//! What must arrive, and what did: finds lost, doubled and reordered messages of one sender at one receiver.
//!
//! The sender numbers its messages 0, 1, 2, …. The receiver's ledger keeps the next number it expects and the set
//! of numbers that were passed over, so that memory grows with the faults and not with the messages.

use std::{collections::BTreeSet, ops::AddAssign};

/// Most numbers remembered as passed over. Beyond it a fault is still counted as lost, but a straggler can no longer
/// be told from a double; a run that lost a million messages has failed anyway.
const REMEMBERED: usize = 1_000_000;

/// The numbers one receiver got from one sender.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    next: u64,
    missing: BTreeSet<u64>,
    forgotten: u64,
    faults: Faults,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// Never arrived.
    pub(crate) lost: u64,
    /// Arrived more than once.
    pub(crate) doubled: u64,
    /// Arrived after a later one.
    pub(crate) reordered: u64,
}

impl Faults {
    /// True when everything arrived once and in order.
    pub(crate) fn none(self) -> bool {
        self == Self::default()
    }
}

impl AddAssign for Faults {
    fn add_assign(&mut self, other: Self) {
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.reordered += other.reordered;
    }
}

impl Ledger {
    /// Number `number` has arrived.
    pub(crate) fn arrived(&mut self, number: u64) {
        if number < self.next {
            if self.missing.remove(&number) {
                self.faults.reordered += 1;
            } else {
                self.faults.doubled += 1;
            }
            return;
        }
        self.pass_over(number);
        self.next = number + 1;
    }

    fn pass_over(&mut self, until: u64) {
        let room = u64::try_from(REMEMBERED - self.missing.len()).unwrap_or(0);
        let kept = (until - self.next).min(room);
        self.missing.extend(self.next..self.next + kept);
        self.forgotten += until - self.next - kept;
    }

    /// The verdict, now that `sent` messages were sent and no more will arrive.
    pub(crate) fn close(mut self, sent: u64) -> Faults {
        self.faults.lost =
            u64::try_from(self.missing.len()).unwrap_or(u64::MAX) + self.forgotten + sent.saturating_sub(self.next);
        self.faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn verdict(arrivals: &[u64], sent: u64) -> Faults {
        let mut ledger = Ledger::default();
        for &number in arrivals {
            ledger.arrived(number);
        }
        ledger.close(sent)
    }

    #[test]
    fn each_fault_has_its_name() {
        assert!(verdict(&[0, 1, 2], 3).none());
        assert_eq!(verdict(&[0, 2], 3), Faults { lost: 1, ..Faults::default() });
        assert_eq!(verdict(&[0, 1], 3), Faults { lost: 1, ..Faults::default() }, "the last one too");
        assert_eq!(verdict(&[0, 1, 1, 2], 3), Faults { doubled: 1, ..Faults::default() });
        assert_eq!(verdict(&[0, 2, 1], 3), Faults { reordered: 1, ..Faults::default() });
        assert_eq!(verdict(&[], 0), Faults::default());
    }

    proptest! {
        #[test]
        fn lost_plus_arrived_is_what_was_sent(kept in proptest::collection::vec(any::<bool>(), 0..200)) {
            let arrivals: Vec<u64> = (0_u64..).zip(&kept).filter_map(|(n, &kept)| kept.then_some(n)).collect();
            let sent = u64::try_from(kept.len()).unwrap();
            let faults = verdict(&arrivals, sent);
            prop_assert_eq!(faults.lost + u64::try_from(arrivals.len()).unwrap(), sent);
            prop_assert_eq!((faults.doubled, faults.reordered), (0, 0));
        }

        #[test]
        fn any_order_loses_nothing_and_one_planted_double_is_found(
            order in Just((0_u64..60).collect::<Vec<_>>()).prop_shuffle(), again in 0_usize..60,
        ) {
            let mut arrivals = order;
            arrivals.push(arrivals[again]);
            let faults = verdict(&arrivals, 60);
            prop_assert_eq!((faults.lost, faults.doubled), (0, 1));
        }
    }
}
