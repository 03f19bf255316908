//! What a command does in the world: one future each, that ends in something for the connection to do.
//!
//! Jobs hold no part of the connection: they may outlive a turn, and when the connection ends they are dropped. What
//! changes data runs in a task of its own on the tracker, so that a client that hangs up cannot cut a transaction off.

use super::{
    Connection,
    outbox::{CloseRequest, Outbox},
    subscription::Subscription,
};
use crate::{
    drain::random_below,
    fill, frame,
    hub::Entered,
    node::Node,
    pump,
    session::{NO_TOKEN, Refusal},
    standing::Standing,
};
use serde_json::value::RawValue;
use shared::{
    engine::{self, Quota, Signal},
    id::{NotificationId, UserId},
    model::Identity,
    ops::{MarkRead, OpsError},
    protocol::{
        CloseReason, Position, RoomName,
        command::Status,
        event::{Event, PresenceState, ReadyInbox, ReadyRoom, TYPING_TTL_MS},
    },
};
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use uuid::Uuid;

/// The server lets one typing event per user and room through in this time.
const TYPING: Quota = Quota { burst: 1, per: Duration::from_secs(2) };

/// What the connection does when a job has ended.
pub(super) enum Done {
    /// Nothing.
    Nothing,
    /// Send this frame.
    Reply(String),
    /// In a room.
    Joined(Box<Joined>),
    /// Authenticated, or resumed once more.
    Ready(Box<Ready>),
    /// Following other users.
    Watching { entered: Vec<Entered>, states: Vec<PresenceState>, reply: Option<String> },
    /// The connection ends.
    Close(CloseReason),
    /// One after the other.
    All(Vec<Done>),
}

/// A room entered.
pub(super) struct Joined {
    reply: String,
    subscription: Subscription,
}

/// What a client asks to resume.
pub(super) struct Resume {
    pub(super) id: Option<Box<RawValue>>,
    pub(super) inbox: Option<u64>,
    pub(super) rooms: BTreeMap<RoomName, Option<Position>>,
}

/// A connection that acts for somebody.
pub(super) struct Ready {
    who: Arc<Identity>,
    /// `None` when the connection stands already.
    standing: Option<Standing>,
    inbox: Subscription,
    rooms: Vec<Subscription>,
    /// `ready`, then an `error` for each room that could not be entered.
    replies: Vec<String>,
}

impl Ready {
    /// Whether the inbox is replayed from this position on, as the client asked.
    pub(super) fn goes_on_from(&self, pos: u64) -> bool {
        self.inbox.cursor.seq == pos
    }
}

impl Connection {
    /// Takes over what a job brought.
    pub(super) fn finish(&mut self, done: Done) -> Result<(), CloseRequest> {
        match done {
            Done::Nothing => {}
            Done::Reply(text) => self.push(&text),
            Done::Close(reason) => {
                let retry_after_ms = if reason == CloseReason::Overloaded { 1_000 + random_below(2_000) } else { 0 };
                return Err(CloseRequest { reason, retry_after_ms });
            }
            Done::Joined(joined) => {
                self.push(&joined.reply);
                self.enter(joined.subscription);
            }
            Done::Watching { entered, states, reply } => {
                self.watching = entered.into_boxed_slice();
                for state in states {
                    self.wire.push(pump::presence(state).frame);
                }
                if let Some(reply) = reply {
                    self.push(&reply);
                }
            }
            Done::Ready(ready) => self.become_ready(*ready),
            Done::All(all) => return all.into_iter().try_for_each(|done| self.finish(done)),
        }
        Ok(())
    }

    fn enter(&mut self, subscription: Subscription) {
        self.rooms.retain(|other| other.room() != subscription.room());
        self.rooms.push(subscription);
        self.note_rooms();
    }

    fn become_ready(&mut self, ready: Ready) {
        if let Some(standing) = ready.standing {
            self.standing = Some(standing);
            self.session.authenticated(ready.who);
            self.open.socket.authenticated();
            self.lift_limits();
        }
        for reply in &ready.replies {
            self.wire.push(frame::text(reply));
        }
        self.inbox = Some(ready.inbox);
        for subscription in ready.rooms {
            self.enter(subscription);
        }
    }
}

/// An `error` frame for what an operation said.
fn refusal(id: Option<&RawValue>, problem: &OpsError) -> String {
    refused(id, None, problem)
}

