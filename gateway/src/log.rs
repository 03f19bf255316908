//! The shared log of one topic: encoded frames, numbered, read by every connection through a cursor.
//!
//! One event exists once, as the bytes that go onto the wire. Connections do not queue it, they read it: a slow reader
//! costs nothing but its cursor. Frames that arrive together form blocks of about [`BLOCK_BYTES`], so that a connection
//! that catches up writes one slice for many frames, and never takes much more than its wire has room for. What a
//! connection has not read when it leaves the log it fetches from the engine's history or mailbox again; how far it may
//! fall behind with a socket that takes nothing is decided in `connection/outbound.rs`.
//!
//! Bounds: the log keeps at least the newest `messages` and `bytes` (the outbox limits) and at most twice that, and
//! nothing once the topic has been quiet for a while ([`Log::cool`]).

use crate::{connection::wire::BATCH_BYTES, frame};
use bytes::{Bytes, BytesMut};
use shared::protocol::{Epoch, Position};
use std::collections::VecDeque;

/// A block that has this many bytes gets no further frame: one is as much as a wire takes at a time, so a reader that is
/// handed one holds at most that and the frame that filled it.
const BLOCK_BYTES: usize = BATCH_BYTES;

/// Where a connection is in a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The log's generation it belongs to.
    pub(crate) generation: u32,
    /// The last frame handed to the wire.
    pub(crate) seq: u64,
}

/// What a cursor finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pulled {
    /// Nothing new.
    UpToDate,
    /// Frames were handed over.
    Some,
    /// The log no longer has what comes next: fetch it from the engine.
    Behind,
    /// The numbering started anew (another epoch): what was missed is unknown.
    Reset,
}

/// How an append ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Append {
    /// In the log.
    Done,
    /// Nothing new.
    Known,
    /// Numbers are missing in between: fill from the engine first.
    Gap,
    /// Another life of the room.
    OtherEpoch,
}

struct Block {
    first: u64,
    /// Where each frame ends in `bytes`.
    ends: Box<[u32]>,
    bytes: Bytes,
}

impl Block {
    /// As many of the frames as make a block; `None` when there are none left.
    fn cut<'a>(first: u64, payloads: &mut (impl Iterator<Item = &'a [u8]> + Clone)) -> Option<Self> {
        let (mut count, mut size) = (0, 0);
        for payload in payloads.clone() {
            if size >= BLOCK_BYTES {
                break;
            }
            count += 1;
            size += payload.len() + frame::MAX_HEADER;
        }
        let mut bytes = BytesMut::with_capacity(size);
        let ends = payloads.take(count).map(|payload| {
            frame::put_text(&mut bytes, payload);
            u32::try_from(bytes.len()).expect("a block is far below 4 GiB")
        });
        let ends: Box<[u32]> = ends.collect();
        (!ends.is_empty()).then(|| Self { first, ends, bytes: bytes.freeze() })
    }

    fn last(&self) -> u64 {
        self.first + self.ends.len() as u64 - 1
    }

    /// The frames from `seq` on.
    fn from(&self, seq: u64) -> Bytes {
        match usize::try_from(seq - self.first) {
            Ok(0) | Err(_) => self.bytes.clone(),
            Ok(skip) => self.bytes.slice(self.ends[skip - 1] as usize..),
        }
    }
}

/// Encoded frames of one topic, contiguous, newest last.
#[derive(Default)]
pub(crate) struct Log {
    generation: u32,
    /// The room's epoch; inboxes have none.
    epoch: Option<Epoch>,
    /// The newest number; `None` until the topic's top is known.
    head: Option<u64>,
    /// Nothing for a topic that is quiet: most inboxes are.
    held: Option<Box<Held>>,
}

/// What a log holds: blocks, and the bytes and frames in them.
#[derive(Default)]
struct Held {
    blocks: VecDeque<Block>,
    bytes: usize,
    frames: usize,
}

impl Log {
    /// The newest number, once known.
    pub(crate) fn head(&self) -> Option<u64> {
        self.head
    }

    /// The newest position of a room, once known.
    pub(crate) fn position(&self) -> Option<Position> {
        Some(Position { epoch: self.epoch?, seq: self.head? })
    }

