//! The rooms of one process, and of the nodes that share its engine.

use super::{LIVES, Occupants};
use crate::{
    clock::{Clock, Timestamp},
    engine::{Incarnation, shards::lock},
    protocol::RoomName,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};
use uuid::Uuid;

/// See [`super::Occupancy`]. A cheap clone.
#[derive(Clone, Debug)]
pub struct MemoryOccupancy {
    clock: Clock,
    rooms: Arc<Mutex<Rooms>>,
}

/// As many as there are rooms somebody is in. The dead go when their room is asked about, and all of them once in a
/// while.
#[derive(Debug, Default)]
struct Rooms {
    told: HashMap<RoomName, HashMap<Uuid, Told>>,
    swept: Option<Timestamp>,
}

#[derive(Debug)]
struct Told {
    dies: Timestamp,
    who: Occupants,
}

impl MemoryOccupancy {
    pub(in crate::engine) fn new(clock: Clock) -> Self {
        Self { clock, rooms: Arc::default() }
    }

    pub(super) fn tell(&self, node: &Incarnation, rooms: &[(RoomName, Occupants)]) {
        let (now, mut all) = (self.clock.now(), lock(&self.rooms));
        for (room, who) in rooms {
            all.note(now, node.id, room, who);
        }
        all.sweep(now);
    }

    pub(super) fn exchange(&self, node: &Incarnation, room: &RoomName, own: &Occupants) -> Occupants {
        let (now, mut all) = (self.clock.now(), lock(&self.rooms));
        all.note(now, node.id, room, own);
        let mut others = Occupants::default();
        if let Some(nodes) = all.told.get_mut(room) {
            nodes.retain(|_, told| now < told.dies);
            nodes.iter().filter(|(id, _)| **id != node.id).for_each(|(_, told)| others.add(&told.who));
        }
        others
    }
}

impl Rooms {
    fn note(&mut self, now: Timestamp, node: Uuid, room: &RoomName, who: &Occupants) {
        if who.count > 0 {
            let told = Told { dies: now + LIVES, who: who.clone() };
            self.told.entry(room.clone()).or_default().insert(node, told);
        } else if let Some(nodes) = self.told.get_mut(room) {
            nodes.remove(&node);
            if nodes.is_empty() {
                self.told.remove(room);
            }
        }
    }

    fn sweep(&mut self, now: Timestamp) {
        if self.swept.is_some_and(|swept| now.since(swept) < LIVES) {
            return;
        }
        self.swept = Some(now);
        self.told.retain(|_, nodes| {
            nodes.retain(|_, told| now < told.dies);
            !nodes.is_empty()
        });
    }
}
