//! The durable inbox: gapless, in commit order, replayable in pages, trimmed only of what nobody needs.

use super::*;
use serde_json::value::RawValue;
use shared::store::inbox::{self, Ack, Bounds, Entry, Pending, TrimLimits, Trimmed};
use std::collections::BTreeSet;

fn data(text: &str) -> Box<RawValue> {
    RawValue::from_string(format!("{{\"text\":\"{text}\"}}")).expect("it is JSON")
}

async fn append(kit: &TestStore, users: &[UserId], text: &str) -> Vec<(UserId, u64)> {
    let (event, data) = ("test.happened", data(text));
    let appended = kit.store.tx("inbox.append", async |tx| inbox::append(tx, users, event, &data).await).await;
    appended.expect("it is appended")
}

async fn page(kit: &TestStore, user: UserId, after: u64, limit: u32, bytes: u64) -> Vec<Entry> {
    let page = kit.store.read("inbox.page", async |c| inbox::page(c, user, after, limit, bytes).await).await;
    page.expect("it is read")
}

async fn positions(kit: &TestStore, user: UserId) -> Vec<u64> {
    page(kit, user, 0, 10_000, u64::MAX).await.iter().map(|entry| entry.seq).collect()
}

async fn bounds(kit: &TestStore, user: UserId) -> Bounds {
    kit.store.read("inbox.bounds", async |c| inbox::bounds(c, user).await).await.expect("they are read")
}

async fn pending(kit: &TestStore) -> Vec<Pending> {
    kit.store.read("inbox.pending", async |c| inbox::pending(c, None, 100).await).await.expect("they are read")
}

async fn relayed(kit: &TestStore, user: UserId, seq: u64) {
    let marked = kit.store.tx("inbox.relayed", async |tx| inbox::mark_relayed(tx, &[(user, seq)]).await).await;
    marked.expect("it is marked");
}

async fn ack(kit: &TestStore, user: UserId, device: &str, seq: u64) {
    let acks = [Ack { user, device: device.into(), seq }];
    kit.store.tx("inbox.flush", async |tx| inbox::flush(tx, &acks).await).await.expect("it is flushed");
}

async fn cursor(kit: &TestStore, user: UserId, device: &str) -> Option<u64> {
    kit.store.read("inbox.cursor", async |c| inbox::cursor(c, user, device).await).await.expect("it is read")
}

async fn trim(kit: &TestStore, limits: TrimLimits) -> Trimmed {
    kit.store.tx("inbox.trim", async |tx| inbox::trim(tx, None, 100, limits).await).await.expect("it is trimmed")
}

on_both! {
    every_recipient_gets_the_event_once_at_their_own_next_position,
    twenty_concurrent_writers_leave_no_gap_and_no_deadlock,
    a_change_that_is_undone_leaves_neither_an_entry_nor_a_gap,
    a_locked_inbox_says_where_it_ends_and_waits_for_nobody,
    an_inbox_of_many_recipients_is_written_in_batches,
    pages_are_bounded_in_entries_and_in_bytes_but_never_empty,
    what_the_engine_does_not_have_is_pending_until_it_is_marked,
    pending_inboxes_are_listed_in_steps,
    a_device_starts_where_it_was_and_a_new_one_where_the_furthest_is,
    trimming_keeps_what_a_live_device_has_not_read_and_what_was_not_relayed,
    an_inbox_that_never_was_is_empty,
}

