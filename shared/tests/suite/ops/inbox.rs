//! Reading the inbox: starts, devices and pages, from the hot copy and from the store.

use super::*;
use shared::{
    config::RedisConfig,
    metrics::Metrics,
    model::NewNotification,
    ops::{InboxStart, PAGE_BYTES, PAGE_ENTRIES},
    relay::Relay,
    secret::Secret,
    testkit::{RedisOptions, RedisServer, available},
};

/// Puts `count` entries into the user's inbox.
async fn fill(ops: &Ops, user: UserId, count: usize) {
    let body = "x".repeat(1_500);
    let one = |_| NewNotification {
        user,
        kind: "test",
        title: "title".into(),
        body: body.clone(),
        metadata: BTreeMap::new(),
    };
    ops.notify((0..count).map(one).collect()).await.unwrap();
}

fn relay(ops: &Ops) -> Relay {
    Relay::new(ops.store().clone(), ops.engine().clone(), Metrics::new())
}

/// The devices that are known, the one seen last comes last.
async fn devices(kit: &TestStore) -> Vec<String> {
    let names = async |c: &mut _| testing::texts(c, "select device from inbox_cursors order by seen_at").await;
    kit.store.read("test.devices", names).await.unwrap()
}

/// Reads from `after` to `head`: frames by position.
async fn replay(ops: &Ops, user: UserId, mut after: u64, head: u64) -> Vec<(u64, String)> {
    let mut read = Vec::new();
    while after < head {
        let page = ops.inbox_page(user, after, 1_000).await.unwrap();
        let last = page.last().expect("there is more up to the head");
        let bytes: usize = page.iter().map(|entry| entry.frame.len()).sum();
        assert!(page.len() <= PAGE_ENTRIES && bytes <= PAGE_BYTES);
        after = last.seq;
        read.extend(page.into_iter().map(|entry| (entry.seq, String::from_utf8(entry.frame.to_vec()).unwrap())));
    }
    read
}

/// One connection: whoever holds it keeps everybody else waiting.
fn lone() -> PoolConfig {
    PoolConfig { max_size: 1, ..PoolConfig::default() }
}

on_both! {
    a_device_goes_on_where_it_acked_and_a_new_one_where_the_user_is,
    a_device_that_lost_entries_to_trimming_is_told,
    a_user_has_twenty_devices_and_those_not_seen_for_a_month_are_forgotten,
    devices_that_only_ever_acked_are_no_more_than_twenty_either,
    pages_are_the_same_from_the_hot_copy_and_from_the_store,
    a_reconnect_inside_the_hot_window_asks_the_database_nothing,
    a_redis_that_lost_its_last_entries_withholds_none_of_them,
    a_device_that_was_here_is_answered_without_the_database_until_it_is_to_be_noted_again,
    a_storm_of_new_devices_is_looked_up_and_noted_together with lone(),
    an_account_that_is_deleted_meanwhile_spoils_nobody_elses_start with lone(),
}

async fn a_device_goes_on_where_it_acked_and_a_new_one_where_the_user_is(kit: &TestStore) {
    let (ops, (_, ada)) = (ops(kit), sign_in(kit, "ada").await);
    let start = async |device: &str, pos| ops.inbox_start(ada.user_id, device, pos).await.unwrap();
    assert_eq!(start("phone", None).await, InboxStart { pos: 0, head: 0, recovered: true });
    fill(&ops, ada.user_id, 10).await;
    relay(&ops).deliver().await.unwrap();
    assert_eq!(start("phone", None).await, InboxStart { pos: 0, head: 10, recovered: true });
    ops.engine().mailbox.ack(ada.user_id, "phone", 4).await.unwrap();
    assert_eq!(start("phone", None).await.pos, 4, "the ack is only in the engine yet");
    relay(&ops).flush_acks().await.unwrap();
    assert_eq!(start("phone", None).await.pos, 4, "and now in both");
    let restarted = super::ops(kit);
    let start = async |device: &str, pos| restarted.inbox_start(ada.user_id, device, pos).await.unwrap();
    assert_eq!(start("phone", None).await.pos, 4, "and now in the store");
    assert_eq!(start("phone", Some(7)).await.pos, 7, "what the client has counts more");
    assert_eq!(start("laptop", None).await, InboxStart { pos: 4, head: 10, recovered: true });
    assert_eq!(start("laptop", Some(11)).await, InboxStart { pos: 4, head: 10, recovered: false });
}

