//! What one connection has sent and received, for whoever asks: relaxed stores of numbers its task keeps anyway, once
//! per system call. Nobody else writes here but those who drop an ephemeral frame.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    sent: AtomicU64,
    sent_bytes: AtomicU64,
    received: AtomicU64,
    received_bytes: AtomicU64,
    queue: AtomicU32,
    queue_bytes: AtomicU32,
    dropped: AtomicU32,
}

/// The numbers at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tallied {
    /// Frames handed to the socket.
    pub(crate) sent: u64,
    pub(crate) sent_bytes: u64,
    /// Frames from the client.
    pub(crate) received: u64,
    pub(crate) received_bytes: u64,
    /// What waited when the socket last took nothing.
    pub(crate) queue: u32,
    pub(crate) queue_bytes: u32,
    /// Ephemeral frames that had to go for newer ones.
    pub(crate) dropped: u32,
}

impl Tally {
    /// Frames and bytes written so far.
    pub(crate) fn note_sent(&self, frames: u64, bytes: u64) {
        self.sent.store(frames, Relaxed);
        self.sent_bytes.store(bytes, Relaxed);
    }

    /// One more frame; bytes read so far.
    pub(crate) fn note_received(&self, bytes: u64) {
        self.received.store(self.received.load(Relaxed) + 1, Relaxed);
        self.received_bytes.store(bytes, Relaxed);
    }

    /// What waits while the socket takes nothing.
    pub(crate) fn note_queue(&self, frames: u64, bytes: usize) {
        self.queue.store(u32::try_from(frames).unwrap_or(u32::MAX), Relaxed);
        self.queue_bytes.store(u32::try_from(bytes).unwrap_or(u32::MAX), Relaxed);
    }

    /// An ephemeral frame had to go.
    pub(crate) fn note_dropped(&self) {
        self.dropped.fetch_add(1, Relaxed);
    }

    pub(crate) fn read(&self) -> Tallied {
        Tallied {
            sent: self.sent.load(Relaxed),
            sent_bytes: self.sent_bytes.load(Relaxed),
            received: self.received.load(Relaxed),
            received_bytes: self.received_bytes.load(Relaxed),
            queue: self.queue.load(Relaxed),
            queue_bytes: self.queue_bytes.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
        }
    }
}
