//! Before there is a socket: whoever never finishes, asks for too much or is refused costs little, and others are let in.

use crate::{
    alone::alone,
    hostile::grown_mib,
    node::TestNode,
    raw::{Raw, upgrade_request},
};
use serde_json::json;
use shared::{
    memory,
    testkit::{Socket, socket::within},
};
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpSocket,
};

#[tokio::test]
async fn a_handshake_that_comes_one_byte_at_a_time_is_closed_by_its_deadline() {
    let node = TestNode::with(|config| config.handshake_timeout = Duration::from_millis(500)).await;
    let mut raw = Raw::connect(node.addr).await;
    let mut bytes = upgrade_request("X-Filler: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n").into_bytes().into_iter();
    within(async {
        loop {
            let byte = bytes.next().expect("the deadline comes before the end of the request");
            // The first write after the server has closed is taken by the kernel; the next one fails.
            if raw.stream.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert_eq!(node.gateway.connections(), 0);
    node.stop().await;
}

#[test]
fn five_thousand_half_open_handshakes_keep_nobody_out_and_are_closed_by_their_deadline() {
    alone(
        "handshakes::five_thousand_half_open_handshakes_keep_nobody_out_and_are_closed_by_their_deadline",
        12_000,
        async {
            let node = TestNode::with(|config| config.handshake_timeout = Duration::from_secs(10)).await;
            let before = memory::resident().unwrap();
            let mut half_open = Vec::new();
            for n in 0..5_000_u16 {
                // A hundred addresses with fifty each: fewer than one address may have.
                let from = Ipv4Addr::new(127, 0, 1, u8::try_from(n % 100).unwrap() + 1);
                let mut raw = Raw::connect_from(from, node.addr).await;
                raw.write(b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgr").await;
                half_open.push(raw);
            }
            let started = Instant::now();
            let mut honest = Socket::open(node.addr).await;
            honest.call(json!({"type": "ping"})).await;
            println!("served after {:?}, {} MiB more", started.elapsed(), grown_mib(before));
            assert!(
                started.elapsed() < Duration::from_secs(10),
                "an honest client had to wait for the others' deadline"
            );
            assert!(grown_mib(before) < 200, "{} MiB more", grown_mib(before));
            for raw in &mut half_open {
                raw.read_all().await;
            }
            assert_eq!(node.gateway.connections(), 1);
            drop(honest);
            node.stop().await;
        },
    );
}

#[test]
fn five_thousand_half_open_handshakes_of_one_address_are_closed_but_for_its_share_and_keep_nobody_out() {
    alone(
        "handshakes::five_thousand_half_open_handshakes_of_one_address_are_closed_but_for_its_share_and_keep_nobody_out",
        12_000,
        async {
            const TIMEOUT: Duration = Duration::from_mins(1);
            let node = TestNode::with(|config| config.handshake_timeout = TIMEOUT).await;
            let started = Instant::now();
            let mut half_open = Vec::new();
            for _ in 0..5_000 {
                let socket = TcpSocket::new_v4().unwrap();
                socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), 0))).unwrap();
                half_open.push(within(socket.connect(node.addr)).await.unwrap());
            }
            let mut honest = Socket::open(node.addr).await;
            honest.call(json!({"type": "ping"})).await;
            let mut share = half_open.drain(..1_024).collect::<Vec<_>>();
            for stream in &mut half_open {
                // Closed, or reset: either way nothing of it is left.
                let _ = within(stream.read(&mut [0; 16])).await;
            }
            assert!(started.elapsed() < TIMEOUT, "{:?}: they waited for the deadline", started.elapsed());
            let (first, last) = share.split_at_mut(1_023);
            for stream in [&mut first[0], &mut last[0]] {
                stream.write_all(upgrade_request("").as_bytes()).await.unwrap();
                assert!(within(stream.read(&mut [0; 16])).await.unwrap() > 0, "whoever has a place may still finish");
            }
            drop((honest, share));
            node.stop().await;
        },
    );
}

#[tokio::test]
async fn a_refused_upgrade_ends_its_connection_whoever_reads_it() {
    let node = TestNode::with(|config| config.limits.connections = 0).await;
    let asked = upgrade_request("");
    for (request, status) in [
        (asked.clone(), "503"),
        (asked.replace("GET /ws", "GET http://pitchey.test/ws"), "503"),
        (asked.replace("Version: 13", "Version: 8"), "426"),
        ("GET /ws HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n".to_owned(), "426"),
    ] {
        let mut raw = Raw::connect(node.addr).await;
        raw.write(request.as_bytes()).await;
        let said = raw.read_all().await.to_lowercase();
        assert!(said.starts_with(&format!("http/1.1 {status}")) && said.contains("connection: close"), "{said}");
    }
    node.stop().await;
}
