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
use crate::{frame, log::Pulled, node::Node, topic::Start};
use shared::protocol::{
    CloseReason,
    event::{Event, ReadyRoom},
};
use std::{
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

impl Connection {
    /// Writes and pulls until the socket is full or nothing is left; true if anything moved.
    pub(super) fn poll_out(&mut self, cx: &mut Context<'_>) -> Result<bool, CloseRequest> {
        let mut moved = self.poll_page(cx)?;
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
        let turn = usize::from(self.page_turn);
        let Self { rooms, inbox, wire, node, outbox, .. } = self;
        for ephemeral in outbox.take_ephemeral() {
            wire.push(ephemeral.frame);
        }
        let mut behind = Behind::default();
        for (place, subscription) in inbox.iter_mut().chain(rooms.iter_mut()).enumerate() {
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
                Pulled::UpToDate | Pulled::Some => {}
                Pulled::Behind => behind.note(place, turn),
                Pulled::Reset => restart(node, wire, subscription, topic.newest()),
            }
            if wire.is_full() {
                break;
            }
        }
        let moved = !wire.is_empty();
        if let Some(place) = behind.next().filter(|_| self.page.is_none()) {
            self.fetch_page(place);
        }
        moved
    }

    /// Asks for the page that the subscription at this place needs. One page at a time: whoever comes behind it has the
    /// next turn, so that one whose store does not answer holds nobody else up.
    fn fetch_page(&mut self, place: usize) {
        let Some(subscription) = self.inbox.iter_mut().chain(self.rooms.iter_mut()).nth(place) else { return };
        let topic = Arc::clone(subscription.topic());
        subscription.replay_to = topic.head().unwrap_or(0);
        let fetch = subscription::fetch(Arc::clone(&self.node), topic, subscription.cursor);
        self.page = Some(Box::pin(fetch));
        self.page_turn = u16::try_from(place + 1).unwrap_or(0);
        self.outbox.wake(); // the page has not been polled yet
    }

    /// Takes a page that has arrived; true if it did.
    fn poll_page(&mut self, cx: &mut Context<'_>) -> Result<bool, CloseRequest> {
        if self.wire.is_full() {
            return Ok(false); // no further page before this one is on its way
        }
        let Some(page) = &mut self.page else { return Ok(false) };
        let Poll::Ready(page) = page.as_mut().poll(cx) else { return Ok(false) };
        self.page = None;
        self.take_page(page)?;
        Ok(true)
    }

    fn take_page(&mut self, page: Page) -> Result<(), CloseRequest> {
        let Page { topic, from, outcome } = page;
        let Self { rooms, inbox, wire, node, .. } = self;
        let mut subscriptions = inbox.iter_mut().chain(rooms.iter_mut());
        let Some(subscription) = subscriptions.find(|s| Arc::ptr_eq(s.topic(), &topic) && s.cursor == from) else {
            return Ok(()); // left, or moved by a resume, while the page was on its way
        };
        match outcome {
            Outcome::Frames { frames, last } => {
                wire.push(frames);
                wire.frames += last.saturating_sub(subscription.cursor.seq + 1);
                subscription.cursor.seq = last;
            }
            Outcome::Nothing { at } => subscription.cursor.seq = at,
            Outcome::Lost { top } => restart(node, wire, subscription, topic.after_loss(from, top)),
            // Its next `ready` says `recovered:false`: the one word for this that every client knows.
            Outcome::Trimmed => return Err(close(CloseReason::SlowConsumer)),
            Outcome::Failed => {} // still behind: it has another turn after the others
        }
        Ok(())
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
fn restart(node: &Node, wire: &mut Wire, subscription: &mut Subscription, start: Option<Start>) {
    let Some(start) = start else { return };
    subscription.restart(start);
    if let Some(room) = subscription.room() {
        let at = ReadyRoom { pos: start.at, recovered: false };
        let count = subscription.topic().member_count();
        wire.push(frame::text(&Event::Joined { id: None, room, at, online: &[], count }.encode()));
        tracing::debug!(%room, node = %node.config.node, "a member was told to reload");
    }
}

/// The subscriptions that need a page, by their place: which of them is next?
#[derive(Clone, Copy, Debug, Default)]
struct Behind {
    first: Option<usize>,
    /// The first one that is not before the turn.
    in_turn: Option<usize>,
}

impl Behind {
    fn note(&mut self, place: usize, turn: usize) {
        self.first.get_or_insert(place);
        if place >= turn {
            self.in_turn.get_or_insert(place);
        }
    }

    fn next(self) -> Option<usize> {
        self.in_turn.or(self.first)
    }
}

#[cfg(test)]
mod tests {
    use super::Behind;

    #[test]
    fn subscriptions_that_are_behind_take_turns_however_the_first_one_fares() {
        let (mut turn, mut served) = (0, Vec::new());
        for _ in 0..5 {
            let mut behind = Behind::default();
            for place in [0, 3, 7] {
                behind.note(place, turn);
            }
            let place = behind.next().unwrap();
            served.push(place);
            turn = place + 1;
        }
        assert_eq!(served, [0, 3, 7, 0, 3]);
        assert_eq!(Behind::default().next(), None);
    }
}
