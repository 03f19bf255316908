//! The hot copy of the inboxes, and device cursors on their way to the store.
//!
//! # Contract
//!
//! * The store is the truth; a mailbox holds the newest entries of a user, contiguous, at most [`WINDOW_ENTRIES`] and
//!   [`WINDOW_BYTES`], and may vanish at any moment. One that survived where writes were lost (a replica took over, a
//!   server came back from a snapshot) counts as vanished: nobody would ever send again what it lacks.
//! * [`Mailbox::append`] accepts exactly `head + 1`. A lower number is "already there" and changes and delivers
//!   nothing; a higher one is refused with the head, and the relay goes back and sends from `head + 1`. An absent
//!   mailbox accepts any number and starts there. What is accepted is delivered, in the same atomic step, to the nodes
//!   subscribed to [`super::Topic::Inbox`] as [`super::Delivery::Inbox`]. A mailbox that vanished may be filled from an
//!   earlier position again: a node may meet positions it has seen, and skips them.
//! * [`Mailbox::open`] makes a missing mailbox an empty one that stands where the store does, so that readers who are
//!   up to date need not ask the store; one that is there stays as it is. It also remembers the [`Place`] of the device
//!   that asked, beside at most [`PLACES`] others of the user (the one noted longest ago goes), for as long as the
//!   mailbox is there.
//! * [`Mailbox::look`] says what a reader needs to know to go on without the store.
//! * [`Mailbox::read`] answers only if it knows everything after `after`; otherwise (missing, does not reach back so
//!   far, or the reader is ahead of it) `None`: ask the store.
//! * A device's cursor is the highest position it acked; it only grows. Acks collect here and are taken out in batches,
//!   longest waiting first, by whoever flushes them to the store, which moves the device's place; losing some only
//!   redelivers the same positions. At most [`CURSORS`] wait; when nobody flushes them, the oldest are dropped first.
//! * Bounded as a whole too: the mailboxes touched longest ago vanish first, in memory when all of them pass
//!   [`TOTAL_BYTES`], in Redis when they are idle for an hour or `maxmemory` says so.

mod cursors;
mod memory;
mod redis;

use super::EngineError;
use crate::{clock::Timestamp, id::UserId};
use bytes::Bytes;

pub use memory::MemoryMailbox;
pub use redis::RedisMailbox;

/// Entries one user's hot copy holds.
pub const WINDOW_ENTRIES: usize = 64;
/// Bytes one user's hot copy holds.
pub const WINDOW_BYTES: usize = 64 * 1024;
/// Bytes all hot copies of a memory engine hold together.
pub const TOTAL_BYTES: usize = 64 * 1024 * 1024;

/// Devices whose place is remembered beside one user's hot copy.
pub const PLACES: usize = 20;

/// Cursors that wait for the store: a second's worth of acks, many times over.
pub const CURSORS: usize = 100_000;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxEntry {
    /// Its position.
    pub seq: u64,
    /// The whole frame's JSON ([`crate::protocol::event::inbox_frame`]).
    pub frame: Bytes,
}

/// Where a device stands by the store's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The highest position it acked, as far as the store has heard.
    pub acked: u64,
    /// When the store last noted that the device was here.
    pub noted: Timestamp,
}

/// A mailbox as a reader finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// The position before the oldest entry that is here: who has seen this one misses nothing.
    pub base: u64,
    /// The newest position.
    pub head: u64,
    /// The reader's place, if it is remembered.
    pub place: Option<Place>,
}

/// What `append` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// Everything up to here is in; what was new was delivered. (Of entries with a hole among them, those before it.)
    UpTo(u64),
    /// Nothing was taken: the first entry is beyond `head + 1`. Send from there.
    Gap {
        /// The newest entry the mailbox has.
        head: u64,
    },
}

/// A device's cursor on its way to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AckEntry {
    /// Whose inbox.
    pub user: UserId,
    /// Which device.
    pub device: String,
    /// The highest position it acked.
    pub seq: u64,
}

