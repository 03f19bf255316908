//! What caches must hear reaches them: whoever could not be told at once, and whatever an engine forgot.
//!
//! "An engine that did not hear" is one that the change was not made with; the relay brings it the news.

use super::*;
use shared::{
    config::RedisConfig,
    engine::{CachedSession, Control, Membership},
    id::PitchId,
    lifecycle::Lifecycle,
    metrics::Metrics,
    ops::EVERYBODY,
    protocol::RoomName,
    relay::Relay,
    secret::Secret,
    store::{Store, invalidations, pitches, users},
    testkit::{Proxy, RedisOptions, RedisServer, available},
};
use std::time::Instant;

fn relay(kit: &TestStore, engine: &Engine) -> Relay {
    Relay::new(kit.store.clone(), engine.clone(), Metrics::new())
}

fn deaf(kit: &TestStore) -> Engine {
    Engine::memory(kit.clock.clone())
}

fn ops_on(store: &Store, engine: &Engine, kit: &TestStore) -> Ops {
    Ops::new(store.clone(), engine.clone(), kit.clock.clone(), SessionConfig::default())
}

/// How many rows there are: due, and told.
async fn rows(kit: &TestStore) -> (i64, i64) {
    let read = async |c: &mut _| {
        let due = testing::number(c, "select count(*) from invalidations where due_at is not null").await?;
        Ok((due, testing::number(c, "select count(*) from invalidations where due_at is null").await?))
    };
    kit.store.read("test.invalidations", read).await.unwrap()
}

on_both! {
    a_session_revoked_while_redis_is_away_is_refused_everywhere_within_a_second_of_its_return,
    what_redis_forgot_when_it_restarted_is_told_again,
    every_way_a_session_ends_reaches_a_cache_that_did_not_hear,
    a_replaced_token_ends_with_its_grace_in_a_cache_that_did_not_hear,
    a_withdrawn_pitch_closes_its_room_in_a_cache_that_did_not_hear_and_a_published_one_opens_it,
    what_is_taken_back_with_its_transaction_tells_nobody_anything,
    a_large_backlog_is_told_by_several_relays_at_once,
    what_was_told_is_kept_for_an_hour_and_what_was_not_for_as_long_as_it_takes,
}

/// Two processes on one Redis, which can be taken away from both.
struct Fleet {
    proxy: Proxy,
    processes: [Ops; 2],
    relay: Lifecycle,
    server: RedisServer,
}

impl Fleet {
    /// `None`, said loudly, if the machine has no Redis. One relay runs, in the first process.
    async fn start(kit: &TestStore) -> Option<Self> {
        let server = available("Redis", RedisServer::start(&RedisOptions::default()).await)?;
        let proxy = Proxy::start(server.addr()).unwrap();
        let url = Some(Secret::new(server.url_through(proxy.addr())));
        let config = RedisConfig { url, ..RedisConfig::default() };
        let process = || ops_on(&kit.store, &Engine::redis(&config, kit.clock.clone()).unwrap(), kit);
        let this = Self { proxy, processes: [process(), process()], relay: Lifecycle::new(), server };
        let relay = relay(kit, this.processes[0].engine());
        this.relay.tracker().spawn(relay.run(this.relay.clone()));
        this.until(true).await;
        Some(this)
    }

    /// Waits until both processes know that Redis is there, or that it is not.
    async fn until(&self, up: bool) {
        for ops in &self.processes {
            while ops.engine().life().is_some() != up {
                tokio::time::timeout(PATIENCE, ops.engine().other_life(ops.engine().life())).await.unwrap();
            }
        }
    }

