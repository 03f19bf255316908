//! One user of a chaos run: a page that is always coming back, as the browser client is. It resumes from its positions
//! on whatever gateway the balancer gives it, repeats what was not answered, and keeps the ledgers.

use super::{
    backoff::{Backoff, may_return},
    board::{Board, Phase},
    inbox::Inbox,
    lane::{Kind, Lane},
    place::Place,
    presence::Neighbour,
    verdict::Breaches,
};
use crate::{
    client::{ClientError, Dialect, PATIENCE, Socket},
    fleet::Balancer,
    frames::{self, Letter, Mark},
    numbers::{float_len, nanos},
    target::Sources,
};
use serde_json::{Value, json};
use shared::protocol::event::{ReadyRoom, Received};
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};

/// Acks are cumulative, and leave at most this often.
const ACK_DELAY: Duration = Duration::from_millis(250);
/// How long an answer to `join` may take before it is asked again.
const JOIN_AGAIN: Duration = Duration::from_secs(10);
/// Least pause before a refused `join` is repeated.
const JOIN_PAUSE: Duration = Duration::from_millis(500);

/// How one user differs from the next.
#[derive(Clone, Debug)]
pub(super) struct Role {
    pub(super) index: usize,
    pub(super) token: String,
    /// Stays away once its connection is lost, until everything settles.
    pub(super) mortal: bool,
    /// Keeps no inbox position: resumes from the cursor the server has for its device.
    pub(super) forgetful: bool,
    /// Time between two letters, and between two events.
    pub(super) letter_every: Duration,
    pub(super) event_every: Duration,
}

/// What every user works with.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) board: Arc<Board>,
    pub(super) gateways: Balancer,
    pub(super) sources: Sources,
    pub(super) rooms: usize,
    /// How many users come a second.
    pub(super) ramp: f64,
}

/// A user.
#[derive(Debug)]
pub(super) struct User {
    role: Role,
    world: World,
    phase: watch::Receiver<Phase>,
    room: String,
    backoff: Backoff,
    inbox: Inbox,
    place: Place,
    letters: Lane,
    events: Lane,
    neighbour: Neighbour,
    pub(super) breaches: Breaches,
    next_letter: Option<Instant>,
    next_event: Option<Instant>,
    join_due: Instant,
    join_asked: Option<shared::protocol::Position>,
    ack: Option<(u64, Instant)>,
    bye: Option<(u16, u64)>,
    connections: u64,
}

/// How a connection ended.
enum End {
    /// The run is over.
    Over,
    /// Gone, or never there.
    Lost { code: u16, asked: Option<Duration> },
}

/// What one user's run came to.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) breaches: Breaches,
    pub(super) repeated: u64,
    pub(super) resets: u64,
    pub(super) dropped: u64,
    pub(super) connections: u64,
}

impl User {
    pub(super) fn new(role: Role, world: World) -> Self {
        let room = format!("public:chaos-{}", role.index % world.rooms);
        let run = world.board.run;
        Self {
            phase: world.board.phase(),
            backoff: Backoff::default(),
            inbox: Inbox::default(),
            place: Place::default(),
            letters: Lane::new(Kind::Letters { to: String::new(), run }),
            events: Lane::new(Kind::Events { room: room.clone() }),
            neighbour: Neighbour::default(),
            breaches: Breaches::default(),
            next_letter: None,
            next_event: None,
            join_due: Instant::now(),
            join_asked: None,
            ack: None,
            bye: None,
            connections: 0,
            room,
            role,
            world,
        }
    }

    /// The whole life of the user.
    pub(super) async fn run(mut self) -> Summary {
        sleep(Duration::from_secs_f64(float_len(self.role.index) / self.world.ramp)).await;
        loop {
            let end = self.connection().await;
            self.world.board.people()[self.role.index].is_on(None, false);
            let End::Lost { code, asked } = end else { break };
            if !may_return(code) {
                self.breaches.note("users told not to come back", format!("{code}"));
                break;
            }
            let pause = self.backoff.pause(code, asked);
            if !self.wait(pause).await {
                break;
            }
        }
        let board = &self.world.board;
        let accepted = board.people()[board.before(self.role.index)].letters_accepted();
        self.neighbour.close(&mut self.breaches);
        let repeated = self.inbox.repeated;
        self.inbox.close(accepted, &mut self.breaches);
        Summary {
            breaches: self.breaches,
            repeated,
            resets: self.place.resets,
            dropped: self.letters.dropped + self.events.dropped,
            connections: self.connections,
        }
    }

