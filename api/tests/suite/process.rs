//! The program itself: what it prints, what it refuses, how it ends, and what survives its murder.

use crate::support::{COOKIE, Client, PATIENCE, eventually};
use serde_json::{Value, json};
use shared::{
    clock::Clock,
    config::{Config, DataDir, Environment},
    id::{SessionId, UserId},
    model::{Identity, NewNotification, Portal, Portals},
    protocol::event::Received,
    testkit::{Socket, TestStore, tls::Authority},
};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};
use uuid::Uuid;

const PROGRAM: &str = env!("CARGO_BIN_EXE_pitchey-api");

/// The program with these flags, told nothing else.
fn program(data: &Path, flags: &[&str]) -> Command {
    told(Command::new(PROGRAM), data, flags)
}

fn told(mut command: Command, data: &Path, flags: &[&str]) -> Command {
    command.env_clear().current_dir("/").args(flags);
    command.arg(format!("--data-dir={}", data.display())).args(["--admin-addr=127.0.0.1:0", "--log-filter=warn"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// What a command that ends by itself said.
async fn output(data: &Path, flags: &[&str]) -> Output {
    timeout(PATIENCE, program(data, flags).output()).await.expect("it ends by itself").unwrap()
}

/// A serving process.
struct Server {
    child: Child,
    address: SocketAddr,
    banner: String,
    _lines: Lines<BufReader<ChildStdout>>,
}

impl Server {
    async fn start(data: &Path) -> Self {
        Self::start_with(data, &[]).await
    }

    /// Ready when this returns: it waits for the last line of the banner.
    async fn start_with(data: &Path, flags: &[&str]) -> Self {
        let mut command = program(data, flags);
        command.arg("--port=0");
        Self::of(command).await
    }

    async fn of(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut banner = String::new();
        let read = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                banner.push_str(&line);
                banner.push('\n');
                if line.contains("Ctrl-C") {
                    return;
                }
            }
            panic!("it ended before its banner: {banner}");
        };
        timeout(PATIENCE, read).await.expect("the banner appears");
        let url = banner.split_whitespace().find_map(|word| word.split_once("://")).expect("the page's address");
        let address = url.1.trim_end_matches('/').parse().unwrap();
        Self { child, address, banner, _lines: lines }
    }

    fn client(&self) -> Client {
        Client::new(self.address)
    }

    async fn signal(&mut self, name: &str) {
        let pid = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args([format!("-{name}"), pid]).status().await.unwrap();
        assert!(sent.success());
    }

    async fn ended(mut self) -> Option<i32> {
        timeout(PATIENCE, self.child.wait()).await.expect("it ends").unwrap().code()
    }

    /// Interrupts it; what it logged, once it has ended.
    async fn log(mut self) -> String {
        self.signal("INT").await;
        let mut stderr = self.child.stderr.take().expect("it is piped");
        let mut log = String::new();
        let read = tokio::io::AsyncReadExt::read_to_string(&mut stderr, &mut log);
        timeout(PATIENCE, read).await.expect("it ends").unwrap();
        assert_eq!(self.ended().await, Some(0), "{log}");
        log
    }

    /// As the kernel would: no handler runs, nothing is flushed.
    async fn murder(mut self) {
        self.child.start_kill().unwrap();
        timeout(PATIENCE, self.child.wait()).await.expect("it dies").unwrap();
    }
}

fn error_line(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "one line: {text}");
    text
}

#[tokio::test]
async fn it_says_where_to_go_and_finds_its_data_and_sessions_again() {
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::start(data.path()).await;
    for word in ["creator@demo.pitchey.test", "/api/auth/creator/login", "cargo run --release -p pitchey-tui"] {
        assert!(server.banner.contains(word), "{}", server.banner);
    }
    let (client, accounts) = (server.client(), server.client().get("/api/demo/accounts").await.data());
    let form = json!({"email": accounts["accounts"][0]["email"], "password": accounts["accounts"][0]["password"]});
    let id = client.post("/api/auth/creator/login", &form).await.data()["session"]["id"].clone();
    let cookie = client.cookie(COOKIE).unwrap();
    server.signal("INT").await;
    assert_eq!(server.ended().await, Some(0));

    let server = Server::start(data.path()).await;
    let client = server.client();
    client.set_cookie(COOKIE, &cookie);
    assert_eq!(client.get("/api/auth/session").await.data()["session"]["id"], id);
    let (mut server, taken) = (server, output(data.path(), &["--port=0"]).await);
    assert!(error_line(&taken).contains("already runs on this store"), "one owner at a time");
    server.signal("TERM").await;
    assert_eq!(server.ended().await, Some(0));
}

