//! Reading the inbox: where a device's replay starts, and the pages that follow.
//!
//! The store is the truth; the mailbox is its hot copy. A client that comes back within the hot window is served from
//! the engine alone, so that a storm of reconnects leaves the database in peace.

use super::{Ops, OpsError};
use crate::{
    engine::MailboxEntry,
    id::UserId,
    protocol::event::inbox_frame,
    store::{
        devices,
        inbox::{self, Bounds, Entry},
    },
};

/// Entries in a page; the same bound as the engine's hot copy.
pub const PAGE_ENTRIES: usize = 64;
/// Bytes in a page. One entry that is bigger than this still makes a page of its own.
pub const PAGE_BYTES: usize = 64 * 1024;

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

impl Ops {
    /// Where replay starts for this device, which is remembered from now on. `pos` is the last entry the client says
    /// it has.
    pub async fn inbox_start(&self, user: UserId, device: &str, pos: Option<u64>) -> Result<InboxStart, OpsError> {
        if let Some(start) = self.start_from_mailbox(user, pos).await {
            return Ok(start);
        }
        // An ack may still be on its way to the store. Without an engine the store's word is just older.
        let acked = self.engine().mailbox.cursor(user, device).await.ok().flatten();
        let state = async |c: &mut _| Ok((inbox::bounds(c, user).await?, devices::get(c, user, device).await?));
        let (bounds, known) = self.store().read("inbox.start", state).await?;
        // The next one who comes back up to date is answered without the store.
        let _ = self.engine().mailbox.open(user, bounds.head).await;
        let start = start(pos, acked.or(known.acked).or(known.acked_by_any), bounds);
        if known.registration_is_due(self.clock().now()) {
            let register = async |tx: &mut _| devices::register(tx, user, device, start.pos).await;
            self.store().tx("inbox.register", register).await?;
        }
        Ok(start)
    }

    /// What follows `after`: at most `limit` entries (and [`PAGE_ENTRIES`], and [`PAGE_BYTES`]), oldest first. Empty
    /// means that the reader has caught up. Entries may be here a moment before they are delivered live; whoever reads
    /// both drops what it has.
    pub async fn inbox_page(&self, user: UserId, after: u64, limit: usize) -> Result<Vec<MailboxEntry>, OpsError> {
        let limit = limit.clamp(1, PAGE_ENTRIES);
        // An empty answer is not believed: the mailbox may be behind the store, whose head the asker may know already.
        if let Ok(Some(entries)) = self.engine().mailbox.read(user, after, limit).await
            && !entries.is_empty()
        {
            return Ok(cut(entries));
        }
        let (limit, bytes) = page_bounds(limit);
        let read = async |c: &mut _| inbox::page(c, user, after, limit, bytes).await;
        let entries = self.store().read("inbox.page", read).await?;
        Ok(cut(entries.iter().map(frame).collect()))
    }

    /// Where each of these inboxes ends, by the store's word: what a node asks that may have missed entries. The
    /// mailboxes are not asked: an engine that lost its last writes would say that nothing is missing.
    pub async fn inbox_heads(&self, users: &[UserId]) -> Result<Vec<(UserId, u64)>, OpsError> {
        Ok(self.store().read("inbox.heads", async |c| inbox::heads(c, users).await).await?)
    }

    /// The reconnect's short way: what the client has is inside the hot window, so nothing needs to be asked.
    async fn start_from_mailbox(&self, user: UserId, pos: Option<u64>) -> Option<InboxStart> {
        let (pos, mailbox) = (pos?, &self.engine().mailbox);
        let head = mailbox.head(user).await.ok()??;
        let covered = pos <= head && mailbox.read(user, pos, 1).await.ok()?.is_some();
        covered.then_some(InboxStart { pos, head, recovered: true })
    }
}

/// An entry in the form every client gets; the relay and the replay share it.
pub(crate) fn frame(entry: &Entry) -> MailboxEntry {
    MailboxEntry { seq: entry.seq, frame: inbox_frame(entry.seq, &entry.event, &entry.data).into() }
}

/// A page's bounds as the store takes them: entries, and bytes of their data.
pub(crate) fn page_bounds(entries: usize) -> (u32, u64) {
    (u32::try_from(entries).unwrap_or(u32::MAX), PAGE_BYTES as u64)
}

/// Keeps a page inside its bytes, but never empty.
fn cut(mut entries: Vec<MailboxEntry>) -> Vec<MailboxEntry> {
    let mut bytes = 0;
    let fits = entries.iter().take_while(|entry| {
        bytes += entry.frame.len();
        bytes <= PAGE_BYTES
    });
    let fits = fits.count().max(1);
    entries.truncate(fits);
    entries
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
    fn a_page_never_exceeds_its_bytes_unless_one_entry_does() {
        let entry = |seq, size| MailboxEntry { seq, frame: vec![b'x'; size].into() };
        let small = cut((1..=64).map(|seq| entry(seq, 2_000)).collect());
        assert_eq!(small.len(), PAGE_BYTES / 2_000);
        assert_eq!(cut(vec![entry(1, PAGE_BYTES + 1), entry(2, 1)]).len(), 1);
        assert!(cut(Vec::new()).is_empty());
    }
}
