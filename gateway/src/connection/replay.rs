//! What a member of a room gets, whatever happens: replay and live together are what was published, once and in order.
//!
//! The engine's broker, the hub, a topic and its subscriptions are the real ones. Played by hand are the pump (which may
//! be late, and whose deliveries may be lost) and the connection's turn (which may come at any time).

use super::subscription::{Outcome, Subscription, fetch_room};
use crate::{
    connection::outbox::Outbox,
    fill,
    hub::Hub,
    log::{Append, Pulled},
    topic::{Start, Topic},
};
use bytes::Bytes;
use proptest::prelude::*;
use shared::{
    clock::{Clock, Timestamp},
    engine::{self, Attachment, Broker, Delivery, Engine, broker::HISTORY_AGE},
    protocol::{Position, RoomName},
};
use std::sync::Arc;

/// What can happen.
#[derive(Clone, Debug)]
enum Step {
    /// Somebody publishes this many events.
    Publish(usize),
    /// The pump takes this many deliveries and appends them as one batch.
    Deliver(usize),
    /// As many deliveries are lost; the node is told, as the broker's contract says, when it has taken the rest.
    Lose(usize),
    /// Somebody joins, this many events behind the top (`None`: without a position).
    Join(Option<u64>),
    /// A member's turn comes; its socket takes this many batches.
    Turn(usize, usize),
    /// A member leaves.
    Leave(usize),
    /// The log is emptied, as happens to a quiet topic.
    Cool,
    /// The history forgets what is older than ten minutes.
    Age,
    /// The engine loses the room, which begins another life.
    Rebirth,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_usize..30).prop_map(Step::Publish),
        4 => (1_usize..40).prop_map(Step::Deliver),
        1 => (1_usize..20).prop_map(Step::Lose),
        2 => prop::option::of(0_u64..120).prop_map(Step::Join),
        6 => (0_usize..4, 1_usize..6).prop_map(|(who, batches)| Step::Turn(who, batches)),
        1 => (0_usize..4).prop_map(Step::Leave),
        1 => Just(Step::Cool),
        1 => Just(Step::Age),
        1 => Just(Step::Rebirth),
    ]
}

/// A log this small is behind all the time.
const BOUNDS: (usize, usize) = (8, 1 << 20);

struct Room {
    name: RoomName,
    clock: Clock,
    broker: Broker,
    attachment: Attachment,
    hub: Arc<Hub>,
    members: Vec<Member>,
    lost: bool,
}

struct Member {
    subscription: Subscription,
    /// The next position it must get.
    next: Position,
    got: usize,
    /// How often it was told to reload.
    restarts: usize,
}

impl Room {
    async fn new() -> Self {
        let clock = Clock::manual(Timestamp::from_micros(1_000_000));
        let broker = Engine::memory(clock.clone()).broker;
        let attachment = broker.attach().await.unwrap();
        let hub = Arc::new(Hub::new(broker.clone(), attachment.node));
        let name = "public:lobby".parse().unwrap();
        Self { name, clock, broker, attachment, hub, members: Vec::new(), lost: false }
    }

    async fn play(&mut self, step: Step) {
        match step {
            Step::Publish(count) => self.publish(count).await,
            Step::Deliver(count) => self.deliver(count).await,
            Step::Lose(count) => {
                for _ in 0..count {
                    self.lost |= self.attachment.deliveries.try_recv().is_some();
                }
            }
            Step::Join(behind) => self.join(behind).await,
            Step::Turn(who, batches) => {
                if let Some(member) = self.members.get_mut(who) {
                    member.turn(&self.broker, &self.name, batches).await;
                }
            }
            Step::Leave(who) => {
                if who < self.members.len() {
                    self.members.swap_remove(who);
                }
                self.hub.sweep().await;
            }
            Step::Cool => {
                if let Some(topic) = self.topic() {
                    topic.cool();
                }
            }
            Step::Age => {
                self.clock.advance(HISTORY_AGE);
            }
            Step::Rebirth => self.begin_another_life().await,
        }
    }

    async fn publish(&self, count: usize) {
        for _ in 0..count {
            // The payload is the position alone, so that what arrives says what it is.
            self.broker.publish(&self.name, None, uuid::Uuid::now_v7(), "", "").await.unwrap();
        }
    }

    /// A memory engine forgets a room that nobody follows for a while; to the node this looks like a flushed Redis.
    async fn begin_another_life(&self) {
        let (node, key) = (self.attachment.node, engine::Topic::Room(self.name.clone()));
        self.broker.unsubscribe(node, &key).await.unwrap();
        self.clock.advance(HISTORY_AGE);
        if self.topic().is_some() {
            self.broker.subscribe(node, &key).await.unwrap();
        }
    }

    fn topic(&self) -> Option<Arc<Topic>> {
        self.hub.find(&engine::Topic::Room(self.name.clone()))
    }

    async fn deliver(&mut self, count: usize) {
        let mut run: Vec<(Position, Bytes)> = Vec::new();
        for _ in 0..count {
            match self.attachment.deliveries.try_recv() {
                Some(Delivery::Event { pos, frame, .. }) => {
                    if run.last().is_some_and(|(last, _)| last.epoch != pos.epoch || last.seq + 1 != pos.seq) {
                        self.append(&run).await;
                        run.clear();
                    }
                    run.push((pos, frame));
                }
                Some(other) => panic!("{other:?}"),
                None => break,
            }
        }
        self.append(&run).await;
        if run.len() < count && std::mem::take(&mut self.lost) {
            self.fill().await;
        }
    }

