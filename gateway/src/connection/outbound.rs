//! Outward: what waits goes onto the wire, then what is new is pulled from the logs, until the socket takes no more.
//!
//! Fan-out is this file and `log.rs`: a connection that wakes writes everything that is new to it with one system
//! call, straight from the shared frames.
//!
//! A reader that is slow on purpose or by misfortune is judged here, and only while its socket takes nothing: if it is
//! then more than `WS_OUTBOX_MESSAGES` or `WS_OUTBOX_BYTES` behind a topic it is closed 4408. Nothing is lost by that,
//! positions are on the server. A healthy connection that merely has not had its turn yet is never closed.

use super::{
    Connection, close,
    outbox::CloseRequest,
    subscription::{self, Outcome, Page, Subscription},
    wire::Wire,
};
use crate::{frame, log::Pulled, node::Node};
use shared::protocol::{
    CloseReason, Position,
    event::{Event, ReadyRoom},
};
use std::{
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

impl Connection {
    /// Writes and pulls until the socket is full or nothing is left; true if anything moved.
    pub(super) fn poll_out(&mut self, cx: &mut Context<'_>) -> Result<bool, CloseRequest> {
        let mut moved = self.poll_page(cx);
        loop {
            let before = self.wire.written_bytes;
            match self.wire.poll_write(cx) {
                Poll::Ready(Err(_)) => return Err(close(CloseReason::Gone)),
                Poll::Ready(Ok(())) => {
                    // What the socket just took made room: a page that waited for it is looked at in the next round.
                    moved |= self.wire.written_bytes > before;
                    self.outbox.stalled_since.store(0, Ordering::Relaxed);
                }
                Poll::Pending => {
                    let progress = self.wire.written_bytes > before;
                    self.note_stall(progress);
                    return if self.is_slow() { Err(close(CloseReason::SlowConsumer)) } else { Ok(moved) };
                }
            }
            self.count_written(before);
            if !self.pull() {
                return Ok(moved);
            }
            moved = true;
        }
    }

    /// Moves what is new from the logs to the wire; false when there was nothing.
    fn pull(&mut self) -> bool {
        let Self { rooms, inbox, wire, page, node, outbox, .. } = self;
        for (_, frame) in outbox.take_ephemeral() {
            wire.push(frame);
        }
        for subscription in inbox.iter_mut().chain(rooms.iter_mut()) {
            if !subscription.topic().has_news(subscription.cursor) {
                continue;
            }
            let topic = Arc::clone(subscription.topic());
            let (from, mut slices) = (subscription.cursor.seq, 0);
            let pulled = topic.pull(&mut subscription.cursor, |frames| {
                slices += 1;
                wire.push(frames);
                !wire.is_full()
            });
            wire.frames += subscription.cursor.seq.saturating_sub(from + slices);
            match pulled {
                Pulled::Behind if page.is_none() => {
                    subscription.replay_to = topic.head().unwrap_or(0);
                    let fetch = subscription::fetch(Arc::clone(node), topic, subscription.cursor);
                    *page = Some(Box::pin(fetch));
                    self.outbox.wake(); // the page has not been polled yet
                    return !self.wire.is_empty();
                }
                // One page at a time: another subscription that is behind gets its turn afterwards.
                Pulled::UpToDate | Pulled::Some | Pulled::Behind => {}
                Pulled::Reset => restart(node, wire, subscription, topic.position()),
            }
            if wire.is_full() {
                break;
            }
        }
        !wire.is_empty()
    }

    /// Takes a page that has arrived; true if it did.
    fn poll_page(&mut self, cx: &mut Context<'_>) -> bool {
        if self.wire.is_full() {
            return false; // no further page before this one is on its way
        }
        let Some(page) = &mut self.page else { return false };
        let Poll::Ready(page) = page.as_mut().poll(cx) else { return false };
        self.page = None;
        self.take_page(page);
        true
    }

    fn take_page(&mut self, page: Page) {
        let Page { topic, from, outcome } = page;
        let Self { rooms, inbox, wire, node, .. } = self;
        let mut subscriptions = inbox.iter_mut().chain(rooms.iter_mut());
        let Some(subscription) = subscriptions.find(|s| Arc::ptr_eq(s.topic(), &topic) && s.cursor == from) else {
            return; // left, or moved by a resume, while the page was on its way
        };
        match outcome {
            Outcome::Frames { frames, last } => {
                wire.push(frames);
                wire.frames += last.saturating_sub(subscription.cursor.seq + 1);
                subscription.cursor.seq = last;
            }
            Outcome::Nothing { at } => subscription.cursor.seq = at,
            Outcome::Lost { top } => restart(node, wire, subscription, Some(top)),
            Outcome::Failed => {} // still behind: the next pull asks again
        }
    }

    fn note_stall(&self, progress: bool) {
        let since = &self.outbox.stalled_since;
        if progress || since.load(Ordering::Relaxed) == 0 {
            since.store(self.node.now_second(), Ordering::Relaxed);
        }
        if progress {
            // Nothing is read while answers wait, so a slow reader looks silent; what it takes proves that it is there.
            self.outbox.heard_at.store(self.node.now_second(), Ordering::Relaxed);
        }
    }

    /// Whether a connection whose socket takes nothing is too far behind; takes note of how far.
    fn is_slow(&self) -> bool {
        let limits = &self.node.config.limits;
        let (slices, bytes) = self.wire.queued();
        let (mut queue, mut queue_bytes, mut slow) = (slices as u64, bytes, false);
        for subscription in self.inbox.iter().chain(&self.rooms) {
            if !subscription.topic().has_news(subscription.cursor) {
                continue;
            }
            let (frames, bytes) = subscription.topic().lag(subscription.cursor);
            let replaying = subscription.cursor.seq < subscription.replay_to;
            slow |= !replaying && (frames > limits.outbox_messages as u64 || bytes > limits.outbox_bytes);
            queue += frames;
            queue_bytes += bytes;
        }
        self.outbox.tally.note_queue(queue, queue_bytes);
        slow
    }

    fn count_written(&self, before: u64) {
        let written = self.wire.written_bytes - before;
        if written > 0 {
            self.node.metrics.frame_out(usize::try_from(written).unwrap_or(usize::MAX));
            self.outbox.tally.note_sent(self.wire.frames, self.wire.written_bytes);
            if self.wire.is_one_way() {
                self.outbox.heard_at.store(self.node.now_second(), Ordering::Relaxed);
            }
        }
    }
}

/// The room's numbering began anew, or the gap cannot be closed: an unasked `joined` with `recovered:false` tells the
/// client to reload, and the subscription goes on from the top.
fn restart(node: &Node, wire: &mut Wire, subscription: &mut Subscription, top: Option<Position>) {
    let Some(top) = top else { return };
    subscription.cursor = subscription.topic().cursor(top.seq);
    if let Some(room) = subscription.room() {
        let at = ReadyRoom { pos: top, recovered: false };
        let count = subscription.topic().member_count();
        wire.push(frame::text(&Event::Joined { id: None, room, at, online: &[], count }.encode()));
        tracing::debug!(%room, node = %node.config.node, "a member was told to reload");
    }
}
