//! A TCP proxy that misbehaves on order: it passes, cuts, stalls, throttles or refuses what goes through it.

use super::process::Port;
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream, tcp},
    sync::watch,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Bytes in one step of one direction.
const CHUNK: usize = 16 * 1024;
/// Kernel buffers on the side of the server. Small, so that a stall or a throttle is felt there before megabytes were
/// swallowed on the way.
const KERNEL_BUFFER: u32 = 64 * 1024;
/// How often a throttled direction moves bytes.
const TICK: Duration = Duration::from_millis(20);

/// How the proxy behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Pass,
    Throttle { bytes_per_second: u64 },
    Stall,
    Refuse,
}

/// What went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Connections accepted so far.
    pub connections: u64,
    /// Connections that are open now.
    pub open: u64,
    /// Bytes from clients to the server.
    pub to_server: u64,
    /// Bytes from the server to clients.
    pub to_client: u64,
}

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicU64,
    open: AtomicU64,
    to_server: AtomicU64,
    to_client: AtomicU64,
}

/// A proxy on a loopback port of its own. Dropping it cuts everything.
#[derive(Debug)]
pub struct Proxy {
    port: Arc<Port>,
    mode: watch::Sender<Mode>,
    /// Cancelled and replaced by every cut.
    connections: watch::Sender<CancellationToken>,
    counters: Arc<Counters>,
    all: CancellationToken,
    tasks: TaskTracker,
}

impl Proxy {
    /// A proxy in front of a server, run by the runtime of the caller. It connects to the server only when a client
    /// connects.
    pub fn start(server: SocketAddr) -> io::Result<Self> {
        let all = CancellationToken::new();
        let this = Self {
            port: Arc::new(Port::reserve()?),
            mode: watch::Sender::new(Mode::Pass),
            connections: watch::Sender::new(all.child_token()),
            counters: Arc::default(),
            all,
            tasks: TaskTracker::new(),
        };
        let entrance = Entrance {
            server,
            port: Arc::clone(&this.port),
            mode: this.mode.subscribe(),
            connections: this.connections.subscribe(),
            counters: Arc::clone(&this.counters),
            tasks: this.tasks.clone(),
        };
        let listener = listen(this.port.addr())?;
        this.tasks.spawn(this.all.clone().run_until_cancelled_owned(entrance.run(listener)));
        Ok(this)
    }

    /// Where clients connect to.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// Passes everything, as at the start.
    pub fn pass(&self) {
        self.mode.send_replace(Mode::Pass);
    }

    /// Lets only so much through, in each direction of each connection.
    pub fn throttle(&self, bytes_per_second: u64) {
        self.mode.send_replace(Mode::Throttle { bytes_per_second });
    }

    /// Keeps every connection open, takes new ones, and moves nothing: what a dead link looks like. Goes on where it
    /// stopped when it passes again.
    pub fn stall(&self) {
        self.mode.send_replace(Mode::Stall);
    }

    /// Resets every connection; new ones are taken as before.
    pub fn cut(&self) {
        self.connections.send_replace(self.all.child_token()).cancel();
    }

    /// Resets every connection and takes no new ones until it passes again: what a dead server looks like.
    pub async fn refuse(&self) {
        self.mode.send_replace(Mode::Refuse);
        self.cut();
        // It is only true once nobody listens any more.
        while TcpStream::connect(self.addr()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// What went through so far.
    pub fn traffic(&self) -> Traffic {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            connections: read(&self.counters.connections),
            open: read(&self.counters.open),
            to_server: read(&self.counters.to_server),
            to_client: read(&self.counters.to_client),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.all.cancel();
    }
}

/// The task that accepts.
struct Entrance {
    server: SocketAddr,
    port: Arc<Port>,
    mode: watch::Receiver<Mode>,
    connections: watch::Receiver<CancellationToken>,
    counters: Arc<Counters>,
    tasks: TaskTracker,
}

impl Entrance {
    async fn run(mut self, listener: TcpListener) {
        let mut listener = Some(listener);
        loop {
            let refuses = *self.mode.borrow_and_update() == Mode::Refuse;
            if refuses {
                listener = None;
            } else if listener.is_none() {
                listener = Some(listen(self.port.addr()).expect("the port is ours"));
            }
            let accept = async {
                match &listener {
                    Some(listener) => listener.accept().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = self.mode.changed() => if changed.is_err() { return },
                accepted = accept => if let Ok((client, _)) = accepted { self.connect(client) },
            }
        }
    }

    fn connect(&self, client: TcpStream) {
        self.counters.connections.fetch_add(1, Ordering::Relaxed);
        let connection =
            Connection { server: self.server, mode: self.mode.clone(), counters: Arc::clone(&self.counters) };
        let cut = self.connections.borrow().clone();
        self.tasks.spawn(async move {
            connection.counters.open.fetch_add(1, Ordering::Relaxed);
            connection.carry(client, cut).await;
            connection.counters.open.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

/// One client's way to the server.
struct Connection {
    server: SocketAddr,
    mode: watch::Receiver<Mode>,
    counters: Arc<Counters>,
}

impl Connection {
    async fn carry(&self, mut client: TcpStream, cut: CancellationToken) {
        let Ok(mut server) = self.reach().await else {
            reset(&client);
            return;
        };
        let carried = {
            let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
            let both = async {
                tokio::join!(
                    self.copy(from_client, to_server, &self.counters.to_server),
                    self.copy(from_server, to_client, &self.counters.to_client),
                )
            };
            cut.run_until_cancelled(both).await
        };
        if carried.is_none() {
            reset(&client);
            reset(&server);
        }
    }

    async fn reach(&self) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(KERNEL_BUFFER)?;
        let server = socket.connect(self.server).await?;
        server.set_nodelay(true)?;
        Ok(server)
    }

    /// Copies one direction until its end, and passes the end on.
    async fn copy(&self, mut from: tcp::ReadHalf<'_>, mut to: tcp::WriteHalf<'_>, counter: &AtomicU64) {
        let (mut mode, mut chunk) = (self.mode.clone(), vec![0; CHUNK]);
        loop {
            let Ok(allowed) = mode.wait_for(|mode| *mode != Mode::Stall).await.map(|mode| *mode) else { return };
            let step = match allowed {
                Mode::Throttle { bytes_per_second } => usize::try_from(bytes_per_second / 50).unwrap_or(CHUNK),
                _ => CHUNK,
            };
            let read = tokio::select! {
                biased;
                _ = mode.changed() => continue,
                read = from.read(&mut chunk[..step.clamp(1, CHUNK)]) => read.unwrap_or(0),
            };
            if read == 0 || to.write_all(&chunk[..read]).await.is_err() {
                drop(to.shutdown().await);
                return;
            }
            counter.fetch_add(read as u64, Ordering::Relaxed);
            if matches!(allowed, Mode::Throttle { .. }) {
                tokio::time::sleep(TICK).await;
            }
        }
    }
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(1024)
}

/// Closing it will be a reset, as when a machine dies, and not an orderly end.
fn reset(stream: &TcpStream) {
    drop(stream.set_zero_linger());
}
