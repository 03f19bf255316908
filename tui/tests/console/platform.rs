//! A process of the platform, as the console sees it: an admin listener that can also be rude, silent or gone.

use futures_util::{SinkExt as _, StreamExt as _};
use shared::{
    clock::{Clock, Timestamp},
    model::PoolStats,
    protocol::admin::{
        Action, Answered, ConnectionRow, Hello, List, Message, Metric, NodeInfo, Request, Role, Rows, Tick, TokenFile,
        VERSION, View,
    },
};
use std::{
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_tungstenite::{WebSocketStream, accept_async, tungstenite::Message as Frame};

/// How it behaves to whoever is connected or connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// As it should: hello, a tick ten times a second, lists.
    Good,
    /// Takes nobody, and throws out whoever is there.
    Gone,
    /// Keeps the connection and says nothing more.
    Silent,
    /// Answers 401.
    Refusing,
    /// Answers with a TLS alert.
    Tls,
    /// Speaks a version of the protocol that is not there yet.
    Newer,
    /// Takes the connection and never answers the handshake.
    Slow,
}

/// See the module. Dropping it ends it.
pub(crate) struct Platform {
    folder: tempfile::TempDir,
    mood: watch::Sender<Mood>,
    end: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Platform {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (mood, moods) = watch::channel(Mood::Good);
        let (end, ended) = tokio::sync::oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let path = folder.path().to_owned();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                write_token(&path, &listener);
                ready.send(()).unwrap();
                tokio::select! {
                    () = serve(listener, moods) => {}
                    _ = ended => {}
                }
            });
        });
        is_ready.recv().unwrap();
        Self { folder, mood, end: Some(end), thread: Some(thread) }
    }

    /// Where its token file is.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// From now on it behaves so.
    pub(crate) fn turn(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write_token(folder: &Path, listener: &TcpListener) {
    let address = listener.local_addr().unwrap();
    let file = TokenFile { name: "api".into(), address, token: "t".into(), pid: 1 };
    std::fs::write(folder.join("admin-api.token"), serde_json::to_string(&file).unwrap()).unwrap();
}

async fn serve(listener: TcpListener, moods: watch::Receiver<Mood>) {
    let talks: Arc<Mutex<tokio::task::JoinSet<()>>> = Arc::default();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        talks.lock().unwrap().spawn(talk(stream, moods.clone()));
    }
}

async fn talk(mut stream: TcpStream, mut moods: watch::Receiver<Mood>) {
    let mood = *moods.borrow_and_update();
    let answer: &[u8] = match mood {
        Mood::Gone => return,
        Mood::Slow => {
            let _ = moods.changed().await;
            return;
        }
        Mood::Refusing => b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        Mood::Tls => b"\x15\x03\x01\x00\x02\x02\x28",
        Mood::Good | Mood::Silent | Mood::Newer => {
            if let Ok(socket) = accept_async(stream).await {
                let _ = speak(socket, moods).await;
            }
            return;
        }
    };
    let _ = stream.readable().await;
    let _ = stream.try_read(&mut [0; 4_096]);
    let _ = stream.write_all(answer).await;
}

type Socket = WebSocketStream<TcpStream>;

async fn say(socket: &mut Socket, message: &Message) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    socket.send(Frame::text(serde_json::to_string(message).unwrap())).await
}

async fn speak(
    mut socket: Socket,
    mut moods: watch::Receiver<Mood>,
) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    let newer = u32::from(*moods.borrow() == Mood::Newer);
    say(&mut socket, &Message::Hello(Box::new(hello(VERSION + newer)))).await?;
    // Faster than a real one, so that tests wait less.
    let mut beat = tokio::time::interval(Duration::from_millis(100));
    let (mut seq, mut wanted): (u64, Vec<(u32, View)>) = (0, Vec::new());
    loop {
        tokio::select! {
            _ = beat.tick() => {
                if *moods.borrow() != Mood::Silent {
                    seq += 1;
                    say(&mut socket, &Message::Tick(Box::new(tick(seq)))).await?;
                }
            }
            _ = moods.changed() => {
                if !matches!(*moods.borrow(), Mood::Good | Mood::Silent) {
                    return Ok(());
                }
            }
            heard = socket.next() => {
                let Some(Ok(frame)) = heard else { return Ok(()) };
                let Ok(text) = frame.to_text() else { continue };
                match serde_json::from_str(text) {
                    Ok(Request::Subscribe(wish)) => {
                        wanted.push((wish.id, wish.query.view));
                        say(&mut socket, &Message::List(Box::new(list(wish.id, wish.query.view)))).await?;
                    }
                    Ok(Request::Unsubscribe { id }) => wanted.retain(|(known, _)| *known != id),
                    Err(_) => {}
                }
            }
        }
    }
}

fn now() -> Timestamp {
    Clock::default().now()
}

fn hello(proto: u32) -> Hello {
    let node = NodeInfo {
        name: "api".into(),
        version: "1.0.0".into(),
        environment: "development".into(),
        started_at: now(),
        socket_limit: 1_000,
        ..NodeInfo::default()
    };
    Hello {
        proto,
        node,
        cluster: "development".into(),
        server_time: now(),
        tick_ms: 1_000,
        operator: "amy".into(),
        role: Role::Admin,
        views: View::ALL.map(|view| view.name().to_owned()).into(),
        actions: Action::NAMES.map(str::to_owned).into(),
        ..Hello::default()
    }
}

fn tick(seq: u64) -> Tick {
    let mut tick = Tick { node: "api".into(), seq, at: now(), uptime_ms: seq * 100, ..Tick::default() };
    tick.sample.node.set(Metric::Connections, 42.0);
    tick.sample.node.set(Metric::RequestsPerS, 7.0);
    tick.sample.pools.entry("sqlite-read".to_owned()).or_default().set(Metric::PoolSaturation, 0.5);
    tick.pools = vec![PoolStats { name: "sqlite-read".into(), max_size: 4, in_use: 2, ..PoolStats::default() }];
    tick
}

fn list(id: u32, view: View) -> List {
    let row = ConnectionRow {
        id: "c_1".into(),
        node: "api".into(),
        name: Some("eve\u{1b}[2J\u{9b}31m\u{7}".into()),
        ..ConnectionRow::default()
    };
    let rows = if view == View::Connections { Rows::Connections(vec![row; 300]) } else { Rows::none(view) };
    let total = rows.len() as u64;
    let nodes = vec![Answered { node: "api".into(), in_time: true }];
    List { id, at: now(), total, matched: total, rows, next: None, nodes }
}
