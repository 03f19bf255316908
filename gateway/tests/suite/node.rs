//! A gateway to test: its own store, engine, relay and listener on a free loopback port. Ready when it is returned;
//! `stop` asserts that nothing of it is left.

use gateway::{Gateway, Parts};
use serde_json::{Value, json};
use shared::{
    config::{GatewayConfig, HttpConfig, RedisConfig, SessionConfig},
    engine::{Control, Engine},
    id::{ConversationId, SessionId, UserId},
    lifecycle::Lifecycle,
    metrics::Metrics,
    model::{Identity, Portal, Portals},
    ops::Ops,
    protocol::CloseReason,
    relay::Relay,
    secret::{Secret, Token},
    store::{sessions, users},
    testkit::{TestStore, socket::within, tls::Authority},
    tls::Tls,
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::net::TcpListener;
use uuid::Uuid;

/// A running gateway and what it stands on.
pub(crate) struct TestNode {
    pub(crate) addr: SocketAddr,
    pub(crate) ops: Ops,
    pub(crate) gateway: Gateway,
    pub(crate) metrics: Metrics,
    pub(crate) lifecycle: Lifecycle,
    /// The certificate of the listener, if it speaks TLS.
    pub(crate) tls: Option<Tls>,
    kit: Arc<TestStore>,
    redis: RedisConfig,
}

/// Somebody with an account and a session.
#[derive(Clone)]
pub(crate) struct Somebody {
    pub(crate) id: UserId,
    pub(crate) session: SessionId,
    pub(crate) token: String,
}

/// The origin the tests' pages come from.
pub(crate) const ORIGIN: &str = "https://pitchey.test";

impl TestNode {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut GatewayConfig)) -> Self {
        Self::listening(change, None).await
    }

    /// The same on a listener that speaks TLS.
    pub(crate) async fn with_tls(authority: &Authority, change: impl FnOnce(&mut GatewayConfig)) -> Self {
        let mut http = HttpConfig::default();
        authority.configure(&mut http);
        let tls = Tls::load(&http, &gateway::PROTOCOLS).expect("a certificate and its key");
        Self::listening(change, tls).await
    }

    async fn listening(change: impl FnOnce(&mut GatewayConfig), tls: Option<Tls>) -> Self {
        Self::with_relay(Arc::new(TestStore::sqlite().await), RedisConfig::default(), tls, change).await
    }

    /// On a store of the test's choice.
    pub(crate) async fn over(kit: TestStore) -> Self {
        Self::with_relay(Arc::new(kit), RedisConfig::default(), None, |_| {}).await
    }

    /// On Redis instead of memory.
    pub(crate) async fn on_redis(url: String) -> Self {
        let redis = RedisConfig { url: Some(Secret::new(url)), ..RedisConfig::default() };
        Self::with_relay(Arc::new(TestStore::sqlite().await), redis, None, |_| {}).await
    }

    async fn with_relay(
        kit: Arc<TestStore>,
        redis: RedisConfig,
        tls: Option<Tls>,
        change: impl FnOnce(&mut GatewayConfig),
    ) -> Self {
        let ops = ops(&kit, &redis);
        let node = Self { redis, ..Self::on(kit, ops, tls, change).await };
        node.relay();
        node
    }

    /// Delivers inbox entries for as long as the node lives, as every api does.
    pub(crate) fn relay(&self) {
        let relay = Relay::new(self.ops.store().clone(), self.ops.engine().clone(), self.metrics.clone());
        self.lifecycle.tracker().spawn(relay.run(self.lifecycle.clone()));
    }

    /// A second gateway on the same store. In memory it shares the first one's engine; on Redis it has connections of
    /// its own, as another process would.
    pub(crate) async fn beside(&self) -> Self {
        let ops = if self.redis.url.is_some() { ops(&self.kit, &self.redis) } else { self.ops.clone() };
        Self::on(self.kit.clone(), ops, None, |config| config.node = "gw-2".into()).await
    }

    /// The node after an end in good order: on the same store, and in memory with an engine that knows nothing.
    pub(crate) async fn restarted(self) -> Self {
        let (kit, redis) = (self.kit.clone(), self.redis.clone());
        self.stop().await;
        Self::with_relay(kit, redis, None, |_| {}).await
    }

    async fn on(kit: Arc<TestStore>, ops: Ops, tls: Option<Tls>, change: impl FnOnce(&mut GatewayConfig)) -> Self {
        let mut config = GatewayConfig { drain_window: Duration::from_millis(100), ..GatewayConfig::default() };
        change(&mut config);
        let ops = ops.with_public_rooms(&config.public_rooms);
        let (metrics, lifecycle) = (Metrics::new(), Lifecycle::new());
        let parts = Parts {
            config,
            http: HttpConfig { public_base_url: Some(ORIGIN.into()), ..HttpConfig::default() },
            cookie: SessionConfig::default().cookie,
            ops: ops.clone(),
            metrics: metrics.clone(),
            lifecycle: lifecycle.clone(),
        };
        let gateway = Gateway::start(parts).await.expect("it needs no engine to start");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("a bound listener");
        let (serving, accepting) = (gateway.clone(), tls.clone());
        lifecycle.tracker().spawn(async move { serving.serve(listener, accepting).await });
        Self { addr, ops, gateway, metrics, lifecycle, tls, kit, redis: RedisConfig::default() }
    }

    /// Somebody new, with a session.
    pub(crate) async fn somebody(&self) -> Somebody {
        self.somebody_for(Duration::from_mins(10)).await
    }

    /// Somebody new, with a session that lives this long.
    pub(crate) async fn somebody_for(&self, ttl: Duration) -> Somebody {
        let (id, session, token) = (UserId::new(), SessionId::new(), Token::generate());
        let (name, hash) = (format!("user-{}", id.0.simple()), token.hash());
        let email = format!("{name}@pitchey.test");
        let new = users::NewUser {
            id,
            email: &email,
            username: &name,
            name: &name,
            user_type: Portal::Creator,
            portals: Portals::of([Portal::Creator]),
            password_hash: "!no password opens this account",
            email_verified: true,
        };
        let opened = sessions::NewSession {
            id: session,
            user_id: id,
            portal: Portal::Creator,
            token: hash,
            ip: None,
            user_agent: None,
            ttl,
        };
        let written = self.ops.store().tx("test.somebody", async |tx| {
            users::insert(tx, new).await?;
            sessions::insert(tx, opened).await
        });
        written.await.expect("a fresh account");
        Somebody { id, session, token: token.expose().to_owned() }
    }

    pub(crate) async fn identity(&self, of: &Somebody) -> Identity {
        let known = self.ops.authenticate(&of.token).await.expect("the store answers").expect("a live session");
        std::sync::Arc::unwrap_or_clone(known)
    }

    /// A conversation between two people, opened by its first message.
    pub(crate) async fn conversation(&self, a: &Somebody, b: &Somebody) -> ConversationId {
        self.message(a, b.id.0, "hello").await
    }

    /// A message sent the way REST does; returns its conversation.
    pub(crate) async fn message(&self, from: &Somebody, to: Uuid, body: &str) -> ConversationId {
        let who = self.identity(from).await;
        let sent = self.ops.send_message(&who, Uuid::now_v7(), to, body).await.expect("the message is accepted");
        sent.message.conversation_id
    }

    /// How often each named unit of work of the store ran, apart from the relay's, which looks for work all the time.
    pub(crate) fn queries(&self) -> std::collections::BTreeMap<String, u64> {
        let stats = self.ops.store().statement_stats().into_iter();
        let of_relay = |name: &str| name.starts_with("relay.") || name.starts_with("invalidations.");
        stats.filter(|work| !of_relay(&work.name)).map(|work| (work.name, work.count)).collect()
    }

    /// Loses deliveries: more come at once than the node's queue holds, and nothing yields in between, so that the pump
    /// cannot keep up. Works on a runtime of one thread and an engine in memory.
    pub(crate) async fn lose_deliveries(&self) {
        for _ in 0..20_000 {
            self.ops.engine().broker.control(Control::Disconnect(UserId::new())).await.expect("memory takes it");
        }
    }

    /// How many connections ended for this reason so far.
    pub(crate) fn closed(&self, reason: CloseReason) -> u64 {
        let stats = self.metrics.stats();
        stats.sockets.closed.iter().filter(|close| close.code == reason.code()).map(|close| close.count).sum()
    }

    /// Waits until a connection has ended for this reason.
    pub(crate) async fn until_closed(&self, reason: CloseReason) {
        within(async {
            while self.closed(reason) == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// Ends the node in good order and asserts that nothing of it is left.
    pub(crate) async fn stop(self) {
        within(self.lifecycle.shutdown(Duration::from_secs(15))).await;
        assert!(!self.lifecycle.hard().is_cancelled(), "the drain needed force");
        assert!(self.gateway.is_empty(), "a connection left something behind");
        assert_eq!(self.lifecycle.tracker().len(), 0, "a task is left");
    }
}

fn ops(kit: &TestStore, redis: &RedisConfig) -> Ops {
    let clock = kit.store.clock().clone();
    let engine = Engine::connect(redis, clock.clone()).expect("settings that can work");
    Ops::new(kit.store.clone(), engine, clock, SessionConfig::default())
}

/// A `send` of `data` into `room`.
#[expect(clippy::needless_pass_by_value, reason = "made on the spot by every caller")]
pub(crate) fn send(room: &str, data: Value) -> Value {
    let id = Uuid::now_v7();
    json!({"type": "send", "id": id, "room": room, "data": data})
}

/// The room every test node has.
pub(crate) const LOBBY: &str = "public:lobby";