#[tokio::test]
async fn what_cannot_work_is_one_line_that_names_the_setting() {
    let data = tempfile::tempdir().unwrap();
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = busy.local_addr().unwrap().port();
    let line = error_line(&output(data.path(), &[&format!("--port={port}")]).await);
    assert!(line.contains(&format!("PORT={port}")) && line.contains("in use"), "{line}");
    let line = error_line(&output(Path::new("/dev/null/data"), &["--port=0"]).await);
    assert!(line.contains("DATA_DIR=/dev/null/data"), "{line}");
    let line = error_line(&output(data.path(), &["--port=banana"]).await);
    assert!(line.to_lowercase().contains("port") && line.contains("banana"), "{line}");
    let line = error_line(&output(data.path(), &["--port=0", "--database-url=mysql://h/d"]).await);
    assert!(line.contains("DATABASE_URL") || line.contains("database-url"), "{line}");
    let line = error_line(&output(data.path(), &["dance"]).await);
    assert!(line.contains("dance"), "{line}");
}

#[tokio::test]
async fn more_sockets_than_open_files_are_warned_about_once_it_is_up_and_fewer_are_not() {
    let warning = "WS_MAX_CONNECTIONS needs more open files";
    let limited = |data: &Path, flags: &[&str]| {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "ulimit -n 2000 && exec \"$0\" \"$@\"", PROGRAM]);
        told(shell, data, flags)
    };
    let log = async |sockets: &str| {
        let data = tempfile::tempdir().unwrap();
        Server::of(limited(data.path(), &["--port=0", &format!("--ws-max-connections={sockets}")])).await.log().await
    };
    let many = log("50000").await;
    assert!(many.contains(warning) && many.contains("limit=2000"), "{many}");
    let few = log("500").await;
    assert!(!few.contains(warning), "{few}");
    let (data, busy) = (tempfile::tempdir().unwrap(), std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let failed = limited(data.path(), &[&format!("--port={}", busy.local_addr().unwrap().port())]).output();
    let line = error_line(&timeout(PATIENCE, failed).await.expect("it ends by itself").unwrap());
    assert!(!line.contains(warning), "{line}");
}

#[tokio::test]
async fn a_database_server_too_small_for_the_connection_budget_is_warned_about() {
    let Some(database) = TestStore::postgres().await else { return };
    let url = format!("--database-url={}", database.config.url.as_ref().unwrap().expose());
    let log = async |budget: &str| {
        let data = tempfile::tempdir().unwrap();
        let flags = [&url, "--environment=production", &format!("--db-connection-budget={budget}")];
        Server::start_with(data.path(), &flags).await.log().await
    };
    let warning = "DB_CONNECTION_BUDGET is more than 80 %";
    // The test cluster has 100 connections, some of them the superusers'.
    let small = log("100").await;
    assert!(small.contains(warning) && small.contains("budget=100") && small.contains("available="), "{small}");
    let fitting = log("25").await;
    assert!(!fitting.contains(warning), "{fitting}");
}

#[tokio::test]
async fn a_second_interrupt_ends_it_at_once() {
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::start(data.path()).await;
    // A request whose body never comes keeps the drain waiting.
    let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let head = b"POST /api/auth/creator/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{";
    tokio::io::AsyncWriteExt::write_all(&mut stream, head).await.unwrap();
    let client = server.client();
    assert_eq!(client.get("/health/live").await.status, 200);
    server.signal("INT").await;
    // The listener closes with the first signal; then the second one can be told from it.
    eventually(|| std::net::TcpStream::connect(server.address).is_err().then_some(())).await;
    server.signal("INT").await;
    assert_eq!(server.ended().await, Some(130));
}

#[tokio::test]
async fn before_it_drains_it_goes_on_for_a_moment_without_being_ready() {
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::start_with(data.path(), &["--drain-delay=10m"]).await;
    let client = server.client();
    assert_eq!(client.get("/health/ready").await.status, 200);
    server.signal("TERM").await;
    let left = async { while client.get("/health/ready").await.status == 200 {} };
    timeout(PATIENCE, left).await.expect("balancers are told");
    assert_eq!(client.get("/health/live").await.status, 200);
    assert_eq!(client.get("/api/genres").await.status, 200, "whoever was sent here meanwhile is answered");
    server.signal("TERM").await;
    assert_eq!(server.ended().await, Some(130), "a second signal waits for nothing");

    let mut server = Server::start_with(data.path(), &["--drain-delay=10ms"]).await;
    server.signal("TERM").await;
    assert_eq!(server.ended().await, Some(0));
}

