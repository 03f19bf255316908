//! Where a device's replay starts, answered by the engine if it can be and else for many devices at once.
//!
//! A device that was here before is remembered beside the user's hot copy, with what it acked. As long as the copy reaches
//! back that far the store is not asked at all; who is new, or has been away for longer, is looked up together with all
//! others who ask at that moment (see `batch.rs`), and noted in the same batch if that is due.

use super::{Ops, OpsError};
use crate::{
    clock::Timestamp,
    engine::mailbox::{Look, Place},
    id::UserId,
    store::{
        StoreError,
        devices::{self, Seen},
        inbox::{self, Bounds},
    },
};
use std::{collections::HashMap, sync::Arc};

/// Where an inbox replay starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboxStart {
    /// Replay what comes after this position.
    pub pos: u64,
    /// The newest position there is; `head - pos` entries are pending.
    pub head: u64,
    /// False when the device misses entries that are no longer kept, or named a position it cannot have: it reloads
    /// over REST and goes on from `pos`.
    pub recovered: bool,
}

/// What is asked about a device that the engine cannot answer for.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Asked {
    user: UserId,
    device: Arc<str>,
    /// The last entry the client says it has.
    pos: Option<u64>,
    /// The device's cursor, if an ack is still on its way to the store.
    acked: Option<u64>,
}

/// What the store said.
#[derive(Clone, Copy)]
pub(super) struct Found {
    start: InboxStart,
    place: Place,
}

impl Ops {
    /// Where replay starts for this device, which is remembered from now on. `pos` is the last entry the client says
    /// it has.
    pub async fn inbox_start(&self, user: UserId, device: &str, pos: Option<u64>) -> Result<InboxStart, OpsError> {
        let mailbox = &self.engine().mailbox;
        let (acked, look) = tokio::join!(mailbox.cursor(user, device), mailbox.look(user, device));
        // Without an engine the store's word is just older.
        let (acked, look) = (acked.ok().flatten(), look.ok().flatten());
        if let Some(start) = look.and_then(|look| in_hot_window(look, pos, acked, self.clock().now())) {
            return Ok(start);
        }
        let asked = Asked { user, device: device.into(), pos, acked };
        let found = self.starts().get(asked, |asked| self.look_starts_up(asked)).await?;
        let Found { start, place } = found.ok_or_else(|| OpsError::Internal("a start was not looked up".into()))?;
        // The next time the device comes it is answered without the store.
        let _ = mailbox.open(user, start.head, device, place).await;
        Ok(start)
    }

    async fn look_starts_up(&self, asked: Vec<Asked>) -> Result<HashMap<Asked, Found>, OpsError> {
        let users: Vec<_> = asked.iter().map(|asked| asked.user).collect();
        let devices: Vec<_> = asked.iter().map(|asked| (asked.user, &*asked.device)).collect();
        let state = async |c: &mut _| Ok((inbox::bounds_of(c, &users).await?, devices::get(c, &devices).await?));
        let (bounds, known) = self.store().read("inbox.start", state).await?;
        let (now, mut due, mut found) = (self.clock().now(), Vec::new(), HashMap::with_capacity(asked.len()));
        for (asked, known) in asked.iter().zip(known) {
            let bounds = bounds.get(&asked.user).copied().unwrap_or(Bounds::EMPTY);
            let start = start(asked.pos, asked.acked.or(known.acked).or(known.acked_by_any), bounds);
            let mut place = Place { acked: known.acked.unwrap_or(start.pos), noted: known.seen_at.unwrap_or(now) };
            if devices::note_is_due(known.seen_at, now) {
                due.push(Seen { user: asked.user, device: &asked.device, acked: start.pos });
                place.noted = now;
            }
            found.insert(asked.clone(), Found { start, place });
        }
        self.register(&due).await?;
        Ok(found)
    }

