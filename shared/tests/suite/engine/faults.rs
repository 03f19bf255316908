//! What only an engine outside the process can do: be away, be silent, come back without its last writes, be full.
//!
//! Each test has a server of its own and a proxy before it. The clock is the machine's, and nothing sleeps: a test
//! waits for what must happen, with a deadline far beyond it.

use super::{
    node::{Node, event_seq},
    some_room, until_up,
};
use shared::{
    clock::Clock,
    config::RedisConfig,
    engine::{Control, Delivery, Engine, EngineError, EngineHealth, Incarnation, Signal, Topic, presence::QUIET},
    id::UserId,
    protocol::{Position, RoomName, command::Status},
    secret::Secret,
    testkit::{Proxy, RedisOptions, RedisServer, available},
};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// No test waits this long.
const DEADLINE: Duration = Duration::from_mins(1);

pub(crate) fn engine_at(url: String) -> Engine {
    let config = RedisConfig { url: Some(Secret::new(url)), ..RedisConfig::default() };
    Engine::redis(&config, Clock::System).expect("the settings are right")
}

async fn server(options: &RedisOptions) -> Option<RedisServer> {
    available("Redis", RedisServer::start(options).await)
}

pub(crate) async fn publish(engine: &Engine, room: &RoomName) -> Result<Position, EngineError> {
    Ok(engine.broker.publish(room, None, Uuid::now_v7(), "[", "]").await?.pos)
}

