//! What only the engine in Redis can get wrong: keys without an end, halves of a thing evicted, processes that disagree.

use super::{Fixture, node::Node, some_room};
use bytes::Bytes;
use shared::{
    clock::Clock,
    config::RedisConfig,
    engine::{
        Appended, CachedSession, Control, Delivery, Engine, Incarnation, MailboxEntry, Membership, Quota, Topic,
        mailbox::WINDOW_BYTES, occupancy::Occupants,
    },
    id::{SessionId, UserId},
    model::{Identity, Portal, Portals},
    protocol::command::Status,
    secret::{Secret, Token},
    testkit::{Proxy, RedisOptions, RedisServer, available, redis::Reply},
};
use std::time::Duration;
use tokio::task::JoinSet;
use uuid::Uuid;

/// What `redis/keys.rs` lists: how a key's name goes on after its tag, and its type.
const KEYS: [(&str, &str); 16] = [
    ("room:", "hash"),
    ("log:", "stream"),
    ("ids:", "hash"),
    ("ids0:", "hash"),
    ("box:", "hash"),
    ("frames:", "list"),
    ("seqs", "hash"),
    ("line", "zset"),
    ("token:", "string"),
    ("ticket:", "string"),
    ("ended:", "string"),
    ("member:", "string"),
    ("in:", "hash"),
    ("limit:", "string"),
    ("times", "zset"),
    ("reports", "hash"),
];

const QUOTA: Quota = Quota { burst: 50, per: Duration::from_mins(1) };

fn identity(clock: &Clock) -> Identity {
    let now = clock.now();
    Identity {
        session_id: SessionId::new(),
        user_id: UserId::new(),
        name: "ada".into(),
        portal: Portal::Creator,
        portals: Portals::of([Portal::Creator]),
        is_admin: false,
        created_at: now,
        expires_at: now + Duration::from_hours(24),
        refreshed_at: now,
    }
}

fn entries(seqs: std::ops::RangeInclusive<u64>, size: usize) -> Vec<MailboxEntry> {
    seqs.map(|seq| MailboxEntry { seq, frame: Bytes::from(vec![b'x'; size]) }).collect()
}

/// Uses every concern once, so that every kind of key is there.
async fn use_all(fixture: &Fixture) {
    let (engine, ada, room) = (&fixture.engine, identity(&fixture.clock), some_room());
    let (user, token, ticket) = (ada.user_id, Token::generate().hash(), Token::generate().hash());
    engine.broker.publish(&room, None, Uuid::now_v7(), "[", "]").await.unwrap();
    engine.mailbox.append(user, &entries(1..=3, 10)).await.unwrap();
    engine.mailbox.ack(user, "device", 2).await.unwrap();
    engine.sessions.fill(&token, &ada).await.unwrap();
    engine.sessions.issue_ticket(&ticket, &ada).await.unwrap();
    engine.sessions.revoke(SessionId::new(), &[Token::generate().hash()]).await.unwrap();
    engine.members.fill(&room, user, true).await.unwrap();
    let inside = Occupants { count: 1, users: vec![user] };
    engine.limits.take("test", QUOTA).await.unwrap();
    engine.stats.report("gw-1", Bytes::from("{}")).await.unwrap();
    let node = Incarnation { node: "gw-1".into(), id: Uuid::now_v7() };
    engine.presence.join(&node, user, 1, Status::Online).await.unwrap();
    engine.occupancy.tell(&node, &[(room, inside)]).await.unwrap();
}

#[tokio::test]
async fn every_key_has_its_type_on_the_page_and_an_end() {
    let Some(fixture) = Fixture::redis().await else { return };
    use_all(&fixture).await;
    let keys = fixture.keys().await;
    assert!(keys.len() > 30, "{keys:?}");
    for key in keys {
        let (_, name) = key.split_once('}').expect("every name has a tag");
        let Reply::Text(kind) = fixture.call_where(&key, &["TYPE", &key]).await else { panic!("a type is text") };
        let tag = key.split_once('{').unwrap().1.split('}').next().unwrap();
        if tag != "presence" {
            let listed = KEYS.iter().find(|(start, _)| name.starts_with(start));
            assert_eq!(listed.map(|(_, kind)| *kind), Some(kind.as_str()), "{key}");
        }
        // Those of presence go when somebody else finds them over.
        let ends = if tag == "presence" { -1 } else { 1 };
        let ttl = fixture.call_where(&key, &["PTTL", &key]).await;
        assert!(matches!(ttl, Reply::Number(ms) if (ends..=90_100_000).contains(&ms)), "{key} lives {ttl:?} ms");
    }
}