/// The same, for a room that could not be entered. Faults of ours are logged here, once.
fn refused(id: Option<&RawValue>, room: Option<&RoomName>, problem: &OpsError) -> String {
    if matches!(problem, OpsError::Internal(_) | OpsError::Unavailable { .. }) {
        tracing::warn!(%problem, "failed to carry out a command");
    }
    let retry_after = match problem {
        OpsError::RateLimited { retry_after } | OpsError::Unavailable { retry_after, .. } => {
            u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX)
        }
        _ => 0,
    };
    Event::Error { id, room, code: problem.code(), message: problem.public_message(), retry_after }.encode()
}

fn acknowledged(id: Option<&RawValue>) -> String {
    Event::Ack { id, pos: None, message: None, conversation: None }.encode()
}

fn reply_if_asked(id: Option<&RawValue>) -> Done {
    id.map_or(Done::Nothing, |id| Done::Reply(acknowledged(Some(id))))
}

/// A first `auth` frame: token or ticket, then everything [`ready`] does.
pub(super) async fn authenticate(node: Arc<Node>, outbox: Arc<Outbox>, token: String, resume: Resume) -> Done {
    match node.ops.authenticate_socket(&token).await {
        Ok(Some(who)) => ready(node, outbox, who, false, resume).await,
        Ok(None) => Done::Close(CloseReason::BadToken),
        Err(problem) => not_now(&problem),
    }
}

/// The same with the cookie that came with the upgrade. It is looked up now, when it is used: a session that ended while
/// the client took its time is no session. A bad cookie was not presented on purpose, so the socket stays.
pub(super) async fn authenticate_by_cookie(
    node: Arc<Node>,
    outbox: Arc<Outbox>,
    cookie: String,
    resume: Resume,
) -> Done {
    match node.ops.authenticate(&cookie).await {
        Ok(Some(who)) => ready(node, outbox, who, false, resume).await,
        Ok(None) => {
            let (id, Refusal { code, message }) = (resume.id.as_deref(), NO_TOKEN);
            Done::Reply(Event::Error { id, room: None, code, message, retry_after: 0 }.encode())
        }
        Err(problem) => not_now(&problem),
    }
}

/// Half authenticated is nothing a client could go on from; what failed will be back.
fn not_now(problem: &OpsError) -> Done {
    tracing::warn!(%problem, "failed to make a connection ready");
    Done::Close(CloseReason::Overloaded)
}

/// Takes the connection's standing (unless it has one), opens the inbox at the right position, enters the rooms.
pub(super) async fn ready(
    node: Arc<Node>,
    outbox: Arc<Outbox>,
    who: Arc<Identity>,
    standing: bool,
    resume: Resume,
) -> Done {
    match try_ready(&node, &outbox, &who, standing, &resume).await {
        Ok(ready) => Done::Ready(Box::new(ready)),
        Err(problem) if standing => Done::Reply(refusal(resume.id.as_deref(), &problem)),
        Err(problem) => not_now(&problem),
    }
}

async fn try_ready(
    node: &Arc<Node>,
    outbox: &Arc<Outbox>,
    who: &Arc<Identity>,
    standing: bool,
    resume: &Resume,
) -> Result<Ready, OpsError> {
    let standing = if standing { None } else { Some(Standing::take(node, outbox, who).await?) };
    let device = outbox.device_of(who);
    let (inbox, ready_inbox) = open_inbox(node, outbox, who.user_id, &device, resume.inbox).await?;

    let (mut rooms, mut positions, mut errors) = (Vec::new(), BTreeMap::new(), Vec::new());
    for (room, since) in &resume.rooms {
        match enter_room(node, outbox, Some(who), room, *since).await {
            Ok(entry) => {
                positions.insert(room.clone(), entry.at);
                rooms.push(entry.subscription);
            }
            Err(problem) => errors.push(refused(resume.id.as_deref(), Some(room), &problem)),
        }
    }
    let ready = Event::Ready {
        id: resume.id.as_deref(),
        user: who.user_id,
        device: &device,
        inbox: ready_inbox,
        rooms: positions,
    };
    let replies = std::iter::once(ready.encode()).chain(errors).collect();
    Ok(Ready { who: Arc::clone(who), standing, inbox, rooms, replies })
}