/// The hot copy of the inboxes. See the module's contract.
#[derive(Clone, Debug)]
pub enum Mailbox {
    /// Inside one process.
    Memory(MemoryMailbox),
    /// Among all processes on one Redis.
    Redis(RedisMailbox),
}

impl Mailbox {
    /// Appends contiguous entries, oldest first, and delivers the new ones.
    pub async fn append(&self, user: UserId, entries: &[MailboxEntry]) -> Result<Appended, EngineError> {
        match self {
            Self::Memory(mailbox) => Ok(mailbox.append(user, entries)),
            Self::Redis(mailbox) => mailbox.append(user, entries).await,
        }
    }

    /// Lets a missing mailbox begin after `head`, the newest position in the store, and remembers a device's place.
    pub async fn open(&self, user: UserId, head: u64, device: &str, place: Place) -> Result<(), EngineError> {
        match self {
            Self::Memory(mailbox) => mailbox.open(user, head, device, place),
            Self::Redis(mailbox) => return mailbox.open(user, head, device, place).await,
        }
        Ok(())
    }

    /// What the mailbox knows for a reader on this device; `None` when it is missing.
    pub async fn look(&self, user: UserId, device: &str) -> Result<Option<Look>, EngineError> {
        match self {
            Self::Memory(mailbox) => Ok(mailbox.look(user, device)),
            Self::Redis(mailbox) => mailbox.look(user, device).await,
        }
    }

    /// Makes a mailbox absent, so that it can begin anew: when the entries after its head are no longer kept anywhere,
    /// or when its head is of another past than the store's. Device cursors stay.
    pub async fn forget(&self, user: UserId) -> Result<(), EngineError> {
        match self {
            Self::Memory(mailbox) => {
                mailbox.forget(user);
                Ok(())
            }
            Self::Redis(mailbox) => mailbox.forget(user).await,
        }
    }

    /// At most `limit` entries after `after`, oldest first; `None` when the hot copy does not reach back that far or is
    /// missing.
    pub async fn read(&self, user: UserId, after: u64, limit: usize) -> Result<Option<Vec<MailboxEntry>>, EngineError> {
        match self {
            Self::Memory(mailbox) => Ok(mailbox.read(user, after, limit)),
            Self::Redis(mailbox) => mailbox.read(user, after, limit).await,
        }
    }

    /// The newest position the hot copy knows; `None` when it is missing.
    pub async fn head(&self, user: UserId) -> Result<Option<u64>, EngineError> {
        match self {
            Self::Memory(mailbox) => Ok(mailbox.head(user)),
            Self::Redis(mailbox) => mailbox.head(user).await,
        }
    }

    /// Moves a device's cursor forward; never back.
    pub async fn ack(&self, user: UserId, device: &str, seq: u64) -> Result<(), EngineError> {
        match self {
            Self::Memory(mailbox) => mailbox.ack(user, device, seq),
            Self::Redis(mailbox) => return mailbox.ack(user, device, seq).await,
        }
        Ok(())
    }

    /// A device's cursor, if an ack of it is still here. Acks stay readable until [`Mailbox::flushed`].
    pub async fn cursor(&self, user: UserId, device: &str) -> Result<Option<u64>, EngineError> {
        match self {
            Self::Memory(mailbox) => Ok(mailbox.cursor(user, device)),
            Self::Redis(mailbox) => mailbox.cursor(user, device).await,
        }
    }

    /// At most `max` cursors that the store does not have yet. They stay until [`Mailbox::flushed`] confirms them, so
    /// a failed write loses none.
    pub async fn unflushed(&self, max: usize) -> Result<Vec<AckEntry>, EngineError> {
        match self {
            Self::Memory(mailbox) => Ok(mailbox.unflushed(max)),
            Self::Redis(mailbox) => mailbox.unflushed(max).await,
        }
    }

    /// These cursors are in the store; those that moved on meanwhile stay.
    pub async fn flushed(&self, acks: &[AckEntry]) -> Result<(), EngineError> {
        match self {
            Self::Memory(mailbox) => mailbox.flushed(acks),
            Self::Redis(mailbox) => return mailbox.flushed(acks).await,
        }
        Ok(())
    }
}