    /// Between two connections; the user goes on writing. False when the run is over.
    async fn wait(&mut self, pause: Duration) -> bool {
        if self.role.mortal {
            let back = |phase: &Phase| *phase >= Phase::Settling;
            drop(self.phase.wait_for(back).await);
        }
        let mut phase = self.phase.clone();
        tokio::select! {
            _ = phase.wait_for(|phase| *phase == Phase::Over) => false,
            () = sleep(pause) => true,
        }
    }

    /// One connection, from the balancer's choice to its end.
    async fn connection(&mut self) -> End {
        let (mut socket, node) = match self.reach().await {
            Ok(reached) => reached,
            Err(error) => {
                self.world.board.refusals.add(error.kind());
                let asked = match error {
                    ClientError::Refused { retry_after, .. } => retry_after.map(Duration::from_secs),
                    _ => None,
                };
                return End::Lost { code: 1006, asked };
            }
        };
        self.connections += 1;
        self.bye = None;
        let outcome = match self.enter(&mut socket).await {
            Ok(()) => self.live(&mut socket, node).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => {
                socket.close().await;
                End::Over
            }
            Err(error) => self.lost(&error),
        }
    }

    fn lost(&self, error: &ClientError) -> End {
        let code = match (error, self.bye) {
            // Some proxies swallow the close frame.
            (ClientError::Closed { code: 1005 | 1006, .. } | ClientError::Socket(_), Some((code, _))) => code,
            (ClientError::Closed { code, .. }, _) => *code,
            (ClientError::Answer { code, .. }, _) => {
                self.world.board.errors.add(format!("auth: {code}"));
                4401
            }
            _ => 1006,
        };
        self.world.board.closes.add(code.to_string());
        End::Lost { code, asked: self.bye.map(|(_, after)| Duration::from_millis(after)) }
    }

    /// A socket on a gateway that takes one: who refuses the connection is passed over, as a balancer does.
    async fn reach(&self) -> Result<(Socket, usize), ClientError> {
        let World { gateways, sources, .. } = &self.world;
        let first = self.connections == 0;
        let mut node = if first { self.role.index % gateways.len() } else { gateways.pick() };
        for _ in 1..gateways.len() {
            match Socket::open(gateways.target(node), sources.of(self.role.index), Dialect::Pitchey).await {
                Err(ClientError::Connect(_)) => gateways.refused(node),
                reached => return Ok((reached?, node)),
            }
            node = gateways.pick();
        }
        let last = Socket::open(gateways.target(node), sources.of(self.role.index), Dialect::Pitchey).await;
        last.map(|socket| (socket, node))
    }

    /// Signs in and resumes, in one frame.
    async fn enter(&mut self, socket: &mut Socket) -> Result<(), ClientError> {
        self.place.joined = false;
        self.join_due = Instant::now();
        self.ack = None;
        self.neighbour.reconnected();
        self.letters.reconnected();
        self.events.reconnected();
        let (asked, place) = (self.inbox.position().filter(|_| !self.role.forgetful), self.place.position());
        let mut auth = json!({
            "type": "auth", "id": "auth", "token": self.role.token, "device": format!("page-{}", self.role.index),
            "rooms": {self.room.clone(): place.map(|at| at.to_string())},
        });
        if let Some(asked) = asked {
            auth["inbox"] = asked.to_string().into();
        }
        socket.say(auth.to_string()).await?;
        let ready = async {
            loop {
                let text = socket.hear().await?;
                match serde_json::from_str(&text) {
                    Ok(Received::Ready { user, inbox, rooms, .. }) => return Ok((user, inbox, rooms)),
                    Ok(Received::Error { id: Some(id), code, message, room: None, .. }) if id == "auth" => {
                        return Err(ClientError::Answer { code, message });
                    }
                    Ok(Received::Bye { code, retry_after, .. }) => self.bye = Some((code, retry_after)),
                    _ => {}
                }
            }
        };
        let (user, inbox, rooms) = timeout(PATIENCE, ready).await.map_err(|_| ClientError::Silence("ready"))??;
        self.backoff.ready();
        let known = self.world.board.people()[self.role.index].user.get_or_init(|| user);
        if *known != user {
            self.breaches.note("users who became somebody else", format!("{known} became {user}"));
        }
        self.inbox.ready(asked, inbox, &mut self.breaches);
        if let Some(room) = rooms.into_iter().find_map(|(name, at)| (name.as_str() == self.room).then_some(at)) {
            self.entered(place, room);
        }
        Ok(())
    }

