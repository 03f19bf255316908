//! The listener over real sockets.

use super::*;
use crate::{
    config::{RedisConfig, SessionConfig},
    engine::Engine,
    protocol::admin::{AlertState, Message, Metric, Query, Rows, State, Tick, TokenFile, VERSION, View},
    secret::Secret,
    testkit::TestStore,
};
use futures_util::{SinkExt as _, StreamExt as _};
use std::{net::Ipv4Addr, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, client::IntoClientRequest as _, protocol::Role},
};

const PATIENCE: Duration = Duration::from_secs(10);

struct Fixture {
    admin: Admin,
    file: TokenFile,
    metrics: Metrics,
    lifecycle: Lifecycle,
    _folder: tempfile::TempDir,
}

fn sources(name: &str, metrics: Metrics) -> AdminSources {
    AdminSources {
        name: name.into(),
        environment: Environment::Development,
        store: None,
        metrics,
        clock: Clock::System,
        socket_limit: 10,
        ops: None,
        sockets: None,
    }
}

fn owner() -> Caller {
    Caller { operator: "amy".into(), role: crate::protocol::admin::Role::Admin, address: Ipv4Addr::LOCALHOST.into() }
}

async fn open() -> Fixture {
    open_with(sources("api", Metrics::new())).await
}

async fn open_with(sources: AdminSources) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let (metrics, lifecycle) = (sources.metrics.clone(), Lifecycle::new());
    let config = AdminConfig { addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), ..AdminConfig::default() };
    let admin = Admin::open(&config, &DataDir(folder.path().into()), sources, &lifecycle).await.unwrap();
    let file = serde_json::from_slice(&std::fs::read(admin.token_file()).unwrap()).unwrap();
    Fixture { admin, file, metrics, lifecycle, _folder: folder }
}

impl Fixture {
    /// Sends a head and reads to the end of the connection.
    async fn raw(&self, head: &str) -> String {
        let mut socket = TcpStream::connect(self.file.address).await.unwrap();
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer)).await.expect("an answer in time").unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// A GET with the right host and token, and more headers.
    async fn get(&self, path: &str, headers: &str) -> String {
        let TokenFile { address, token, .. } = &self.file;
        let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n");
        self.raw(&format!("{head}Connection: close\r\n{headers}\r\n")).await
    }

    async fn stream(&self) -> WebSocketStream<TcpStream> {
        let mut request = format!("ws://{}/admin/stream", self.file.address).into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {}", self.file.token).parse().unwrap());
        let socket = TcpStream::connect(self.file.address).await.unwrap();
        client_async(request, socket).await.unwrap().0
    }
}

async fn next<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut WebSocketStream<S>) -> Message {
    let frame = tokio::time::timeout(PATIENCE, stream.next()).await.expect("a frame in time").unwrap().unwrap();
    serde_json::from_str(frame.to_text().unwrap()).unwrap()
}