#[tokio::test]
async fn help_version_settings_and_migrate_work_without_a_server() {
    let data = tempfile::tempdir().unwrap();
    let said = async |flags: &[&str]| {
        let output = output(data.path(), flags).await;
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(said(&["--help"]).await.contains("--data-dir"));
    assert_eq!(said(&["--version"]).await, "pitchey-api 1.0.0\n");
    assert!(said(&["--print-config"]).await.contains("port"));
    assert!(said(&["migrate"]).await.contains("up to date"));
    assert!(said(&["migrate"]).await.contains("up to date"));
}

#[tokio::test]
async fn seeded_users_can_use_their_tokens_and_production_has_none() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("tokens");
    let flags = ["seed", "--users", "7", "--tokens", file.to_str().unwrap()];
    let refused = error_line(
        &output(data.path(), &["--environment=production", flags[0], flags[1], flags[2], flags[3], flags[4]]).await,
    );
    assert!(refused.contains("ENVIRONMENT=production") && !file.exists(), "{refused}");
    assert!(output(data.path(), &flags).await.status.success());
    let tokens: Vec<String> = std::fs::read_to_string(&file).unwrap().lines().map(Into::into).collect();
    assert_eq!(tokens.len(), 7);
    let mut server = Server::start(data.path()).await;
    for token in &tokens {
        assert_eq!(Client::with_bearer(server.address, token).get("/api/auth/session").await.status, 200);
    }
    server.signal("INT").await;
    assert_eq!(server.ended().await, Some(0));
}

/// Two seeded users: their tokens and ids.
async fn two_users(data: &Path) -> [(String, String); 2] {
    let file = data.join("tokens");
    output(data, &["seed", "--users=2", &format!("--tokens={}", file.display())]).await;
    let tokens: Vec<String> = std::fs::read_to_string(&file).unwrap().lines().map(Into::into).collect();
    let server = Server::start(data).await;
    let mut users = Vec::new();
    for token in tokens {
        let session = Client::with_bearer(server.address, &token).get("/api/auth/session").await.data();
        users.push((token, session["user"]["id"].as_str().unwrap().to_owned()));
    }
    server.murder().await;
    users.try_into().expect("two users")
}

/// What a user's inbox brings, in order, until there are `count` entries: the bodies of messages, the titles of
/// notifications. Then acknowledged.
async fn entries(address: SocketAddr, token: &str, count: usize) -> Vec<String> {
    let (mut socket, _) = Socket::ready(address, token).await;
    let (mut bodies, mut last) = (Vec::new(), 0);
    while bodies.len() < count {
        let (pos, event, data) = socket.inbox().await;
        assert!(pos > last, "positions only grow");
        last = pos;
        let text = match event.as_str() {
            "message.created" => &data["message"]["body"],
            "notification.created" => &data["notification"]["title"],
            other => panic!("an unexpected {other}"),
        };
        bodies.push(text.as_str().unwrap().to_owned());
    }
    socket.call(json!({"type": "ack", "pos": last.to_string()})).await;
    bodies
}

#[tokio::test]
async fn a_message_that_was_acknowledged_survives_kill_minus_nine_and_arrives_once() {
    let data = tempfile::tempdir().unwrap();
    let [(sender, _), (receiver, receiver_id)] = two_users(data.path()).await;
    for round in 0..3 {
        let server = Server::start(data.path()).await;
        let (mut socket, _) = Socket::ready(server.address, &sender).await;
        let message =
            json!({"type": "message", "id": Uuid::now_v7(), "to": receiver_id, "body": format!("round {round}")});
        socket.send(&message).await;
        socket.expect(|frame| matches!(frame, Received::Ack { .. })).await;
        server.murder().await;

        let server = Server::start(data.path()).await;
        assert_eq!(entries(server.address, &receiver, 1).await, [format!("round {round}")]);
        // The cursor of the ack reaches the store within a second; a clean end flushes it for sure.
        let mut server = server;
        server.signal("INT").await;
        assert_eq!(server.ended().await, Some(0));
    }
}

/// Names the folder of the child below.
const CHILD_DATA: &str = "PITCHEY_TEST_CHILD_DATA";
const CHILD_USERS: &str = "PITCHEY_TEST_CHILD_USERS";

