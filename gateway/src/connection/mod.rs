//! One connection: one task that owns the socket.
//!
//! ```text
//!             ┌──────────────── one turn ────────────────┐
//!  others ───▶│ notes   (outbox: close, ping, ephemeral)  │
//!  engine ───▶│ job     (at most one command under way)   │
//!  client ───▶│ in      (frames → session → job)          │
//!  topics ───▶│ out     (logs by cursor, replay by page)  │──▶ wire ──▶ socket
//!             └───────────────────────────────────────────┘
//! ```
//!
//! A turn goes round until nothing moves, then sleeps on all four at once. A command that needs the engine or the store
//! becomes the connection's *job*; while it runs, delivery goes on but no further frame is read: commands of one client
//! are carried out in order, and a client cannot have more than one of them under way. Nothing is read either while a
//! full batch waits to be written: a client that does not read its answers gets no more of them.

mod end;
pub(crate) mod event_id;
pub(crate) mod event_stream;
mod inbound;
mod jobs;
pub(crate) mod opening;
mod outbound;
pub(crate) mod outbox;
mod reader;
pub(crate) mod rendering;
#[cfg(test)]
mod replay;
mod stream;
mod subscription;
pub(crate) mod tally;
pub(crate) mod wire;

use crate::{
    frame,
    handshake::Greeting,
    node::Node,
    session::Session,
    standing::{Open, Standing},
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use inbound::Input;
use jobs::Done;
use outbox::{CloseRequest, Notes, Outbox, Revoked};
use reader::Reader;
use shared::protocol::{
    CloseReason,
    event::{self, Event},
};
use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
};
pub(crate) use stream::Stream;
use subscription::{Page, Subscription};
use wire::Wire;

/// Rounds one turn may take before other connections get theirs.
const ROUNDS: u32 = 32;

/// A connection's task. Its size is memory per connection, so it is a state and not an `async fn`, which would keep
/// room for the connection twice, and for its end from the beginning.
pub(crate) struct Task {
    open: Option<Connection>,
    goodbye: Option<BoxFuture<'static, ()>>,
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(connection) = &mut self.open {
            let request = ready!(connection.poll_turn(cx));
            self.goodbye = self.open.take().map(|connection| connection.end(request));
        }
        self.goodbye.as_mut().map_or(Poll::Ready(()), |goodbye| goodbye.as_mut().poll(cx))
    }
}

/// A connection. Its task is [`Connection::task`].
pub(crate) struct Connection {
    node: Arc<Node>,
    outbox: Arc<Outbox>,
    wire: Wire,
    reader: Reader,
    session: Session,
    rooms: Vec<Subscription>,
    inbox: Option<Subscription>,
    /// Topics entered for presence only.
    watching: Box<[crate::hub::Entered]>,
    job: Option<BoxFuture<'static, Done>>,
    /// Rooms revoked while the job runs, which may be entering one of them.
    revoked_meanwhile: Revoked,
    /// A page of history on its way to a subscription that is behind.
    page: Option<BoxFuture<'static, Page>>,
    /// Whose turn it is to ask for a page, counted through the inbox and then the rooms.
    page_turn: u16,
    /// Fragments so far that did not end their message.
    fragments: u32,
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
    /// What the client is to get before anything else: the answer to its upgrade, unless an HTTP server wrote it.
    pub(crate) head: Bytes,
    /// Bytes the client sent right behind its request.
    pub(crate) early: Bytes,
}

impl Connection {
    /// A connection on an upgraded stream; `outbox` and `open` are already known to the registry.
    pub(crate) fn new(node: Arc<Node>, outbox: Arc<Outbox>, open: Open, stream: Stream, start: Start) -> Self {
        let Start { mut greeting, head, early } = start;
        let limits = &node.config.limits;
        let most = if greeting.echo { limits.message_bytes } else { limits.unauthenticated_message_bytes };
        let reader = Reader::new(early.to_vec(), most);
        let session = Session::new(limits);
        if let Some(device) = greeting.device.take() {
            outbox.note_device(&device);
        }
        let mut connection = Self {
            node,
            outbox,
            wire: Wire::new(stream),
            reader,
            session,
            rooms: Vec::new(),
            inbox: None,
            watching: Box::default(),
            job: None,
            revoked_meanwhile: Revoked::default(),
            fragments: 0,
            echo: greeting.echo,
            page: None,
            page_turn: 0,
            typing_in: None,
            pinged_at_ms: 0,
            standing: None,
            open,
        };
        if !head.is_empty() {
            connection.wire.push(head);
        }
        if !connection.echo {
            connection.greet(greeting);
        }
        connection
    }