    async fn register(&self, seen: &[Seen<'_>]) -> Result<(), StoreError> {
        if seen.is_empty() {
            return Ok(());
        }
        match self.register_together(seen).await {
            // One of the users is no more. Who it is only the attempt says.
            Err(StoreError::ForeignKeyViolation) => {}
            outcome => return outcome,
        }
        for one in seen.chunks(1) {
            match self.register_together(one).await {
                Err(StoreError::ForeignKeyViolation) => {}
                outcome => outcome?,
            }
        }
        Ok(())
    }

    async fn register_together(&self, seen: &[Seen<'_>]) -> Result<(), StoreError> {
        self.store().tx("inbox.register", async |tx| devices::register(tx, seen).await).await
    }
}

/// The reconnect's short way: what the client has is inside the hot window, so nothing needs to be asked. A device that
/// the store has not seen for a day is noted there again.
fn in_hot_window(look: Look, pos: Option<u64>, acked: Option<u64>, now: Timestamp) -> Option<InboxStart> {
    let Look { base, head, place } = look;
    if place.is_some_and(|place| devices::note_is_due(Some(place.noted), now)) {
        return None;
    }
    let pos = match pos {
        Some(pos) => pos,
        None => place?.acked.max(acked.unwrap_or(0)),
    };
    (base..=head).contains(&pos).then_some(InboxStart { pos, head, recovered: true })
}

/// The rule of the protocol: the client's position if it is retained; else the cursor, which is the device's own or,
/// for a new device, the highest of the user's devices; else the oldest entry.
fn start(pos: Option<u64>, cursor: Option<u64>, Bounds { oldest, head }: Bounds) -> InboxStart {
    // A reader that has everything up to here misses nothing of what is kept.
    let floor = oldest.saturating_sub(1);
    let retained = |pos: u64| (floor..=head).contains(&pos);
    if let Some(pos) = pos.filter(|pos| retained(*pos)) {
        return InboxStart { pos, head, recovered: true };
    }
    // A client that named another position must be told: it may miss what lies between.
    let recovered = pos.is_none() && retained(cursor.unwrap_or(0));
    InboxStart { pos: cursor.unwrap_or(floor).clamp(floor, head), head, recovered }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replay_starts_where_the_protocol_says() {
        /// An inbox that keeps entries 11 to 20.
        const KEPT: Bounds = Bounds { oldest: 11, head: 20 };
        // (client's position, cursor) -> (start, recovered)
        let table = [
            ((Some(15), None), (15, true)),
            ((Some(10), Some(18)), (10, true)),
            ((Some(20), None), (20, true)),
            ((Some(9), None), (10, false)),
            ((Some(9), Some(14)), (14, false)),
            ((Some(21), None), (10, false)),
            ((None, Some(14)), (14, true)),
            ((None, Some(10)), (10, true)),
            ((None, None), (10, false)),
            ((None, Some(3)), (10, false)),
            ((None, Some(99)), (20, false)),
        ];
        for ((pos, cursor), (expected, recovered)) in table {
            let found = start(pos, cursor, KEPT);
            assert_eq!(found, InboxStart { pos: expected, head: 20, recovered }, "position {pos:?}, cursor {cursor:?}");
        }
    }

    #[test]
    fn a_new_user_has_an_empty_inbox_and_misses_nothing() {
        let empty = Bounds { oldest: 1, head: 0 };
        assert_eq!(start(None, None, empty), InboxStart { pos: 0, head: 0, recovered: true });
        assert_eq!(start(Some(0), None, empty), InboxStart { pos: 0, head: 0, recovered: true });
        assert_eq!(start(Some(7), None, empty), InboxStart { pos: 0, head: 0, recovered: false });
    }

    #[test]
    fn the_engine_answers_for_a_device_it_remembers_and_for_a_position_it_still_has() {
        let now = Timestamp::from_micros(0) + devices::NOTE_EVERY;
        let fresh = Some(Place { acked: 15, noted: now });
        let stale = Some(Place { acked: 15, noted: Timestamp::from_micros(0) });
        // (place, client's position, unflushed ack) -> start
        let table = [
            ((fresh, None, None), Some(15)),
            ((fresh, None, Some(18)), Some(18)),
            ((fresh, None, Some(3)), Some(15)),
            ((fresh, Some(12), None), Some(12)),
            ((fresh, Some(9), None), None),
            ((fresh, Some(21), None), None),
            ((stale, None, None), None),
            ((stale, Some(12), None), None),
            ((None, None, None), None),
            ((None, Some(10), None), Some(10)),
        ];
        for ((place, pos, acked), expected) in table {
            let found = in_hot_window(Look { base: 10, head: 20, place }, pos, acked, now);
            let expected = expected.map(|pos| InboxStart { pos, head: 20, recovered: true });
            assert_eq!(found, expected, "{place:?}, position {pos:?}, ack {acked:?}");
        }
    }
}
