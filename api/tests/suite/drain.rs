//! The end of a process: whoever has sent a request before the door closed is answered.

use crate::support::{Client, TestApp, read_to_end};
use std::{io::Write as _, net::TcpStream};

/// Connects without letting the platform run: the test's runtime has one thread.
fn connect(app: &TestApp) -> TcpStream {
    TcpStream::connect(app.address()).unwrap()
}

async fn status(stream: TcpStream) -> String {
    stream.set_nonblocking(true).unwrap();
    let mut stream = tokio::net::TcpStream::from_std(stream).unwrap();
    let answer = read_to_end(&mut stream).await;
    String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
}

const REQUEST: &[u8] = b"GET /api/genres HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test]
async fn whoever_was_in_the_kernels_queue_or_had_just_connected_is_answered() {
    let app = TestApp::start().await;
    let client: Client = app.client();
    let connected: Vec<_> = (0..5).map(|_| connect(&app)).collect();
    // The platform has run in between: these are accepted, and have said nothing.
    assert_eq!(client.get("/health/live").await.status, 200);
    let queued: Vec<_> = (0..20).map(|_| connect(&app)).collect();
    app.app().lifecycle.stop();
    let all: Vec<_> = connected.into_iter().chain(queued).collect();
    for mut stream in &all {
        stream.write_all(REQUEST).unwrap();
    }
    for stream in all {
        assert_eq!(status(stream).await, "HTTP/1.1 200 OK");
    }
    assert!(TcpStream::connect(app.address()).is_err(), "the door is closed");
    app.stop().await;
}