/// Waits until a call works; what it answered then.
pub(crate) async fn when_it_works<T, F: Future<Output = Result<T, EngineError>>>(call: impl Fn() -> F) -> T {
    let works = async {
        loop {
            if let Ok(answer) = call().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, works).await.expect("it works again")
}

/// Waits for a delivery that fits; what came before it is dropped.
pub(crate) async fn wait_for(node: &mut Node, fits: impl Fn(&Delivery) -> bool) -> Delivery {
    let wait = async {
        loop {
            let delivery = node.deliveries.recv().await.expect("the broker is there");
            if fits(&delivery) {
                return delivery;
            }
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.expect("a delivery is missing")
}

pub(crate) fn is_lost(delivery: &Delivery) -> bool {
    matches!(delivery, Delivery::Lost)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_starts_without_redis_fails_at_once_and_heals_when_it_comes() {
    let Some(server) = server(&RedisOptions::default()).await else { return };
    server.kill();
    let (engine, room) = (engine_at(server.url()), some_room());
    assert!(publish(&engine, &room).await.is_err());
    let mut node = Node::attach(&engine).await;
    let topic = Topic::Room(room.clone());
    assert!(matches!(engine.broker.subscribe(node.id, &topic).await, Err(EngineError::Unavailable { .. })));
    let start = Instant::now();
    for _ in 0..100 {
        assert!(matches!(publish(&engine, &room).await, Err(EngineError::Unavailable { .. })));
    }
    assert!(start.elapsed() < RedisConfig::default().timeout, "nobody waits for what is known to be away");
    let health = engine.health().expect("it is in Redis");
    assert!(!health.is_up() && health.commands.problem.is_some(), "{health:?}");

    server.start_again().await.unwrap();
    until_up(&engine).await;
    // The wish to subscribe was noted while Redis was away.
    when_it_works(|| engine.broker.subscribe(node.id, &topic)).await;
    publish(&engine, &room).await.unwrap();
    wait_for(&mut node, |delivery| event_seq(delivery) == Some(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_missed_while_it_was_cut_off_is_announced_and_in_the_history() {
    let Some(server) = server(&RedisOptions::default()).await else { return };
    let proxy = Proxy::start(server.addr()).unwrap();
    let (near, far) = (engine_at(server.url()), engine_at(server.url_through(proxy.addr())));
    let rooms: Vec<_> = (0..2_000).map(|_| some_room()).collect();
    let topics: Vec<_> = rooms.iter().cloned().map(Topic::Room).collect();
    let mut node = Node::on(&far, &topics).await;
    let before = publish(&near, &rooms[0]).await.unwrap();
    wait_for(&mut node, |delivery| event_seq(delivery) == Some(1)).await;
    let subscribes = async || server.info("commandstats", "cmdstat_subscribe").await.expect("there were some");
    let calls = |line: &str| line.split(['=', ',']).nth(1).unwrap().parse::<u64>().unwrap();
    let first = calls(&subscribes().await);

    proxy.refuse().await;
    for _ in 0..10 {
        publish(&near, &rooms[0]).await.unwrap();
    }
    proxy.pass();
    wait_for(&mut node, is_lost).await;
    let history = when_it_works(|| far.broker.history(&rooms[0], Some(before), 100)).await;
    assert!(history.recovered);
    assert!(history.entries.iter().map(|entry| entry.seq).eq(2..=11));

    // Everything published from here on arrives, on every topic.
    for room in &rooms {
        publish(&near, room).await.unwrap();
    }
    let got = node.settled(&far).await;
    assert!(got.iter().all(|delivery| !is_lost(delivery)));
    let heard: std::collections::HashSet<_> = got
        .iter()
        .filter_map(|delivery| match delivery {
            Delivery::Event { room, .. } => Some(room.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(heard.len(), rooms.len());
    let again = calls(&subscribes().await) - first;
    assert!(again <= 10, "2 000 topics were subscribed to again by {again} commands");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_goes_silent_is_doubted_at_once_and_given_up() {
    let Some(server) = server(&RedisOptions::default()).await else { return };
    let proxy = Proxy::start(server.addr()).unwrap();
    let (engine, room) = (engine_at(server.url_through(proxy.addr())), some_room());
    let mut node = Node::on(&engine, &[Topic::Room(room.clone())]).await;
    publish(&engine, &room).await.unwrap();
    proxy.stall();
    let start = Instant::now();
    assert!(publish(&engine, &room).await.is_err());
    assert!(start.elapsed() >= RedisConfig::default().timeout, "the first one waits");
    let start = Instant::now();
    for _ in 0..100 {
        assert!(publish(&engine, &room).await.is_err());
    }
    assert!(start.elapsed() < RedisConfig::default().timeout, "nobody after it does");
    let given_up = async {
        while engine.health().is_some_and(|health| health.subscriptions.up || health.commands.problem.is_none()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, given_up).await.expect("the silence is noticed on both connections");
    proxy.pass();
    wait_for(&mut node, is_lost).await;
    when_it_works(|| publish(&engine, &room)).await;
    wait_for(&mut node, |delivery| event_seq(delivery).is_some()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_came_back_begins_new_epochs_and_no_event_is_missed_in_silence() {
    let Some(server) = server(&RedisOptions { aof: true, ..RedisOptions::default() }).await else { return };
    let (engine, room) = (engine_at(server.url()), some_room());
    let mut node = Node::on(&engine, &[Topic::Room(room.clone())]).await;
    for _ in 0..3 {
        publish(&engine, &room).await.unwrap();
    }
    let before = engine.broker.history(&room, None, 0).await.unwrap().top;
    server.kill();
    server.start_again().await.unwrap();
    wait_for(&mut node, is_lost).await;
    // It may have lost its last second: the number after `before` may be given out twice, but not in one epoch.
    let after = when_it_works(|| publish(&engine, &room)).await;
    assert_ne!(after.epoch, before.epoch);
    let history = engine.broker.history(&room, Some(before), 10).await.unwrap();
    assert!(!history.recovered && history.entries.is_empty());
    let delivered = wait_for(&mut node, |delivery| event_seq(delivery).is_some()).await;
    assert!(matches!(delivered, Delivery::Event { pos, .. } if pos == after));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_after_an_unknown_outcome_is_one_event() {
    let Some(server) = server(&RedisOptions::default()).await else { return };
    let proxy = Proxy::start(server.addr()).unwrap();
    let (near, far) = (engine_at(server.url()), engine_at(server.url_through(proxy.addr())));
    let (room, id) = (some_room(), Uuid::now_v7());
    publish(&near, &some_room()).await.unwrap(); // now the server knows the script
    let top = near.broker.history(&room, None, 0).await.unwrap().top;
    server.call(&["CONFIG", "RESETSTAT"]).await;
    let mut answered = 0;
    for round in 0..20 {
        until_connected(&far, round).await;
        let again = far.broker.publish(&room, None, id, "", "");
        let (published, ()) = if round % 2 == 0 {
            // Cut at any moment: before the script ran, while it ran, before its answer arrived.
            tokio::join!(again, cut_after(&proxy, round))
        } else {
            // Its first turn comes first: the server is stopped before anything is sent.
            let ((), published) = tokio::join!(biased; cut_before_the_answer(&server, &proxy), again);
            (published, ())
        };
        answered += u64::from(published.is_ok());
    }
    until_connected(&far, 20).await;
    let last = when_it_works(|| far.broker.publish(&room, None, id, "", "")).await;
    assert_eq!(last.pos, Position { seq: 1, ..top });
    let evalsha = server.info("commandstats", "cmdstat_evalsha").await.unwrap();
    let ran: u64 = evalsha.split(['=', ',']).nth(1).unwrap().parse().unwrap();
    assert!(ran > answered + 1, "of {ran} runs {answered} were answered, and the last one");
    assert_eq!(near.broker.history(&room, None, 0).await.unwrap().top.seq, 1);
}

/// Cuts when something has reached the server, which answers nobody until then.
async fn cut_before_the_answer(server: &RedisServer, proxy: &Proxy) {
    server.freeze();
    let before = proxy.traffic().to_server;
    let reached = async {
        while proxy.traffic().to_server == before {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, reached).await.expect("something is sent");
    proxy.cut();
    server.thaw();
}

/// Cuts when the other tasks had so many turns.
async fn cut_after(proxy: &Proxy, turns: u64) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
    proxy.cut();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_that_is_too_slow_for_redis_misses_nothing_in_silence() {
    let limit = "client-output-buffer-limit pubsub 2mb 1mb 1".to_owned();
    let options = RedisOptions { settings: vec![limit], ..RedisOptions::default() };
    let Some(server) = server(&options).await else { return };
    let proxy = Proxy::start(server.addr()).unwrap();
    let (near, far) = (engine_at(server.url()), engine_at(server.url_through(proxy.addr())));
    let room = some_room();
    let start = near.broker.history(&room, None, 0).await.unwrap().top;
    let mut node = Node::on(&far, &[Topic::Room(room.clone())]).await;
    proxy.throttle(200_000);
    let frame = "x".repeat(60_000);
    for _ in 0..100 {
        near.broker.publish(&room, None, Uuid::now_v7(), "", &frame).await.unwrap();
    }
    wait_for(&mut node, is_lost).await;
    proxy.pass();
    let mut at = Position { seq: 0, ..start };
    // As a gateway does it: what the history does not have any more is said, what it has is read, the rest is live.
    let history = when_it_works(|| far.broker.history(&room, Some(at), 500)).await;
    at = history.top;
    assert_eq!((at.seq, history.recovered), (100, false), "more was missed than a room remembers, and that is said");
    publish(&near, &room).await.unwrap();
    let mut node_at = at.seq;
    while node_at < 101 {
        let delivery = node.next().await;
        match event_seq(&delivery) {
            Some(seq) if seq > node_at => {
                assert_eq!(seq, node_at + 1, "a gap in silence");
                node_at = seq;
            }
            _ if is_lost(&delivery) => node_at = far.broker.history(&room, None, 0).await.unwrap().top.seq,
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_came_back_takes_nobody_offline_for_a_while() {
    let Some(server) = server(&RedisOptions::default()).await else { return };
    let proxy = Proxy::start(server.addr()).unwrap();
    let clock = super::clock();
    let url = Some(Secret::new(server.url_through(proxy.addr())));
    let config = RedisConfig { url, ..RedisConfig::default() };
    let engine = Engine::redis(&config, clock.clone()).unwrap();
    let (cut_off, user) = (Incarnation { node: "gw".into(), id: Uuid::now_v7() }, UserId::new());
    when_it_works(|| engine.presence.join(&cut_off, user, 1, Status::Online)).await;
    until_up(&engine).await;
    proxy.refuse().await;
    // A minute passes in which nobody could renew anything.
    clock.advance(Duration::from_mins(1));
    proxy.pass();
    until_connected(&engine, 1).await;
    assert_eq!(engine.presence.sweep().await.unwrap(), 0);
    clock.advance(QUIET - Duration::from_secs(1));
    assert_eq!(engine.presence.sweep().await.unwrap(), 0);
    assert_eq!(engine.presence.snapshot(&[user]).await.unwrap()[0].status, Status::Online);
    clock.advance(Duration::from_secs(1));
    assert_eq!(engine.presence.sweep().await.unwrap(), 1, "nobody renewed that lease: now it is over");
}

/// Waits until all is well after more than so many connections.
async fn until_connected(engine: &Engine, more_than: u64) {
    let is_up = |health: EngineHealth| {
        health.is_up() && health.commands.connects > more_than && health.subscriptions.connects > more_than
    };
    let up = async {
        while !engine.health().is_some_and(is_up) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(DEADLINE, up).await.expect("Redis is there again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn encrypted_servers_with_users_work_like_others_and_a_stranger_is_not_trusted() {
    let options = RedisOptions { acl: true, tls: true, ..RedisOptions::default() };
    let Some(server) = server(&options).await else { return };
    let ca_file = Some(server.certificates().expect("it has TLS").ca.clone());
    let config = RedisConfig { url: Some(Secret::new(server.url())), ca_file, ..RedisConfig::default() };
    let (engine, room) = (Engine::redis(&config, Clock::System).unwrap(), some_room());
    let mut node = Node::on(&engine, &[Topic::Room(room.clone())]).await;
    publish(&engine, &room).await.unwrap();
    wait_for(&mut node, |delivery| event_seq(delivery) == Some(1)).await;

    let stranger = engine_at(server.url());
    assert!(publish(&stranger, &room).await.is_err(), "the system's certificates did not sign this one");
    let wrong = Some(Secret::new(server.url().replace("correct-horse", "hunter2")));
    let intruder = Engine::redis(&RedisConfig { url: wrong, ..config }, Clock::System).unwrap();
    assert!(publish(&intruder, &room).await.is_err());
    let problem = intruder.health().unwrap().commands.problem.expect("it is said");
    assert!(problem.contains("WRONGPASS") && !problem.contains("hunter2"), "{problem}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_publication_is_one_round_trip() {
    let Some(server) = server(&RedisOptions::default()).await else { return };
    let (engine, room) = (engine_at(server.url()), some_room());
    publish(&engine, &room).await.unwrap(); // now the server knows the script
    server.call(&["CONFIG", "RESETSTAT"]).await;
    for _ in 0..500 {
        publish(&engine, &room).await.unwrap();
    }
    let evalsha = server.info("commandstats", "cmdstat_evalsha").await.unwrap();
    assert!(evalsha.starts_with("calls=500,"), "{evalsha}");
    assert_eq!(server.info("commandstats", "cmdstat_eval").await, None);
    let packets: u64 = server.info("stats", "total_reads_processed").await.unwrap().parse().unwrap();
    assert!(packets < 600, "{packets} reads: 500 publications, some pings, and our own questions");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_processes_hear_everything_too() {
    let Some(server) = server(&RedisOptions::default()).await else { return };
    let (here, there) = (engine_at(server.url()), engine_at(server.url()));
    let (room, user) = (some_room(), UserId::new());
    let mut node = Node::on(&there, &[Topic::Room(room.clone()), Topic::Presence(user)]).await;
    publish(&here, &room).await.unwrap();
    let typing = Signal::Typing { user, ttl_ms: 6_000 };
    here.broker.signal(&Topic::Room(room.clone()), typing).await.unwrap();
    let gateway = Incarnation { node: "gw-1".into(), id: Uuid::now_v7() };
    here.presence.join(&gateway, user, 1, Status::Online).await.unwrap();
    here.broker.control(Control::Disconnect(user)).await.unwrap();
    here.bell.ring();
    wait_for(&mut node, |delivery| event_seq(delivery) == Some(1)).await;
    wait_for(&mut node, |delivery| matches!(delivery, Delivery::Signal(_, signal) if *signal == typing)).await;
    wait_for(&mut node, |delivery| matches!(delivery, Delivery::Signal(_, Signal::Presence(_)))).await;
    wait_for(&mut node, |delivery| matches!(delivery, Delivery::Control(Control::Disconnect(who)) if *who == user))
        .await;
    tokio::time::timeout(DEADLINE, there.bell.wait()).await.expect("the bell is heard");
    assert_eq!(there.presence.snapshot(&[user]).await.unwrap()[0].devices, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_is_dropped_leaves_no_connection_behind() {
    let Some(server) = server(&RedisOptions::default()).await else { return };
    let engine = engine_at(server.url());
    let room = some_room();
    let mut node = Node::on(&engine, &[Topic::Room(room.clone())]).await;
    publish(&engine, &room).await.unwrap();
    let clients = async || server.info("clients", "connected_clients").await.unwrap().parse::<u32>().unwrap();
    assert_eq!(clients().await, 3, "commands, subscriptions, and the one that asks");
    drop(engine);
    let ended = async { while node.deliveries.recv().await.is_some() {} };
    tokio::time::timeout(DEADLINE, ended).await.expect("the deliveries end");
    let gone = async {
        while clients().await > 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, gone).await.expect("both connections end");
}