    /// How many frames are held.
    pub(crate) fn held_frames(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.frames)
    }

    /// The first life has generation 0.
    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    /// Tells a fresh log where the topic's top is; a log that knows ignores it.
    pub(crate) fn init(&mut self, epoch: Option<Epoch>, top: u64) {
        if self.head.is_none() {
            self.epoch = epoch;
            self.head = Some(top);
        }
    }

    /// Starts a new life: every cursor finds [`Pulled::Reset`].
    pub(crate) fn reset(&mut self, top: Position) {
        self.generation += 1;
        self.epoch = Some(top.epoch);
        self.head = Some(top.seq);
        self.forget();
    }

    /// Goes on after `seq`: what lies in between exists nowhere any more.
    pub(crate) fn jump(&mut self, seq: u64) {
        if self.head.is_some_and(|head| head < seq) {
            self.head = Some(seq);
            self.forget();
        }
    }

    /// Appends consecutive frames that start at `first`; those already known are passed over.
    pub(crate) fn append<'a>(
        &mut self,
        epoch: Option<Epoch>,
        first: u64,
        frames: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Append {
        if self.head.is_some() && epoch != self.epoch {
            return Append::OtherEpoch;
        }
        let head = *self.head.get_or_insert(first.saturating_sub(1));
        self.epoch = epoch;
        if first > head + 1 {
            return Append::Gap;
        }
        let known = usize::try_from(head + 1 - first).unwrap_or(usize::MAX);
        let (mut frames, mut newest) = (frames.skip(known), head);
        while let Some(block) = Block::cut(newest + 1, &mut frames) {
            newest = block.last();
            let held = self.held.get_or_insert_default();
            held.bytes += block.bytes.len();
            held.frames += block.ends.len();
            held.blocks.push_back(block);
        }
        if newest == head {
            return Append::Known;
        }
        self.head = Some(newest);
        Append::Done
    }

    /// Drops the oldest blocks while the newer ones alone reach the bounds.
    pub(crate) fn trim(&mut self, messages: usize, bytes: usize) {
        let Some(held) = &mut self.held else { return };
        while let Some(oldest) = held.blocks.front() {
            let (frames_left, bytes_left) = (held.frames - oldest.ends.len(), held.bytes - oldest.bytes.len());
            let enough = frames_left >= messages || bytes_left >= bytes;
            if !enough || held.blocks.len() == 1 {
                break;
            }
            (held.frames, held.bytes) = (frames_left, bytes_left);
            held.blocks.pop_front();
        }
    }

    /// The topic is quiet: whoever still needs these frames fetches them from the engine.
    pub(crate) fn cool(&mut self) {
        self.forget();
    }

    fn forget(&mut self) {
        self.held = None;
    }

    /// A cursor at `seq` in this life.
    pub(crate) fn cursor(&self, seq: u64) -> Cursor {
        Cursor { generation: self.generation, seq }
    }

    /// Hands what follows the cursor to `push`, block by block, until it says that it has enough.
    pub(crate) fn pull(&self, cursor: &mut Cursor, mut push: impl FnMut(Bytes) -> bool) -> Pulled {
        if cursor.generation != self.generation {
            return Pulled::Reset;
        }
        let Some(head) = self.head.filter(|head| *head > cursor.seq) else { return Pulled::UpToDate };
        let Some(Held { blocks, .. }) = self.held.as_deref() else { return Pulled::Behind };
        debug_assert!(blocks.back().is_none_or(|block| block.last() == head), "the newest block ends at the head");
        let next = cursor.seq + 1;
        let newer = blocks.iter().rev().take_while(|block| block.last() >= next).count();
        let start = blocks.len() - newer;
        if blocks.get(start).is_none_or(|block| block.first > next) {
            return Pulled::Behind;
        }
        for block in blocks.range(start..) {
            let frames = block.from((cursor.seq + 1).max(block.first));
            cursor.seq = block.last();
            if !push(frames) {
                break;
            }
        }
        Pulled::Some
    }

    /// How far a cursor is behind: frames, and bytes as far as the log still has them.
    pub(crate) fn lag(&self, cursor: Cursor) -> (u64, usize) {
        let Some(head) = self.head.filter(|_| cursor.generation == self.generation) else { return (0, 0) };
        let blocks = self.held.iter().flat_map(|held| &held.blocks);
        let bytes = blocks.filter(|block| block.first > cursor.seq).map(|block| block.bytes.len()).sum();
        (head.saturating_sub(cursor.seq), bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn append(log: &mut Log, first: u64, count: u64) -> Append {
        let frames: Vec<String> = (first..first + count).map(|n| n.to_string()).collect();
        log.append(None, first, frames.iter().map(String::as_bytes))
    }

    fn read(log: &Log, cursor: &mut Cursor) -> (Pulled, Vec<u8>) {
        let mut got = Vec::new();
        let pulled = log.pull(cursor, |bytes| {
            got.extend_from_slice(&bytes);
            true
        });
        (pulled, got)
    }

    fn frames(range: std::ops::RangeInclusive<u64>) -> Vec<u8> {
        range.flat_map(|n| frame::text(&n.to_string()).to_vec()).collect()
    }

    #[test]
    fn known_frames_are_passed_over_and_a_gap_is_refused() {
        let mut log = Log::default();
        log.init(None, 10);
        assert_eq!(append(&mut log, 9, 2), Append::Known);
        assert_eq!(append(&mut log, 12, 1), Append::Gap);
        assert_eq!(append(&mut log, 10, 3), Append::Done);
        let mut cursor = log.cursor(10);
        assert_eq!(read(&log, &mut cursor), (Pulled::Some, frames(11..=12)));
        assert_eq!(read(&log, &mut cursor), (Pulled::UpToDate, vec![]));
    }

    #[test]
    fn a_cursor_ahead_of_the_log_waits_until_the_log_passes_it() {
        let mut log = Log::default();
        log.init(None, 5);
        let mut cursor = log.cursor(7);
        append(&mut log, 6, 2);
        assert_eq!(read(&log, &mut cursor).0, Pulled::UpToDate);
        append(&mut log, 8, 1);
        assert_eq!(read(&log, &mut cursor).1, frames(8..=8));
    }

    #[test]
    fn another_epoch_resets_every_cursor() {
        let mut log = Log::default();
        let (old, new) = (Epoch::from_bits(1), Epoch::from_bits(2));
        log.init(Some(old), 3);
        let mut cursor = log.cursor(3);
        assert_eq!(log.append(Some(new), 1, [b"x".as_slice()].into_iter()), Append::OtherEpoch);
        log.reset(Position { epoch: new, seq: 1 });
        assert_eq!(read(&log, &mut cursor).0, Pulled::Reset);
    }

    #[test]
    fn a_trimmed_or_cooled_log_sends_late_readers_to_the_engine() {
        let mut log = Log::default();
        log.init(None, 0);
        for n in 1..=10 {
            append(&mut log, n, 1);
        }
        log.trim(4, 1 << 20);
        assert_eq!(log.held_frames(), 4);
        assert_eq!(read(&log, &mut log.cursor(5)).0, Pulled::Behind);
        assert_eq!(read(&log, &mut log.cursor(6)).1, frames(7..=10));
        log.cool();
        assert_eq!(read(&log, &mut log.cursor(9)).0, Pulled::Behind);
        assert_eq!(read(&log, &mut log.cursor(10)).0, Pulled::UpToDate);
        assert_eq!(log.lag(log.cursor(4)), (6, 0));
    }

    #[test]
    fn a_batch_of_large_frames_is_handed_over_in_pieces_that_a_wire_has_room_for() {
        let (mut log, payload) = (Log::default(), vec![b'x'; 60 * 1024]);
        log.init(None, 0);
        assert_eq!(log.append(None, 1, std::iter::repeat_n(&payload[..], 256)), Append::Done);
        let mut cursor = log.cursor(0);
        let taken = log.pull(&mut cursor, |piece| {
            assert!(piece.len() < 2 * BLOCK_BYTES, "{} bytes at once", piece.len());
            false
        });
        assert_eq!((taken, cursor.seq), (Pulled::Some, 2), "what does not fill a block gets company");
        let (pulled, rest) = read(&log, &mut cursor);
        assert_eq!((pulled, rest.len()), (Pulled::Some, 254 * frame::text(&"x".repeat(payload.len())).len()));
        assert_eq!(cursor.seq, 256);
        log.trim(4, 256 * 1024);
        let held = log.held.as_ref().unwrap().bytes;
        assert!(held < 3 * 256 * 1024, "{held} bytes are held");
    }

    proptest! {
        #[test]
        fn readers_at_any_pace_get_every_frame_once_and_in_order(
            batches in prop::collection::vec((1_u64..6, 0_u64..4), 1..60),
            stops in prop::collection::vec(1_usize..5, 1..200),
        ) {
            let mut log = Log::default();
            log.init(None, 0);
            let (mut cursor, mut got, mut top) = (log.cursor(0), Vec::new(), 0);
            let mut stops = stops.into_iter().cycle();
            for (count, overlap) in batches {
                let first = (top + 1_u64).saturating_sub(overlap).max(1);
                append(&mut log, first, top + 1 - first + count);
                top += count;
                let mut left = stops.next().unwrap();
                log.pull(&mut cursor, |bytes| { got.extend_from_slice(&bytes); left -= 1; left > 0 });
            }
            while log.pull(&mut cursor, |bytes| { got.extend_from_slice(&bytes); true }) == Pulled::Some {}
            prop_assert_eq!(got, frames(1..=top));
        }

        #[test]
        fn the_log_never_holds_more_than_twice_its_bounds(sizes in prop::collection::vec(1_u64..8, 1..100)) {
            let mut log = Log::default();
            log.init(None, 0);
            for count in sizes {
                let first = log.head().unwrap() + 1;
                append(&mut log, first, count);
                log.trim(16, 1 << 20);
                prop_assert!(log.held_frames() < 16 + 8);
            }
        }
    }
}