async fn open_inbox(
    node: &Arc<Node>,
    outbox: &Arc<Outbox>,
    user: UserId,
    device: &str,
    pos: Option<u64>,
) -> Result<(Subscription, ReadyInbox), OpsError> {
    let losses = node.losses.load(Ordering::Acquire);
    let entered = node.hub.enter(engine::Topic::Inbox(user), outbox).await?;
    // Subscribed first, then read: whatever is appended after this reaches the log or is found as a gap.
    let start = node.ops.inbox_start(user, device, pos).await?;
    entered.topic().init(None, start.head);
    fill::fill_if_lost(node, entered.topic(), losses);
    let ready = ReadyInbox { pos: start.pos, pending: start.head - start.pos, recovered: start.recovered };
    let cursor = entered.topic().cursor(start.pos);
    Ok((Subscription::new(entered, cursor, start.head), ready))
}

struct Entry {
    subscription: Subscription,
    at: ReadyRoom,
}

/// The join gate: enter, read the top, go on from the client's position. What it missed is replayed in pages as the
/// socket drains, never collected here.
async fn enter_room(
    node: &Arc<Node>,
    outbox: &Arc<Outbox>,
    who: Option<&Identity>,
    room: &RoomName,
    since: Option<Position>,
) -> Result<Entry, OpsError> {
    if !node.ops.may_join(who, room).await? {
        return Err(OpsError::Forbidden);
    }
    let losses = node.losses.load(Ordering::Acquire);
    let entered = node.hub.enter(engine::Topic::Room(room.clone()), outbox).await?;
    if !node.ops.may_join(who, room).await? {
        return Err(OpsError::Forbidden); // revoked before we were reachable for it
    }
    // One entry is enough to learn whether the position is good.
    let history = node.engine().broker.history(room, since, 1).await?;
    let recovered = since.is_none() || history.recovered;
    let reached = since.filter(|_| history.recovered).map_or(history.top.seq, |since| since.seq);
    let cursor = entered.topic().start_at(history.top, reached);
    fill::fill_if_lost(node, entered.topic(), losses);
    let subscription = Subscription::new(entered, cursor, history.top.seq);
    Ok(Entry { subscription, at: ReadyRoom { pos: history.top, recovered } })
}

/// `join`.
pub(super) async fn join(
    node: Arc<Node>,
    outbox: Arc<Outbox>,
    who: Option<Arc<Identity>>,
    id: Option<Box<RawValue>>,
    room: RoomName,
    since: Option<Position>,
) -> Done {
    match enter_room(&node, &outbox, who.as_deref(), &room, since).await {
        Err(problem) => Done::Reply(refused(id.as_deref(), Some(&room), &problem)),
        Ok(Entry { subscription, at }) => {
            let inside = node.occupancy.greet(&node, &room, subscription.topic()).await;
            let (online, count) = (&*inside.users, usize::try_from(inside.count).unwrap_or(usize::MAX));
            let reply = Event::Joined { id: id.as_deref(), room: &room, at, online, count }.encode();
            Done::Joined(Box::new(Joined { reply, subscription }))
        }
    }
}

/// `send`: the engine numbers, remembers and publishes in one step, or answers with the first one's position.
pub(super) async fn send(
    node: Arc<Node>,
    who: Arc<Identity>,
    reply: Option<Box<RawValue>>,
    id: Uuid,
    room: RoomName,
    (before, after): (String, String),
    ends_typing: bool,
) -> Done {
    let published = async {
        if !node.ops.may_publish(&who, &room).await? {
            return Err(OpsError::Forbidden);
        }
        Ok(node.engine().broker.publish(&room, Some(who.user_id), id, &before, &after).await?)
    };
    let reply = reply.as_deref();
    match published.await {
        Err(problem) => Done::Reply(refusal(reply, &problem)),
        Ok(published) => {
            if ends_typing {
                signal_typing(&node, &who, &room, 0).await;
            }
            let ack = Event::Ack { id: reply, pos: Some(published.pos), message: None, conversation: None };
            Done::Reply(ack.encode())
        }
    }
}

