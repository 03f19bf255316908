//! PostgreSQL goes away under load: clients are told to come back, never that something broke, and the platform is
//! itself again within seconds. And a thousand users at once share fourteen connections.

use crate::support::{Call, Client, TestApp, ground::Ground};
use futures_util::future::join_all;
use serde_json::json;
use shared::{
    clock::Clock,
    id::UserId,
    model::Portal,
    store::{Store, testing},
    testkit::{Postgres, Proxy, available},
};
use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// What clients were answered: how often which status.
#[derive(Debug, Default)]
struct Answers(Mutex<BTreeMap<u16, usize>>);

impl Answers {
    fn of(&self, status: u16) -> usize {
        self.0.lock().unwrap().get(&status).copied().unwrap_or(0)
    }

    /// Asks for something that reads, or changes something, in the database. What is no success must be an invitation
    /// to come back.
    async fn ask(&self, client: &Client, whom: UserId, write: bool) -> u16 {
        let follow = Call::new("PUT", format!("/api/users/{whom}/follow"));
        let answer = client.send(if write { follow } else { Call::new("GET", "/api/notifications") }).await;
        if answer.status >= 300 {
            assert_eq!(answer.refusal(), "503 SERVICE_UNAVAILABLE");
            assert!(answer.header("retry-after").is_some(), "{answer:?}");
        }
        *self.0.lock().unwrap().entry(answer.status).or_default() += 1;
        answer.status
    }
}

/// A platform on a server that may be stopped, and signed-in clients, half of whom write.
struct Stage {
    server: &'static Postgres,
    app: TestApp,
    clients: Vec<Client>,
    star: UserId,
}

impl Stage {
    async fn set(crowd: usize) -> Option<Self> {
        let server = Box::leak(Box::new(available("PostgreSQL", Postgres::start())?));
        // Behind a proxy one address may have any number of connections.
        let app = TestApp::on(Ground::on(server).await, |config| config.http.trusted_proxies = 1).await;
        let (star, _) = app.signed_in(&[Portal::Creator]).await;
        let mut clients = Vec::new();
        for _ in 0..crowd {
            clients.push(app.signed_in(&[Portal::Investor]).await.1);
        }
        Some(Self { server, app, clients, star })
    }

    /// Everybody asks again and again until `enough` says so; meanwhile `happens` happens.
    async fn under_load<T>(&self, answers: &Answers, happens: impl AsyncFnOnce() -> T) -> T {
        let enough = AtomicBool::new(false);
        let crowd = self.clients.iter().enumerate().map(async |(n, client)| {
            while !enough.load(Relaxed) {
                answers.ask(client, self.star, n % 2 == 0).await;
            }
        });
        let happens = async {
            let outcome = happens().await;
            enough.store(true, Relaxed);
            outcome
        };
        tokio::join!(join_all(crowd), happens).1
    }