    /// Runs until the connection ends, then says goodbye.
    pub(crate) fn task(self) -> Task {
        Task { open: Some(self), goodbye: None }
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
        if let Some(asked) = greeting.events {
            let (node, outbox) = (Arc::clone(&self.node), Arc::clone(&self.outbox));
            self.job = Some(Box::pin(opening::open(node, outbox, greeting.identity, *asked)));
            return;
        }
        if let Some(reason) = greeting.refused {
            self.outbox.close(reason, 0);
        } else if let Some(cookie) = greeting.cookie {
            // The client's own `auth` says where to go on; replaying twice would only cost both sides.
            self.session.hold_cookie(cookie);
        } else if let Some(identity) = greeting.identity {
            self.start_ready(identity, None, None, std::collections::BTreeMap::new());
        }
    }

    /// Ends: what there is to do after the last turn.
    fn end(mut self, request: CloseRequest) -> BoxFuture<'static, ()> {
        self.open.socket.close(request.reason);
        self.outbox.closing.store(true, Ordering::Relaxed);
        // The world forgets the connection first; only then does the goodbye wait for a slow socket.
        let Self { node, wire, open, standing, rooms, inbox, watching, job, page, echo, .. } = self;
        drop((job, page, rooms, inbox, watching, standing));
        let bye = (!echo).then(|| event::bye(request.reason, request.retry_after_ms));
        Box::pin(async move {
            tokio::select! {
                biased;
                () = node.lifecycle.hard().cancelled() => {}
                () = end::say_goodbye(wire, request.reason, bye) => {}
            }
            drop(open);
        })
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

    /// One round; false when every source will wake the task. Output comes last: one write carries the answers to all
    /// that came in, and what is new in the logs.
    fn round(&mut self, cx: &mut Context<'_>) -> Result<bool, CloseRequest> {
        self.take_notes()?;
        self.poll_job(cx)?;
        let input = self.poll_in(cx)?;
        let waits_for_room = input == Input::Full || self.page.is_some();
        let moved = self.poll_out(cx)?;
        Ok(input == Input::Job || input == Input::More || (waits_for_room && moved))
    }

    fn take_notes(&mut self) -> Result<(), CloseRequest> {
        let Some(notes) = self.outbox.take() else { return Ok(()) };
        let Notes { close, ping, revoked } = *notes;
        if let Some(request) = close {
            return Err(request);
        }
        self.leave_revoked(&revoked);
        if self.job.is_some() {
            self.revoked_meanwhile.merge(revoked);
        }
        if ping {
            self.pinged_at_ms = self.node.now_ms();
            self.wire.push(frame::ping());
        }
        Ok(())
    }

    fn poll_job(&mut self, cx: &mut Context<'_>) -> Result<(), CloseRequest> {
        let Some(job) = &mut self.job else { return Ok(()) };
        let Poll::Ready(done) = job.as_mut().poll(cx) else { return Ok(()) };
        self.job = None;
        self.finish(done)?;
        let revoked = std::mem::take(&mut self.revoked_meanwhile);
        self.leave_revoked(&revoked);
        Ok(())
    }

    /// The rooms have changed: whoever looks at the connection from outside sees these.
    fn note_rooms(&self) {
        self.outbox.note_rooms(self.rooms.iter().filter_map(|room| room.room().cloned()).collect());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::Topic;

    /// A connection's memory is decided here: whoever adds a field finds out, and weighs what it costs ten thousand times.
    #[test]
    fn what_every_connection_holds_stays_small() {
        // The task adds the runtime's header and is rounded up to 128 bytes.
        assert!(size_of::<Task>() <= 528, "{}", size_of::<Task>());
        assert!(size_of::<Outbox>() <= 272, "{}", size_of::<Outbox>());
        assert!(size_of::<Topic>() <= 264, "{}", size_of::<Topic>());
    }
}
