//! Inward: frames from the client become answers, or the connection's one job.

use super::{
    Connection, close, jobs,
    outbox::{CloseRequest, Revoked},
    subscription::Subscription,
};
use crate::{frame, session::Admission};
use serde_json::value::RawValue;
use shared::{
    model::Identity,
    protocol::{
        CloseReason, Command, Frame, Position, RoomName,
        command::{Ack, Auth},
        event::{Event, room_event_halves},
    },
};
use std::{
    collections::BTreeMap,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio_tungstenite::tungstenite::{
    Error as WsError, Message,
    error::{CapacityError, ProtocolError},
};

/// Fragments that cost as much as a frame: a message may come in pieces, but not in as many as its client likes.
const FRAGMENTS: u32 = 100;
/// Messages one round reads before output gets its turn.
const MESSAGES: u32 = 64;

/// Why a round reads no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// The socket has no more; it will wake the task.
    Waits,
    /// Its turn is over.
    More,
    /// The last message became a job.
    Job,
    /// A job of an earlier round is not done yet; it will wake the task.
    Busy,
    /// Answers pile up.
    Full,
}

impl Connection {
    /// Reads what there is. Nothing is read while a job runs or answers pile up.
    pub(super) fn poll_in(&mut self, cx: &mut Context<'_>) -> Result<Input, CloseRequest> {
        if self.job.is_some() {
            return Ok(Input::Busy);
        }
        for _ in 0..MESSAGES {
            if self.wire.is_full() {
                return Ok(Input::Full);
            }
            let read = self.reader.poll_message(&mut self.wire, cx);
            self.note_heard(); // part of a frame counts as alive too
            let Poll::Ready(read) = read else { return Ok(Input::Waits) };
            match read.map_err(|problem| close(reason_of(&problem)))? {
                Some(message) => self.admit(message)?,
                None => self.charge_fragment()?,
            }
            if self.job.is_some() {
                return Ok(Input::Job);
            }
        }
        Ok(Input::More)
    }

    fn admit(&mut self, message: Message) -> Result<(), CloseRequest> {
        self.node.metrics.frame_in(message.len());
        self.outbox.tally.note_received(self.wire.read_bytes);
        match self.session.admit(self.node.now_ms()) {
            Admission::Admitted => self.take(message),
            Admission::Close(reason) => Err(close(reason)),
            Admission::TooFast { retry_after_ms } => self.refuse_too_fast(&message, retry_after_ms),
        }
    }

    /// A fragment that does not end its message; empty ones too.
    fn charge_fragment(&mut self) -> Result<(), CloseRequest> {
        self.fragments += 1;
        if self.fragments.is_multiple_of(FRAGMENTS)
            && let Admission::Close(reason) = self.session.admit(self.node.now_ms())
        {
            return Err(close(reason));
        }
        Ok(())
    }

    fn take(&mut self, message: Message) -> Result<(), CloseRequest> {
        match message {
            Message::Text(_) | Message::Binary(_) if self.echo => {
                self.send_back(&message);
                Ok(())
            }
            Message::Text(text) => self.take_text(text.as_str()),
            Message::Binary(_) => Err(close(CloseReason::Unsupported)),
            Message::Close(_) => Err(close(CloseReason::Normal)), // its answer is on the wire
            Message::Pong(_) => {
                if let sent @ 1.. = std::mem::take(&mut self.pinged_at_ms) {
                    self.outbox.note_rtt(self.node.now_ms() - sent);
                }
                Ok(())
            }
            Message::Ping(_) | Message::Frame(_) => Ok(()),
        }
    }

    fn send_back(&mut self, message: &Message) {
        self.wire.push(match message {
            Message::Text(text) => frame::text(text.as_str()),
            other => frame::binary(&other.clone().into_data()),
        });
    }