async fn a_device_that_lost_entries_to_trimming_is_told(kit: &TestStore) {
    let (ops, (_, ada)) = (ops(kit), sign_in(kit, "ada").await);
    fill(&ops, ada.user_id, 10).await;
    sql(kit, "delete from inbox where seq <= 6").await;
    let start = async |device: &str, pos| ops.inbox_start(ada.user_id, device, pos).await.unwrap();
    assert_eq!(start("phone", Some(5)).await, InboxStart { pos: 6, head: 10, recovered: false });
    assert_eq!(start("phone", Some(6)).await, InboxStart { pos: 6, head: 10, recovered: true });
    assert_eq!(start("laptop", None).await, InboxStart { pos: 6, head: 10, recovered: true }, "registered above at 6");
    assert_eq!(replay(&ops, ada.user_id, 6, 10).await.len(), 4);
}

async fn a_user_has_twenty_devices_and_those_not_seen_for_a_month_are_forgotten(kit: &TestStore) {
    let (ops, (_, ada)) = (ops(kit), sign_in(kit, "ada").await);
    let devices = async || devices(kit).await;
    for n in 0..25 {
        ops.inbox_start(ada.user_id, &format!("device{n}"), None).await.unwrap();
        kit.clock.advance(Duration::from_mins(1));
    }
    let kept = devices().await;
    assert_eq!((kept.len(), kept[0].as_str(), kept[19].as_str()), (20, "device5", "device24"));
    let writes = runs(kit, "inbox.register");
    ops.inbox_start(ada.user_id, "device24", None).await.unwrap();
    assert_eq!(runs(kit, "inbox.register"), writes, "a device that comes and goes is not written each time");
    kit.clock.advance(Duration::from_hours(31 * 24));
    ops.inbox_start(ada.user_id, "new", None).await.unwrap();
    assert_eq!(devices().await, ["new"]);
}

async fn devices_that_only_ever_acked_are_no_more_than_twenty_either(kit: &TestStore) {
    let (ops, ada, bob) = (ops(kit), user(kit, "ada").await, user(kit, "bob").await);
    let (mailbox, relay) = (&ops.engine().mailbox, relay(&ops));
    for n in 0..30 {
        mailbox.ack(ada, &format!("device{n}"), 1).await.unwrap();
    }
    mailbox.ack(bob, "bobs", 1).await.unwrap();
    relay.flush_acks().await.unwrap();
    let known = devices(kit).await;
    assert_eq!((known.len(), known.contains(&"bobs".to_owned())), (21, true), "twenty of ada's, and bob's");
    kit.clock.advance(Duration::from_secs(1));
    mailbox.ack(ada, "late", 2).await.unwrap();
    relay.flush_acks().await.unwrap();
    let known = devices(kit).await;
    assert_eq!((known.len(), known.last().unwrap().as_str()), (21, "late"), "the last one has made itself room");
}

async fn pages_are_the_same_from_the_hot_copy_and_from_the_store(kit: &TestStore) {
    let (ops, (_, ada)) = (ops(kit), sign_in(kit, "ada").await);
    fill(&ops, ada.user_id, 150).await;
    let cold = replay(&ops, ada.user_id, 0, 150).await;
    assert_eq!(cold.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), (1..=150).collect::<Vec<_>>());
    relay(&ops).deliver().await.unwrap();
    assert_eq!(replay(&ops, ada.user_id, 0, 150).await, cold);
    let queries = runs(kit, "inbox.page");
    let hot = replay(&ops, ada.user_id, 140, 150).await;
    assert_eq!((hot.as_slice(), runs(kit, "inbox.page")), (&cold[140..], queries), "the newest need no query");
}

async fn a_device_that_was_here_is_answered_without_the_database_until_it_is_to_be_noted_again(kit: &TestStore) {
    let (ops, (_, ada)) = (ops(kit), sign_in(kit, "ada").await);
    let start = async |device: &str| ops.inbox_start(ada.user_id, device, None).await.unwrap();
    start("phone").await;
    fill(&ops, ada.user_id, 3).await;
    relay(&ops).deliver().await.unwrap();
    ops.engine().mailbox.ack(ada.user_id, "phone", 2).await.unwrap();
    relay(&ops).flush_acks().await.unwrap();
    let (reads, notes) = (runs(kit, "inbox.start"), runs(kit, "inbox.register"));
    assert_eq!(start("phone").await, InboxStart { pos: 2, head: 3, recovered: true });
    assert_eq!((runs(kit, "inbox.start"), runs(kit, "inbox.register")), (reads, notes));
    kit.clock.advance(Duration::from_hours(25));
    assert_eq!(start("phone").await, InboxStart { pos: 2, head: 3, recovered: true });
    assert_eq!((runs(kit, "inbox.start"), runs(kit, "inbox.register")), (reads + 1, notes + 1));
}

