//! The hot copy of an inbox: numbers without gaps, each delivered once, bounded; and cursors on their way to the store.

use super::{Fixture, node::Node};
use bytes::Bytes;
use shared::{
    clock::Timestamp,
    engine::{
        AckEntry, Appended, Delivery, Engine, MailboxEntry, Topic,
        mailbox::{Look, PLACES, Place, TOTAL_BYTES, WINDOW_BYTES, WINDOW_ENTRIES},
    },
    id::UserId,
};
use std::ops::RangeInclusive;
use tokio::task::JoinSet;

fn entry(seq: u64) -> MailboxEntry {
    MailboxEntry { seq, frame: Bytes::from(format!("entry {seq}")) }
}

async fn append(engine: &Engine, user: UserId, seqs: RangeInclusive<u64>) -> Appended {
    let entries: Vec<MailboxEntry> = seqs.map(entry).collect();
    engine.mailbox.append(user, &entries).await.unwrap()
}

async fn read(engine: &Engine, user: UserId, after: u64) -> Option<Vec<u64>> {
    let entries = engine.mailbox.read(user, after, usize::MAX).await.unwrap()?;
    assert!(entries.iter().all(|entry| entry.frame == format!("entry {}", entry.seq)));
    Some(entries.iter().map(|entry| entry.seq).collect())
}

/// A place that acked this much and was noted in this microsecond.
fn place(acked: u64, noted: i64) -> Place {
    Place { acked, noted: Timestamp::from_micros(noted) }
}

async fn open(engine: &Engine, user: UserId, head: u64) {
    engine.mailbox.open(user, head, "d", place(head, 0)).await.unwrap();
}

/// The inbox entries on their way to a node.
async fn delivered(node: &mut Node, engine: &Engine) -> Vec<(UserId, u64)> {
    let inbox = |delivery| match delivery {
        Delivery::Inbox { user, seq, frame } => {
            assert_eq!(frame, format!("entry {seq}"));
            Some((user, seq))
        }
        _ => None,
    };
    node.settled(engine).await.into_iter().filter_map(inbox).collect()
}

pub(crate) async fn a_missing_mailbox_starts_at_any_number(fixture: Fixture) {
    let (user, engine) = (UserId::new(), &fixture.engine);
    assert_eq!(engine.mailbox.head(user).await.unwrap(), None);
    assert_eq!(read(engine, user, 0).await, None);
    assert_eq!(append(engine, user, 41..=42).await, Appended::UpTo(42));
    assert_eq!(engine.mailbox.head(user).await.unwrap(), Some(42));
    assert_eq!(read(engine, user, 40).await, Some(vec![41, 42]));
}

pub(crate) async fn a_missing_mailbox_opens_where_the_store_stands(fixture: Fixture) {
    let (user, other, engine) = (UserId::new(), UserId::new(), &fixture.engine);
    open(engine, user, 7).await;
    assert_eq!(engine.mailbox.head(user).await.unwrap(), Some(7));
    assert_eq!(read(engine, user, 7).await, Some(vec![]), "who is up to date is told so");
    assert_eq!(read(engine, user, 6).await, None, "and nobody else");
    assert_eq!(append(engine, user, 9..=9).await, Appended::Gap { head: 7 });
    assert_eq!(append(engine, user, 8..=9).await, Appended::UpTo(9));
    open(engine, user, 20).await;
    assert_eq!(read(engine, user, 7).await, Some(vec![8, 9]), "one that is there stays as it is");
    open(engine, other, 0).await;
    assert_eq!(append(engine, other, 1..=1).await, Appended::UpTo(1));
}

