//! HTTP as strangers speak it: methods, paths, bodies, and those who never finish a sentence.

use crate::support::{Answer, Call, PATIENCE, TestApp, read_to_end};
use api::{
    http::{Ctx, Outcome},
    router::Access,
    routes,
};
use serde_json::json;
use shared::{config::Environment, model::Portal};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// What every answer carries, whatever it says (R-223).
#[track_caller]
fn assert_secured(answer: &Answer) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("strict-transport-security", "max-age=63072000; includeSubDomains"),
    ] {
        assert_eq!(answer.header(name).as_deref(), Some(value), "{name} of {}", answer.status);
    }
    assert!(answer.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    assert!(answer.header("permissions-policy").is_some() && answer.header("x-request-id").is_some());
}

#[tokio::test]
async fn methods_and_paths_are_answered_as_http_says() {
    let app = TestApp::start().await;
    let client = app.client();
    let ask = async |method: &'static str, path: &str| client.send(Call::new(method, path)).await;
    for (method, path, status, allow) in [
        ("GET", "/api/nothing/here", 404, None),
        ("PUT", "/api/auth/session", 405, Some("GET, HEAD, POST, OPTIONS")),
        ("TRACE", "/health", 405, Some("GET, HEAD, OPTIONS")),
        ("BREW", "/health", 405, Some("GET, HEAD, OPTIONS")),
        ("OPTIONS", "/api/auth/session", 204, Some("GET, HEAD, POST, OPTIONS")),
        ("OPTIONS", "*", 204, Some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")),
        ("DELETE", "/api/auth/sessions", 405, Some("GET, HEAD, OPTIONS")),
        ("HEAD", "/health/live", 200, None),
        ("HEAD", "/api/auth/session", 401, None),
        ("GET", "/ws", 400, None),
        ("HEAD", "/ws", 405, Some("GET, OPTIONS")),
        ("GET", "/ws/echo", 404, None),
        ("GET", "/health/", 308, None),
        ("GET", "//evil.example/", 404, None),
        ("GET", "/../etc/passwd", 404, None),
        ("GET", "/demo/%2e%2e/index.html", 404, None),
        ("DELETE", "/api/auth/sessions/%ff", 404, None),
    ] {
        let answer = ask(method, path).await;
        if path != "/ws" || method != "GET" {
            assert_eq!((answer.status, answer.header("allow").as_deref()), (status, allow), "{method} {path}");
        } else {
            assert!((400..500).contains(&answer.status), "{method} {path}: {}", answer.status);
        }
        assert_secured(&answer);
        if method == "HEAD" {
            assert!(answer.body.is_empty());
        }
    }
    let slash = ask("GET", "/health/?verbose=1").await;
    assert_eq!(slash.header("location").as_deref(), Some("/health?verbose=1"));
    let (head, get) = (ask("HEAD", "/health/live").await, ask("GET", "/health/live").await);
    assert_eq!(head.header("content-length").unwrap(), get.body.len().to_string());
    app.stop().await;
}

#[tokio::test]
async fn bodies_that_are_no_json_are_refused_and_told_why() {
    let app = TestApp::start().await;
    let client = app.client();
    let post = async |content_type: &str, body: &[u8]| {
        let call = Call::new("POST", "/api/auth/creator/login").header("content-type", content_type).body(body);
        client.send(call).await
    };
    let json = "application/json";
    let refusal = async |content_type: &str, body: &[u8]| post(content_type, body).await.refusal();
    assert_eq!(refusal(json, b"{\"email\":").await, "400 VALIDATION_ERROR");
    assert_eq!(refusal(json, b"{\"email\":\"\xff\xfe\",\"password\":\"x\"}").await, "400 VALIDATION_ERROR");
    assert_eq!(refusal(json, b"").await, "400 VALIDATION_ERROR");
    for list in [&b"[]"[..], br#"["a@example.org","x"]"#] {
        let answer = post(json, list).await.json();
        assert_eq!(answer["error"]["message"], "Send a JSON object");
    }
    let wrong = post(json, br#"{"email":5}"#).await.json();
    assert_eq!(wrong["error"]["details"], json!([{"field": "email", "message": "must be a string"}]));
    let limit = client.get("/api/pitches?limit=x&creator=y").await.json();
    let said = json!([
        {"field": "creator", "message": "must be an id"},
        {"field": "limit", "message": "must be a whole number from 1 to 100"}
    ]);
    assert_eq!(limit["error"]["details"], said);
    assert_eq!(refusal(json, &b"[".repeat(10_000)).await, "400 VALIDATION_ERROR");
    assert_eq!(refusal(json, br#"{"email":"a\u0000b@c.org","password":"x"}"#).await, "400 VALIDATION_ERROR");
    assert_eq!(refusal("text/plain", b"{}").await, "415 UNSUPPORTED_MEDIA_TYPE");
    assert_eq!(refusal("application/json; charset=latin1", b"{}").await, "415 UNSUPPORTED_MEDIA_TYPE");
    let message = post(json, b"{\"email\":\"\xff\"}").await.json()["error"]["message"].clone();
    assert_eq!(message, "The body is not valid UTF-8");
    let zipped = Call::new("POST", "/api/auth/creator/login").json(&json!({})).header("content-encoding", "gzip");
    assert_eq!(client.send(zipped).await.refusal(), "415 UNSUPPORTED_MEDIA_TYPE");
    app.stop().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_announced_or_not() {
    let app = TestApp::with(|config| config.http.max_body_bytes = 2_048).await;
    let client = app.client();
    let big = vec![b' '; 4_096];
    let announced = Call::new("POST", "/api/auth/creator/login").header("content-type", "application/json");
    let answer = client.send(announced.clone().body(big.clone())).await;
    assert_eq!(answer.refusal(), "413 PAYLOAD_TOO_LARGE");
    assert_secured(&answer);
    let mut chunks = format!("{:x}\r\n", big.len()).into_bytes();
    chunks.extend(big);
    chunks.extend(b"\r\n0\r\n\r\n");
    let answer = client.send(announced.header("transfer-encoding", "chunked").body(chunks)).await;
    assert_eq!(answer.refusal(), "413 PAYLOAD_TOO_LARGE");
    app.stop().await;
}

#[tokio::test]
async fn a_body_that_stops_half_way_is_408() {
    let app = TestApp::with(|config| config.http.body_timeout = Duration::from_millis(100)).await;
    let mut stream = TcpStream::connect(app.address()).await.unwrap();
    let head = "POST /api/auth/creator/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(Answer::parse(&read_to_end(&mut stream).await).refusal(), "408 REQUEST_TIMEOUT");
    app.stop().await;
}

#[tokio::test]
async fn peers_that_never_finish_a_request_are_cut_off() {
    let app = TestApp::with(|config| config.http.header_timeout = Duration::from_millis(150)).await;
    for beginning in ["", "G", "PRI * HTTP/2.0\r\n", "GET /health HTTP/1.1\r\nhost: x\r\nx-slow: 1"] {
        let mut stream = TcpStream::connect(app.address()).await.unwrap();
        stream.write_all(beginning.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let ended = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "{beginning:?} is still open");
    }
    // A connection that has asked before and then falls silent, too.
    let mut stream = TcpStream::connect(app.address()).await.unwrap();
    stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let answer = Answer::parse(&read_to_end(&mut stream).await);
    assert_eq!(answer.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn a_refused_upgrade_ends_its_connection() {
    let app = TestApp::start().await;
    let mut stream = TcpStream::connect(app.address()).await.unwrap();
    let asked = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, keep-alive\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(asked.as_bytes()).await.unwrap();
    let answer = Answer::parse(&read_to_end(&mut stream).await);
    assert_eq!((answer.status, answer.header("connection").as_deref()), (426, Some("close")));
    app.stop().await;
}

#[tokio::test]
async fn a_head_larger_than_16_kib_is_refused() {
    let app = TestApp::start().await;
    let answer = app.client().send(Call::new("GET", "/health").header("x-large", "x".repeat(40_000))).await;
    assert_eq!(answer.status, 431);
    assert_eq!(app.client().get("/health/live").await.status, 200);
    app.stop().await;
}

async fn explode(_: Ctx) -> Outcome {
    panic!("the secret sauce boiled over");
}

async fn dawdle(_: Ctx) -> Outcome {
    std::future::pending().await
}

fn with_test_routes() -> api::router::Table {
    routes::table().get("/test/explode", Access::Public, explode).post("/test/explode", Access::Public, explode).get(
        "/test/dawdle",
        Access::Public,
        dawdle,
    )
}

#[tokio::test]
async fn a_panic_is_a_500_in_the_envelope_and_the_process_lives() {
    let app = TestApp::with_routes(|_| {}, with_test_routes()).await;
    let client = app.client();
    for method in ["GET", "POST"] {
        let answer = client.send(Call::new(method, "/test/explode")).await;
        assert_eq!(answer.refusal(), "500 INTERNAL_ERROR");
        assert_eq!(answer.json()["error"]["message"], "An unexpected error occurred");
        assert!(!answer.text().contains("sauce"), "{}", answer.text());
        assert_secured(&answer);
    }
    assert_eq!(client.get("/health").await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn only_development_tells_the_cause() {
    let app = TestApp::with_routes(|config| config.environment = Environment::Development, with_test_routes()).await;
    let answer = app.client().get("/test/explode").await;
    assert!(answer.json()["error"]["details"]["error"].as_str().unwrap().contains("sauce"));
    app.stop().await;
}

#[tokio::test]
async fn a_handler_that_takes_too_long_is_504_with_retry_after() {
    let quick = |config: &mut shared::config::Config| config.http.request_timeout = Duration::from_millis(50);
    let app = TestApp::with_routes(quick, with_test_routes()).await;
    let answer = app.client().get("/test/dawdle").await;
    assert_eq!((answer.refusal().as_str(), answer.header("retry-after").as_deref()), ("504 TIMEOUT", Some("1")));
    app.stop().await;
}

#[tokio::test]
async fn request_ids_come_back_and_forged_ones_do_not() {
    let app = TestApp::start().await;
    let ask =
        async |id: &str| app.client().send(Call::new("GET", "/api/auth/session").header("x-request-id", id)).await;
    let kept = ask("web-7.a").await;
    assert_eq!(kept.header("x-request-id").as_deref(), Some("web-7.a"));
    assert_eq!(kept.json()["meta"]["requestId"], "web-7.a");
    assert_eq!(ask("{\"forged\": true}").await.header("x-request-id").unwrap().len(), 36);
    app.stop().await;
}

#[tokio::test]
async fn errors_are_problem_json_for_those_who_prefer_it() {
    let app = TestApp::start().await;
    let call = Call::new("GET", "/api/auth/session").header("accept", "application/problem+json");
    let answer = app.client().send(call).await;
    assert_eq!(answer.header("content-type").as_deref(), Some("application/problem+json"));
    let body = answer.json();
    assert_eq!((&body["status"], &body["code"]), (&json!(401), &json!("UNAUTHORIZED")));
    assert_eq!(body["instance"], "/api/auth/session");
    app.stop().await;
}

#[tokio::test]
async fn large_answers_are_compressed_for_those_who_can_read_it() {
    let app = TestApp::start().await;
    let answer = app.client().send(Call::new("GET", "/pitchey.js").header("accept-encoding", "gzip")).await;
    assert_eq!(answer.header("content-encoding").as_deref(), Some("gzip"));
    assert!(answer.header("vary").unwrap().contains("accept-encoding"));
    app.stop().await;
}

#[tokio::test]
async fn head_is_answered_with_the_headers_of_get() {
    let app = TestApp::start().await;
    for (path, encoding) in [("/pitchey.js", "gzip"), ("/pitchey.js", "br"), ("/api/genres", "gzip"), ("/health", "")] {
        let ask = async |method| {
            let answer = app.client().send(Call::new(method, path).header("accept-encoding", encoding)).await;
            let told = ["vary", "content-encoding", "content-type", "etag"].map(|name| answer.header(name));
            (answer.status, told, answer.body.len())
        };
        let (get, head) = (ask("GET").await, ask("HEAD").await);
        assert_eq!((head.0, &head.1, head.2), (get.0, &get.1, 0), "{path} {encoding}");
        assert!(get.1[0].as_ref().is_some_and(|vary| vary.contains("accept-encoding")), "{path}: {get:?}");
    }
    app.stop().await;
}

/// A frame of HTTP/2: type, flags, stream, payload (RFC 9113, 4.1).
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0, 0, u8::try_from(payload.len()).unwrap(), kind, flags, 0, 0, 0, stream];
    frame.extend(payload);
    frame
}

#[tokio::test]
async fn an_http2_client_that_asks_nothing_more_is_closed_however_well_it_answers_pings() {
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const GOAWAY: u8 = 7;
    let app = TestApp::with(|config| config.http.header_timeout = Duration::from_millis(150)).await;
    let mut stream = TcpStream::connect(app.address()).await.unwrap();
    let mut opening = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    opening.extend(frame(SETTINGS, 0, 0, &[]));
    // GET http /health/live of "x": indexed, indexed, and two literals (RFC 7541, appendix A).
    let mut head = vec![0x82, 0x86, 0x01, 1, b'x', 0x04, 12];
    head.extend(b"/health/live");
    opening.extend(frame(HEADERS, 0x05, 1, &head));
    stream.write_all(&opening).await.unwrap();
    let mut heard = Vec::new();
    let listen = async {
        loop {
            let mut head = [0; 9];
            if stream.read_exact(&mut head).await.is_err() {
                return; // closed
            }
            let mut payload = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
            stream.read_exact(&mut payload).await.unwrap();
            heard.push(head[3]);
            let acknowledged = head[4] & 1 == 1;
            if matches!(head[3], SETTINGS | PING) && !acknowledged {
                let payload = if head[3] == PING { &payload[..] } else { &[] };
                // It may have closed already.
                let _ = stream.write_all(&frame(head[3], 1, 0, payload)).await;
            }
        }
    };
    timeout(PATIENCE, listen).await.expect("it is closed");
    assert!(heard.contains(&HEADERS) && heard.contains(&GOAWAY), "answered, then told to go: {heard:?}");
    app.stop().await;
}

#[tokio::test]
async fn many_requests_share_one_connection() {
    let app = TestApp::start().await;
    let (_, client) = app.signed_in(&[Portal::Creator]).await;
    let mut stream = TcpStream::connect(app.address()).await.unwrap();
    let one = client.bytes(&Call::new("GET", "/api/auth/session"));
    let kept = String::from_utf8(one).unwrap().replace("connection: close\r\n", "");
    let last = client.bytes(&Call::new("GET", "/health/live"));
    stream.write_all(format!("{kept}{kept}").as_bytes()).await.unwrap();
    stream.write_all(&last).await.unwrap();
    let text = String::from_utf8(read_to_end(&mut stream).await).unwrap();
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 3, "{text}");
    app.stop().await;
}

#[tokio::test]
async fn an_http2_client_is_told_its_limits() {
    let app = TestApp::start().await;
    let mut stream = TcpStream::connect(app.address()).await.unwrap();
    // The preface and an empty SETTINGS frame, as RFC 9113 has them.
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut head = [0; 9];
    timeout(PATIENCE, stream.read_exact(&mut head)).await.unwrap().unwrap();
    assert_eq!(head[3], 4, "the server's SETTINGS come first");
    let mut settings = vec![0; usize::from(head[2])];
    stream.read_exact(&mut settings).await.unwrap();
    let told: Vec<(u16, u32)> = settings
        .chunks_exact(6)
        .map(|pair| (u16::from_be_bytes([pair[0], pair[1]]), u32::from_be_bytes([pair[2], pair[3], pair[4], pair[5]])))
        .collect();
    assert!(told.contains(&(3, 128)), "SETTINGS_MAX_CONCURRENT_STREAMS in {told:?}");
    assert!(told.contains(&(6, 16 * 1024)), "SETTINGS_MAX_HEADER_LIST_SIZE in {told:?}");
    drop(stream);
    app.stop().await;
}

#[tokio::test]
async fn a_client_that_takes_no_encoding_still_gets_its_answer() {
    let app = TestApp::start().await;
    let picky = Call::new("GET", "/pitchey.js").header("accept-encoding", "identity;q=0, *;q=0");
    assert_eq!(app.client().send(picky).await.status, 200);
    app.stop().await;
}