    async fn append(&self, run: &[(Position, Bytes)]) {
        let (Some(topic), Some((first, _))) = (self.topic(), run.first()) else { return };
        let frames = run.iter().map(|(_, frame)| &frame[..]);
        if let Append::Gap | Append::OtherEpoch = topic.append(Some(first.epoch), first.seq, frames, BOUNDS) {
            self.fill().await;
        }
    }

    async fn fill(&self) {
        let Some(topic) = self.topic().filter(|topic| topic.head().is_some()) else { return };
        while fill::fill_room(&self.broker, &topic, &self.name, BOUNDS).await.unwrap() {}
    }

    /// The join gate, as `jobs.rs` passes it.
    async fn join(&mut self, behind: Option<u64>) {
        let outbox = Arc::new(Outbox::new(self.members.len() as u64, 0, u32::MAX));
        let entered = self.hub.enter(engine::Topic::Room(self.name.clone()), &outbox).await.unwrap();
        let top = self.broker.history(&self.name, None, 0).await.unwrap().top;
        let since = behind.map(|behind| Position { seq: top.seq.saturating_sub(behind), ..top });
        let history = self.broker.history(&self.name, since, 1).await.unwrap();
        let reached = since.filter(|_| history.recovered).map_or(history.top.seq, |since| since.seq);
        let cursor = entered.topic().start_at(history.top, reached);
        let subscription = Subscription::new(entered, cursor, history.top.seq);
        let next = Position { seq: reached + 1, ..history.top };
        self.members.push(Member { subscription, next, got: 0, restarts: 0 });
    }

    /// Everything is delivered and everybody's socket takes what there is. One more event tells those who wait for one
    /// that the room lives on, or anew.
    async fn settle(&mut self) {
        self.publish(1).await;
        self.deliver(usize::MAX).await;
        for member in &mut self.members {
            member.turn(&self.broker, &self.name, usize::MAX).await;
        }
    }
}

impl Member {
    /// What a connection does when its turn comes, until its socket takes no more.
    async fn turn(&mut self, broker: &Broker, room: &RoomName, batches: usize) {
        let (mut left, told_before) = (batches, self.restarts);
        while left > 0 {
            assert!(self.restarts <= told_before + 2, "told to reload over and over");
            let topic = Arc::clone(self.subscription.topic());
            let mut frames = Vec::new();
            let pulled = topic.pull(&mut self.subscription.cursor, |batch| {
                frames.push(batch);
                left -= 1;
                left > 0
            });
            for batch in &frames {
                self.take(batch);
            }
            match pulled {
                Pulled::UpToDate => return,
                Pulled::Some => {}
                Pulled::Reset => self.restart(topic.newest()),
                Pulled::Behind => {
                    left -= 1;
                    let from = self.subscription.cursor;
                    match fetch_room(broker, &topic, room, from).await {
                        Outcome::Frames { frames, last } => {
                            self.take(&frames);
                            self.subscription.cursor.seq = last;
                        }
                        Outcome::Nothing { at } => self.subscription.cursor.seq = at,
                        Outcome::Lost { top } => self.restart(topic.after_loss(from, top)),
                        Outcome::Failed | Outcome::Trimmed => panic!("the memory engine is there"),
                    }
                }
            }
        }
    }

    /// Told to reload: goes on from the top, and nothing in between may come any more.
    fn restart(&mut self, start: Option<Start>) {
        let Some(start) = start else { return };
        self.subscription.restart(start);
        self.next = Position { seq: start.at.seq + 1, ..start.at };
        self.restarts += 1;
    }

    fn take(&mut self, mut frames: &[u8]) {
        while let [0x81, len, rest @ ..] = frames {
            let (payload, after) = rest.split_at(usize::from(*len));
            let pos: Position = std::str::from_utf8(payload).unwrap().parse().unwrap();
            assert_eq!(pos, self.next, "once, in order, and nothing left out");
            self.next.seq += 1;
            (self.got, frames) = (self.got + 1, after);
        }
        assert!(frames.is_empty(), "frames are whole");
    }
}

#[tokio::test]
async fn a_room_that_begins_another_life_tells_who_replays_and_who_waits_once_each() {
    let mut room = Room::new().await;
    room.play(Step::Join(None)).await;
    for _ in 0..20 {
        room.play(Step::Publish(10)).await; // in pieces, so that the log lets the oldest go
        room.play(Step::Deliver(10)).await;
        room.play(Step::Turn(0, usize::MAX)).await;
    }
    room.play(Step::Join(Some(150))).await;
    room.play(Step::Turn(1, 1)).await;
    room.play(Step::Rebirth).await;
    for _ in 0..3 {
        for member in 0..2 {
            room.play(Step::Turn(member, usize::MAX)).await;
        }
    }
    let top = room.broker.history(&room.name, None, 0).await.unwrap().top;
    for member in &room.members {
        assert_eq!((member.restarts, member.next), (1, Position { seq: top.seq + 1, ..top }));
    }
    room.play(Step::Publish(5)).await;
    room.settle().await;
    for member in &room.members {
        assert_eq!((member.restarts, member.next.seq), (1, 7), "and then everything new");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn replay_and_live_together_are_what_was_published_once_and_in_order(steps in prop::collection::vec(step(), 1..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut room = Room::new().await;
            for step in steps {
                room.play(step).await;
            }
            room.settle().await;
            let top = room.broker.history(&room.name, None, 0).await.unwrap().top;
            for member in &room.members {
                let end = Position { seq: top.seq + 1, ..top };
                assert_eq!(member.next, end, "everybody is at the top in the end, having got {}", member.got);
            }
        });
    }
}
