//! The relay: at least once to the engine, exactly once and in order to a node, whatever dies in between.

use super::*;
use proptest::prelude::*;
use shared::{
    config::RedisConfig,
    engine::{AckEntry, Appended},
    lifecycle::Lifecycle,
    metrics::Metrics,
    relay::Relay,
    secret::Secret,
    store::{Store, inbox::TrimLimits},
    testkit::{RedisOptions, RedisServer, available},
};
use std::{
    pin::pin,
    task::{Context, Poll},
};

fn relay(store: &Store, engine: &Engine) -> Relay {
    Relay::new(store.clone(), engine.clone(), Metrics::new())
}

fn engine(kit: &TestStore) -> Engine {
    Engine::memory(kit.clock.clone())
}

fn impatient() -> PoolConfig {
    PoolConfig { max_size: 1, wait_timeout: Duration::from_millis(50), ..PoolConfig::default() }
}

/// Commits `count` events for each of these users, with no relay anywhere near.
async fn commit(kit: &TestStore, users: &[UserId], count: usize) {
    let nothing = serde_json::value::to_raw_value(&serde_json::json!({ "n": 1 })).unwrap();
    for _ in 0..count {
        let append = async |tx: &mut _| rows::append(tx, users, "test.event", &nothing).await;
        kit.store.tx("test.append", append).await.expect("the events are committed");
    }
}

async fn pending(kit: &TestStore) -> usize {
    kit.store.read("test.pending", async |c| rows::pending(c, None, 1_000).await).await.unwrap().len()
}

/// Receives from the node until it has `count` inbox entries.
async fn receive(node: &mut Attachment, count: usize) -> Vec<u64> {
    let mut positions = Vec::new();
    while positions.len() < count {
        let next = tokio::time::timeout(PATIENCE, node.deliveries.recv()).await.expect("it arrives in time");
        if let Some(Delivery::Inbox { seq, .. }) = next {
            positions.push(seq);
        }
    }
    positions
}

/// Runs a future until it is done or was polled that often, and then drops it: a crash, as far as the store and the
/// engine can tell.
async fn crash_after<T>(polls: usize, work: impl Future<Output = T>) -> Option<T> {
    let (mut work, mut left) = (pin!(work), polls);
    std::future::poll_fn(|context: &mut Context<'_>| match left.checked_sub(1) {
        None => Poll::Ready(None),
        Some(fewer) => {
            left = fewer;
            work.as_mut().poll(context).map(Some)
        }
    })
    .await
}

on_both! {
    what_was_committed_while_no_relay_ran_is_delivered_after_a_restart_in_order_and_once,
    several_relays_at_once_deliver_every_entry_once,
    a_mailbox_that_forgot_its_newest_entries_gets_them_again,
    a_mailbox_behind_what_was_trimmed_begins_anew,
    a_mailbox_ahead_of_a_restored_store_begins_anew,
    the_bell_wakes_a_running_relay_and_the_soft_stop_flushes_the_last_acks,
    a_relay_outlives_a_database_that_goes_away with impatient(),
    an_inbox_that_cannot_be_delivered_keeps_no_other_one_waiting,
    the_ack_of_a_deleted_user_does_not_hold_up_the_others,
    trimming_keeps_what_the_slowest_device_has_not_read_and_what_is_not_delivered,
}

async fn what_was_committed_while_no_relay_ran_is_delivered_after_a_restart_in_order_and_once(kit: &TestStore) {
    let (ada, bob) = (user(kit, "ada").await, user(kit, "bob").await);
    commit(kit, &[ada, bob], 300).await;
    commit(kit, &[bob], 7).await;

    // A new process: pools, engine and relay of its own.
    let (store, engine) = (kit.reopen().await, engine(kit));
    let mut node = node(&engine, &[ada, bob]).await;
    assert_eq!(relay(&store, &engine).deliver().await.unwrap(), 607);
    let expected = BTreeMap::from([(ada, (1..=300).collect()), (bob, (1..=307).collect())]);
    assert_eq!(arrived(&mut node), expected);
    assert_eq!(pending(kit).await, 0);
    assert_eq!(relay(&store, &engine).deliver().await.unwrap(), 0);
    assert_eq!(arrived(&mut node), BTreeMap::new());
}

async fn several_relays_at_once_deliver_every_entry_once(kit: &TestStore) {
    let users = [user(kit, "ada").await, user(kit, "bob").await, user(kit, "eve").await];
    let engine = engine(kit);
    let mut node = node(&engine, &users).await;
    for _ in 0..5 {
        commit(kit, &users, 20).await;
        let relays = [relay(&kit.store, &engine), relay(&kit.store, &engine), relay(&kit.store, &engine)];
        for running in relays.map(|relay| spawn(async move { relay.deliver().await })) {
            running.await.unwrap().unwrap();
        }
    }
    let all: Vec<u64> = (1..=100).collect();
    assert_eq!(arrived(&mut node), users.iter().map(|user| (*user, all.clone())).collect());
    assert_eq!(pending(kit).await, 0);
}