async fn next_tick<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut WebSocketStream<S>) -> Tick {
    loop {
        match next(stream).await {
            Message::Tick(tick) => return *tick,
            Message::Lost { .. } => panic!("a console that reads everything lost something"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_node_names_the_engine_it_runs_on() {
    let kit = TestStore::sqlite().await;
    let nobody = RedisConfig { url: Some(Secret::new("redis://127.0.0.1:1".to_owned())), ..RedisConfig::default() };
    let redis = Engine::redis(&nobody, Clock::System).unwrap();
    for (engine, kind) in [(Engine::memory(Clock::System), "memory"), (redis, "redis")] {
        let ops = Ops::new(kit.store.clone(), engine, Clock::System, SessionConfig::default());
        let fixture = open_with(AdminSources { ops: Some(ops), ..sources("api", Metrics::new()) }).await;
        let Message::Hello(hello) = next(&mut fixture.stream().await).await else { panic!("hello comes first") };
        assert_eq!(hello.node.engine, kind);
    }
}

#[tokio::test]
async fn the_stream_says_hello_and_then_ticks_with_growing_numbers() {
    let fixture = open().await;
    let mut stream = fixture.stream().await;
    let Message::Hello(hello) = next(&mut stream).await else { panic!("hello comes first") };
    assert_eq!((hello.node.name.as_str(), hello.proto, hello.node.socket_limit), ("api", VERSION, 10));
    fixture.metrics.frame_in(5);
    let first = next_tick(&mut stream).await;
    let second = next_tick(&mut stream).await;
    assert_eq!((second.seq, second.stats.sockets.frames_in, second.consoles), (first.seq + 1, 1, 1));
    assert!(second.process.rss_bytes > 0 && second.uptime_ms > first.uptime_ms);
}

#[tokio::test]
async fn a_drain_can_be_watched_and_the_end_closes_the_stream() {
    let fixture = open().await;
    let mut stream = fixture.stream().await;
    next(&mut stream).await;
    fixture.lifecycle.stop();
    while next_tick(&mut stream).await.state != State::Draining {}
    let path = fixture.admin.token_file().to_owned();
    fixture.admin.close().await;
    let last = tokio::time::timeout(PATIENCE, async {
        loop {
            match stream.next().await {
                Some(Ok(tungstenite::Message::Text(_))) => {}
                other => return other,
            }
        }
    });
    let Ok(Some(Ok(tungstenite::Message::Close(Some(frame))))) = last.await else { panic!("a close frame comes last") };
    assert_eq!(u16::from(frame.code), 1001);
    assert!(!path.exists(), "the token file goes with the listener");
}

#[tokio::test]
async fn a_cross_origin_page_is_refused_even_with_the_token() {
    let fixture = open().await;
    let upgrade = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let answer = fixture.get("/admin/stream", &format!("{upgrade}Origin: https://evil.example\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("forbidden_origin"), "{answer}");
    assert!(fixture.get("/health/live", "Origin: https://evil.example\r\n").await.starts_with("HTTP/1.1 403"));
}

#[tokio::test]
async fn a_foreign_host_is_refused_even_with_the_token() {
    let fixture = open().await;
    let (port, token) = (fixture.file.address.port(), &fixture.file.token);
    for host in [format!("rebound.example:{port}"), "127.0.0.1:1".into()] {
        let head = format!(
            "GET /metrics HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        let answer = fixture.raw(&head).await;
        assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("forbidden_host"), "{answer}");
    }
}

#[tokio::test]
async fn a_wrong_token_is_refused_and_liveness_needs_none() {
    let fixture = open().await;
    let address = fixture.file.address;
    for (path, token) in
        [("/metrics", "wrong"), ("/admin/snapshot", ""), ("/admin/stream", "wrong"), ("/nowhere", "wrong")]
    {
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        let answer = fixture.raw(&head).await;
        assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("www-authenticate: Bearer"), "{path}: {answer}");
    }
    let head = format!("GET /health/live HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    assert!(fixture.raw(&head).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn metrics_and_snapshot_show_what_was_counted() {
    let fixture = open().await;
    fixture.metrics.request().finish("GET", "/api/genres", 200);
    let page = fixture.get("/metrics", "").await;
    assert!(page.contains("text/plain; version=0.0.4"));
    assert!(
        page.contains("pitchey_http_requests_total{method=\"GET\",route=\"/api/genres\",status=\"2xx\"} 1\n"),
        "{page}"
    );
    let answer = fixture.get("/admin/snapshot", "").await;
    let tick: Tick = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(tick.stats, fixture.metrics.stats());
}

#[tokio::test]
async fn the_stores_pools_are_on_the_tick_and_on_the_page() {
    let store = TestStore::sqlite().await;
    store.store.ping().await.unwrap();
    let sources = AdminSources { store: Some(store.store.clone()), ..sources("api", Metrics::new()) };
    let fixture = open_with(sources).await;
    let answer = fixture.get("/admin/snapshot", "").await;
    let tick: Tick = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let pools: Vec<_> = tick.pools.iter().map(|pool| (pool.name.as_str(), pool.gets > 0)).collect();
    assert!(
        pools.contains(&("sqlite-read", true)) && pools.iter().any(|(name, _)| *name == "sqlite-write"),
        "{pools:?}"
    );
    assert!(fixture.get("/metrics", "").await.contains("pitchey_db_pool_max_connections{pool=\"sqlite-write\"} 1\n"));
}

#[tokio::test]
async fn other_methods_bodies_and_half_handshakes_get_clear_errors() {
    let fixture = open().await;
    let TokenFile { address, token, .. } = &fixture.file;
    let post = format!(
        "POST /metrics HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    let answer = fixture.raw(&post).await;
    assert!(answer.starts_with("HTTP/1.1 405") && answer.contains("allow: GET"), "{answer}");
    assert!(fixture.get("/metrics", "Content-Length: 5\r\n").await.starts_with("HTTP/1.1 413"));
    assert!(fixture.get("/nowhere", "").await.starts_with("HTTP/1.1 404"));
    assert!(fixture.get("/admin/stream", "Upgrade: websocket\r\n").await.starts_with("HTTP/1.1 400"));
}

#[tokio::test]
async fn a_caller_that_never_finishes_its_request_is_dropped() {
    let fixture = open().await;
    let answer = fixture.raw("GET /metrics HTTP/1.1\r\nHost:").await; // `raw` fails if this outlives its patience
    assert!(!answer.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn the_thirty_third_console_is_turned_away_and_the_next_one_gets_a_free_seat() {
    let fixture = open().await;
    let mut streams = Vec::new();
    for _ in 0..32 {
        let mut stream = fixture.stream().await;
        next(&mut stream).await;
        streams.push(stream);
    }
    let upgrade = "Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let head = format!(
        "GET /admin/stream HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n{upgrade}\r\n",
        fixture.file.address, fixture.file.token
    );
    let answer = fixture.raw(&head).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    let consoles = streams.len();
    streams.pop().unwrap().close(None).await.unwrap();
    while next_tick(&mut streams[0]).await.consoles as usize == consoles {}
    next(&mut fixture.stream().await).await;
}

#[tokio::test]
async fn a_default_port_that_is_taken_is_replaced_and_a_chosen_one_is_an_error() {
    let fixture = open().await;
    let taken = AdminConfig { addr: fixture.admin.address(), ..AdminConfig::default() };
    let folder = tempfile::tempdir().unwrap();
    let sources = sources("second", Metrics::new());
    let data_dir = DataDir(folder.path().into());
    let error = Admin::open(&taken, &data_dir, sources.clone(), &fixture.lifecycle).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("ADMIN_ADDR={}", fixture.admin.address())), "{error}");
    let first = Admin::open(&AdminConfig::default(), &data_dir, sources.clone(), &fixture.lifecycle).await.unwrap();
    let second = AdminSources { name: "third".into(), ..sources };
    let second = Admin::open(&AdminConfig::default(), &data_dir, second, &fixture.lifecycle).await.unwrap();
    assert_ne!(first.address().port(), second.address().port());
}

#[tokio::test]
async fn a_console_that_does_not_read_skips_ticks_and_is_told_how_many() {
    let token = crate::secret::Token::generate().hash();
    let shared =
        Arc::new(Shared::new(sources("api", Metrics::new()), &AdminConfig::default(), (0, token), &Lifecycle::new()));
    let (ours, theirs) = tokio::io::duplex(16); // too small for hello: the stream stands still until it is read
    let serving = Arc::clone(&shared);
    shared.tracker.spawn(async move {
        let mut socket = WebSocketStream::from_raw_socket(ours, Role::Server, None).await;
        stream::talk(&mut socket, &owner(), &serving).await
    });
    while !shared.sampler.is_watched() {
        tokio::task::yield_now().await;
    }
    for _ in 1..=5 {
        shared.beat(Duration::ZERO);
    }
    let mut console = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
    assert!(matches!(next(&mut console).await, Message::Hello(_)));
    let lost = loop {
        match next(&mut console).await {
            Message::Lost { count } => break count,
            Message::Tick(tick) => panic!("tick {} came before what was lost", tick.seq),
            _ => {}
        }
    };
    assert_eq!((lost, next_tick(&mut console).await.seq), (4, 5));
}

/// What comes next besides ticks and what every console is told first.
async fn next_answer<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut WebSocketStream<S>) -> Message {
    loop {
        let message = next(stream).await;
        if matches!(message, Message::List(_) | Message::Refused { .. }) {
            return message;
        }
    }
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut WebSocketStream<S>, request: &str) -> Message {
    stream.send(tungstenite::Message::text(request.to_owned())).await.unwrap();
    next_answer(stream).await
}

#[tokio::test]
async fn a_console_that_comes_late_gets_what_happened_before() {
    let fixture = open().await;
    let mut first = fixture.stream().await;
    let seen = next_tick(&mut first).await.seq;
    fixture.metrics.frame_in(5);
    while next_tick(&mut first).await.seq < seen + 2 {}
    let mut second = fixture.stream().await;
    let mut steps = Vec::new();
    while steps.len() < 2 {
        if let Message::History(history) = next(&mut second).await {
            let frames = history.series.iter().find(|series| series.metric == Metric::FramesInPerS);
            let seen = frames.is_some_and(|series| series.values.iter().flatten().any(|rate| *rate > 0.0));
            assert_eq!(seen, history.step_ms == 1_000, "the second in which a frame came is remembered");
            steps.push((history.node, history.step_ms));
        }
    }
    assert_eq!(steps, [("api".into(), 1_000), ("api".into(), 60_000)]);
}

#[tokio::test]
async fn a_list_is_filtered_sorted_and_cut_by_the_server_and_sent_again_only_when_it_changed() {
    let fixture = open().await;
    let answer = |route| fixture.metrics.request().finish("GET", route, 200);
    (0..3).for_each(|_| answer("/api/pitches"));
    answer("/api/genres");
    answer("/health");
    let mut stream = fixture.stream().await;
    while next_tick(&mut stream).await.seq < 2 {}
    let wish = r#"{"type":"subscribe","id":7,"query":{"view":"endpoints","filter":"route~/api","sort":{"by":"total","descending":true},"limit":1}}"#;
    let Message::List(list) = ask(&mut stream, wish).await else { panic!("an answer comes at once") };
    assert_eq!((list.id, list.total, list.matched, list.next.is_some()), (7, 3, 2, true));
    let Rows::Endpoints(rows) = &list.rows else { panic!("{list:?}") };
    assert_eq!((rows.len(), rows[0].route.as_str(), rows[0].total), (1, "/api/pitches", 3));

    // Ticks pass without another list, until there is something new to say.
    let quiet = next_tick(&mut stream).await.seq;
    answer("/api/genres");
    answer("/api/genres");
    answer("/api/genres");
    let Message::List(list) = next_answer(&mut stream).await else { panic!("the order changed") };
    let Rows::Endpoints(rows) = &list.rows else { panic!("{list:?}") };
    assert_eq!((rows[0].route.as_str(), rows[0].total), ("/api/genres", 4));
    assert!(quiet >= 2);
}

#[tokio::test]
async fn what_a_console_asks_amiss_is_refused_by_name_and_the_stream_goes_on() {
    let fixture = open().await;
    let mut stream = fixture.stream().await;
    for (request, expected_id, expected_code) in [
        ("{", None, "bad_request"),
        (r#"{"type":"shutdown"}"#, None, "bad_request"),
        (r#"{"type":"subscribe","id":1,"query":{"view":"endpoints","filter":"colour=red"}}"#, Some(1), "bad_filter"),
        (r#"{"type":"subscribe","id":2,"query":{"view":"endpoints","sort":{"by":"colour"}}}"#, Some(2), "bad_sort"),
        (r#"{"type":"subscribe","id":3,"query":{"view":"endpoints","after":"x"}}"#, Some(3), "bad_cursor"),
        (r#"{"type":"subscribe","id":4,"query":{"view":"queues"}}"#, Some(4), "unavailable"),
    ] {
        let Message::Refused { id, code, message } = ask(&mut stream, request).await else { panic!("{request}") };
        assert_eq!((id, code.as_str()), (expected_id, expected_code), "{message}");
    }
    for id in 10..26 {
        let wish = format!(r#"{{"type":"subscribe","id":{id},"query":{{"view":"endpoints"}}}}"#);
        assert!(matches!(ask(&mut stream, &wish).await, Message::List(_)));
    }
    let Message::Refused { code, .. } =
        ask(&mut stream, r#"{"type":"subscribe","id":99,"query":{"view":"endpoints"}}"#).await
    else {
        panic!("one too many")
    };
    assert_eq!(code, "too_many");
    stream.send(tungstenite::Message::text(r#"{"type":"unsubscribe","id":10}"#)).await.unwrap();
    let again = r#"{"type":"subscribe","id":99,"query":{"view":"endpoints"}}"#;
    assert!(matches!(ask(&mut stream, again).await, Message::List(_)));
    assert!(next_tick(&mut stream).await.seq > 0);
}

#[tokio::test]
async fn an_alert_fires_is_told_to_every_console_and_is_over_when_the_number_is_back() {
    let rule = crate::config::AlertRule { metric: Metric::RequestsInFlight, warn: Some((2.0, 1)), crit: None };
    let folder = tempfile::tempdir().unwrap();
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let (metrics, lifecycle) = (Metrics::new(), Lifecycle::new());
    let config = AdminConfig { addr, alerts: vec![rule] };
    let data_dir = DataDir(folder.path().into());
    let admin = Admin::open(&config, &data_dir, sources("api", metrics.clone()), &lifecycle).await.unwrap();
    let mut console = crate::testkit::Console::open(admin.token_file()).await;
    assert!(console.hello.rules.iter().any(|rule| rule.name == "requests_in_flight" && rule.warn == Some(2.0)));
    let alerts = |message| if let Message::Alerts { alerts } = message { Some(alerts) } else { None };
    assert_eq!(console.expect(alerts).await, []);
    let busy = [metrics.request(), metrics.request()];
    let firing = console.expect(alerts).await;
    assert_eq!((firing[0].id.as_str(), firing[0].state), ("requests_in_flight@api", AlertState::Firing));
    assert!(firing[0].value >= 2.0 && firing[0].since > Timestamp::default());
    // Who comes later hears of it at once.
    let mut late = crate::testkit::Console::open(admin.token_file()).await;
    assert_eq!(late.expect(alerts).await.len(), 1);
    drop(busy);
    assert_eq!(console.expect(alerts).await[0].state, AlertState::Resolved);
    let list = console.until(Query::of(View::Alerts), |list| list.total == 1).await;
    assert!(matches!(&list.rows, Rows::Alerts(rows) if rows[0].resolved_at.is_some()));
}