async fn a_storm_of_new_devices_is_looked_up_and_noted_together(kit: &TestStore) {
    let (ops, (_, ada)) = (ops(kit), sign_in(kit, "ada").await);
    let (release, occupied) = occupy(kit).await;
    let starts: Vec<_> = (0..100)
        .map(|n| {
            let ops = ops.clone();
            spawn(async move { ops.inbox_start(ada.user_id, &format!("device{}", n % 10), None).await.unwrap() })
        })
        .collect();
    drop(release);
    occupied.await.unwrap().unwrap();
    for start in starts {
        assert_eq!(start.await.unwrap(), InboxStart { pos: 0, head: 0, recovered: true });
    }
    let names = async |c: &mut _| testing::texts(c, "select device from inbox_cursors order by device").await;
    assert_eq!(kit.store.read("test.devices", names).await.unwrap().len(), 10);
    // One for who came first, one for those that came while it was under way, one for who came later still.
    assert!(runs(kit, "inbox.start") <= 3 && runs(kit, "inbox.register") <= 3);
}

async fn an_account_that_is_deleted_meanwhile_spoils_nobody_elses_start(kit: &TestStore) {
    let (ops, (_, ada)) = (ops(kit), sign_in(kit, "ada").await);
    let nobody = UserId::new();
    let (release, occupied) = occupy(kit).await;
    let ask = |user| {
        let ops = ops.clone();
        spawn(async move { ops.inbox_start(user, "phone", None).await })
    };
    let starts = [ask(ada.user_id), ask(nobody), ask(nobody), ask(ada.user_id)];
    drop(release);
    occupied.await.unwrap().unwrap();
    for start in starts {
        assert_eq!(start.await.unwrap().unwrap(), InboxStart { pos: 0, head: 0, recovered: true });
    }
    let names = async |c: &mut _| testing::texts(c, "select device from inbox_cursors").await;
    assert_eq!(kit.store.read("test.devices", names).await.unwrap(), ["phone"]);
}

async fn a_reconnect_inside_the_hot_window_asks_the_database_nothing(kit: &TestStore) {
    let (ops, (_, ada)) = (ops(kit), sign_in(kit, "ada").await);
    fill(&ops, ada.user_id, 30).await;
    relay(&ops).deliver().await.unwrap();
    let before = kit.store.statement_stats();
    let start = ops.inbox_start(ada.user_id, "phone", Some(28)).await.unwrap();
    assert_eq!(start, InboxStart { pos: 28, head: 30, recovered: true });
    assert_eq!(replay(&ops, ada.user_id, start.pos, start.head).await.len(), 2);
    let after = kit.store.statement_stats();
    assert_eq!(before.iter().map(|work| work.count).sum::<u64>(), after.iter().map(|work| work.count).sum::<u64>());
}

async fn a_redis_that_lost_its_last_entries_withholds_none_of_them(kit: &TestStore) {
    let Some(server) = available("Redis", RedisServer::start(&RedisOptions::default()).await) else { return };
    let config = RedisConfig { url: Some(Secret::new(server.url())), ..RedisConfig::default() };
    let engine = Engine::redis(&config, kit.clock.clone()).unwrap();
    let ops = Ops::new(kit.store.clone(), engine, kit.clock.clone(), SessionConfig::default());
    let ada = user(kit, "ada").await;
    fill(&ops, ada, 8).await;
    relay(&ops).deliver().await.unwrap();
    server.call(&["SAVE"]).await;
    fill(&ops, ada, 2).await;
    relay(&ops).deliver().await.unwrap();
    server.kill();
    server.start_again().await.unwrap();
    let there = async || ops.engine().mailbox.head(ada).await.is_ok();
    crate::store::eventually("Redis is back", there).await;
    let start = ops.inbox_start(ada, "phone", Some(8)).await.unwrap();
    assert_eq!(start, InboxStart { pos: 8, head: 10, recovered: true });
    let read = replay(&ops, ada, 8, 10).await;
    assert!(read.into_iter().map(|(seq, _)| seq).eq(9..=10));
}
