//! Users: who is present, and everything about one of them.

use super::{ClosedRow, ConnectionRow, Moment, QueueRow};
use crate::{
    clock::Timestamp,
    id::{SessionId, UserId},
    model::{Portal, Portals},
    protocol::admin::{Field, Row, Value, field::fields},
};
use serde::{Deserialize, Serialize};

/// One user who is present, all their sockets together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserRow {
    /// Who.
    pub user: UserId,
    /// Their display name.
    pub name: String,
    /// The portal of their newest socket.
    pub portal: Option<Portal>,
    /// Their sockets.
    pub connections: u64,
    /// The nodes they are on.
    pub nodes: Vec<String>,
    /// Away on every socket.
    pub away: bool,
    /// Since the oldest socket was opened, in seconds.
    pub age_s: u64,
    /// Sockets of theirs that ended in the last minute.
    pub reconnects: u64,
}

impl Row for UserRow {
    const FIELDS: &'static [Field] = fields![
        user: Text "the user's id",
        name: Text "the display name",
        portal: Text "creator, investor or production",
        connections: Number "sockets",
        nodes: Number "nodes they are on",
        away: Text "yes or no",
        age: Seconds "since the oldest socket was opened",
        reconnects: Number "sockets that ended in the last minute",
    ];

    fn value(&self, field: usize) -> Value<'_> {
        match field {
            0 => Value::user(Some(self.user)),
            1 => Value::text(&self.name),
            2 => Value::maybe(self.portal.map(Portal::as_str)),
            3 => Value::count(self.connections),
            4 => Value::count(self.nodes.len() as u64),
            5 => Value::text(if self.away { "yes" } else { "no" }),
            6 => Value::count(self.age_s),
            7 => Value::count(self.reconnects),
            _ => Value::Nothing,
        }
    }

    fn key(&self) -> String {
        self.user.to_string()
    }
}

/// Everything about one user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserDetail {
    /// Who.
    pub user: UserId,
    /// Their display name.
    pub name: String,
    /// The portals they may enter.
    pub portals: Portals,
    /// Whether they may use administrators' endpoints.
    pub is_admin: bool,
    /// When the account was made.
    pub created_at: Timestamp,
    /// Sign-ins that are open.
    pub sessions: Vec<SessionRow>,
    /// Sockets that are open.
    pub connections: Vec<ConnectionRow>,
    /// Rooms any of the sockets is in.
    pub rooms: Vec<String>,
    /// Sockets that ended, newest first.
    pub closed: Vec<ClosedRow>,
    /// The offline queue; absent when nothing waits.
    pub queue: Option<QueueRow>,
    /// Errors that hit them, newest first.
    pub errors: Vec<Moment>,
}

/// One sign-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRow {
    /// Its id.
    pub session: SessionId,
    /// The active portal.
    pub portal: Portal,
    /// When.
    pub created_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
    /// From where.
    pub address: Option<String>,
    /// With what.
    pub user_agent: Option<String>,
}