/// `message`: committed before it is acknowledged.
pub(super) async fn message(
    node: Arc<Node>,
    who: Arc<Identity>,
    reply: Option<Box<RawValue>>,
    id: Uuid,
    to: Uuid,
    body: String,
) -> Done {
    let ops = node.ops.clone();
    let sent = finish_anyway(&node, async move { ops.send_message(&who, id, to, &body).await }).await;
    Done::Reply(match sent {
        Err(problem) => refusal(reply.as_deref(), &problem),
        Ok(sent) => {
            let (message, conversation) = (sent.message.id.to_string(), sent.message.conversation_id.to_string());
            let (id, message, conversation) = (reply.as_deref(), Some(&*message), Some(&*conversation));
            Event::Ack { id, pos: None, message, conversation }.encode()
        }
    })
}

/// `read`.
pub(super) async fn read(
    node: Arc<Node>,
    who: Arc<Identity>,
    reply: Option<Box<RawValue>>,
    notifications: Vec<NotificationId>,
) -> Done {
    let ops = node.ops.clone();
    let marked = finish_anyway(&node, async move { ops.mark_read(&who, MarkRead::Ids(notifications)).await }).await;
    Done::Reply(match marked {
        Err(problem) => refusal(reply.as_deref(), &problem),
        Ok(_) => acknowledged(reply.as_deref()),
    })
}

/// Runs a change to its end even if the client hangs up meanwhile.
async fn finish_anyway<T: Send + 'static>(
    node: &Node,
    change: impl Future<Output = Result<T, OpsError>> + Send + 'static,
) -> Result<T, OpsError> {
    let task = node.lifecycle.tracker().spawn(change);
    task.await.unwrap_or_else(|problem| Err(OpsError::Internal(problem.to_string())))
}

/// `typing`: nothing is stored, and too many are silently one.
pub(super) async fn typing(node: Arc<Node>, who: Arc<Identity>, reply: Option<Box<RawValue>>, room: RoomName) -> Done {
    let key = format!("typing:{}:{room}", who.user_id);
    if node.engine().limits.take(&key, TYPING).await.is_ok_and(|decision| decision.allowed) {
        signal_typing(&node, &who, &room, TYPING_TTL_MS).await;
    }
    reply_if_asked(reply.as_deref())
}

async fn signal_typing(node: &Node, who: &Identity, room: &RoomName, ttl_ms: u64) {
    let signal = Signal::Typing { user: who.user_id, ttl_ms };
    if let Err(problem) = node.engine().broker.signal(&engine::Topic::Room(room.clone()), signal).await {
        tracing::debug!(%problem, "failed to pass a typing event on");
    }
}

/// `presence`.
pub(super) async fn presence(
    node: Arc<Node>,
    outbox: Arc<Outbox>,
    who: Arc<Identity>,
    reply: Option<Box<RawValue>>,
    status: Status,
) -> Done {
    outbox.away.store(status == Status::Away, Ordering::Relaxed);
    match node.engine().presence.set(&node.incarnation, who.user_id, outbox.number, status).await {
        Err(problem) => Done::Reply(refusal(reply.as_deref(), &problem.into())),
        Ok(()) => reply_if_asked(reply.as_deref()),
    }
}

/// `watch`: enters the presence topics first, then reads the snapshot, so that no change falls in between.
pub(super) async fn watch(
    node: Arc<Node>,
    outbox: Arc<Outbox>,
    who: Arc<Identity>,
    reply: Option<Box<RawValue>>,
    users: Vec<UserId>,
) -> Done {
    let followed = async {
        let allowed = node.ops.watchable(&who, &users).await?;
        let mut entered = Vec::with_capacity(allowed.len());
        for user in &allowed {
            entered.push(node.hub.enter(engine::Topic::Presence(*user), &outbox).await?);
        }
        let states = node.engine().presence.snapshot(&allowed).await?;
        Ok::<_, OpsError>((entered, states))
    };
    match followed.await {
        Err(problem) => Done::Reply(refusal(reply.as_deref(), &problem)),
        Ok((entered, states)) => {
            let reply = reply.as_deref().map(|id| acknowledged(Some(id)));
            Done::Watching { entered, states, reply }
        }
    }
}

/// `ack`. Losing one only redelivers, so an engine in trouble is no error for the client.
pub(super) async fn ack(node: Arc<Node>, user: UserId, device: String, pos: u64, reply: Option<Box<RawValue>>) -> Done {
    if let Err(problem) = node.engine().mailbox.ack(user, &device, pos).await {
        tracing::debug!(%problem, "failed to note an ack");
    }
    reply_if_asked(reply.as_deref())
}