pub(crate) async fn who_was_here_finds_their_place_again(fixture: Fixture) {
    let (user, mailbox) = (UserId::new(), &fixture.engine.mailbox);
    assert_eq!(mailbox.look(user, "a").await.unwrap(), None);
    mailbox.open(user, 7, "a", place(5, 100)).await.unwrap();
    append(&fixture.engine, user, 8..=9).await;
    let found = |place| Some(Look { base: 7, head: 9, place });
    assert_eq!(mailbox.look(user, "a").await.unwrap(), found(Some(place(5, 100))));
    assert_eq!(mailbox.look(user, "b").await.unwrap(), found(None));
    mailbox.open(user, 9, "a", place(3, 200)).await.unwrap();
    assert_eq!(mailbox.look(user, "a").await.unwrap(), found(Some(place(5, 200))), "noted anew, and never back");
    mailbox.forget(user).await.unwrap();
    assert_eq!(mailbox.look(user, "a").await.unwrap(), None);
}

pub(crate) async fn a_flushed_ack_moves_its_devices_place(fixture: Fixture) {
    let (user, stranger, mailbox) = (UserId::new(), UserId::new(), &fixture.engine.mailbox);
    mailbox.open(user, 9, "a", place(2, 100)).await.unwrap();
    for (user, device, seq) in [(user, "a", 6), (user, "b", 7), (stranger, "a", 8)] {
        mailbox.ack(user, device, seq).await.unwrap();
    }
    let batch = mailbox.unflushed(10).await.unwrap();
    mailbox.flushed(&batch).await.unwrap();
    mailbox.flushed(&[ack(user, "a", 4)]).await.unwrap();
    assert_eq!(mailbox.look(user, "a").await.unwrap().unwrap().place, Some(place(6, 100)));
    assert_eq!(mailbox.look(user, "b").await.unwrap().unwrap().place, None, "only who was noted has a place");
    assert_eq!(mailbox.look(stranger, "a").await.unwrap(), None);
}

pub(crate) async fn the_place_noted_longest_ago_makes_room(fixture: Fixture) {
    let (user, mailbox) = (UserId::new(), &fixture.engine.mailbox);
    for n in (0_i64..).take(PLACES) {
        mailbox.open(user, 9, &format!("d{n}"), place(1, 100 - n)).await.unwrap();
    }
    append(&fixture.engine, user, 10..=10).await;
    mailbox.open(user, 10, "new", place(1, 500)).await.unwrap();
    let last = format!("d{}", PLACES - 1);
    for (device, known) in [(&*last, false), ("d0", true), ("new", true)] {
        assert_eq!(mailbox.look(user, device).await.unwrap().unwrap().place.is_some(), known, "{device}");
    }
}

pub(crate) async fn only_the_next_number_is_accepted(fixture: Fixture) {
    let (user, engine) = (UserId::new(), &fixture.engine);
    for seq in 1..=3 {
        assert_eq!(append(engine, user, seq..=seq).await, Appended::UpTo(seq));
    }
    assert_eq!(append(engine, user, 5..=5).await, Appended::Gap { head: 3 });
    assert_eq!(append(engine, user, 4..=5).await, Appended::UpTo(5));
    assert_eq!(read(engine, user, 0).await, Some(vec![1, 2, 3, 4, 5]));
}

pub(crate) async fn what_is_already_there_changes_and_delivers_nothing(fixture: Fixture) {
    let (user, engine) = (UserId::new(), &fixture.engine);
    append(engine, user, 1..=3).await;
    let mut node = Node::on(engine, &[Topic::Inbox(user)]).await;
    assert_eq!(append(engine, user, 2..=2).await, Appended::UpTo(3));
    assert_eq!(append(engine, user, 1..=3).await, Appended::UpTo(3));
    assert_eq!(engine.mailbox.append(user, &[]).await.unwrap(), Appended::UpTo(3));
    assert_eq!(delivered(&mut node, engine).await, []);
    assert_eq!(read(engine, user, 0).await, Some(vec![1, 2, 3]));
}

pub(crate) async fn of_an_overlapping_batch_the_new_part_is_taken(fixture: Fixture) {
    let (user, engine) = (UserId::new(), &fixture.engine);
    append(engine, user, 1..=3).await;
    let mut node = Node::on(engine, &[Topic::Inbox(user)]).await;
    assert_eq!(append(engine, user, 2..=5).await, Appended::UpTo(5));
    assert_eq!(delivered(&mut node, engine).await, [(user, 4), (user, 5)]);
}