    fn refuse_too_fast(&mut self, message: &Message, retry_after_ms: u64) -> Result<(), CloseRequest> {
        match message {
            Message::Text(text) => {
                let id = Frame::parse(text.as_str()).id;
                let message = "too many frames";
                let error = Event::Error { id, room: None, code: "rate_limited", message, retry_after: retry_after_ms }
                    .encode();
                self.push(&error);
                Ok(())
            }
            Message::Close(_) => Err(close(CloseReason::Normal)),
            _ => Ok(()),
        }
    }

    fn take_text(&mut self, text: &str) -> Result<(), CloseRequest> {
        let frame = Frame::parse(text);
        match frame.command {
            Ok(command) => {
                self.command(frame.id, command);
                Ok(())
            }
            Err(problem) => {
                self.refuse(frame.id, problem.code(), &problem.to_string());
                self.session.bad_frame(&problem).map_or(Ok(()), |reason| Err(close(reason)))
            }
        }
    }

    fn command(&mut self, id: Option<&RawValue>, command: Command<'_>) {
        let rooms = self.rooms.iter().filter_map(Subscription::room);
        if let Err(refusal) = self.session.judge(&command, &rooms, &self.node.config.limits) {
            return self.refuse(id, refusal.code, refusal.message);
        }
        let wait = self.session.charge(&command, self.node.now_ms());
        match command {
            Command::Ping(ping) => {
                let answer = Event::Pong { id, t: ping.t }.encode();
                self.push(&answer);
            }
            Command::Leave(leave) => self.leave(id, &leave.room),
            Command::Auth(auth) => self.auth(id, auth),
            Command::Ack(ack) => self.ack(id, &ack),
            Command::Join(join) => self.join(id, join.room, join.pos),
            other => self.act(id, other),
        }
        self.put_off(wait);
    }

    /// Lets the job that has just been made begin later. Nothing is read until it is done, so what waits is bounded.
    fn put_off(&mut self, wait: Duration) {
        if !wait.is_zero()
            && let Some(job) = self.job.take()
        {
            self.job = Some(Box::pin(async move {
                tokio::time::sleep(wait).await;
                job.await
            }));
        }
    }

    /// Commands that only make sense for somebody.
    fn act(&mut self, id: Option<&RawValue>, command: Command<'_>) {
        let Some(who) = self.session.identity().map(Arc::clone) else { return };
        let (node, reply) = (Arc::clone(&self.node), id.map(ToOwned::to_owned));
        self.job = Some(match command {
            Command::Send(send) => {
                let halves = room_event_halves(&send.room, Some(who.user_id), send.data);
                let ends_typing = self.typing_in.take_if(|room| *room == send.room);
                Box::pin(jobs::send(node, who, reply, send.id, send.room, halves, ends_typing.is_some()))
            }
            Command::Message(message) => {
                self.typing_in = None;
                Box::pin(jobs::message(node, who, reply, message.id, message.to, message.body.into_owned()))
            }
            Command::Typing(typing) => {
                let joined = self.rooms.iter().any(|room| room.room() == Some(&typing.room));
                if !joined {
                    return self.refuse(id, "not_joined", "join the room before typing in it");
                }
                self.typing_in = Some(typing.room.clone());
                Box::pin(jobs::typing(node, who, reply, typing.room))
            }
            Command::Presence(set) => Box::pin(jobs::presence(node, Arc::clone(&self.outbox), who, reply, set.status)),
            Command::Watch(watch) => Box::pin(jobs::watch(node, Arc::clone(&self.outbox), who, reply, watch.users)),
            Command::Read(read) => Box::pin(jobs::read(node, who, reply, read.notifications)),
            Command::Ping(_) | Command::Auth(_) | Command::Ack(_) | Command::Join(_) | Command::Leave(_) => return,
        });
    }

