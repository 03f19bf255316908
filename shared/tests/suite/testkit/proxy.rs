//! The proxy does what it is told, and nothing else.

use shared::testkit::{Proxy, socket::within};
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// An echo server, a proxy in front of it, and a client that is connected.
struct Scene {
    proxy: Proxy,
    client: TcpStream,
    _server: JoinSet<()>,
}

async fn scene() -> Scene {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap()).unwrap();
    let mut server = JoinSet::new();
    server.spawn(async move {
        let mut clients = JoinSet::new();
        while let Ok((mut client, _)) = listener.accept().await {
            clients.spawn(async move {
                let (mut from, mut to) = client.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    let client = TcpStream::connect(proxy.addr()).await.unwrap();
    let mut scene = Scene { proxy, client, _server: server };
    scene.echo(b"hello").await;
    scene
}

impl Scene {
    async fn echo(&mut self, bytes: &[u8]) {
        self.client.write_all(bytes).await.unwrap();
        self.hear(bytes).await;
    }

    async fn hear(&mut self, bytes: &[u8]) {
        let mut heard = vec![0; bytes.len()];
        within(self.client.read_exact(&mut heard)).await.unwrap();
        assert_eq!(heard, bytes);
    }

    /// How the connection ends for the client.
    async fn end(&mut self) -> std::io::Result<usize> {
        within(self.client.read(&mut [0])).await
    }
}

#[tokio::test]
async fn it_passes_both_ways_and_counts() {
    let mut scene = scene().await;
    scene.echo(&vec![7; 100_000]).await;
    let traffic = scene.proxy.traffic();
    assert_eq!((traffic.to_server, traffic.to_client), (100_005, 100_005));
    assert_eq!((traffic.connections, traffic.open), (1, 1));
    scene.client.shutdown().await.unwrap();
    assert_eq!(scene.end().await.unwrap(), 0, "an orderly end is passed on");
}

#[tokio::test]
async fn a_cut_resets_what_is_open_and_takes_new_connections() {
    let mut scene = scene().await;
    scene.proxy.cut();
    assert_eq!(scene.end().await.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    scene.client = TcpStream::connect(scene.proxy.addr()).await.unwrap();
    scene.echo(b"again").await;
    assert_eq!(scene.proxy.traffic().connections, 2);
}

#[tokio::test]
async fn a_stall_moves_nothing_keeps_everything_and_loses_nothing() {
    let mut scene = scene().await;
    scene.proxy.stall();
    let mut second = TcpStream::connect(scene.proxy.addr()).await.unwrap();
    for client in [&mut scene.client, &mut second] {
        client.write_all(b"held").await.unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(50), client.read(&mut [0])).await.is_err());
    }
    let held = scene.proxy.traffic();
    assert_eq!((held.to_client, held.open), (5, 2));
    scene.proxy.pass();
    scene.hear(b"held").await;
    scene.client = second;
    scene.hear(b"held").await;
}

#[tokio::test]
async fn a_throttle_lets_only_so_much_through() {
    let mut scene = scene().await;
    scene.proxy.throttle(100_000);
    let start = Instant::now();
    scene.echo(&vec![1; 20_000]).await;
    assert!(start.elapsed() >= Duration::from_millis(150), "{:?}", start.elapsed());
    scene.proxy.pass();
    scene.echo(&vec![2; 200_000]).await;
}

#[tokio::test]
async fn who_is_refused_finds_nobody_listening_until_it_passes_again() {
    let mut scene = scene().await;
    scene.proxy.refuse().await;
    assert!(scene.end().await.is_err());
    let refused = TcpStream::connect(scene.proxy.addr()).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    scene.proxy.pass();
    let proxy = &scene.proxy;
    scene.client = within(async {
        loop {
            match TcpStream::connect(proxy.addr()).await {
                Ok(client) => return client,
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    })
    .await;
    scene.echo(b"back").await;
}
