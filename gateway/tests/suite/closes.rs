//! A close code and its reason are counted and logged once, whatever ended the connection or kept it from becoming one.

use crate::{
    node::TestNode,
    raw::{Raw, raw_upgrade},
};
use serde_json::json;
use shared::{
    protocol::{CloseReason, event::Received},
    testkit::{Events, Socket, socket::within},
};
use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};
use tracing::subscriber::DefaultGuard;

/// What this thread logs; a test's node runs on its own thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn listen() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// How many lines hold all of this.
    fn lines(&self, parts: &[&str]) -> usize {
        let bytes = self.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        text.lines().filter(|line| parts.iter().all(|part| line.contains(part))).count()
    }
}

/// The node has ended a connection for each of these reasons, no more and no less, and said so.
#[track_caller]
fn assert_closed(node: &TestNode, log: &Log, expected: &[(CloseReason, u64)]) {
    for (reason, count) in expected {
        assert_eq!(node.closed(*reason), *count, "{reason:?} is counted");
        let code = format!("code={} ", reason.code());
        let logged = log.lines(&["closed", &code, reason.text()]);
        assert_eq!(logged as u64, *count, "{reason:?} is logged");
    }
    let all: u64 = expected.iter().map(|(_, count)| count).sum();
    assert_eq!(node.metrics.stats().sockets.closed_total(), all, "nothing else is counted");
    assert_eq!(log.lines(&["closed", "code="]) as u64, all, "nothing else is logged");
}

async fn until_gone(node: &TestNode) {
    within(async {
        while node.gateway.connections() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_close_code_and_its_reason_are_counted_and_logged_once() {
    let (log, _listening) = Log::listen();
    let node = TestNode::start().await;
    let ada = node.somebody().await;
    // The server's word, the client's word, no word at all, and one on top of the other.
    let mut stranger = Socket::open(node.addr).await;
    stranger.send(&json!({"type": "auth", "token": "nonsense"})).await;
    stranger.expect_close(CloseReason::BadToken).await;
    let mut polite = Socket::open(node.addr).await.into_inner();
    within(polite.close(None)).await.unwrap();
    drop((stranger, polite));
    drop(Socket::open(node.addr).await);
    let (mut twice, _) = Socket::ready(node.addr, &ada.token).await;
    node.ops.engine().broker.control(shared::engine::Control::Disconnect(ada.id)).await.unwrap();
    twice.expect_close(CloseReason::Disconnected).await;
    drop(twice);
    until_gone(&node).await;
    let words =
        [(CloseReason::BadToken, 1), (CloseReason::Normal, 1), (CloseReason::Gone, 1), (CloseReason::Disconnected, 1)];
    assert_closed(&node, &log, &words);

    // Event streams: one its client leaves, one the server ends.
    let mut left = Events::bearer(node.addr, "/events", &ada.token).await;
    left.expect(|frame| matches!(frame, Received::Ready { .. })).await;
    drop(left);
    let mut ended = Events::bearer(node.addr, "/events", &ada.token).await;
    ended.expect(|frame| matches!(frame, Received::Ready { .. })).await;
    node.ops.revoke_session(ada.id, ada.session).await.unwrap();
    ended.expect_bye(CloseReason::SignedOut).await;
    until_gone(&node).await;
    let words = [
        (CloseReason::BadToken, 1),
        (CloseReason::Normal, 1),
        (CloseReason::Gone, 2),
        (CloseReason::Disconnected, 1),
        (CloseReason::SignedOut, 1),
    ];
    assert_closed(&node, &log, &words);
    node.stop().await;
}

#[tokio::test]
async fn a_connection_that_is_cut_off_at_the_hard_stop_is_counted_and_logged_once() {
    let (log, _listening) = Log::listen();
    let node = TestNode::with(|config| config.drain_window = Duration::from_hours(1)).await;
    let _sockets = (Socket::open(node.addr).await, Socket::open(node.addr).await);
    node.lifecycle.stop();
    node.lifecycle.hard().cancel();
    until_gone(&node).await;
    let closed = node.metrics.stats().sockets.closed_total();
    assert_eq!((closed, log.lines(&["closed", "code="])), (2, 2));
}

#[tokio::test]
async fn a_refused_upgrade_is_counted_and_logged_once_and_never_as_a_close() {
    let (log, _listening) = Log::listen();
    let node = TestNode::with(|config| config.limits.connections_per_ip = 1).await;
    let refused = |label: &str| {
        let stats = node.metrics.stats().sockets.refused;
        stats.iter().filter(|row| row.name == label).map(|row| row.count).sum::<u64>()
    };
    let plain = "GET /ws HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut raw = Raw::connect(node.addr).await;
    raw.write(plain.as_bytes()).await;
    assert!(raw.read_all().await.starts_with("HTTP/1.1 426"));
    assert_eq!(Socket::upgrade(node.addr, "/ws?device=a%20b", &[]).await.unwrap_err(), 400);
    assert_eq!(Events::open(node.addr, "/events", &[]).await.unwrap_err(), 401);
    assert_eq!(Events::open(node.addr, "/events?rooms=x", &[]).await.unwrap_err(), 400);
    let held = Socket::open(node.addr).await;
    assert!(raw_upgrade(node.addr, "").await.starts_with("HTTP/1.1 429"));
    for label in ["not_websocket", "device", "unauthenticated", "rooms", "limit"] {
        assert_eq!((refused(label), log.lines(&["refused", &format!("reason=\"{label}\"")])), (1, 1), "{label}");
    }
    assert_eq!(node.metrics.stats().sockets.closed_total(), 0);
    drop(held);
    node.stop().await;
}
