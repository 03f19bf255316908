//! Rooms, users, offline queues.

use super::{Cells, Column, Listed, left, named, right, seconds, short, text};
use crate::{
    figures::{bytes, count, rate},
    theme::Level,
};
use shared::{
    model::Portal,
    protocol::admin::{QueueRow, RoomRow, UserRow},
};

/// Reconnects in a minute from which a user's client is flapping.
const FLAPPING: f64 = 10.0;

impl Listed for RoomRow {
    const COLUMNS: &'static [Column<Self>] = &[
        left("ROOM", "room", 28, |r, _| text(&r.room)),
        right("MEMBERS", "members", 7, |r, _| count(r.members)),
        right("EVENT/s", "rate", 7, |r, _| rate(r.rate)),
        right("FANOUT/s", "fan_out", 8, |r, _| rate(r.fan_out)),
        right("EVENTS", "events", 8, |r, _| count(r.events)),
        right("KEPT", "kept", 6, |r, _| count(r.kept)),
        left("NODES", "nodes", 16, |r, _| text(&r.nodes.join(" "))),
    ];

    fn level(&self, _: &Cells) -> Level {
        Level::of(self.fan_out, 10_000.0, 50_000.0)
    }
}

impl Listed for UserRow {
    const COLUMNS: &'static [Column<Self>] = &[
        left("USER", "name", 18, |r, _| text(&r.name)),
        right("CONNS", "connections", 5, |r, _| count(r.connections)),
        left("PORTAL", "portal", 10, |r, _| r.portal.map_or("-", Portal::as_str).to_owned()),
        left("AWAY", "away", 4, |r, _| if r.away { "away" } else { "" }.to_owned()),
        right("AGE", "age", 6, |r, _| seconds(r.age_s)),
        right("RECONN/m", "reconnects", 8, |r, _| count(r.reconnects)),
        left("NODES", "nodes", 16, |r, _| text(&r.nodes.join(" "))),
        left("ID", "user", 9, |r, c| short(&r.user.to_string(), c)),
    ];

    fn level(&self, _: &Cells) -> Level {
        #[expect(clippy::cast_precision_loss, reason = "a small count")]
        let reconnects = self.reconnects as f64;
        Level::of(reconnects, FLAPPING, 5.0 * FLAPPING)
    }
}

impl Listed for QueueRow {
    const COLUMNS: &'static [Column<Self>] = &[
        left("USER", "name", 18, |r, c| named(r.name.as_deref(), Some(&r.user), c)),
        right("DEPTH", "depth", 8, |r, _| count(r.depth)),
        right("OLDEST", "oldest", 7, |r, _| seconds(r.oldest_s)),
        right("BYTES", "bytes", 7, |r, _| bytes(r.bytes)),
        right("DEVICES", "devices", 7, |r, _| count(r.devices)),
        left("ONLINE", "online", 6, |r, _| if r.online { "yes" } else { "no" }.to_owned()),
        right("HEAD", "", 8, |r, _| count(r.head)),
        right("ACKED", "", 8, |r, _| count(r.acked)),
        left("ID", "user", 9, |r, c| short(&r.user.to_string(), c)),
    ];

    fn level(&self, _: &Cells) -> Level {
        // Who is there and still does not acknowledge is the one to look at.
        if self.online && self.oldest_s > 60 { Level::Warn } else { Level::Good }
    }
}
