//! Reading the inbox, page by page; where a device begins is in `start.rs`.
//!
//! The store is the truth; the mailbox is its hot copy. A client that comes back within the hot window is served from
//! the engine alone, so that a storm of reconnects leaves the database in peace.

use super::{Ops, OpsError};
use crate::{
    engine::MailboxEntry,
    id::UserId,
    protocol::event::inbox_frame,
    store::inbox::{self, Entry},
};

/// Entries in a page; the same bound as the engine's hot copy.
pub const PAGE_ENTRIES: usize = 64;
/// Bytes in a page. One entry that is bigger than this still makes a page of its own.
pub const PAGE_BYTES: usize = 64 * 1024;

impl Ops {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_never_exceeds_its_bytes_unless_one_entry_does() {
        let entry = |seq, size| MailboxEntry { seq, frame: vec![b'x'; size].into() };
        let small = cut((1..=64).map(|seq| entry(seq, 2_000)).collect());
        assert_eq!(small.len(), PAGE_BYTES / 2_000);
        assert_eq!(cut(vec![entry(1, PAGE_BYTES + 1), entry(2, 1)]).len(), 1);
        assert!(cut(Vec::new()).is_empty());
    }
}