    /// Waits until a cache says that the token is dead, and says how long that took.
    async fn until_buried(&self, token: &Token) -> Duration {
        let (since, cache) = (Instant::now(), &self.processes[1].engine().sessions);
        while !matches!(cache.get(&token.hash()).await, Ok(CachedSession::Revoked)) {
            assert!(since.elapsed() < PATIENCE, "nobody told it");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        since.elapsed()
    }

    async fn stop(self) {
        self.relay.shutdown(PATIENCE).await;
    }
}

async fn a_session_revoked_while_redis_is_away_is_refused_everywhere_within_a_second_of_its_return(kit: &TestStore) {
    let Some(fleet) = Fleet::start(kit).await else { return };
    let (token, ada) = sign_in(kit, "ada").await;
    for ops in &fleet.processes {
        assert!(ops.authenticate(token.expose()).await.unwrap().is_some());
    }
    let cached = fleet.processes[1].engine().sessions.get(&token.hash()).await.unwrap();
    assert_eq!(cached, CachedSession::Live(ada.clone().into()));

    fleet.proxy.refuse().await;
    fleet.until(false).await;
    assert!(fleet.processes[0].revoke_session(ada.user_id, ada.session_id).await.unwrap());
    for ops in &fleet.processes {
        assert_eq!(ops.authenticate(token.expose()).await.unwrap(), None, "at once: the store is asked");
    }
    fleet.proxy.pass();
    fleet.until(true).await;
    let took = fleet.until_buried(&token).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    for ops in &fleet.processes {
        assert_eq!(ops.authenticate(token.expose()).await.unwrap(), None);
    }
    fleet.stop().await;
}

async fn what_redis_forgot_when_it_restarted_is_told_again(kit: &TestStore) {
    let Some(fleet) = Fleet::start(kit).await else { return };
    let (token, ada) = sign_in(kit, "ada").await;
    assert!(fleet.processes[0].revoke_session(ada.user_id, ada.session_id).await.unwrap());
    fleet.until_buried(&token).await;
    let all_told = async || rows(kit).await == (0, 1);
    crate::store::eventually("the revocation is told", all_told).await;
    // As after a failover: the tombstone is gone, and the entry from before it is back.
    fleet.server.flush().await;
    let cache = &fleet.processes[1].engine().sessions;
    cache.fill(&token.hash(), &ada).await.unwrap();
    assert!(matches!(cache.get(&token.hash()).await, Ok(CachedSession::Live(_))));
    fleet.proxy.cut();
    fleet.until_buried(&token).await;
    fleet.stop().await;
}

async fn every_way_a_session_ends_reaches_a_cache_that_did_not_hear(kit: &TestStore) {
    let (engine, user) = (deaf(kit), user(kit, "ada").await);
    let there = ops_on(&kit.store, &engine, kit);
    let mut node = node(&engine, &[]).await;
    let mut sessions = Vec::new();
    for _ in 0..4 {
        let (token, identity) = open_session(kit, user).await;
        assert!(there.authenticate(token.expose()).await.unwrap().is_some());
        sessions.push((token, identity));
    }
    let here = ops(kit);
    let ends = |count: usize| {
        let ended = sessions[..count].iter().map(|(token, identity)| (token.clone(), identity.session_id));
        ended.collect::<Vec<_>>()
    };
    for (ended, told) in [(1, 1), (3, 2), (4, 1)] {
        match ended {
            1 => assert!(here.revoke_session(user, sessions[0].1.session_id).await.unwrap()),
            3 => assert_eq!(here.revoke_other_sessions(&sessions[3].1).await.unwrap(), 2),
            _ => assert_eq!(here.revoke_all_sessions(user).await.unwrap(), 1),
        }
        assert_eq!(relay(kit, &engine).invalidate().await.unwrap(), told);
        let mut heard = Vec::new();
        while let Some(Delivery::Control(Control::SessionRevoked(session))) = node.deliveries.try_recv() {
            heard.push(session);
        }
        assert_eq!(heard.len(), told, "the nodes of that engine are told too");
        for (token, session) in ends(ended) {
            assert_eq!(engine.sessions.get(&token.hash()).await.unwrap(), CachedSession::Revoked);
            assert!(engine.sessions.is_revoked(session).await.unwrap(), "its tickets are worth nothing");
        }
    }
    assert_eq!(rows(kit).await, (0, 4));
}

async fn a_replaced_token_ends_with_its_grace_in_a_cache_that_did_not_hear(kit: &TestStore) {
    let (engine, ada) = (deaf(kit), user(kit, "ada").await);
    let grant = async |tx: &mut _| users::grant_portal(tx, ada, Portal::Investor).await;
    kit.store.tx("test.grant", grant).await.unwrap();
    let (old, _) = open_session(kit, ada).await;
    let there = ops_on(&kit.store, &engine, kit);
    let identity = there.authenticate(old.expose()).await.unwrap().unwrap();
    let (new, _) = ops(kit).switch_portal(old.hash(), &identity, Portal::Investor).await.unwrap();
    assert_eq!(relay(kit, &engine).invalidate().await.unwrap(), 0, "requests under way survive");
    kit.clock.advance(SessionConfig::default().rotation_grace);
    assert_eq!(relay(kit, &engine).invalidate().await.unwrap(), 1);
    assert_eq!(there.authenticate(old.expose()).await.unwrap(), None);
    assert_eq!(there.authenticate(new.expose()).await.unwrap().unwrap().portal, Portal::Investor);
}

async fn a_withdrawn_pitch_closes_its_room_in_a_cache_that_did_not_hear_and_a_published_one_opens_it(kit: &TestStore) {
    let (engine, ada) = (deaf(kit), user(kit, "ada").await);
    sql(kit, super::rooms::DRAFT_OF_ADA).await;
    let (id, members) = (PitchId(ada.0), engine.members.clone());
    let room = RoomName::pitch(id);
    let mut node = node(&engine, &[]).await;
    let change = async |what: &'static str| {
        let work = async |tx: &mut _| match what {
            "publish" => pitches::publish(tx, id, ada).await.map(drop),
            "archive" => pitches::archive(tx, id, ada).await.map(drop),
            _ => pitches::delete(tx, id, ada, None).await,
        };
        kit.store.try_tx("test.change", work).await.unwrap();
        relay(kit, &engine).invalidate().await.unwrap()
    };
    members.fill(&room, EVERYBODY, false).await.unwrap();
    assert_eq!(change("publish").await, 1);
    assert_eq!(members.get(&room, EVERYBODY).await.unwrap(), Membership::Unknown, "the store is asked");
    members.fill(&room, EVERYBODY, true).await.unwrap();
    assert_eq!((change("publish").await, change("archive").await), (0, 1), "what changes nothing tells nobody");
    assert_eq!(members.get(&room, EVERYBODY).await.unwrap(), Membership::Denied);
    let told = node.deliveries.try_recv();
    assert!(matches!(told, Some(Delivery::Control(Control::MembershipRevoked(_, EVERYBODY)))), "{told:?}");
    members.fill(&room, ada, true).await.unwrap();
    assert_eq!(change("delete").await, 2);
    assert_eq!(members.get(&room, ada).await.unwrap(), Membership::Denied);
}

