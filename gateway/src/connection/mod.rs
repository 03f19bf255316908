//! One connection: one task that owns the socket.
//!
//! ```text
//!             ┌──────────────── one turn ────────────────┐
//!  others ───▶│ notes   (outbox: close, ping, ephemeral)  │
//!  engine ───▶│ job     (at most one command under way)   │──▶ wire ──▶ socket
//!  topics ───▶│ out     (logs by cursor, replay by page)  │
//!  client ───▶│ in      (frames → session → job)          │
//!             └───────────────────────────────────────────┘
//! ```
//!
//! A turn goes round until nothing moves, then sleeps on all four at once. A command that needs the engine or the store
//! becomes the connection's *job*; while it runs, delivery goes on but no further frame is read: commands of one client
//! are carried out in order, and a client cannot have more than one of them under way. Nothing is read either while a
//! full batch waits to be written: a client that does not read its answers gets no more of them.

mod end;
mod inbound;
mod jobs;
mod outbound;
pub(crate) mod outbox;
#[cfg(test)]
mod replay;
mod stream;
mod subscription;
pub(crate) mod tally;
mod wire;

use crate::{
    frame,
    handshake::Greeting,
    node::Node,
    session::Session,
    standing::{Open, Standing},
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use jobs::Done;
use outbox::{CloseRequest, Outbox};
use shared::protocol::{
    CloseReason,
    event::{self, Event},
};
use std::{
    future::poll_fn,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};
pub(crate) use stream::Stream;
use subscription::{Page, Subscription};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use wire::Wire;

/// Rounds one turn may take before other connections get theirs.
const ROUNDS: u32 = 32;
/// tungstenite allocates this per connection at once and reads in steps of it. Commands are small; long ones take
/// more steps.
const READ_BUFFER: usize = 512;

/// A connection. Its task is [`Connection::run`].
pub(crate) struct Connection {
    node: Arc<Node>,
    outbox: Arc<Outbox>,
    wire: Wire,
    ws: WebSocketContext,
    session: Session,
    /// Whose cursor acks move: from the URL, else the `auth` frame, else the session's id.
    device: Option<Box<str>>,
    rooms: Vec<Subscription>,
    inbox: Option<Subscription>,
    /// Topics entered for presence only.
    watching: Vec<crate::hub::Entered>,
    job: Option<BoxFuture<'static, Done>>,
    /// Rooms revoked while the job runs.
    revoked_meanwhile: Vec<shared::protocol::RoomName>,
    /// A page of history on its way to a subscription that is behind.
    page: Option<BoxFuture<'static, Page>>,
    /// Inbound bytes that became messages, or that the client's frame budget has paid for.
    settled_bytes: u64,
    /// What comes is sent back as it is: the framing's own tests run through this connection, not through a copy of it.
    echo: bool,
    /// The room this client last typed in, so that sending a message ends it.
    typing_in: Option<shared::protocol::RoomName>,
    /// When a ping left that no pong has answered yet; 0 when there is none.
    pinged_at_ms: u64,
    standing: Option<Standing>,
    open: Open,
}

/// What the handshake leaves to the connection.
pub(crate) struct Start {
    pub(crate) greeting: Greeting,
    /// Bytes the client sent right behind its request.
    pub(crate) early: Bytes,
}

impl Connection {
    /// A connection on an upgraded stream; `outbox` and `open` are already known to the registry.
    pub(crate) fn new(node: Arc<Node>, outbox: Arc<Outbox>, open: Open, stream: Stream, start: Start) -> Self {
        let Start { mut greeting, early } = start;
        let limits = &node.config.limits;
        let most = if greeting.echo { limits.message_bytes } else { limits.unauthenticated_message_bytes };
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0) // only control frames pass through tungstenite, and the wire queues them itself
            .max_write_buffer_size(usize::MAX)
            .max_message_size(Some(most))
            .max_frame_size(Some(most));
        let ws = WebSocketContext::from_partially_read(early.to_vec(), Role::Server, Some(config));
        let session = Session::new(limits);
        let device = greeting.device.take().map(String::into_boxed_str);
        let mut connection = Self {
            node,
            outbox,
            wire: Wire::new(stream),
            ws,
            session,
            device,
            rooms: Vec::new(),
            inbox: None,
            watching: Vec::new(),
            job: None,
            revoked_meanwhile: Vec::new(),
            settled_bytes: 0,
            echo: greeting.echo,
            page: None,
            typing_in: None,
            pinged_at_ms: 0,
            standing: None,
            open,
        };
        connection.note_device();
        if !connection.echo {
            connection.greet(greeting);
        }
        connection
    }

    fn greet(&mut self, greeting: Greeting) {
        let config = &self.node.config;
        let hello = Event::Hello {
            conn: &format!("c_{:x}", self.outbox.number),
            heartbeat: u64::try_from(config.heartbeat.as_millis()).unwrap_or(u64::MAX),
            max: config.limits.message_bytes,
            node: &config.node,
        };
        let hello = hello.encode();
        self.push(&hello);
        match (greeting.refused, greeting.identity) {
            (Some(reason), _) => self.outbox.close(reason, 0),
            // The client's own `auth` says where to go on; replaying twice would only cost both sides.
            (None, Some(identity)) if greeting.resume => self.session.vouch(Arc::new(identity)),
            (None, Some(identity)) => {
                self.start_ready(Arc::new(identity), None, None, std::collections::BTreeMap::new());
            }
            (None, None) => {}
        }
    }

    /// Runs until the connection ends, then says goodbye.
    pub(crate) async fn run(mut self) {
        let request = poll_fn(|cx| self.poll_turn(cx)).await;
        self.open.socket.close(request.reason);
        self.outbox.closing.store(true, Ordering::Relaxed);
        tracing::debug!(connection = self.outbox.number, reason = request.reason.text(), "closed");
        // The world forgets the connection first; only then does the goodbye wait for a slow socket.
        let Self { wire, open, standing, rooms, inbox, watching, job, page, echo, .. } = self;
        drop((job, page, rooms, inbox, watching, standing));
        let bye = (!echo).then(|| event::bye(request.reason, request.retry_after_ms));
        end::say_goodbye(wire, request.reason, bye).await;
        drop(open);
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<CloseRequest> {
        self.outbox.begin_turn(cx.waker());
        for _ in 0..ROUNDS {
            match self.round(cx) {
                Ok(true) => {}
                Ok(false) => return Poll::Pending,
                Err(request) => return Poll::Ready(request),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// One round; false when nothing moved and every source will wake the task.
    fn round(&mut self, cx: &mut Context<'_>) -> Result<bool, CloseRequest> {
        let mut moved = self.take_notes()?;
        moved |= self.poll_job(cx)?;
        moved |= self.poll_out(cx)?;
        moved |= self.poll_in(cx)?;
        Ok(moved)
    }

    fn take_notes(&mut self) -> Result<bool, CloseRequest> {
        let Some(notes) = self.outbox.take() else { return Ok(false) };
        if let Some(request) = notes.close {
            return Err(request);
        }
        for room in &notes.revoked_rooms {
            self.leave_revoked(room);
        }
        if self.job.is_some() {
            self.revoked_meanwhile.extend(notes.revoked_rooms); // the job may be entering one of them right now
        }
        if notes.ping {
            self.pinged_at_ms = self.node.now_ms();
            self.wire.push(frame::ping());
        }
        Ok(true)
    }

    fn poll_job(&mut self, cx: &mut Context<'_>) -> Result<bool, CloseRequest> {
        let Some(job) = &mut self.job else { return Ok(false) };
        let Poll::Ready(done) = job.as_mut().poll(cx) else { return Ok(false) };
        self.job = None;
        self.finish(done)?;
        for room in std::mem::take(&mut self.revoked_meanwhile) {
            self.leave_revoked(&room);
        }
        Ok(true)
    }

    /// The rooms have changed: whoever looks at the connection from outside sees these.
    fn note_rooms(&self) {
        self.outbox.note_rooms(self.rooms.iter().filter_map(|room| room.room().cloned()).collect());
    }

    /// The client said what it calls itself, perhaps.
    fn note_device(&self) {
        if let Some(device) = &self.device {
            self.outbox.note_device(device);
        }
    }

    /// Queues one frame made for this client alone.
    fn push(&mut self, text: &str) {
        self.wire.push(frame::text(text));
    }

    /// The socket took or brought bytes: liveness and statistics.
    fn note_heard(&mut self) {
        if std::mem::take(&mut self.wire.heard) {
            self.outbox.heard_at.store(self.node.now_second(), Ordering::Relaxed);
        }
    }
}

/// A close without a time to come back.
fn close(reason: CloseReason) -> CloseRequest {
    CloseRequest { reason, retry_after_ms: 0 }
}