async fn a_mailbox_that_forgot_its_newest_entries_gets_them_again(kit: &TestStore) {
    let (ada, engine) = (user(kit, "ada").await, engine(kit));
    commit(kit, &[ada], 100).await;
    relay(&kit.store, &engine).deliver().await.unwrap();
    // As after a failover of the engine: it is back at an older state, and the store believes that it has everything.
    engine.mailbox.forget(ada).await.unwrap();
    let old = shared::engine::MailboxEntry { seq: 3, frame: "an old copy".into() };
    assert_eq!(engine.mailbox.append(ada, &[old]).await.unwrap(), Appended::UpTo(3));
    let mut node = node(&engine, &[ada]).await;
    commit(kit, &[ada], 1).await;
    relay(&kit.store, &engine).deliver().await.unwrap();
    assert_eq!(arrived(&mut node)[&ada], (4..=101).collect::<Vec<_>>());
    assert_eq!(engine.mailbox.head(ada).await.unwrap(), Some(101));
}

async fn a_mailbox_behind_what_was_trimmed_begins_anew(kit: &TestStore) {
    let (ada, engine) = (user(kit, "ada").await, engine(kit));
    let old = shared::engine::MailboxEntry { seq: 1, frame: "an old copy".into() };
    engine.mailbox.append(ada, &[old]).await.unwrap();
    commit(kit, &[ada], 9).await;
    sql(kit, "update inbox_head set relayed = 8").await;
    sql(kit, "delete from inbox where seq <= 6").await;
    relay(&kit.store, &engine).deliver().await.unwrap();
    assert_eq!(engine.mailbox.head(ada).await.unwrap(), Some(9));
    let hot = engine.mailbox.read(ada, 6, 64).await.unwrap().expect("the hot copy begins with what is kept");
    assert_eq!(hot.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [7, 8, 9]);
    assert_eq!(pending(kit).await, 0);
}

async fn a_mailbox_ahead_of_a_restored_store_begins_anew(kit: &TestStore) {
    let (ada, engine) = (user(kit, "ada").await, engine(kit));
    let future = shared::engine::MailboxEntry { seq: 50, frame: "of another past".into() };
    engine.mailbox.append(ada, &[future]).await.unwrap();
    let mut node = node(&engine, &[ada]).await;
    commit(kit, &[ada], 2).await;
    relay(&kit.store, &engine).deliver().await.unwrap();
    assert_eq!(arrived(&mut node)[&ada], [1, 2]);
    assert_eq!(pending(kit).await, 0);
}

async fn the_bell_wakes_a_running_relay_and_the_soft_stop_flushes_the_last_acks(kit: &TestStore) {
    let (ops, ada, bob) = (ops(kit), sign_in(kit, "ada").await.1, sign_in(kit, "bob").await.1);
    let (life, mut node) = (Lifecycle::new(), node(ops.engine(), &[bob.user_id]).await);
    life.tracker().spawn(relay(ops.store(), ops.engine()).run(life.clone()));
    for n in 1..=20 {
        ops.send_message(&ada, Uuid::now_v7(), bob.user_id.0, "hello").await.unwrap();
        assert_eq!(receive(&mut node, 1).await, [n]);
    }
    ops.engine().mailbox.ack(bob.user_id, "phone", 20).await.unwrap();
    life.shutdown(PATIENCE).await;
    assert!(!life.hard().is_cancelled(), "it ended by itself");
    let acked = kit.store.read("test.cursor", async |c| rows::cursor(c, bob.user_id, "phone").await);
    assert_eq!(acked.await.unwrap(), Some(20));
}

async fn a_relay_outlives_a_database_that_goes_away(kit: &TestStore) {
    let (ada, engine, life) = (user(kit, "ada").await, engine(kit), Lifecycle::new());
    commit(kit, &[ada], 3).await;
    let (mut node, metrics) = (node(&engine, &[ada]).await, Metrics::new());
    let (release, occupied) = occupy(kit).await;
    let relay = Relay::new(kit.store.clone(), engine.clone(), metrics.clone());
    life.tracker().spawn(relay.run(life.clone()));
    crate::store::eventually("the relay notices", async || metrics.stats().relay.failures > 0).await;
    drop(release);
    occupied.await.unwrap().unwrap();
    assert_eq!(receive(&mut node, 3).await, [1, 2, 3]);
    life.shutdown(PATIENCE).await;
}

