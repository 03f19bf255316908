//! Rooms.

use crate::protocol::admin::{Field, Row, Value, field::fields};
use serde::{Deserialize, Serialize};

/// One room somebody is in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoomRow {
    /// `public:<name>`, `pitch:<id>`, `conversation:<id>`.
    pub room: String,
    /// Sockets in it, on all nodes.
    pub members: u64,
    /// Events a second, over the last ten seconds.
    pub rate: f64,
    /// Frames a second that its events become: rate times members.
    pub fan_out: f64,
    /// Events since its numbering began.
    pub events: u64,
    /// Frames a node keeps for it.
    pub kept: u64,
    /// The nodes that follow it.
    pub nodes: Vec<String>,
}

impl Row for RoomRow {
    const FIELDS: &'static [Field] = fields![
        room: Text "the room's name",
        kind: Text "public, pitch or conversation",
        members: Number "sockets in it",
        rate: Number "events a second",
        fan_out: Number "frames a second its events become",
        events: Number "events since its numbering began",
        kept: Number "frames a node keeps for it",
        nodes: Number "nodes that follow it",
    ];

    fn value(&self, field: usize) -> Value<'_> {
        match field {
            0 => Value::text(&self.room),
            1 => Value::text(self.room.split(':').next().unwrap_or_default()),
            2 => Value::count(self.members),
            3 => Value::Number(self.rate),
            4 => Value::Number(self.fan_out),
            5 => Value::count(self.events),
            6 => Value::count(self.kept),
            7 => Value::count(self.nodes.len() as u64),
            _ => Value::Nothing,
        }
    }

    fn key(&self) -> String {
        self.room.clone()
    }
}
