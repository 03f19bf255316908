//! How many are in a room on all nodes together, told and asked at the pace of seconds.
//!
//! ```text
//!  join ─▶ greet: first of this node, or nobody asked for a second ──▶ engine.exchange (one round trip)
//!              └─ otherwise: what the others said last, and the change waits for the tick
//!  enter, leave ─▶ changed ─ tick ─▶ engine.tell (all changed rooms; every ten seconds all rooms)
//! ```
//!
//! A room that ten thousand enter within a second costs the engine a few commands, and one where nothing changes a share
//! of one every ten seconds. So the figures are those of a second ago, this node's own are those of now.

use crate::{node::Node, topic::Topic};
use shared::{
    engine::{
        EngineError, Topic as Key,
        occupancy::{LISTED, Occupants, RENEW},
    },
    protocol::{RoomKind, RoomName},
};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How old the others' word may be.
const FRESH: Duration = Duration::from_secs(1);

/// What this node and the others said about rooms.
#[derive(Default)]
pub(crate) struct Occupancy(Mutex<State>);

#[derive(Default)]
struct State {
    /// Rooms this node told of, and so has to renew or end.
    rooms: HashMap<RoomName, Others>,
    /// When all of them were told last.
    renewed: Option<Instant>,
}

/// The others' last word about a room.
#[derive(Default)]
struct Others {
    who: Occupants,
    asked: Option<Instant>,
}

impl Occupancy {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who is in a room that a connection of ours has just entered. Without the engine, who of this node is.
    pub(crate) async fn greet(&self, node: &Node, room: &RoomName, topic: &Arc<Topic>) -> Occupants {
        if let Some(others) = self.fresh(room) {
            let mut all = own(room, topic);
            all.add(&others);
            return all;
        }
        topic.settle_change(); // first, so that a change from here on counts as another one
        let mut all = own(room, topic);
        match node.engine().occupancy.exchange(&node.incarnation, room, &all).await {
            Ok(others) => {
                all.add(&others);
                let heard = Others { who: others, asked: Some(Instant::now()) };
                self.state().rooms.insert(room.clone(), heard);
            }
            Err(problem) => {
                tracing::debug!(%problem, %room, "failed to ask who is in a room");
                node.hub.note_changed(topic);
            }
        }
        all
    }

    fn fresh(&self, room: &RoomName) -> Option<Occupants> {
        let state = self.state();
        let others = state.rooms.get(room)?;
        others.asked.is_some_and(|asked| asked.elapsed() < FRESH).then(|| others.who.clone())
    }

    /// Once a second: tells what changed, and now and then everything. What cannot be told is told the next time.
    pub(crate) async fn tell(&self, node: &Node) -> Result<(), EngineError> {
        let (changed, renewing) = (node.hub.take_changed(), self.begin_renewal());
        let mut rooms: HashSet<_> = changed.iter().filter_map(|topic| topic.room().cloned()).collect();
        if renewing {
            rooms.extend(self.state().rooms.keys().cloned());
        }
        if rooms.is_empty() {
            return Ok(());
        }
        // By name: whoever left and came back is in another topic of that name.
        let look = |room: RoomName| {
            let topic = node.hub.find(&Key::Room(room.clone()));
            let who = topic.map(|topic| own(&room, &topic)).unwrap_or_default();
            (room, who)
        };
        let told: Vec<_> = rooms.into_iter().map(look).collect();
        if let Err(problem) = node.engine().occupancy.tell(&node.incarnation, &told).await {
            for topic in &changed {
                node.hub.note_changed(topic);
            }
            if renewing {
                self.state().renewed = None;
            }
            return Err(problem);
        }
        let mut state = self.state();
        for (room, who) in told {
            if who.count == 0 {
                state.rooms.remove(&room);
            } else {
                state.rooms.entry(room).or_default();
            }
        }
        Ok(())
    }

    fn begin_renewal(&self) -> bool {
        let mut state = self.state();
        let due = state.renewed.is_none_or(|renewed| renewed.elapsed() >= RENEW);
        if due {
            state.renewed = Some(Instant::now());
        }
        due
    }
}

/// Who of this node is in a room. In conversations and teams they may know of each other; who looks at a pitch or idles
/// in a public room is nobody else's business, there only the count is told.
fn own(room: &RoomName, topic: &Topic) -> Occupants {
    let users = match room.kind() {
        RoomKind::Conversation(_) | RoomKind::Team(_) => topic.users(LISTED),
        RoomKind::Pitch(_) | RoomKind::Public => Vec::new(),
    };
    Occupants { count: topic.member_count() as u64, users }
}
