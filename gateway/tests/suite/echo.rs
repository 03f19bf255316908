//! The echo route, and through it the framing: the same connection code as every socket's, judged by the Autobahn
//! fuzzing client's cases.
//!
//! The cases run when `kosoku` is there (`pip install kosoku`, Python 3.10 or newer): on the `PATH`, or where `KOSOKU`
//! says. Alone: `KOSOKU=/path/to/kosoku cargo test -p pitchey-gateway --test suite autobahn -- --nocapture`

use crate::node::TestNode;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use shared::{
    protocol::CloseReason,
    testkit::{Socket, skipped, socket::within},
};
use std::{collections::BTreeMap, net::SocketAddr, process::Command};
use tokio_tungstenite::tungstenite::{Bytes, Message};

/// What the largest cases send, and a client that sends as fast as it can.
const MIB: usize = 1024 * 1024;

async fn echo() -> TestNode {
    TestNode::with(|config| {
        config.echo = true;
        config.limits.message_bytes = 16 * MIB;
        config.limits.frames_per_second = 1_000_000;
        config.limits.frame_burst = 1_000_000;
        config.limits.handshakes_per_second = 10_000;
    })
    .await
}

#[tokio::test]
async fn the_echo_route_sends_text_and_binary_back_and_says_nothing_of_its_own() {
    let node = echo().await;
    let mut ws = Socket::upgrade(node.addr, "/ws/echo", &[]).await.unwrap().into_inner();
    for message in [Message::text("hé"), Message::binary(vec![0, 255]), Message::text("x".repeat(70_000))] {
        within(ws.send(message.clone())).await.unwrap();
        assert_eq!(within(ws.next()).await.unwrap().unwrap(), message);
    }
    within(ws.send(Message::Ping(Bytes::from_static(b"p")))).await.unwrap();
    assert_eq!(within(ws.next()).await.unwrap().unwrap(), Message::Pong(Bytes::from_static(b"p")));
    within(ws.close(None)).await.unwrap();
    assert!(matches!(within(ws.next()).await.unwrap().unwrap(), Message::Close(None)));
    node.stop().await;
}

#[tokio::test]
async fn the_echo_route_has_the_limits_of_every_socket_and_closes_without_a_bye() {
    let node = TestNode::with(|config| config.echo = true).await;
    let mut ws = Socket::upgrade(node.addr, "/ws/echo", &[]).await.unwrap().into_inner();
    within(ws.send(Message::binary(vec![0; 65_537]))).await.unwrap();
    let Message::Close(Some(close)) = within(ws.next()).await.unwrap().unwrap() else { panic!("a close comes first") };
    assert_eq!(u16::from(close.code), CloseReason::TooLarge.code());
}

#[tokio::test]
async fn there_is_no_echo_unless_it_is_switched_on() {
    let node = TestNode::start().await;
    assert_eq!(Socket::upgrade(node.addr, "/ws/echo", &[]).await.unwrap_err(), 404);
}

/// 517 cases. A plain tokio-tungstenite 0.30 server: 296 OK, 2 non-strict (6.4.3 and 6.4.4: it looks at a frame's text
/// once the whole frame is there), 216 unimplemented (compression), 3 informational, none failed.
#[tokio::test(flavor = "multi_thread")]
async fn the_autobahn_cases_are_passed_except_for_compression() {
    let Some(program) = kosoku() else {
        return skipped("the WebSocket framing", "kosoku (pip install kosoku) is neither on the PATH nor in KOSOKU");
    };
    let node = echo().await;
    let addr = node.addr;
    let verdicts = tokio::task::spawn_blocking(move || run_cases(&program, addr)).await.unwrap();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (case, (behavior, close, code)) in &verdicts {
        *counts.entry(behavior).or_default() += 1;
        let expected: &[&str] = match case.split('.').next().unwrap() {
            "12" | "13" => &["UNIMPLEMENTED"],
            _ if matches!(&**case, "6.4.3" | "6.4.4") => &["OK", "NON-STRICT"],
            _ => &["OK", "INFORMATIONAL"],
        };
        assert!(expected.contains(&&**behavior), "case {case}: {behavior}");
        assert!(matches!(&**close, "OK" | "INFORMATIONAL"), "case {case}, its close: {close}");
        // Whatever the client did, the socket ends with a close frame; 7.3.1 sends one without a code and gets the same.
        let compression = behavior == "UNIMPLEMENTED";
        assert!(code.is_some() || compression || case == "7.3.1", "case {case}: dropped without a close frame");
    }
    println!("{counts:?}");
    assert_eq!(verdicts.len(), 517, "{counts:?}");
    node.stop().await;
}

fn kosoku() -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "where a tool is decides what is tested, not how the gateway behaves"
    )]
    let program = std::env::var("KOSOKU").unwrap_or_else(|_| "kosoku".into());
    Command::new(&program).arg("--help").output().ok().map(|_| program)
}

/// Every case's verdict on its messages and on its close, and the close code it got.
fn run_cases(program: &str, addr: SocketAddr) -> BTreeMap<String, (String, String, Option<u64>)> {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report");
    // A failed case is found in the report, which says more than the exit code.
    let output = Command::new(program)
        .args([&format!("ws://{addr}/ws/echo"), "--parallelism", "4", "--outdir"])
        .arg(&report)
        .output()
        .unwrap();
    let index = std::fs::read_to_string(report.join("index.json"))
        .unwrap_or_else(|_| panic!("no report: {}", String::from_utf8_lossy(&output.stderr)));
    let agents: BTreeMap<String, BTreeMap<String, Value>> = serde_json::from_str(&index).unwrap();
    let text = |verdict: &Value| verdict.as_str().unwrap().to_owned();
    let cases = agents.into_values().next().expect("one agent");
    let verdict =
        |case: Value| (text(&case["behavior"]), text(&case["behaviorClose"]), case["remoteCloseCode"].as_u64());
    cases.into_iter().map(|(id, case)| (id, verdict(case))).collect()
}