async fn what_is_taken_back_with_its_transaction_tells_nobody_anything(kit: &TestStore) {
    let (_, ada) = sign_in(kit, "ada").await;
    let undone = kit.store.tx("test.undone", async |tx| {
        assert_eq!(session_rows::revoke_all(tx, ada.user_id).await?.len(), 1);
        Err::<(), _>(StoreError::Aborted)
    });
    undone.await.unwrap_err();
    assert_eq!(rows(kit).await, (0, 0));
}

async fn a_large_backlog_is_told_by_several_relays_at_once(kit: &TestStore) {
    let (engine, ada) = (deaf(kit), user(kit, "ada").await);
    let mut tokens = Vec::new();
    for _ in 0..600 {
        tokens.push(open_session(kit, ada).await.0);
    }
    assert_eq!(ops(kit).revoke_all_sessions(ada).await.unwrap(), 600);
    let relays = [(); 3].map(|()| {
        let relay = relay(kit, &engine);
        spawn(async move { relay.invalidate().await })
    });
    for relay in relays {
        relay.await.unwrap().unwrap();
    }
    assert_eq!(rows(kit).await, (0, 600));
    for token in &tokens {
        assert_eq!(engine.sessions.get(&token.hash()).await.unwrap(), CachedSession::Revoked);
    }
}

async fn what_was_told_is_kept_for_an_hour_and_what_was_not_for_as_long_as_it_takes(kit: &TestStore) {
    let (engine, (_, ada)) = (deaf(kit), sign_in(kit, "ada").await);
    assert!(ops(kit).revoke_session(ada.user_id, ada.session_id).await.unwrap());
    let expire = async || {
        let expire = async |tx: &mut _| invalidations::expire(tx, 100).await;
        kit.store.tx("test.expire", expire).await.unwrap()
    };
    kit.clock.advance(invalidations::KEPT * 2);
    assert_eq!((expire().await, rows(kit).await), (0, (1, 0)), "no engine has heard of it");
    relay(kit, &engine).invalidate().await.unwrap();
    assert_eq!((expire().await, rows(kit).await), (1, (0, 0)));

    let (_, bob) = sign_in(kit, "bob").await;
    assert!(ops(kit).revoke_session(bob.user_id, bob.session_id).await.unwrap());
    relay(kit, &engine).invalidate().await.unwrap();
    kit.clock.advance(invalidations::KEPT - Duration::from_secs(1));
    let again = async |tx: &mut _| invalidations::tell_again(tx).await;
    assert_eq!(expire().await, 0);
    assert_eq!(kit.store.tx("test.again", again).await.unwrap(), 1);
    assert_eq!(relay(kit, &engine).invalidate().await.unwrap(), 1);
    kit.clock.advance(Duration::from_secs(1));
    assert_eq!(kit.store.tx("test.again", again).await.unwrap(), 0, "no cache can have it wrong any more");
    assert_eq!(expire().await, 1);
}