pub(crate) async fn a_gap_is_refused_with_the_head_and_changes_nothing(fixture: Fixture) {
    let (user, engine) = (UserId::new(), &fixture.engine);
    append(engine, user, 1..=3).await;
    let mut node = Node::on(engine, &[Topic::Inbox(user)]).await;
    assert_eq!(append(engine, user, 7..=9).await, Appended::Gap { head: 3 });
    assert_eq!(delivered(&mut node, engine).await, []);
    assert_eq!(read(engine, user, 0).await, Some(vec![1, 2, 3]));
}

pub(crate) async fn a_batch_with_a_hole_is_taken_up_to_the_hole(fixture: Fixture) {
    let (user, engine) = (UserId::new(), &fixture.engine);
    let holed = [entry(1), entry(2), entry(4)];
    assert_eq!(engine.mailbox.append(user, &holed).await.unwrap(), Appended::UpTo(2));
    assert_eq!(engine.mailbox.append(user, &holed[2..]).await.unwrap(), Appended::Gap { head: 2 });
}

pub(crate) async fn accepted_entries_reach_the_nodes_of_that_inbox_in_order(fixture: Fixture) {
    let (user, other, engine) = (UserId::new(), UserId::new(), &fixture.engine);
    let mut nodes = [Node::on(engine, &[Topic::Inbox(user)]).await, Node::on(engine, &[Topic::Inbox(user)]).await];
    append(engine, user, 1..=2).await;
    append(engine, other, 1..=2).await;
    append(engine, user, 3..=3).await;
    for node in &mut nodes {
        assert_eq!(delivered(node, engine).await, [(user, 1), (user, 2), (user, 3)]);
    }
}

pub(crate) async fn two_relays_at_once_deliver_every_entry_once_and_in_order(fixture: Fixture) {
    const ENTRIES: u64 = 1_000;
    let (user, engine) = (UserId::new(), &fixture.engine);
    append(engine, user, 1..=1).await;
    let mut node = Node::on(engine, &[Topic::Inbox(user)]).await;
    let mut relays = JoinSet::new();
    // Each sends in batches of its own size, and goes back where it is told to.
    for batch in [1, 3, 7, 20] {
        let engine = engine.clone();
        relays.spawn(async move {
            let mut next = 2;
            while next <= ENTRIES {
                match append(&engine, user, next..=(next + batch).min(ENTRIES)).await {
                    Appended::UpTo(head) | Appended::Gap { head } => next = head + 1,
                }
                tokio::task::yield_now().await;
            }
        });
    }
    relays.join_all().await;
    assert!(delivered(&mut node, engine).await.into_iter().eq((2..=ENTRIES).map(|seq| (user, seq))));
    assert_eq!(engine.mailbox.head(user).await.unwrap(), Some(ENTRIES));
}

pub(crate) async fn reading_answers_only_when_it_knows_everything_after(fixture: Fixture) {
    let (user, engine) = (UserId::new(), &fixture.engine);
    append(engine, user, 10..=12).await;
    assert_eq!(read(engine, user, 8).await, None, "9 is not here");
    assert_eq!(read(engine, user, 9).await, Some(vec![10, 11, 12]));
    assert_eq!(read(engine, user, 11).await, Some(vec![12]));
    assert_eq!(read(engine, user, 12).await, Some(vec![]));
    assert_eq!(read(engine, user, 13).await, None, "the reader knows more than this copy");
}

pub(crate) async fn reading_is_paged(fixture: Fixture) {
    let (user, engine) = (UserId::new(), &fixture.engine);
    append(engine, user, 1..=10).await;
    let page = async |after, limit| engine.mailbox.read(user, after, limit).await.unwrap().unwrap();
    assert!(page(0, 4).await.iter().map(|entry| entry.seq).eq(1..=4));
    assert!(page(4, 100).await.iter().map(|entry| entry.seq).eq(5..=10));
    assert!(page(4, 0).await.is_empty());
}