#[tokio::test]
async fn half_of_a_mailbox_is_a_missing_one_or_an_empty_one_but_never_a_wrong_one() {
    let Some(fixture) = Fixture::redis().await else { return };
    let (engine, user) = (&fixture.engine, UserId::new());
    let evict = async |kind: &str| {
        let keys = fixture.keys().await;
        let key = keys.iter().find(|key| key.contains(kind)).expect("it is there");
        assert_eq!(fixture.call_where(key, &["DEL", key]).await, Reply::Number(1));
    };
    engine.mailbox.append(user, &entries(1..=5, 10)).await.unwrap();
    evict("}frames:").await;
    assert_eq!(engine.mailbox.read(user, 4, 10).await.unwrap(), None);
    assert_eq!(engine.mailbox.read(user, 5, 10).await.unwrap(), Some(Vec::new()), "who is up to date stays so");
    assert_eq!(engine.mailbox.append(user, &entries(6..=7, 10)).await.unwrap(), Appended::UpTo(7));
    assert_eq!(engine.mailbox.read(user, 5, 10).await.unwrap().map(|read| read.len()), Some(2));
    evict("}box:").await;
    assert_eq!(engine.mailbox.head(user).await.unwrap(), None);
    assert_eq!(engine.mailbox.append(user, &entries(20..=20, 10)).await.unwrap(), Appended::UpTo(20));
    assert_eq!(engine.mailbox.read(user, 18, 10).await.unwrap(), None, "the old frames are not taken for new ones");
    assert_eq!(engine.mailbox.read(user, 19, 10).await.unwrap().map(|read| read.len()), Some(1));
}

#[tokio::test]
async fn frames_that_expired_are_not_charged_to_those_that_come_after() {
    let Some(fixture) = Fixture::redis().await else { return };
    let (mailbox, user) = (&fixture.engine.mailbox, UserId::new());
    mailbox.append(user, &entries(1..=3, WINDOW_BYTES / 4)).await.unwrap();
    // An hour passes: the frames go, and for a day it is remembered where the mailbox stood.
    let frames = fixture.keys().await.into_iter().find(|key| key.contains("}frames:")).expect("they are there");
    assert_eq!(fixture.call_where(&frames, &["PEXPIRE", &frames, "0"]).await, Reply::Number(1));
    assert_eq!(mailbox.append(user, &entries(4..=6, WINDOW_BYTES / 4)).await.unwrap(), Appended::UpTo(6));
    assert_eq!(mailbox.read(user, 3, 10).await.unwrap().map(|read| read.len()), Some(3));
}

#[tokio::test]
async fn half_of_a_cursor_holds_nobody_up() {
    let Some(fixture) = Fixture::redis().await else { return };
    let (mailbox, user) = (&fixture.engine.mailbox, UserId::new());
    for device in ["a", "b", "c"] {
        mailbox.ack(user, device, 1).await.unwrap();
    }
    let seqs = fixture.keys().await.into_iter().find(|key| key.ends_with("seqs")).expect("it is there");
    fixture.call_where(&seqs, &["DEL", &seqs]).await;
    mailbox.ack(user, "d", 1).await.unwrap();
    assert!(mailbox.unflushed(2).await.unwrap().is_empty(), "two places without an owner");
    let left = mailbox.unflushed(2).await.unwrap();
    assert_eq!(left.iter().map(|ack| ack.device.as_str()).collect::<Vec<_>>(), ["d"]);
}

