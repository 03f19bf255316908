//! What a room remembers, for how long, and when a position is good for nothing any more.

use super::{Fixture, node::Node, some_room};
use shared::{
    engine::{
        History, Topic,
        broker::{HISTORY_AGE, HISTORY_BYTES, HISTORY_EVENTS},
    },
    protocol::{Epoch, Position, RoomName},
};
use std::time::Duration;
use uuid::Uuid;

async fn history(fixture: &Fixture, room: &RoomName, since: Option<Position>, limit: usize) -> History {
    fixture.engine.broker.history(room, since, limit).await.unwrap()
}

async fn top(fixture: &Fixture, room: &RoomName) -> Position {
    history(fixture, room, None, 0).await.top
}

fn seqs(history: &History) -> Vec<u64> {
    history.entries.iter().map(|entry| entry.seq).collect()
}

pub(crate) async fn a_room_nobody_published_to_has_a_position_that_stays(fixture: Fixture) {
    let room = some_room();
    let first = top(&fixture, &room).await;
    assert_eq!((first.seq, top(&fixture, &room).await), (0, first));
    fixture.publish(&room).await;
    let history = history(&fixture, &room, Some(first), 10).await;
    assert_eq!((history.recovered, seqs(&history)), (true, vec![1]), "nothing between looking and publishing is lost");
}

pub(crate) async fn history_is_read_in_pages_without_a_gap(fixture: Fixture) {
    let room = some_room();
    let mut pos = top(&fixture, &room).await;
    fixture.publish_many(&room, 100).await;
    let mut read = Vec::new();
    loop {
        let page = history(&fixture, &room, Some(pos), 7).await;
        assert!(page.recovered && page.entries.len() <= 7 && page.top.seq == 100);
        let Some(last) = page.entries.last() else { break };
        pos.seq = last.seq;
        read.extend(seqs(&page));
    }
    assert!(read.into_iter().eq(1..=100));
}

pub(crate) async fn without_since_or_limit_only_the_top_is_read(fixture: Fixture) {
    let room = some_room();
    let start = top(&fixture, &room).await;
    fixture.publish_many(&room, 3).await;
    for (since, limit) in [(None, 10), (Some(start), 0)] {
        let history = history(&fixture, &room, since, limit).await;
        assert_eq!((history.top.seq, history.entries.len(), history.recovered), (3, 0, true));
    }
}

pub(crate) async fn the_last_500_events_are_kept(fixture: Fixture) {
    let room = some_room();
    let start = top(&fixture, &room).await;
    fixture.publish_many(&room, HISTORY_EVENTS).await;
    assert_eq!(history(&fixture, &room, Some(start), usize::MAX).await.entries.len(), HISTORY_EVENTS);
    fixture.publish(&room).await;
    let too_old = history(&fixture, &room, Some(start), usize::MAX).await;
    assert_eq!((too_old.recovered, too_old.entries.len()), (false, 0), "never a partial replay");
    let oldest = history(&fixture, &room, Some(Position { seq: 1, ..start }), usize::MAX).await;
    assert_eq!((oldest.recovered, oldest.entries.len()), (true, HISTORY_EVENTS));
}

pub(crate) async fn a_room_of_large_events_keeps_what_fits(fixture: Fixture) {
    let room = some_room();
    let large = "x".repeat(60_000);
    for _ in 0..40 {
        fixture.engine.broker.publish(&room, None, Uuid::now_v7(), "", &large).await.unwrap();
    }
    let end = top(&fixture, &room).await;
    assert!(!history(&fixture, &room, Some(Position { seq: 0, ..end }), 1).await.recovered);
    let fitting = (HISTORY_BYTES / (large.len() + 30)) as u64;
    let since = Position { seq: end.seq - fitting, ..end };
    assert!(history(&fixture, &room, Some(since), 1).await.recovered);
}

pub(crate) async fn events_are_kept_for_ten_minutes(fixture: Fixture) {
    let room = some_room();
    let start = top(&fixture, &room).await;
    fixture.publish(&room).await;
    fixture.advance(HISTORY_AGE / 2).await;
    fixture.publish(&room).await;
    fixture.advance(HISTORY_AGE / 2 - Duration::from_secs(1)).await;
    assert_eq!(seqs(&history(&fixture, &room, Some(start), 10).await), [1, 2]);
    fixture.advance(Duration::from_secs(1)).await;
    assert!(!history(&fixture, &room, Some(start), 10).await.recovered);
    let since = Position { seq: 1, ..start };
    assert_eq!(seqs(&history(&fixture, &room, Some(since), 10).await), [2]);
}

pub(crate) async fn positions_from_elsewhere_are_not_recovered(fixture: Fixture) {
    let room = some_room();
    fixture.publish_many(&room, 3).await;
    let end = top(&fixture, &room).await;
    let other = Epoch::random();
    for since in [Position { epoch: other, ..end }, Position { seq: 4, ..end }, Position { seq: u64::MAX, ..end }] {
        let history = history(&fixture, &room, Some(since), 10).await;
        assert_eq!((history.recovered, history.entries.len(), history.top), (false, 0, end), "{since}");
    }
    let at_top = history(&fixture, &room, Some(end), 10).await;
    assert_eq!((at_top.recovered, at_top.entries.len()), (true, 0));
}

pub(crate) async fn a_room_nobody_uses_for_ten_minutes_starts_a_new_epoch(fixture: Fixture) {
    let room = some_room();
    fixture.publish_many(&room, 3).await;
    let before = top(&fixture, &room).await;
    fixture.advance(HISTORY_AGE).await;
    let after = top(&fixture, &room).await;
    assert!(after.epoch != before.epoch && after.seq == 0, "{before} {after}");
    assert!(!history(&fixture, &room, Some(before), 10).await.recovered);
    assert_eq!(fixture.publish(&room).await, 1);
}

pub(crate) async fn a_room_somebody_is_in_keeps_its_epoch_and_numbers(fixture: Fixture) {
    let room = some_room();
    let node = Node::on(&fixture.engine, &[Topic::Room(room.clone())]).await;
    fixture.publish_many(&room, 3).await;
    let before = top(&fixture, &room).await;
    for _ in 0..5 {
        fixture.advance(HISTORY_AGE).await;
        fixture.publish(&some_room()).await;
    }
    // The last one leaves and comes back, as a page reload does.
    fixture.engine.broker.unsubscribe(node.id, &Topic::Room(room.clone())).await.unwrap();
    fixture.advance(HISTORY_AGE - Duration::from_secs(1)).await;
    assert_eq!(top(&fixture, &room).await, before);
    assert_eq!(fixture.publish(&room).await, 4);
}

pub(crate) async fn looking_at_a_position_keeps_it(fixture: Fixture) {
    let room = some_room();
    let first = top(&fixture, &room).await;
    for _ in 0..5 {
        fixture.advance(HISTORY_AGE - Duration::from_secs(1)).await;
        assert_eq!(top(&fixture, &room).await, first);
    }
}

pub(crate) async fn a_flushed_engine_starts_new_epochs(mut fixture: Fixture) {
    let room = some_room();
    fixture.publish_many(&room, 3).await;
    let before = top(&fixture, &room).await;
    fixture.flush().await;
    fixture.publish_many(&room, 5).await;
    let history = history(&fixture, &room, Some(before), 10).await;
    assert_eq!((history.recovered, history.entries.len()), (false, 0));
    assert_ne!(history.top.epoch, before.epoch);
}