pub(crate) async fn the_window_is_bounded_in_entries(fixture: Fixture) {
    let (user, engine) = (UserId::new(), &fixture.engine);
    let all = WINDOW_ENTRIES as u64 + 10;
    append(engine, user, 1..=all).await;
    assert_eq!(read(engine, user, 9).await, None);
    assert_eq!(read(engine, user, 10).await.map(|seqs| seqs.len()), Some(WINDOW_ENTRIES));
}

pub(crate) async fn the_window_is_bounded_in_bytes(fixture: Fixture) {
    let (user, engine) = (UserId::new(), &fixture.engine);
    let mut node = Node::on(engine, &[Topic::Inbox(user)]).await;
    let large = Bytes::from(vec![b'x'; WINDOW_BYTES / 4]);
    for seq in 1..=10 {
        engine.mailbox.append(user, &[MailboxEntry { seq, frame: large.clone() }]).await.unwrap();
    }
    assert_eq!(read_len(engine, user, 5).await, None, "five quarters do not fit");
    assert_eq!(read_len(engine, user, 8).await, Some(2));
    let huge = Bytes::from(vec![b'x'; 2 * WINDOW_BYTES]);
    engine.mailbox.append(user, &[MailboxEntry { seq: 11, frame: huge }]).await.unwrap();
    assert_eq!(engine.mailbox.head(user).await.unwrap(), Some(11));
    assert_eq!(read_len(engine, user, 10).await, None, "an entry beyond the window is not kept");
    assert_eq!(node.settled(engine).await.len(), 11, "it is delivered all the same");
}

async fn read_len(engine: &Engine, user: UserId, after: u64) -> Option<usize> {
    engine.mailbox.read(user, after, usize::MAX).await.unwrap().map(|entries| entries.len())
}

pub(crate) async fn mailboxes_touched_longest_ago_vanish_first(fixture: Fixture) {
    let engine = &fixture.engine;
    let frame = Bytes::from(vec![b'x'; WINDOW_BYTES / 2]);
    let (idle, read_now_and_then) = (UserId::new(), UserId::new());
    let fill =
        async |user| engine.mailbox.append(user, &[MailboxEntry { seq: 1, frame: frame.clone() }]).await.unwrap();
    fill(idle).await;
    fill(read_now_and_then).await;
    for n in 0..TOTAL_BYTES / frame.len() {
        fill(UserId::new()).await;
        if n % 100 == 0 {
            assert_eq!(read_len(engine, read_now_and_then, 0).await, Some(1));
        }
    }
    assert_eq!(engine.mailbox.head(idle).await.unwrap(), None);
}

pub(crate) async fn a_vanished_mailbox_may_start_earlier_again(mut fixture: Fixture) {
    let user = UserId::new();
    append(&fixture.engine, user, 1..=9).await;
    fixture.flush().await;
    let mut node = Node::on(&fixture.engine, &[Topic::Inbox(user)]).await;
    assert_eq!(append(&fixture.engine, user, 7..=10).await, Appended::UpTo(10));
    let seqs: Vec<u64> = delivered(&mut node, &fixture.engine).await.into_iter().map(|(_, seq)| seq).collect();
    assert_eq!(seqs, [7, 8, 9, 10], "the node skips what it has seen");
}

pub(crate) async fn a_mailbox_made_absent_begins_anew_and_keeps_its_cursors(fixture: Fixture) {
    let (user, other, engine) = (UserId::new(), UserId::new(), &fixture.engine);
    append(engine, user, 1..=5).await;
    append(engine, other, 1..=5).await;
    engine.mailbox.ack(user, "a", 5).await.unwrap();
    for _ in 0..2 {
        engine.mailbox.forget(user).await.unwrap();
    }
    assert_eq!((engine.mailbox.head(user).await.unwrap(), read(engine, user, 0).await), (None, None));
    assert_eq!(append(engine, user, 90..=91).await, Appended::UpTo(91));
    assert_eq!(engine.mailbox.cursor(user, "a").await.unwrap(), Some(5));
    assert_eq!(engine.mailbox.head(other).await.unwrap(), Some(5));
}

