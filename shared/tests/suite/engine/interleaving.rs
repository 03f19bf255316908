//! The property all of delivery is for: a reader that joins as the protocol says (subscribe, read the top, replay, go
//! live; fill after `Lost`) sees what was published, each event once, in order, whatever happens in between.

use super::{Fixture, many, node::Node, some_room};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use shared::{
    engine::{Delivery, Engine, Signal, Topic, broker::HISTORY_EVENTS, broker::NODE_QUEUE},
    id::UserId,
    protocol::{Position, RoomName, command::Status, event::PresenceState},
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::task::JoinSet;
use uuid::Uuid;

/// A client of one room on a node of its own, reduced to what delivery needs.
struct Reader {
    node: Node,
    room: RoomName,
    /// Floods of this user's presence fill the node's queue.
    noise: Topic,
    /// The last event it has.
    at: Position,
    /// Numbers of all events it got, in order of arrival.
    got: Vec<u64>,
    live: bool,
}

impl Reader {
    async fn new(engine: &Engine, room: &RoomName, noise: &Topic) -> Self {
        let at = engine.broker.history(room, None, 0).await.unwrap().top;
        let node = Node::on(engine, std::slice::from_ref(noise)).await;
        Self { node, room: room.clone(), noise: noise.clone(), at, got: Vec::new(), live: false }
    }

    /// The join gate: subscribed first, then replayed, then live.
    async fn join(&mut self, engine: &Engine) {
        engine.broker.subscribe(self.node.id, &Topic::Room(self.room.clone())).await.unwrap();
        self.live = true;
        self.fill(engine).await;
    }

    async fn leave(&mut self, engine: &Engine) {
        engine.broker.unsubscribe(self.node.id, &Topic::Room(self.room.clone())).await.unwrap();
        self.live = false;
    }

    /// Replays in small pages up to the top.
    async fn fill(&mut self, engine: &Engine) {
        loop {
            let page = engine.broker.history(&self.room, Some(self.at), 16).await.unwrap();
            assert!(page.recovered, "{} of {}", self.at, page.top);
            if page.entries.is_empty() {
                return;
            }
            for entry in page.entries {
                self.take(Position { seq: entry.seq, ..self.at }, &entry.frame);
            }
        }
    }

    fn take(&mut self, pos: Position, frame: &[u8]) {
        assert_eq!(pos.seq, self.at.seq + 1, "a gap or a repeat");
        assert_eq!(frame, format!("[{pos}]").as_bytes(), "the frame is the one of this position");
        self.at = pos;
        self.got.push(pos.seq);
    }

    async fn handle(&mut self, engine: &Engine, delivery: Delivery) {
        match delivery {
            Delivery::Event { pos, frame, .. } if self.live && pos.seq > self.at.seq => self.take(pos, &frame),
            Delivery::Lost if self.live => self.fill(engine).await,
            // Left, or replayed already, or noise.
            _ => {}
        }
    }

    async fn drain(&mut self, engine: &Engine, at_most: usize) {
        for _ in 0..at_most {
            let Some(delivery) = self.node.deliveries.try_recv() else { return };
            self.handle(engine, delivery).await;
        }
    }

    /// Everything that is on its way; enough for what fits into the queue, and what comes after `Lost`.
    async fn finish(&mut self, engine: &Engine) {
        self.drain(engine, usize::MAX).await;
        for delivery in self.node.settled(engine).await {
            self.handle(engine, delivery).await;
        }
        if !self.live {
            self.join(engine).await;
        }
    }
}

/// Fills the queues of everybody who listens to the noise.
async fn flood(engine: &Engine, noise: &Topic, count: usize) {
    let Topic::Presence(user) = *noise else { unreachable!("the noise is somebody's presence") };
    let signal = Signal::Presence(PresenceState { user, status: Status::Online, v: 1, devices: 1 });
    many(count, || async { engine.broker.signal(noise, signal).await.unwrap() }).await;
}

async fn publish(engine: &Engine, room: &RoomName, count: usize) {
    for _ in 0..count {
        engine.broker.publish(room, None, Uuid::now_v7(), "[", "]").await.unwrap();
    }
}

#[derive(Clone, Debug)]
enum Step {
    Publish(usize),
    Join(usize),
    Leave(usize),
    Drain(usize, usize),
    Flood,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let reader = 0..3_usize;
    let step = prop_oneof![
        8 => (1..12_usize).prop_map(Step::Publish),
        4 => reader.clone().prop_map(Step::Join),
        2 => reader.clone().prop_map(Step::Leave),
        6 => (reader, prop_oneof![1..20_usize, Just(usize::MAX)]).prop_map(|(reader, count)| Step::Drain(reader, count)),
        1 => Just(Step::Flood),
    ];
    // At most 40 × 11 events: within the window, so that everything can always be replayed.
    prop::collection::vec(step, 1..=40)
}

pub(crate) async fn replay_and_live_together_are_what_was_published_once_and_in_order(fixture: Fixture) {
    let mut runner = TestRunner::deterministic();
    for _ in 0..fixture.repeat(48, 12) {
        let steps = steps().new_tree(&mut runner).expect("steps can be made").current();
        println!("{steps:?}");
        run(&fixture.engine, steps).await;
    }
}

async fn run(engine: &Engine, steps: Vec<Step>) {
    let (room, noise) = (some_room(), Topic::Presence(UserId::new()));
    let mut readers = Vec::new();
    for _ in 0..3 {
        readers.push(Reader::new(engine, &room, &noise).await);
    }
    for step in steps {
        match step {
            Step::Publish(count) => publish(engine, &room, count).await,
            Step::Join(n) => readers[n].join(engine).await,
            Step::Leave(n) => readers[n].leave(engine).await,
            Step::Drain(n, count) => readers[n].drain(engine, count).await,
            Step::Flood => flood(engine, &noise, NODE_QUEUE + 1).await,
        }
    }
    let top = engine.broker.history(&room, None, 0).await.unwrap().top.seq;
    for reader in &mut readers {
        reader.finish(engine).await;
        assert!(reader.got.iter().copied().eq(1..=top), "{:?} of {top}", reader.got);
    }
}

pub(crate) async fn and_so_they_are_when_everything_happens_at_once(fixture: Fixture) {
    let engine = &fixture.engine;
    let (room, noise) = (some_room(), Topic::Presence(UserId::new()));
    let over = Arc::new(AtomicBool::new(false));
    let mut readers = JoinSet::new();
    for restless in [false, false, true, true] {
        let mut reader = Reader::new(engine, &room, &noise).await;
        let (engine, over) = (engine.clone(), Arc::clone(&over));
        readers.spawn(async move {
            let mut turns = 0;
            while !over.load(Ordering::Acquire) {
                turns += 1;
                if !reader.live {
                    reader.join(&engine).await;
                } else if restless && turns % 7 == 0 {
                    reader.leave(&engine).await;
                }
                reader.drain(&engine, 1_000).await;
                tokio::task::yield_now().await;
            }
            reader.finish(&engine).await;
            reader
        });
    }
    let mut publishers = JoinSet::new();
    for _ in 0..4 {
        let (engine, room) = (engine.clone(), room.clone());
        publishers.spawn(async move {
            for _ in 0..HISTORY_EVENTS / 4 {
                publish(&engine, &room, 1).await;
                tokio::task::yield_now().await;
            }
        });
    }
    let (flooded, flood_of) = (engine.clone(), noise.clone());
    publishers.spawn(async move { flood(&flooded, &flood_of, 3 * NODE_QUEUE).await });
    publishers.join_all().await;
    over.store(true, Ordering::Release);
    for reader in readers.join_all().await {
        assert!(reader.got.iter().copied().eq(1..=HISTORY_EVENTS as u64), "{:?}", reader.got);
        assert_eq!(reader.noise, noise);
    }
}