    fn auth(&mut self, id: Option<&RawValue>, auth: Auth<'_>) {
        // `ready` has fixed it, else the first word stands.
        if let Some(device) = auth.device.filter(|_| self.standing.is_none()) {
            self.outbox.note_device(&device);
        }
        let id = id.map(ToOwned::to_owned);
        if let Some(who) = self.session.identity().map(Arc::clone) {
            return self.start_ready(who, id, auth.inbox, auth.rooms);
        }
        let (node, outbox) = (Arc::clone(&self.node), Arc::clone(&self.outbox));
        let resume = jobs::Resume { id, inbox: auth.inbox, rooms: auth.rooms };
        self.job = Some(if let Some(token) = auth.token {
            Box::pin(jobs::authenticate(node, outbox, token.into_owned(), resume))
        } else {
            let cookie = self.session.take_cookie().unwrap_or_default();
            Box::pin(jobs::authenticate_by_cookie(node, outbox, cookie, resume))
        });
    }

    /// Makes the connection ready for somebody who is known already: by cookie, or by an earlier `auth`.
    pub(super) fn start_ready(
        &mut self,
        who: Arc<Identity>,
        id: Option<Box<RawValue>>,
        inbox: Option<u64>,
        rooms: BTreeMap<RoomName, Option<Position>>,
    ) {
        let (node, outbox) = (Arc::clone(&self.node), Arc::clone(&self.outbox));
        let standing = self.standing.is_some();
        let resume = jobs::Resume { id, inbox, rooms };
        self.job = Some(Box::pin(jobs::ready(node, outbox, who, standing, resume)));
    }

    fn ack(&mut self, id: Option<&RawValue>, ack: &Ack) {
        let Some(inbox) = &self.inbox else { return self.refuse(id, "not_ready", "the inbox is not open yet") };
        if ack.pos > inbox.cursor.seq {
            return self.refuse(id, "invalid_position", "nothing was sent beyond that position yet");
        }
        let Some(who) = self.session.identity() else { return };
        let (node, user, device) = (Arc::clone(&self.node), who.user_id, self.outbox.device_of(who).into_owned());
        self.job = Some(Box::pin(jobs::ack(node, user, device, ack.pos, id.map(ToOwned::to_owned))));
    }

    fn join(&mut self, id: Option<&RawValue>, room: RoomName, since: Option<Position>) {
        self.rooms.retain(|subscription| subscription.room() != Some(&room)); // a repeat starts over from its position
        self.note_rooms();
        let (node, outbox) = (Arc::clone(&self.node), Arc::clone(&self.outbox));
        let who = self.session.identity().map(Arc::clone);
        self.job = Some(Box::pin(jobs::join(node, outbox, who, id.map(ToOwned::to_owned), room, since)));
    }

    fn leave(&mut self, id: Option<&RawValue>, room: &RoomName) {
        self.rooms.retain(|subscription| subscription.room() != Some(room));
        self.note_rooms();
        let left = Event::Left { id, room }.encode();
        self.push(&left);
    }

    /// The user may no longer be in these rooms: out, and told so.
    pub(super) fn leave_revoked(&mut self, revoked: &Revoked) {
        if revoked.is_empty() {
            return;
        }
        let inside = self.rooms.iter().filter_map(|subscription| subscription.room());
        let to_leave: Vec<RoomName> = inside.filter(|room| revoked.covers(room)).cloned().collect();
        for room in &to_leave {
            self.leave(None, room);
        }
        self.typing_in.take_if(|room| revoked.covers(room));
    }

    pub(super) fn refuse(&mut self, id: Option<&RawValue>, code: &str, message: &str) {
        let error = Event::Error { id, room: None, code, message, retry_after: 0 }.encode();
        self.push(&error);
    }

    /// From here on the client's messages may have their full size.
    pub(super) fn lift_limits(&mut self) {
        self.reader.allow(self.node.config.limits.message_bytes);
    }
}

/// Why a read failed, as a close reason.
fn reason_of(problem: &WsError) -> CloseReason {
    match problem {
        WsError::Capacity(CapacityError::MessageTooLong { .. }) => CloseReason::TooLarge,
        WsError::Utf8(_) => CloseReason::InvalidUtf8,
        WsError::ConnectionClosed => CloseReason::Normal,
        WsError::Io(_) | WsError::AlreadyClosed | WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            CloseReason::Gone
        }
        _ => CloseReason::ProtocolError,
    }
}