    fn entered(&mut self, asked: Option<shared::protocol::Position>, room: ReadyRoom) {
        self.place.entered(asked, room);
        self.world.board.people()[self.role.index].is_at(self.place.position());
    }

    /// Talks and listens until the connection ends (an error) or the run is over.
    async fn live(&mut self, socket: &mut Socket, node: usize) -> Result<(), ClientError> {
        let mut phase = self.phase.clone();
        phase.mark_unchanged();
        loop {
            let now = *phase.borrow();
            if now == Phase::Over {
                return Ok(());
            }
            let wake = self.act(socket, now).await?;
            let person = &self.world.board.people()[self.role.index];
            person.is_on(Some(node), self.place.joined);
            person.waiting.store(self.letters.waiting() + self.events.waiting(), Relaxed);
            tokio::select! {
                biased;
                _ = phase.changed() => if *phase.borrow() == Phase::Looking { self.neighbour.look_again() },
                text = socket.hear() => {
                    let text = text?;
                    self.heard(&text);
                }
                () = sleep_until(wake) => {}
            }
        }
    }

    /// Says what is due; when something is due next.
    async fn act(&mut self, socket: &mut Socket, phase: Phase) -> Result<Instant, ClientError> {
        self.write(phase);
        let now = Instant::now();
        let mut wake = now + Duration::from_secs(1);
        if !self.place.joined {
            if self.join_due <= now {
                self.join_asked = self.place.position();
                let mut join = json!({"type": "join", "id": "join", "room": self.room});
                if let Some(at) = self.join_asked {
                    join["pos"] = at.to_string().into();
                }
                socket.say(join.to_string()).await?;
                self.join_due = now + JOIN_AGAIN;
            }
            wake = wake.min(self.join_due);
        }
        let events = self.place.joined.then_some(&mut self.events);
        for lane in std::iter::once(&mut self.letters).chain(events) {
            if let Some(frame) = lane.frame() {
                socket.say(frame).await?;
            }
            wake = lane.due().map_or(wake, |due| wake.min(due));
        }
        if let Some((pos, due)) = self.ack {
            if due <= now {
                socket.say(frames::ack(pos)).await?;
                self.ack = None;
            }
            wake = wake.min(due);
        }
        let before = self.world.board.before(self.role.index);
        if let Some(frame) = self.world.board.people()[before].user.get().and_then(|user| self.neighbour.watch(*user)) {
            socket.say(frame).await?;
        }
        Ok([self.next_letter, self.next_event].into_iter().flatten().fold(wake, Instant::min))
    }

    /// Writes what the user would have written by now.
    fn write(&mut self, phase: Phase) {
        let Role { index, letter_every, event_every, .. } = self.role;
        match phase {
            Phase::Gathering => {}
            Phase::Introductions if self.next_letter.is_none() => {
                let board = &self.world.board;
                let to = board.people()[board.after(index)].user.get().map(ToString::to_string);
                self.letters = Lane::new(Kind::Letters { to: to.unwrap_or_default(), run: board.run });
                // As they came: one after the other.
                let turn = Duration::from_secs_f64(float_len(index) / self.world.ramp);
                self.next_letter = Some(Instant::now() + turn);
            }
            Phase::Introductions => {
                self.written(true, Duration::from_hours(1));
            }
            Phase::Talking => {
                if self.next_event.is_none() {
                    let share = f64::from(u16::try_from(index % 97).unwrap_or(0)) / 97.0;
                    self.next_letter = Some(Instant::now() + letter_every.mul_f64(share));
                    self.next_event = Some(Instant::now() + event_every.mul_f64(share));
                }
                self.written(true, letter_every);
                self.written(false, event_every);
            }
            Phase::Settling | Phase::Looking | Phase::Over => (self.next_letter, self.next_event) = (None, None),
        }
    }

    fn written(&mut self, letter: bool, every: Duration) {
        let (next, lane) =
            if letter { (&mut self.next_letter, &mut self.letters) } else { (&mut self.next_event, &mut self.events) };
        while let Some(due) = next.filter(|due| *due <= Instant::now()) {
            lane.write(self.role.index, nanos(due - self.world.board.origin));
            *next = Some(due + every);
        }
    }

