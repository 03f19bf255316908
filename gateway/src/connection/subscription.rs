//! A connection's place in a room or in its inbox, and the pages that bring it up to date.
//!
//! The join gate: enter the topic (registered, subscription confirmed), read the top, replay in pages, go on live from
//! the log. The cursor is all there is to it: what the log has is pulled, what it no longer has is fetched in pages,
//! and because pages and log are numbered alike no frame is repeated or skipped where one takes over from the other.

use crate::{
    frame,
    hub::Entered,
    log::Cursor,
    node::Node,
    topic::{Start, Topic},
};
use bytes::{Bytes, BytesMut};
use shared::{
    engine::{self, Broker},
    id::UserId,
    protocol::{Position, RoomName},
};
use std::sync::Arc;

/// Entries in one page of replay, and the bytes at which it stops (the protocol's 64 and 64 KiB).
const PAGE: usize = 64;
const PAGE_BYTES: usize = 64 * 1024;

/// A place in a topic.
pub(super) struct Subscription {
    entered: Entered,
    pub(super) cursor: Cursor,
    /// Everything up to here is replay: however long, it is no sign of a slow reader.
    pub(super) replay_to: u64,
}

impl Subscription {
    /// A place at `cursor`, which is of the entered topic; what lies up to `top` is replayed.
    pub(super) fn new(entered: Entered, cursor: Cursor, top: u64) -> Self {
        Self { entered, cursor, replay_to: top }
    }

    /// Goes on from elsewhere: what lies in between is lost.
    pub(super) fn restart(&mut self, start: Start) {
        (self.cursor, self.replay_to) = (start.cursor, start.at.seq);
    }

    pub(super) fn topic(&self) -> &Arc<Topic> {
        self.entered.topic()
    }

    /// The room, if it is one.
    pub(super) fn room(&self) -> Option<&RoomName> {
        self.topic().room()
    }
}

/// What a page brought.
pub(super) struct Page {
    /// For which topic, and from which cursor on: the subscription may have moved or gone meanwhile.
    pub(super) topic: Arc<Topic>,
    pub(super) from: Cursor,
    pub(super) outcome: Outcome,
}

/// How a page ended.
pub(super) enum Outcome {
    /// Encoded frames up to this number.
    Frames { frames: Bytes, last: u64 },
    /// Nothing (left) to fetch: go on from here.
    Nothing { at: u64 },
    /// The room's gap cannot be closed: the client must reload, and goes on from the top.
    Lost { top: Position },
    /// Of the inbox, what comes next was trimmed from the store: the client must come back and be told so.
    Trimmed,
    /// The engine or the store did not answer; ask again.
    Failed,
}

/// Fetches what follows a cursor that the log has left behind.
pub(super) async fn fetch(node: Arc<Node>, topic: Arc<Topic>, from: Cursor) -> Page {
    let outcome = match topic.key() {
        engine::Topic::Room(room) => fetch_room(&node.engine().broker, &topic, room, from).await,
        engine::Topic::Inbox(user) => fetch_inbox(&node, &topic, *user, from).await,
        engine::Topic::Presence(_) => Outcome::Nothing { at: from.seq },
    };
    if matches!(outcome, Outcome::Failed) {
        // A short pause, so that an engine in trouble is not asked again by every connection at once.
        tokio::time::sleep(std::time::Duration::from_millis(100 + crate::drain::random_below(400))).await;
    }
    Page { topic, from, outcome }
}

pub(super) async fn fetch_room(broker: &Broker, topic: &Topic, room: &RoomName, from: Cursor) -> Outcome {
    let Some(newest) = topic.newest() else { return Outcome::Failed };
    if newest.cursor.generation != from.generation {
        return Outcome::Nothing { at: from.seq }; // another life began: the next pull finds out
    }
    let at = Position { seq: from.seq, ..newest.at };
    match broker.history(room, Some(at), PAGE).await {
        Err(problem) => {
            tracing::debug!(%problem, %room, "failed to fetch a page of history");
            Outcome::Failed
        }
        Ok(history) if !history.recovered => Outcome::Lost { top: history.top },
        Ok(history) => {
            let mut bytes = 0;
            let fits = |entry: &&engine::HistoryEntry| {
                let first = bytes == 0;
                bytes += entry.frame.len();
                first || bytes <= PAGE_BYTES
            };
            let entries: Vec<_> = history.entries.iter().take_while(fits).collect();
            match entries.last().map(|last| last.seq) {
                None => Outcome::Nothing { at: history.top.seq.max(from.seq) },
                Some(last) => Outcome::Frames { frames: encode(entries.iter().map(|entry| &entry.frame[..])), last },
            }
        }
    }
}

async fn fetch_inbox(node: &Node, topic: &Topic, user: UserId, from: Cursor) -> Outcome {
    let head = topic.head().unwrap_or(from.seq).max(from.seq); // read first: what comes after the query is live
    match node.ops.inbox_page(user, from.seq, PAGE).await {
        Err(problem) => {
            tracing::debug!(%problem, "failed to fetch a page of an inbox");
            Outcome::Failed
        }
        Ok(entries) => match (entries.first(), entries.last()) {
            (Some(first), Some(last)) if first.seq == from.seq + 1 => {
                let last = last.seq;
                Outcome::Frames { frames: encode(entries.iter().map(|entry| &entry.frame[..])), last }
            }
            // Numbers have no gaps, so these entries were there, and were trimmed while the reader took its time.
            (Some(_), _) => Outcome::Trimmed,
            (None, _) if head > from.seq => Outcome::Trimmed,
            (None, _) => Outcome::Nothing { at: head },
        },
    }
}

/// Text frames back to back.
fn encode<'a>(payloads: impl Iterator<Item = &'a [u8]>) -> Bytes {
    let mut frames = BytesMut::new();
    for payload in payloads {
        frame::put_text(&mut frames, payload);
    }
    frames.freeze()
}