async fn an_inbox_that_cannot_be_delivered_keeps_no_other_one_waiting(kit: &TestStore) {
    let Some(server) = available("Redis", RedisServer::start(&RedisOptions::default()).await) else { return };
    let config = RedisConfig { url: Some(Secret::new(server.url())), ..RedisConfig::default() };
    let engine = Engine::redis(&config, kit.clock.clone()).unwrap();
    let mut users = [user(kit, "ada").await, user(kit, "bob").await];
    users.sort_unstable();
    let ([stuck, fine], mut node) = (users, node(&engine, &users).await);
    commit(kit, &users, 1).await;
    relay(&kit.store, &engine).deliver().await.unwrap();
    assert_eq!(receive(&mut node, 2).await, [1, 1]);
    // The first of them in line has a mailbox that the engine cannot read.
    let found = server.call(&["KEYS", &format!("*box:{stuck}")]).await;
    let key = found.list()[0].text();
    server.call(&["SET", key, "no mailbox"]).await;
    commit(kit, &users, 300).await;
    relay(&kit.store, &engine).deliver().await.unwrap_err();
    assert_eq!(receive(&mut node, 300).await, (2..=301).collect::<Vec<_>>());
    assert_eq!(pending(kit).await, 1);

    // Nor does it slow the others down, however long it lasts.
    let (life, start) = (Lifecycle::new(), std::time::Instant::now());
    life.tracker().spawn(relay(&kit.store, &engine).run(life.clone()));
    for n in 302..=311 {
        commit(kit, &[fine], 1).await;
        assert_eq!(receive(&mut node, 1).await, [n]);
    }
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    server.call(&["DEL", key]).await;
    assert_eq!(receive(&mut node, 300).await, (2..=301).collect::<Vec<_>>());
    life.shutdown(PATIENCE).await;
    assert_eq!(pending(kit).await, 0);
}

async fn the_ack_of_a_deleted_user_does_not_hold_up_the_others(kit: &TestStore) {
    let (ada, bob, engine) = (user(kit, "ada").await, user(kit, "bob").await, engine(kit));
    commit(kit, &[ada, bob], 5).await;
    for user in [ada, bob] {
        engine.mailbox.ack(user, "phone", 3).await.unwrap();
    }
    sql(kit, "delete from users where username = 'bob'").await;
    assert_eq!(relay(&kit.store, &engine).flush_acks().await.unwrap(), 2);
    assert_eq!(engine.mailbox.unflushed(10).await.unwrap(), Vec::<AckEntry>::new());
    let acked = kit.store.read("test.cursor", async |c| rows::cursor(c, ada, "phone").await).await.unwrap();
    assert_eq!(acked, Some(3));
}

async fn trimming_keeps_what_the_slowest_device_has_not_read_and_what_is_not_delivered(kit: &TestStore) {
    let (ada, engine) = (user(kit, "ada").await, engine(kit));
    commit(kit, &[ada], 10).await;
    for (device, seq) in [("phone", 8), ("laptop", 5)] {
        engine.mailbox.ack(ada, device, seq).await.unwrap();
    }
    let relay = relay(&kit.store, &engine);
    relay.flush_acks().await.unwrap();
    assert_eq!(relay.trim().await.unwrap(), 0, "nothing was delivered yet");
    relay.deliver().await.unwrap();
    assert_eq!(relay.trim().await.unwrap(), 5);
    kit.clock.advance(TrimLimits::default().age + Duration::from_secs(1));
    assert_eq!(relay.trim().await.unwrap(), 5, "a month later nobody waits for it any more");
}

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// So many events are committed for the first user, for the second, or for both.
    Commit(u8, usize),
    /// A relay runs and dies after so many polls.
    Relay(usize),
    /// The user's hot copy is lost.
    Forget(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (1_u8..=3, 1_usize..40).prop_map(|(who, count)| Step::Commit(who, count)),
        (0_usize..40).prop_map(Step::Relay),
        (1_u8..=2).prop_map(Step::Forget),
    ];
    proptest::collection::vec(step, 1..12)
}

async fn play(steps: Vec<Step>) {
    let kit = TestStore::sqlite().await;
    let users = [user(&kit, "ada").await, user(&kit, "bob").await];
    let engine = engine(&kit);
    let (mut node, mut seen, mut sent, mut forgotten) = (node(&engine, &users).await, [0; 2], [0; 2], false);
    let end = [Step::Relay(usize::MAX)];
    for step in steps.into_iter().chain(end) {
        match step {
            Step::Commit(who, count) => {
                let chosen: Vec<_> = (0..2).filter(|n| who & (1 << n) != 0).collect();
                commit(&kit, &chosen.iter().map(|n| users[*n]).collect::<Vec<_>>(), count).await;
                for n in chosen {
                    sent[n] += count as u64;
                }
            }
            Step::Relay(polls) => {
                crash_after(polls, relay(&kit.store, &engine).deliver()).await.transpose().expect("the relay works");
            }
            Step::Forget(who) => {
                engine.mailbox.forget(users[usize::from(who) - 1]).await.unwrap();
                forgotten = true;
            }
        }
        for (user, positions) in arrived(&mut node) {
            let seen = &mut seen[usize::from(user == users[1])];
            for position in positions {
                // Only a lost hot copy may bring an entry again; nothing may ever skip one.
                assert!(position == *seen + 1 || (forgotten && position <= *seen), "{position} after {seen}");
                *seen = position.max(*seen);
            }
        }
    }
    assert_eq!(seen, sent, "everything committed has arrived");
    assert_eq!(pending(&kit).await, 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Crash points are the relay's awaits: every poll is one.
    #[test]
    fn wherever_a_relay_dies_nothing_is_lost_reordered_or_delivered_twice(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(play(steps));
    }
}
