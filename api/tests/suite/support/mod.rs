//! A whole platform in this process, on a free port, with a clock that the test moves.

mod client;
pub(crate) mod ground;

pub(crate) use client::{Answer, Call, Client, PATIENCE, read_to_end};

use ground::Ground;

use api::{app::App, router::Table, routes, startup::Platform};
use serde_json::json;
use shared::{
    clock::{Clock, Timestamp},
    config::{Config, DataDir, Environment, LogConfig},
    id::{SessionId, UserId},
    lifecycle::Lifecycle,
    model::{Portal, Portals},
    secret::Token,
    store::{
        sessions::{self, NewSession},
        users::{self, NewUser},
    },
};
use std::{net::SocketAddr, sync::LazyLock, time::Duration};
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// The password of every account that [`TestApp::account`] makes.
pub(crate) const PASSWORD: &str = "a perfectly fine password";
/// The session cookie's name.
pub(crate) const COOKIE: &str = "pitchey-session";

/// A running platform. [`TestApp::stop`] ends it and checks that nothing is left.
#[derive(Debug)]
pub(crate) struct TestApp {
    pub(crate) platform: Platform,
    pub(crate) clock: Clock,
    lifecycle: Lifecycle,
    _folder: TempDir,
    _ground: Ground,
}

impl TestApp {
    /// On SQLite (see [`ground`]), as in production but without https, and with limits that do not get in a test's way.
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// The same with settings of the test's choice.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::with_routes(change, routes::table()).await
    }

    /// The same with routes nobody should have.
    pub(crate) async fn with_routes(change: impl FnOnce(&mut Config), table: Table) -> Self {
        Self::open(change, table, Ground::chosen().await).await
    }

    /// On PostgreSQL; `None` (said loudly) if the machine has none.
    pub(crate) async fn postgres() -> Option<Self> {
        Some(Self::on(Ground::postgres().await?, |_| {}).await)
    }

    /// On this ground, with settings of the test's choice.
    pub(crate) async fn on(ground: Ground, change: impl FnOnce(&mut Config)) -> Self {
        Self::open(change, routes::table(), ground).await
    }

    async fn open(change: impl FnOnce(&mut Config), table: Table, ground: Ground) -> Self {
        listen_to_the_log();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut config = Config {
            environment: Environment::Production,
            data_dir: DataDir(folder.path().join("data")),
            database: ground.config.clone(),
            ..Config::default()
        };
        config.http.port = 0;
        config.http.rate_per_ip = 100_000;
        config.http.rate_per_user = 100_000;
        config.session.secure = Some(false);
        config.admin.addr = "127.0.0.1:0".parse().unwrap();
        change(&mut config);
        // 2026-01-01T00:00:00Z
        let clock = Clock::manual(Timestamp::from_micros(1_767_225_600_000_000));
        let lifecycle = Lifecycle::new();
        let platform = Platform::start_with(config, clock.clone(), lifecycle.clone(), table).await.expect("it starts");
        Self { platform, clock, lifecycle, _folder: folder, _ground: ground }
    }

    pub(crate) fn app(&self) -> &App {
        &self.platform.app
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.platform.address
    }

    /// A client nobody knows.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.address())
    }

    /// A verified account with [`PASSWORD`].
    pub(crate) async fn account(&self, email: &str, portals: &[Portal]) -> UserId {
        self.insert(email, portals, true, &hash().await).await
    }

    /// The same, with what the test wants of it.
    pub(crate) async fn insert(&self, email: &str, portals: &[Portal], email_verified: bool, hash: &str) -> UserId {
        let id = UserId::new();
        let new = NewUser {
            id,
            email,
            username: &format!("u-{}", id.0.simple()),
            name: email.split('@').next().unwrap(),
            user_type: portals[0],
            portals: Portals::of(portals.iter().copied()),
            password_hash: hash,
            email_verified,
        };
        self.app().store.tx("test.user", async |tx| users::insert(tx, new).await).await.unwrap();
        id
    }

    /// A client of a new account that is signed in, without the work of a password hash.
    pub(crate) async fn signed_in(&self, portals: &[Portal]) -> (UserId, Client) {
        let email = format!("{}@example.org", Token::generate().expose()[..10].to_lowercase().replace(['-', '_'], "x"));
        let id = self.insert(&email, portals, true, "!nobody-knows-this-password").await;
        let client = self.client();
        client.set_cookie(COOKIE, self.session(id, portals[0]).await.expose());
        (id, client)
    }

    /// A new session of an account.
    pub(crate) async fn session(&self, user_id: UserId, portal: Portal) -> Token {
        let token = Token::generate();
        let new = NewSession {
            id: SessionId::new(),
            user_id,
            portal,
            token: token.hash(),
            ip: None,
            user_agent: None,
            ttl: self.app().config.session.ttl,
        };
        self.app().store.tx("test.session", async |tx| sessions::insert(tx, new).await).await.unwrap();
        token
    }

    /// Signs in through the door.
    pub(crate) async fn login(&self, client: &Client, portal: &str, email: &str) -> Answer {
        client.post(&format!("/api/auth/{portal}/login"), &json!({ "email": email, "password": PASSWORD })).await
    }

    /// How often a unit of work ran.
    pub(crate) fn runs_of(&self, statement: &str) -> u64 {
        let stats = self.app().store.statement_stats();
        stats.iter().find(|row| row.name == statement).map_or(0, |row| row.count)
    }

    /// The mails that were sent, oldest first, once there are `count` of them.
    pub(crate) async fn mails(&self, count: usize) -> Vec<String> {
        eventually(|| Some(self.read_mails()).filter(|mails| mails.len() >= count)).await
    }

    fn read_mails(&self) -> Vec<String> {
        let Ok(entries) = self.app().config.data_dir.0.join("mail").read_dir() else { return Vec::new() };
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).filter(|mail| mail.contains("\n\n")).collect()
    }

    /// Ends it softly; whatever does not end by itself is a failure.
    pub(crate) async fn stop(self) {
        self.stop_and_read_mails().await;
    }

    /// [`TestApp::stop`], and every mail that was ever sent: nothing sends one any more.
    pub(crate) async fn stop_and_read_mails(self) -> Vec<String> {
        self.lifecycle.shutdown(Duration::from_secs(10)).await;
        assert!(!self.lifecycle.hard().is_cancelled(), "tasks were left that do not end on the soft token");
        let mails = self.read_mails();
        self.platform.close().await;
        mails
    }
}

/// Asks again until there is an answer; the last resort where nothing can be awaited.
pub(crate) async fn eventually<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let asked = async {
        loop {
            match ask() {
                Some(answer) => return answer,
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.expect("it happens in time")
}

/// The hash of [`PASSWORD`], made once for all tests.
async fn hash() -> String {
    static HASH: OnceCell<String> = OnceCell::const_new();
    let make = async || api::services::Passwords::new().hash(PASSWORD.to_owned()).await.unwrap();
    HASH.get_or_init(make).await.clone()
}

/// Warnings of the platform appear in the output of a test that fails.
fn listen_to_the_log() {
    static ONCE: LazyLock<()> = LazyLock::new(|| {
        let _ = shared::telemetry::init(&LogConfig { filter: "warn".into(), ..LogConfig::default() });
    });
    LazyLock::force(&ONCE);
}
