//! An upgrade is served whether the quick way reads it or the HTTP server does.

use crate::node::TestNode;
use shared::testkit::socket::within;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// The path as browsers send it, which the quick way reads, and as a proxy may, which only the HTTP server knows.
const TARGETS: [&str; 2] = ["/ws", "http://pitchey.test/ws"];
/// A masked text frame: `{"type":"ping"}`, the mask all zero.
const PING: &[u8] = b"\x81\x8f\0\0\0\0{\"type\":\"ping\"}";

fn request(target: &str) -> Vec<u8> {
    let text = format!(
        "GET {target} HTTP/1.1\r\nHost: pitchey.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: pitchey.v1\r\n\r\n"
    );
    text.into_bytes()
}

/// Sends `parts`, each for itself, and reads until the server has said `until`.
async fn talk(addr: SocketAddr, parts: &[&[u8]], until: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for part in parts {
        stream.write_all(part).await.unwrap();
        tokio::task::yield_now().await;
    }
    let (mut said, mut buffer) = (String::new(), [0; 1024]);
    while !said.contains(until) {
        let count = within(stream.read(&mut buffer)).await.unwrap();
        assert!(count > 0, "the server ended after {said}");
        said.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    said
}

#[tokio::test]
async fn an_upgrade_is_answered_the_same_by_the_quick_way_and_by_the_http_server() {
    let node = TestNode::start().await;
    for target in TARGETS {
        let said = talk(node.addr, &[&request(target)], r#""type":"hello""#).await.to_lowercase();
        for line in ["http/1.1 101", "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=", "protocol: pitchey.v1"] {
            assert!(said.contains(line), "{line} in {said}");
        }
    }
    node.stop().await;
}

#[tokio::test]
async fn a_head_in_pieces_and_a_frame_right_behind_it_are_understood() {
    let node = TestNode::start().await;
    for target in TARGETS {
        let whole = [&request(target), PING].concat();
        talk(node.addr, &[&whole], r#""type":"pong""#).await;
        for cut in [1, 6, 20, whole.len() - PING.len() - 1, whole.len() - 3] {
            talk(node.addr, &[&whole[..cut], &whole[cut..]], r#""type":"pong""#).await;
        }
    }
    node.stop().await;
}