#[tokio::test]
async fn a_large_catch_up_arrives_whole_and_in_order() {
    let Some(fixture) = Fixture::redis().await else { return };
    let (engine, user) = (&fixture.engine, UserId::new());
    let mut node = Node::on(engine, &[Topic::Inbox(user)]).await;
    let all = entries(1..=300, 20_000);
    assert_eq!(engine.mailbox.append(user, &all).await.unwrap(), Appended::UpTo(300));
    let got = node.settled(engine).await;
    let seqs = got.iter().map(|delivery| match delivery {
        Delivery::Inbox { seq, frame, .. } => {
            assert_eq!(frame.len(), 20_000);
            *seq
        }
        other => panic!("{other:?}"),
    });
    assert!(seqs.eq(1..=300));
    let holed = [entries(301..=400, 20_000), entries(402..=402, 1)].concat();
    assert_eq!(engine.mailbox.append(user, &holed).await.unwrap(), Appended::UpTo(400));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_holds_exactly_across_processes() {
    let Some(fixture) = Fixture::redis().await else { return };
    let processes = [fixture.engine.clone(), fixture.another_process().await, fixture.another_process().await];
    let mut takers = JoinSet::new();
    for n in 0..150 {
        let engine = processes[n % processes.len()].clone();
        takers.spawn(async move { engine.limits.take("shared", QUOTA).await.unwrap() });
    }
    let mut left: Vec<_> =
        takers.join_all().await.into_iter().filter(|taken| taken.allowed).map(|taken| taken.remaining).collect();
    left.sort_unstable();
    assert!(left.into_iter().eq(0..50), "each of the burst once, and nobody else");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_each_process_counts_for_itself_and_with_it_all_count_together_again() {
    let Some(server) = available("Redis", RedisServer::start(&RedisOptions::default()).await) else { return };
    let proxy = Proxy::start(server.addr()).unwrap();
    let config = RedisConfig { url: Some(Secret::new(server.url_through(proxy.addr()))), ..RedisConfig::default() };
    let engines = [(); 2].map(|()| Engine::redis(&config, Clock::System).unwrap());
    let quota = Quota { burst: 3, per: Duration::from_hours(1) };
    let allowed = async |engine: &Engine, times| {
        let mut allowed = 0;
        for _ in 0..times {
            allowed += usize::from(engine.limits.take("k", quota).await.unwrap().allowed);
        }
        allowed
    };
    for engine in &engines {
        super::until_up(engine).await;
    }
    assert_eq!(allowed(&engines[0], 2).await, 2);
    proxy.refuse().await;
    for engine in &engines {
        while engine.health().unwrap().is_up() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(allowed(engine, 10).await, 3, "neither everything nor nothing");
    }
    proxy.pass();
    for engine in &engines {
        super::until_up(engine).await;
    }
    assert_eq!(allowed(&engines[0], 1).await + allowed(&engines[1], 10).await, 1, "two of three were taken before");
}

#[tokio::test]
async fn what_one_process_revokes_is_dead_in_all_of_them() {
    let Some(fixture) = Fixture::redis().await else { return };
    let (here, there) = (fixture.engine.clone(), fixture.another_process().await);
    let (ada, room, token) = (identity(&fixture.clock), some_room(), Token::generate().hash());
    here.sessions.fill(&token, &ada).await.unwrap();
    here.members.fill(&room, ada.user_id, true).await.unwrap();
    assert_eq!(there.sessions.get(&token).await.unwrap(), CachedSession::Live(ada.clone().into()));
    assert_eq!(there.members.get(&room, ada.user_id).await.unwrap(), Membership::Allowed);
    let mut node = Node::attach(&here).await;
    there.sessions.revoke(ada.session_id, &[token]).await.unwrap();
    there.members.revoke(&room, ada.user_id).await.unwrap();
    let told = [Control::SessionRevoked(ada.session_id), Control::MembershipRevoked(room.clone(), ada.user_id)];
    assert_eq!(node.controls(&there).await, told);
    assert_eq!(here.sessions.get(&token).await.unwrap(), CachedSession::Revoked);
    assert!(here.sessions.is_revoked(ada.session_id).await.unwrap());
    assert_eq!(here.members.get(&room, ada.user_id).await.unwrap(), Membership::Denied);
}

#[tokio::test]
async fn the_server_tells_how_it_is() {
    let Some(fixture) = Fixture::redis().await else { return };
    let info = fixture.engine.check().await.unwrap().expect("it is in Redis");
    assert!(info.used_memory_bytes > 0 && info.connected_clients >= 2 && info.pubsub_clients >= 1, "{info:?}");
    assert!(info.version.starts_with(|digit: char| digit.is_ascii_digit()), "{info:?}");
}

#[tokio::test]
async fn a_server_that_may_evict_who_is_present_is_advised_against() {
    let settings = vec!["maxmemory-policy allkeys-lru".to_owned()];
    let options = RedisOptions { settings, ..RedisOptions::default() };
    let Some(server) = available("Redis", RedisServer::start(&options).await) else { return };
    let config = RedisConfig { url: Some(Secret::new(server.url())), ..RedisConfig::default() };
    let engine = Engine::redis(&config, Clock::System).unwrap();
    let info = engine.check().await.unwrap().expect("it is in Redis");
    assert_eq!(info.max_memory_policy, "allkeys-lru");
    assert!(info.advice.is_some_and(|advice| advice.contains("noeviction")));
    let right = Fixture::redis().await.unwrap().engine.check().await.unwrap().expect("it is in Redis");
    assert_eq!((right.max_memory_policy.as_str(), right.advice), ("noeviction", None));
}

#[tokio::test]
async fn installations_with_different_prefixes_share_a_server_and_know_nothing_of_each_other() {
    let (Some(one), Some(other)) = (Fixture::redis().await, Fixture::redis().await) else { return };
    let (user, room) = (UserId::new(), some_room());
    let mut node = Node::on(&other.engine, &[Topic::Inbox(user), Topic::Room(room.clone())]).await;
    one.engine.mailbox.append(user, &entries(1..=3, 1)).await.unwrap();
    one.engine.broker.publish(&room, None, Uuid::now_v7(), "", "").await.unwrap();
    one.engine.broker.control(Control::Disconnect(user)).await.unwrap();
    assert_eq!(other.engine.mailbox.head(user).await.unwrap(), None);
    assert!(node.settled(&other.engine).await.is_empty());
}
