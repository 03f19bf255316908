//! Gaps: what a topic's log missed is read from the engine, or the store, before anything newer is appended.
//!
//! While a topic is filled, live deliveries are left to the filler: it reads until it has caught up. It goes on trying as
//! long as somebody is in the topic, and at most [`crate::node::FILLS`] topics are filled at once, since after a loss all
//! of them want to.

use crate::{drain::random_below, filling::Filler, log::Append, node::Node, pump, topic::Topic};
use shared::{
    engine::{Broker, Topic as Key},
    id::UserId,
    protocol::RoomName,
};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

/// Entries asked for at once.
const FILL_PAGE: usize = 64;
/// Pause before another attempt; up to as much again is added at random.
const FILL_PAUSE: Duration = Duration::from_millis(500);

/// Fills a topic if deliveries were lost since `losses` was read: it was entered then, but did not know its top yet.
pub(crate) fn fill_if_lost(node: &Arc<Node>, topic: &Arc<Topic>, losses: u64) {
    if node.losses.load(Ordering::Acquire) != losses {
        fill(node, topic);
    }
}

/// Fills a topic from the engine in a task of its own, unless one is at it already.
pub(crate) fn fill(node: &Arc<Node>, topic: &Arc<Topic>) {
    // A log that does not know its top yet needs nothing: whoever enters reads it. Presence has no log.
    let has_log = !matches!(topic.key(), Key::Presence(_));
    if has_log && topic.head().is_none() {
        return;
    }
    let Some(filler) = Filler::begin(topic) else { return };
    let node = Arc::clone(node);
    node.lifecycle.tracker().clone().spawn(async move {
        tokio::select! {
            biased;
            () = node.ended.cancelled() => {}
            () = insist(&node, &filler) => {}
        }
    });
}

/// Fills until it worked, or nobody is in the topic any more.
async fn insist(node: &Node, filler: &Filler) {
    let topic = filler.topic();
    while topic.member_count() > 0 {
        let permit = node.fills.acquire().await;
        let Err(problem) = fill_until_caught_up(node, filler).await else { return };
        drop(permit);
        if !filler.resume() {
            return; // somebody else is at it
        }
        tracing::warn!(%problem, topic = ?topic.key(), "failed to fill a gap; trying again");
        tokio::time::sleep(FILL_PAUSE + Duration::from_millis(random_below(500))).await;
    }
}

async fn fill_until_caught_up(node: &Node, filler: &Filler) -> anyhow::Result<()> {
    let (topic, mut again) = (filler.topic(), false);
    loop {
        while fill_page(node, topic, again).await? {
            again = true;
        }
        again = true;
        // Live frames were left to us until this moment; one more page finds what arrived before they no longer are.
        filler.pause();
        if !fill_page(node, topic, again).await? || !filler.resume() {
            return Ok(());
        }
    }
}

/// One page; false when there was nothing new. `again` if it is not the first one of this gap.
async fn fill_page(node: &Node, topic: &Topic, again: bool) -> anyhow::Result<bool> {
    let more = match topic.key() {
        Key::Room(room) => fill_room(&node.engine().broker, topic, room, node.log_bounds()).await?,
        Key::Inbox(user) => fill_inbox(node, topic, *user, again).await?,
        Key::Presence(user) => {
            for state in node.engine().presence.snapshot(&[*user]).await? {
                pump::push_ephemeral(node, topic, &pump::presence(state), None);
            }
            false
        }
    };
    if more {
        topic.wake_members();
    }
    Ok(more)
}

/// One page of a room, from the broker's history; false when there was nothing new.
pub(crate) async fn fill_room(
    broker: &Broker,
    topic: &Topic,
    room: &RoomName,
    bounds: (usize, usize),
) -> anyhow::Result<bool> {
    let Some(newest) = topic.newest() else { return Ok(false) };
    let history = broker.history(room, Some(newest.at), FILL_PAGE).await?;
    if !history.recovered {
        // Another epoch, or more was lost than the history remembers: readers are told, and go on from the top.
        topic.begin_anew(newest.cursor, history.top);
        return Ok(false);
    }
    let Some(first) = history.entries.first().map(|entry| entry.seq) else { return Ok(false) };
    let frames = history.entries.iter().map(|entry| &entry.frame[..]);
    // If the log has begun anew meanwhile the page is of no use, and the next one goes on from there.
    Ok(topic.append(Some(newest.at.epoch), first, frames, bounds) != Append::Known)
}

async fn fill_inbox(node: &Node, topic: &Topic, user: UserId, again: bool) -> anyhow::Result<bool> {
    // After a page the mailbox usually knows that it was the last one, and no query is needed. Before the first one it
    // is not believed: an engine that lost its last writes does not know what is missing.
    if again && node.engine().mailbox.head(user).await.is_ok_and(|head| head.is_some() && head == topic.head()) {
        return Ok(false);
    }
    let page = node.ops.inbox_page(user, topic.head().unwrap_or(0), FILL_PAGE).await?;
    let Some(first) = page.first().map(|entry| entry.seq) else { return Ok(false) };
    let frames = page.iter().map(|entry| &entry.frame[..]);
    let mut appended = topic.append(None, first, frames.clone(), node.log_bounds());
    if appended == Append::Gap {
        // Entries in between were trimmed from the store. Whoever has not read them finds the log ahead, and is told when
        // the page it asks for does not follow either.
        topic.jump(first - 1);
        appended = topic.append(None, first, frames, node.log_bounds());
    }
    Ok(appended == Append::Done)
}