fn ack(user: UserId, device: &str, seq: u64) -> AckEntry {
    AckEntry { user, device: device.into(), seq }
}

pub(crate) async fn acks_only_grow(fixture: Fixture) {
    let (user, mailbox) = (UserId::new(), &fixture.engine.mailbox);
    for seq in [5, 3, 8, 8, 1] {
        mailbox.ack(user, "a", seq).await.unwrap();
    }
    mailbox.ack(user, "b", 2).await.unwrap();
    assert_eq!(mailbox.cursor(user, "a").await.unwrap(), Some(8));
    assert_eq!(mailbox.cursor(user, "b").await.unwrap(), Some(2));
    assert_eq!(mailbox.cursor(UserId::new(), "a").await.unwrap(), None);
    assert_eq!(mailbox.unflushed(10).await.unwrap(), [ack(user, "a", 8), ack(user, "b", 2)]);
}

pub(crate) async fn an_ack_stays_readable_until_it_is_flushed(fixture: Fixture) {
    let (user, mailbox) = (UserId::new(), &fixture.engine.mailbox);
    mailbox.ack(user, "a", 5).await.unwrap();
    let batch = mailbox.unflushed(10).await.unwrap();
    assert_eq!(mailbox.cursor(user, "a").await.unwrap(), Some(5), "taken for flushing, not flushed");
    mailbox.flushed(&batch).await.unwrap();
    mailbox.flushed(&batch).await.unwrap();
    assert_eq!(mailbox.cursor(user, "a").await.unwrap(), None);
    assert_eq!(mailbox.unflushed(10).await.unwrap(), []);
}

pub(crate) async fn an_ack_during_a_flush_is_not_lost(fixture: Fixture) {
    let (user, mailbox) = (UserId::new(), &fixture.engine.mailbox);
    mailbox.ack(user, "a", 5).await.unwrap();
    let batch = mailbox.unflushed(10).await.unwrap();
    mailbox.ack(user, "a", 6).await.unwrap();
    mailbox.flushed(&batch).await.unwrap();
    assert_eq!(mailbox.cursor(user, "a").await.unwrap(), Some(6));
    assert_eq!(mailbox.unflushed(10).await.unwrap(), [ack(user, "a", 6)]);
}

pub(crate) async fn a_failed_flush_loses_nothing(fixture: Fixture) {
    let (user, mailbox) = (UserId::new(), &fixture.engine.mailbox);
    mailbox.ack(user, "a", 5).await.unwrap();
    let taken = mailbox.unflushed(10).await.unwrap();
    // The write failed, nothing is confirmed, the next round tries again.
    assert_eq!(mailbox.unflushed(10).await.unwrap(), taken);
}

pub(crate) async fn cursors_wait_their_turn(fixture: Fixture) {
    let mailbox = &fixture.engine.mailbox;
    let users: Vec<UserId> = (0..10).map(|_| UserId::new()).collect();
    for user in &users {
        mailbox.ack(*user, "d", 1).await.unwrap();
    }
    let mut flushed = Vec::new();
    for round in 2..7 {
        let batch = mailbox.unflushed(2).await.unwrap();
        assert_eq!(batch.len(), 2, "a batch is bounded");
        flushed.extend(batch.iter().map(|ack| ack.user));
        // Those that were taken go on reading; they must not push in front of the others.
        for ack in &batch {
            mailbox.ack(ack.user, "d", round).await.unwrap();
        }
        mailbox.flushed(&batch).await.unwrap();
    }
    flushed.sort();
    assert_eq!(flushed, users, "everybody had a turn");
}