    /// Waits until this many more answers of a status have come.
    async fn more(&self, answers: &Answers, status: u16, count: usize) {
        let before = answers.of(status);
        let come = async {
            while answers.of(status) < before + count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), come).await.expect("answers come");
    }

    fn opened(&self) -> u64 {
        self.app.app().store.pool_stats()[0].created
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_backend_terminated_under_load_costs_at_most_one_request_each() {
    let Some(stage) = Stage::set(40).await else { return };
    let config = &stage.app.app().config;
    let other = Store::connect(&config.database, &config.data_dir.0, "killer", Clock::System).await.unwrap();
    let answers = Answers::default();
    let (rounds, ended) = stage
        .under_load(&answers, async || {
            let mut ended = 0;
            for _ in 0..3 {
                stage.more(&answers, 200, 100).await;
                let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                    where datname = current_database() and application_name = 'pitchey-api'";
                ended += other.tx("test.end", async |tx| testing::number(tx, end).await).await.unwrap();
            }
            stage.more(&answers, 200, 100).await;
            (3, usize::try_from(ended).unwrap())
        })
        .await;
    assert!(ended >= 2 * rounds, "there were connections to end: {ended}");
    assert!(answers.of(503) <= ended, "{answers:?} of {ended} broken connections");
    stage.app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_database_is_503_meanwhile_and_back_within_five_seconds() {
    let Some(stage) = Stage::set(20).await else { return };
    let answers = Answers::default();
    let opened = stage.opened();
    let back = stage
        .under_load(&answers, async || {
            stage.more(&answers, 200, 50).await;
            stage.server.stop();
            // Everybody waits for a connection as long as for a full pool, and is then told so.
            stage.more(&answers, 503, 30).await;
            let health = stage.app.client().get("/health").await;
            assert_eq!((health.status, &health.json()["checks"]["database"]), (503, &json!("unhealthy")));
            assert_eq!(stage.app.client().get("/api/health/db").await.status, 503);
            assert_eq!(stage.app.client().get("/health/live").await.status, 200, "nobody should restart it for that");
            stage.server.start_again().unwrap();
            let started = Instant::now();
            stage.more(&answers, 200, 1).await;
            let back = started.elapsed();
            stage.more(&answers, 200, 100).await;
            back
        })
        .await;
    assert!(back < Duration::from_secs(5), "{back:?}");
    assert!(stage.opened() > opened);
    assert_eq!(stage.app.client().get("/api/health/db").await.status, 200);
    // Nobody is refused any more.
    let late = Answers::default();
    join_all(stage.clients.iter().map(|client| late.ask(client, stage.star, true))).await;
    assert_eq!(late.of(503), 0, "{late:?}");
    stage.app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_users_at_once_share_fourteen_connections_and_nobody_is_left_hanging() {
    let Some(stage) = Stage::set(250).await else { return };
    let (answers, asked) = (Answers::default(), AtomicBool::new(false));
    // Four tabs each: a thousand requests under way at once, half of them writes.
    let tabs = stage.clients.iter().cycle().take(1_000).enumerate();
    let crowd = async {
        join_all(tabs.map(|(n, client)| answers.ask(client, stage.star, n % 2 == 0))).await;
        asked.store(true, Relaxed);
    };
    let watch = async {
        let (mut waiting, mut in_use) = (0, 0);
        while !asked.load(Relaxed) {
            let pool = stage.app.app().store.pool_stats().remove(0);
            (waiting, in_use) = (waiting.max(pool.waiting), in_use.max(pool.in_use));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        (waiting, in_use)
    };
    let ((), (waiting, in_use)) =
        tokio::time::timeout(Duration::from_mins(1), async { tokio::join!(crowd, watch) }).await.expect("no hang");
    assert_eq!(answers.of(200) + answers.of(503), 1_000, "{answers:?}");
    assert!(answers.of(200) > 500, "a queue that only refuses is no queue: {answers:?}");
    assert!(waiting > 0 && in_use == 14, "waits and utilisation can be seen: {waiting} waiting, {in_use} in use");
    stage.app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_goes_silent_is_503_within_the_deadline_and_heals() {
    let Some(server) = available("PostgreSQL", Postgres::start()) else { return };
    let server = Box::leak(Box::new(server));
    let (door, limit) = (Proxy::start(server.addr()).unwrap(), Duration::from_secs(3));
    let ground = Ground::on(server).await.through(door.addr());
    let app = TestApp::on(ground, |config| config.http.request_timeout = limit).await;
    let (star, _) = app.signed_in(&[Portal::Creator]).await;
    let (_, known) = app.signed_in(&[Portal::Investor]).await;
    assert_eq!(known.get("/api/auth/session").await.status, 200, "its session is in the cache");
    let mut unknown = Vec::new();
    for _ in 0..20 {
        unknown.push(app.signed_in(&[Portal::Investor]).await.1);
    }
    // No connection breaks and none is refused: there is just no answer any more.
    door.stall();
    let (answers, started) = (Answers::default(), Instant::now());
    let recognized = async { tokio::join!(answers.ask(&known, star, false), answers.ask(&known, star, true)) };
    let authentication = join_all(unknown.iter().map(|client| answers.ask(client, star, false)));
    tokio::join!(recognized, authentication);
    assert_eq!(answers.of(503), 22, "{answers:?}");
    assert!(started.elapsed() < limit + Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(app.client().get("/health/live").await.status, 200);
    door.pass();
    for client in &unknown {
        let until = Instant::now() + Duration::from_secs(10);
        while answers.ask(client, star, true).await != 200 {
            assert!(Instant::now() < until, "{answers:?}");
        }
    }
    app.stop().await;
}
