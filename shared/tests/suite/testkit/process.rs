//! Whatever ends a test, its servers end too.

use shared::testkit::{Port, RedisOptions, RedisServer, available};
use std::{
    io::{BufRead, BufReader, Read},
    net::{SocketAddr, TcpListener, TcpStream},
    panic::AssertUnwindSafe,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// What the tests below look for after the end: where the server was, and where its folder.
async fn trace(server: &RedisServer) -> (SocketAddr, String) {
    let dir = server.call(&["CONFIG", "GET", "dir"]).await;
    (server.addr(), dir.list()[1].text().to_owned())
}

fn assert_gone(addr: SocketAddr, folder: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(addr).is_ok() || Path::new(folder).exists() {
        assert!(Instant::now() < deadline, "a server was left at {addr}, or its folder {folder}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[tokio::test]
async fn a_dropped_server_leaves_nothing() {
    let Some(server) = available("Redis", RedisServer::start(&RedisOptions::default()).await) else { return };
    let (addr, folder) = trace(&server).await;
    assert!(Path::new(&folder).exists());
    drop(server);
    assert!(TcpStream::connect(addr).is_err() && !Path::new(&folder).exists(), "dropping waits for the end");
}

#[tokio::test]
async fn a_test_that_panics_leaves_nothing() {
    let Some(server) = available("Redis", RedisServer::start(&RedisOptions::default()).await) else { return };
    let (addr, folder) = trace(&server).await;
    server.freeze();
    let panicked = std::panic::catch_unwind(AssertUnwindSafe(move || {
        let _server = server;
        panic!("on purpose");
    }));
    assert!(panicked.is_err());
    assert_gone(addr, &folder);
}

#[test]
fn a_test_binary_that_is_killed_leaves_nothing() {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["testkit::process::victim", "--exact", "--ignored", "--nocapture"]);
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let told = lines.find_map(|line| line.split_once("server ").map(|(_, rest)| rest.to_owned()));
    let told = told.expect("the victim says where its server is, or that there is none");
    child.kill().unwrap();
    child.wait().unwrap();
    if let Some((addr, folder)) = told.split_once(' ') {
        assert_gone(addr.parse().unwrap(), folder);
    }
}

/// Starts a server and waits to be killed; ends by itself when it is run by hand.
#[tokio::test]
#[ignore = "another test runs and kills it"]
async fn victim() {
    match available("Redis", RedisServer::start(&RedisOptions::default()).await) {
        Some(server) => {
            let (addr, folder) = trace(&server).await;
            println!("server {addr} {folder}");
            std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        }
        None => println!("server none"),
    }
}

#[test]
fn a_reserved_port_is_nobody_elses_and_can_be_listened_on_again_and_again() {
    let port = Port::reserve().unwrap();
    for _ in 0..3 {
        let listener = TcpListener::bind(port.addr()).unwrap();
        drop(TcpStream::connect(port.addr()).unwrap());
        listener.accept().unwrap();
    }
    let others: Vec<_> = (0..200).map(|_| Port::reserve().unwrap()).collect();
    assert!(others.iter().all(|other| other.number() != port.number()));
}
