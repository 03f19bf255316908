//! Inward: frames from the client become answers, or the connection's one job.

use super::{Connection, close, jobs, outbox::CloseRequest};
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
use std::{collections::BTreeMap, io, sync::Arc, task::Context};
use tokio_tungstenite::tungstenite::{
    Error as WsError, Message,
    error::{CapacityError, ProtocolError},
};

/// Longest header of a client's frame: two bytes, eight of length, four of mask.
const HEADER_BYTES: u64 = 14;
/// Inbound bytes beyond any message that cost as much as a frame: the headers of about a hundred empty fragments.
const OVERHEAD_BYTES: u64 = 600;
/// What may have been read of messages whose turn has not come.
const READ_AHEAD_BYTES: u64 = 4 * 1024;

impl Connection {
    /// Reads at most one frame; true if there was one. Nothing is read while a job runs or answers pile up.
    pub(super) fn poll_in(&mut self, cx: &mut Context<'_>) -> Result<bool, CloseRequest> {
        if self.job.is_some() || self.wire.is_full() {
            return Ok(false);
        }
        let message = match self.ws.read(&mut self.wire.io(cx)) {
            Err(WsError::Io(problem)) if problem.kind() == io::ErrorKind::WouldBlock => {
                self.note_heard(); // part of a frame counts as alive too
                self.charge_overhead()?;
                return Ok(self.wire.has_fresh()); // a pong tungstenite had kept back
            }
            read => {
                self.note_heard();
                read.map_err(|problem| close(reason_of(&problem)))?
            }
        };
        self.settled_bytes = (self.settled_bytes + message.len() as u64 + HEADER_BYTES).min(self.wire.read_bytes);
        self.charge_overhead()?;
        self.node.metrics.frame_in(message.len());
        self.outbox.tally.note_received(self.wire.read_bytes);
        match self.session.admit(self.node.now_ms()) {
            Admission::Admitted => self.take(message)?,
            Admission::Close(reason) => return Err(close(reason)),
            Admission::TooFast { retry_after_ms } => self.refuse_too_fast(&message, retry_after_ms)?,
        }
        // Frames that arrived together are handled together, with nothing written in between: one write answers all.
        Ok(true)
    }

    /// A message may come in as many fragments as the client likes, empty ones too, and tungstenite passes over them
    /// unseen. What was read beyond the messages it made, and beyond one that may be under way, are their headers: they
    /// cost frames.
    fn charge_overhead(&mut self) -> Result<(), CloseRequest> {
        let under_way = self.ws.get_config().max_message_size.unwrap_or(0) as u64 + READ_AHEAD_BYTES;
        while self.wire.read_bytes - self.settled_bytes > under_way {
            self.settled_bytes += OVERHEAD_BYTES;
            if let Admission::Close(reason) = self.session.admit(self.node.now_ms()) {
                return Err(close(reason));
            }
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
            Message::Close(_) => self.answer_close(),
            // tungstenite queued the pong; it leaves with the next flush, which costs nothing here.
            Message::Ping(_) => self.flush_control(),
            Message::Pong(_) => {
                if let sent @ 1.. = std::mem::take(&mut self.pinged_at_ms) {
                    self.outbox.note_rtt(self.node.now_ms() - sent);
                }
                Ok(())
            }
            Message::Frame(_) => Ok(()),
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
            Message::Close(_) => self.answer_close(),
            _ => Ok(()),
        }
    }

    fn answer_close(&mut self) -> Result<(), CloseRequest> {
        self.flush_control()?;
        Err(close(CloseReason::Normal))
    }

    /// Moves tungstenite's own frames to the wire.
    fn flush_control(&mut self) -> Result<(), CloseRequest> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        match self.ws.flush(&mut self.wire.io(&mut cx)) {
            Ok(()) | Err(WsError::ConnectionClosed) => Ok(()),
            Err(WsError::Io(problem)) if problem.kind() == io::ErrorKind::WouldBlock => Ok(()), // kept for later
            Err(problem) => Err(close(reason_of(&problem))),
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
        if let Err(refusal) = self.session.judge(&command, self.rooms.len(), &self.node.config.limits) {
            return self.refuse(id, refusal.code, refusal.message);
        }
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
        if self.device.is_none() {
            self.device = auth.device.map(|device| device.into_owned().into_boxed_str());
            self.note_device();
        }
        let id = id.map(ToOwned::to_owned);
        if let Some(who) = self.session.known().map(Arc::clone) {
            return self.start_ready(who, id, auth.inbox, auth.rooms);
        }
        let token = auth.token.map(std::borrow::Cow::into_owned).unwrap_or_default();
        let (node, outbox) = (Arc::clone(&self.node), Arc::clone(&self.outbox));
        let resume = jobs::Resume { id, device: self.device.clone(), inbox: auth.inbox, rooms: auth.rooms };
        self.job = Some(Box::pin(jobs::authenticate(node, outbox, token, resume)));
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
        let resume = jobs::Resume { id, device: self.device.clone(), inbox, rooms };
        self.job = Some(Box::pin(jobs::ready(node, outbox, who, standing, resume)));
    }

    fn ack(&mut self, id: Option<&RawValue>, ack: &Ack) {
        let Some(inbox) = &self.inbox else { return self.refuse(id, "not_ready", "the inbox is not open yet") };
        if ack.pos > inbox.cursor.seq {
            return self.refuse(id, "invalid_position", "nothing was sent beyond that position yet");
        }
        let (Some(who), Some(device)) = (self.session.identity(), &self.device) else { return };
        let (node, user) = (Arc::clone(&self.node), who.user_id);
        self.job = Some(Box::pin(jobs::ack(node, user, device.clone(), ack.pos, id.map(ToOwned::to_owned))));
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

    /// The user may no longer be in the room: out, and told so.
    pub(super) fn leave_revoked(&mut self, room: &RoomName) {
        let before = self.rooms.len();
        self.rooms.retain(|subscription| subscription.room() != Some(room));
        if self.rooms.len() < before {
            self.leave(None, room);
        }
        if self.typing_in.as_ref() == Some(room) {
            self.typing_in = None;
        }
    }

    pub(super) fn refuse(&mut self, id: Option<&RawValue>, code: &str, message: &str) {
        let error = Event::Error { id, room: None, code, message, retry_after: 0 }.encode();
        self.push(&error);
    }

    /// From here on the client's messages may have their full size.
    pub(super) fn lift_limits(&mut self) {
        let most = self.node.config.limits.message_bytes;
        self.ws.set_config(|config| {
            config.max_message_size = Some(most);
            config.max_frame_size = Some(most);
        });
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
