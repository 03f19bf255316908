//! Open sockets, and those that ended.

use super::{Cells, Column, Listed, clock, left, maybe, named, right, seconds, text};
use crate::{
    figures::{bytes, count},
    theme::Level,
};
use shared::{
    model::Portal,
    protocol::admin::{ClosedRow, ConnectionRow, ConnectionState},
};

impl Listed for ConnectionRow {
    const COLUMNS: &'static [Column<Self>] = &[
        left("USER", "name", 14, |r, c| named(r.name.as_deref(), r.user.as_ref(), c)),
        left("PORTAL", "portal", 8, |r, _| portal(r.portal, 8)),
        left("NODE", "node", 11, |r, _| text(&r.node)),
        left("STATE", "state", 9, |r, _| r.state.name().to_owned()),
        right("QUEUE", "queue", 6, |r, _| count(r.queue)),
        right("RTT", "rtt", 6, |r, _| r.rtt_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms}ms"))),
        right("AGE", "age", 6, |r, _| seconds(r.age_s)),
        right("SILENT", "silent", 6, |r, _| seconds(r.silent_s)),
        right("SENT", "sent", 8, |r, _| count(r.sent)),
        right("RECV", "received", 7, |r, _| count(r.received)),
        right("DROP", "dropped", 5, |r, _| count(r.dropped)),
        right("ROOMS", "rooms", 5, |r, _| r.rooms.to_string()),
        left("DEVICE", "device", 16, |r, _| maybe(r.device.as_deref())),
        left("ID", "id", 9, |r, _| text(&r.id)),
        right("QUEUED", "queue_bytes", 6, |r, _| bytes(r.queue_bytes)),
        right("STALLED", "stalled", 7, |r, _| seconds(r.stalled_s)),
        left("ADDRESS", "address", 21, |r, _| text(&r.address)),
        right("OUT", "sent_bytes", 6, |r, _| bytes(r.sent_bytes)),
        right("IN", "received_bytes", 6, |r, _| bytes(r.received_bytes)),
    ];

    fn level(&self, _: &Cells) -> Level {
        let stalled = if self.state == ConnectionState::Slow { Level::Crit } else { Level::Good };
        let waiting = if self.queue > 0 || self.dropped > 0 { Level::Warn } else { Level::Good };
        stalled.max(waiting).max(Level::of(f64::from(self.rtt_ms.unwrap_or(0)), 500.0, 2_000.0))
    }
}

impl Listed for ClosedRow {
    const COLUMNS: &'static [Column<Self>] = &[
        left("CLOSED", "at", 9, |r, c| clock(r.at, c)),
        left("USER", "name", 14, |r, c| named(r.name.as_deref(), r.user.as_ref(), c)),
        left("NODE", "node", 11, |r, _| text(&r.node)),
        right("LIVED", "lived", 6, |r, _| seconds(r.lived_s)),
        right("CODE", "code", 4, |r, _| r.code.to_string()),
        left("REASON", "reason", 22, |r, _| text(&r.reason)),
        left("BY", "by", 10, |r, _| text(r.by.name())),
        right("QUEUE", "queue", 5, |r, _| count(r.queue)),
        left("PORTAL", "portal", 8, |r, _| portal(r.portal, 8)),
        left("DEVICE", "device", 16, |r, _| maybe(r.device.as_deref())),
        left("ID", "id", 9, |r, _| text(&r.id)),
        right("OUT", "sent_bytes", 6, |r, _| bytes(r.sent_bytes)),
        right("IN", "received_bytes", 6, |r, _| bytes(r.received_bytes)),
        left("ADDRESS", "address", 21, |r, _| text(&r.address)),
    ];

    fn level(&self, _: &Cells) -> Level {
        match self.code {
            1_000 | 1_001 => Level::Good,
            _ => Level::Warn,
        }
    }
}

fn portal(portal: Option<Portal>, most: usize) -> String {
    portal.map_or_else(|| "-".to_owned(), |portal| portal.as_str().chars().take(most).collect())
}