    fn heard(&mut self, text: &str) {
        let Ok(frame) = serde_json::from_str::<Received>(text) else {
            return self.breaches.note("frames that cannot be read", text.chars().take(80).collect());
        };
        match frame {
            Received::Inbox { pos, .. } => self.heard_inbox(pos, text),
            Received::Event { pos, .. } => self.heard_event(pos, text),
            Received::Joined { id, pos, recovered, .. } => {
                let asked = id.is_some().then_some(self.join_asked).flatten();
                self.entered(asked, ReadyRoom { pos, recovered });
            }
            Received::Ack { id: Some(Value::String(id)), pos, .. } => self.heard_ack(&id, pos),
            Received::Error { id, room, code, retry_after, .. } => {
                let after = Duration::from_millis(retry_after);
                self.heard_error(id.as_ref().and_then(Value::as_str).unwrap_or_default(), room.is_some(), &code, after);
            }
            Received::Presence(state) => {
                let board = &self.world.board;
                let before = &board.people()[board.before(self.role.index)];
                if before.user.get() == Some(&state.user) && self.neighbour.heard(state) {
                    before.went_offline();
                }
                if self.neighbour.has_looked() {
                    board.people()[self.role.index].has_looked();
                }
            }
            Received::Left { .. } => self.breaches.note("users put out of their room", String::new()),
            Received::Bye { code, retry_after, .. } => self.bye = Some((code, retry_after)),
            _ => {}
        }
    }

    fn heard_inbox(&mut self, pos: u64, text: &str) {
        let (board, index) = (&self.world.board, self.role.index);
        let (before, person) = (board.before(index), &board.people()[index]);
        let letter = Letter::find(text).filter(|letter| letter.run == board.run).map(|letter| letter.mark);
        let content = letter.map(|mark| (mark.sender, mark.number));
        if self.inbox.arrived(pos, content, before, &mut self.breaches)
            && let Some(mark) = letter.filter(|mark| mark.sender == before)
        {
            person.arrived(mark.number, board.now());
            board.letters.record(since(board, mark));
            self.neighbour.is_known();
        }
        let due = self.ack.map_or_else(|| Instant::now() + ACK_DELAY, |(_, due)| due);
        self.ack = Some((pos, due));
    }

    fn heard_event(&mut self, pos: shared::protocol::Position, text: &str) {
        let (board, room) = (&self.world.board, self.role.index % self.world.rooms);
        let new = self.place.arrived(pos, &mut self.breaches);
        board.people()[self.role.index].is_at(self.place.position());
        if let Some(mark) = Mark::find(text) {
            board.seen(room, pos, mark, &mut self.breaches);
            if new {
                board.events.record(since(board, mark));
            }
        }
    }

    fn heard_ack(&mut self, id: &str, pos: Option<shared::protocol::Position>) {
        let (board, index) = (&self.world.board, self.role.index);
        let person = &board.people()[index];
        if let Some(item) = self.letters.answered(id) {
            board.accepted.record(item.at.elapsed());
            person.acknowledged(board.now());
        } else if let (Some(item), Some(pos)) = (self.events.answered(id), pos) {
            board.accepted.record(item.at.elapsed());
            person.events_accepted.fetch_add(1, Relaxed);
            board.published(index % self.world.rooms, pos, item.mark, &mut self.breaches);
        }
    }

    fn heard_error(&mut self, id: &str, of_room: bool, code: &str, retry_after: Duration) {
        self.world.board.errors.add(code);
        if of_room || id == "join" {
            if retry_after.is_zero() {
                self.breaches.note("rooms closed to a member", code.to_owned());
            }
            self.join_due = Instant::now() + retry_after.max(JOIN_PAUSE);
        } else if retry_after.is_zero() {
            // "Trying again will not help": then it is lost, and its user knows.
            let ours = self.letters.answered(id).or_else(|| self.events.answered(id)).is_some();
            if ours {
                self.breaches.note("messages refused for good", code.to_owned());
            }
        } else if !self.letters.refused(id, retry_after) {
            self.events.refused(id, retry_after);
        }
    }
}

fn since(board: &Board, mark: Mark) -> Duration {
    board.now().saturating_sub(Duration::from_nanos(mark.at))
}