async fn every_recipient_gets_the_event_once_at_their_own_next_position(kit: &TestStore) {
    let (ada, bob) = (user(kit, "ada").await, user(kit, "bob").await);
    assert_eq!(append(kit, &[ada], "one").await, [(ada, 1)]);
    let mut both = [(ada, 2), (bob, 1)];
    both.sort_unstable();
    assert_eq!(append(kit, &[bob, ada, bob], "two").await, both);
    let page = page(kit, ada, 0, 10, u64::MAX).await;
    let texts: Vec<_> = page.iter().map(|entry| (entry.seq, entry.data.get().to_owned())).collect();
    assert_eq!(texts, [(1, r#"{"text":"one"}"#.to_owned()), (2, r#"{"text":"two"}"#.to_owned())]);
    assert!(page.iter().all(|entry| entry.event == "test.happened" && entry.created_at == kit.clock.now()));
    assert_eq!(append(kit, &[], "nobody").await, []);
}

async fn twenty_concurrent_writers_leave_no_gap_and_no_deadlock(kit: &TestStore) {
    let (ada, bob, eve) = (user(kit, "ada").await, user(kit, "bob").await, user(kit, "eve").await);
    let writer = |i: usize| {
        let store = kit.store.clone();
        // Every writer names the recipients in an order of its own.
        let mut users = vec![ada, bob, eve];
        users.rotate_left(i % 3);
        spawn(async move {
            for _ in 0..10 {
                let data = data("concurrent");
                store.tx("inbox.append", async |tx| inbox::append(tx, &users, "test", &data).await).await?;
            }
            Ok::<_, StoreError>(())
        })
    };
    for task in (0..20).map(writer).collect::<Vec<_>>() {
        task.await.expect("it ended").expect("it wrote");
    }
    for user in [ada, bob, eve] {
        assert_eq!(positions(kit, user).await, (1..=200).collect::<Vec<_>>());
    }
}

async fn a_change_that_is_undone_leaves_neither_an_entry_nor_a_gap(kit: &TestStore) {
    let ada = user(kit, "ada").await;
    append(kit, &[ada], "kept").await;
    let undone: Result<(), _> = kit
        .store
        .tx("test.undone", async |tx| {
            inbox::append(tx, &[ada], "test", &data("undone")).await?;
            Err(StoreError::Aborted)
        })
        .await;
    assert!(undone.is_err());
    assert_eq!(append(kit, &[ada], "kept too").await, [(ada, 2)]);
    assert_eq!(positions(kit, ada).await, [1, 2]);
}

async fn a_locked_inbox_says_where_it_ends_and_waits_for_nobody(kit: &TestStore) {
    let (ada, bob) = (user(kit, "ada").await, user(kit, "bob").await);
    append(kit, &[ada], "one").await;
    let (locked, appended) = kit
        .store
        .tx("test.lock", async |tx| {
            let locked = inbox::lock(tx, &[ada, bob]).await?;
            Ok((locked, inbox::append(tx, &[ada, bob], "test", &data("two")).await?))
        })
        .await
        .expect("it is done");
    let next: Vec<_> = locked.iter().map(|(user, seq)| (*user, seq + 1)).collect();
    assert_eq!(next, appended);
}

async fn an_inbox_of_many_recipients_is_written_in_batches(kit: &TestStore) {
    let users = kit
        .store
        .tx("test.users", async |tx| {
            let mut users = Vec::new();
            for i in 0..1_100 {
                users.push(insert_user(tx, &format!("user-{i}")).await?);
            }
            Ok(users)
        })
        .await
        .expect("users are added");
    let appended = append(kit, &users, "to all").await;
    assert_eq!(appended.len(), 1_100);
    assert!(appended.iter().all(|(_, seq)| *seq == 1) && appended.is_sorted());
    let reached: BTreeSet<_> = appended.into_iter().map(|(user, _)| user).collect();
    assert_eq!(reached, users.into_iter().collect());
}

async fn pages_are_bounded_in_entries_and_in_bytes_but_never_empty(kit: &TestStore) {
    let ada = user(kit, "ada").await;
    for i in 0..5 {
        append(kit, &[ada], &format!("entry {i}")).await;
    }
    let size = u64::try_from(data("entry 0").get().len()).expect("it is short");
    let seqs = async |after, limit, bytes| {
        page(kit, ada, after, limit, bytes).await.iter().map(|entry| entry.seq).collect::<Vec<_>>()
    };
    assert_eq!(seqs(0, 3, u64::MAX).await, [1, 2, 3]);
    assert_eq!(seqs(3, 3, u64::MAX).await, [4, 5]);
    assert_eq!(seqs(0, 10, size * 2).await, [1, 2]);
    assert_eq!(seqs(2, 10, 1).await, [3], "one entry comes, however big");
    assert_eq!(seqs(5, 10, u64::MAX).await, Vec::<u64>::new());
}

async fn what_the_engine_does_not_have_is_pending_until_it_is_marked(kit: &TestStore) {
    let (ada, bob) = (user(kit, "ada").await, user(kit, "bob").await);
    append(kit, &[ada, bob], "one").await;
    append(kit, &[ada], "two").await;
    assert_eq!(pending(kit).await.len(), 2);
    relayed(kit, bob, 1).await;
    relayed(kit, ada, 1).await;
    assert_eq!(pending(kit).await, [Pending { user_id: ada, seq: 2, relayed: 1 }]);
    relayed(kit, ada, 99).await;
    assert_eq!(pending(kit).await.len(), 1, "what was never written cannot have been relayed");
    relayed(kit, ada, 2).await;
    relayed(kit, ada, 1).await;
    assert_eq!(pending(kit).await, [], "marks never go back");
}

async fn pending_inboxes_are_listed_in_steps(kit: &TestStore) {
    let mut users = [user(kit, "ada").await, user(kit, "bob").await, user(kit, "eve").await];
    users.sort_unstable();
    append(kit, &users, "one").await;
    let step = async |after| {
        let step = kit.store.read("inbox.pending", async |c| inbox::pending(c, after, 2).await).await;
        step.expect("they are read").iter().map(|pending| pending.user_id).collect::<Vec<_>>()
    };
    assert_eq!(step(None).await, users[..2]);
    assert_eq!(step(Some(users[1])).await, users[2..]);
}

async fn a_device_starts_where_it_was_and_a_new_one_where_the_furthest_is(kit: &TestStore) {
    let ada = user(kit, "ada").await;
    assert_eq!(cursor(kit, ada, "phone").await, None);
    ack(kit, ada, "phone", 3).await;
    ack(kit, ada, "laptop", 7).await;
    ack(kit, ada, "phone", 2).await;
    assert_eq!(cursor(kit, ada, "phone").await, Some(3), "cursors never go back");
    assert_eq!(cursor(kit, ada, "tablet").await, Some(7));
    let twice = [4, 9, 5].map(|seq| Ack { user: ada, device: "phone".into(), seq });
    kit.store
        .tx("inbox.flush", async |tx| inbox::flush(tx, &twice).await)
        .await
        .expect("one batch may name a device twice");
    assert_eq!(cursor(kit, ada, "phone").await, Some(9));
}

async fn trimming_keeps_what_a_live_device_has_not_read_and_what_was_not_relayed(kit: &TestStore) {
    let ada = user(kit, "ada").await;
    for i in 0..10 {
        append(kit, &[ada], &format!("entry {i}")).await;
    }
    assert_eq!(bounds(kit, ada).await, Bounds { oldest: 1, head: 10 });
    ack(kit, ada, "phone", 6).await;
    ack(kit, ada, "laptop", 4).await;
    assert_eq!(
        trim(kit, TrimLimits::default()).await,
        Trimmed { removed: 0, next: None },
        "the relay has not sent them"
    );
    relayed(kit, ada, 10).await;
    assert_eq!(trim(kit, TrimLimits::default()).await.removed, 4, "up to the slowest device");
    assert_eq!(bounds(kit, ada).await, Bounds { oldest: 5, head: 10 });
    assert_eq!(trim(kit, TrimLimits { entries: 3, ..TrimLimits::default() }).await.removed, 3, "down to the cap");
    kit.clock.advance(Duration::from_hours(31 * 24));
    assert_eq!(trim(kit, TrimLimits::default()).await.removed, 3, "too old");
    assert_eq!(bounds(kit, ada).await, Bounds { oldest: 11, head: 10 });
    assert_eq!(append(kit, &[ada], "next").await, [(ada, 11)], "positions go on");
}

async fn an_inbox_that_never_was_is_empty(kit: &TestStore) {
    assert_eq!(bounds(kit, UserId::new()).await, Bounds { oldest: 1, head: 0 });
}