/// Not a test: the process that the next test kills. It commits messages and a notification, and has no relay that could deliver them.
#[tokio::test]
#[ignore = "a child process of the next test"]
async fn child_that_commits_and_never_delivers() {
    #[expect(clippy::disallowed_methods, reason = "the parent's word to its child")]
    let (Ok(data), Ok(users)) = (std::env::var(CHILD_DATA), std::env::var(CHILD_USERS)) else { return };
    let config = Config { environment: Environment::Development, data_dir: DataDir(data.into()), ..Config::default() };
    let app = api::startup::offline(config, Clock::System).await.unwrap();
    let (sender, receiver) = users.split_once(' ').unwrap();
    let now = app.clock.now();
    let who = Identity {
        session_id: SessionId::new(),
        user_id: sender.parse().unwrap(),
        name: "Sender".into(),
        portal: Portal::Creator,
        portals: Portals::of([Portal::Creator]),
        is_admin: false,
        created_at: now,
        expires_at: now + Duration::from_mins(1),
        refreshed_at: now,
    };
    let user: UserId = receiver.parse().unwrap();
    app.ops.send_message(&who, Uuid::now_v7(), user.0, "first").await.unwrap();
    let (title, body) = ("second".to_owned(), "A pitch you follow was published.".to_owned());
    let notification = NewNotification { user, kind: "pitch.published", title, body, metadata: BTreeMap::new() };
    app.ops.notify(vec![notification]).await.unwrap();
    app.ops.send_message(&who, Uuid::now_v7(), user.0, "third").await.unwrap();
    println!("\ncommitted");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn what_was_committed_and_never_delivered_is_delivered_after_the_murder() {
    let data = tempfile::tempdir().unwrap();
    let [(_, sender), (receiver, receiver_id)] = two_users(data.path()).await;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["process::child_that_commits_and_never_delivers", "--exact", "--ignored", "--nocapture"])
        .env(CHILD_DATA, data.path())
        .env(CHILD_USERS, format!("{sender} {receiver_id}"))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let committed = async { while lines.next_line().await.unwrap().expect("it goes on") != "committed" {} };
    timeout(PATIENCE, committed).await.expect("the child commits");
    child.kill().await.unwrap();

    let mut server = Server::start(data.path()).await;
    assert_eq!(entries(server.address, &receiver, 3).await, ["first", "second", "third"]);
    let feed: Value = Client::with_bearer(server.address, &receiver).get("/api/notifications").await.data();
    assert_eq!((&feed["notifications"][0]["title"], &feed["unreadCount"]), (&json!("second"), &json!(1)));
    server.signal("INT").await;
    assert_eq!(server.ended().await, Some(0));
}

fn tls_flags(authority: &Authority) -> [String; 2] {
    [format!("--tls-cert={}", authority.cert().display()), format!("--tls-key={}", authority.key().display())]
}

#[tokio::test]
async fn a_hangup_serves_the_new_certificate_and_open_sockets_stay() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let flags = tls_flags(&authority);
    let mut server = Server::start_with(folder.path(), &[&flags[0], &flags[1]]).await;
    assert!(server.banner.contains(&format!("page      https://{}/", server.address)), "{}", server.banner);
    let stream = authority.connect(server.address, &["http/1.1"]).await.unwrap();
    let mut socket = Socket::over(stream, "wss://localhost/ws", &[]).await.unwrap();
    assert!(matches!(socket.frame().await, Received::Hello { .. }));

    let served = async || {
        let stream = authority.connect(server.address, &[]).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].clone()
    };
    let renewed = authority.issue();
    assert_ne!(served().await, renewed, "nothing changes before the signal");
    let pid = server.child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().await.unwrap().success());
    let swapped = async {
        while served().await != renewed {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, swapped).await.expect("the new certificate is served");
    assert!(socket.quiet().await.is_empty(), "the socket from before still answers");
    drop(socket);
    server.signal("TERM").await;
    assert!(timeout(PATIENCE, server.child.wait()).await.expect("it ends").unwrap().success());
}

#[tokio::test]
async fn a_certificate_that_cannot_be_served_is_one_line_that_names_the_setting() {
    let (folder, authority, other) = (tempfile::tempdir().unwrap(), Authority::new(), Authority::new());
    let [cert, key] = tls_flags(&authority);
    let missing = format!("--tls-key={}/none.pem", folder.path().display());
    let swapped = format!("--tls-cert={}", authority.key().display());
    for (flags, wanted) in [
        ([&*cert, ""], "TLS_KEY=\"\" (default): TLS_CERT is set: its private key is needed too"),
        (["", &*key], "TLS_CERT=\"\" (default): TLS_KEY is set: its certificate is needed too"),
        ([&*cert, &*missing], "none.pem: failed to read: No such file"),
        ([&*swapped, &*key], "key.pem: no certificate in PEM form in this file"),
        ([&*cert, &*tls_flags(&other)[1]], "key.pem: not the key of the certificate in TLS_CERT"),
    ] {
        let flags: Vec<_> = flags.into_iter().filter(|flag| !flag.is_empty()).collect();
        let line = error_line(&output(folder.path(), &flags).await);
        assert!(line.contains("TLS_") && line.contains(wanted), "{line}");
    }
}
