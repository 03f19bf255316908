//! Sockets that ended: the first thing to look at when users say that they are thrown out.

use crate::{
    clock::Timestamp,
    id::UserId,
    model::Portal,
    protocol::admin::{Field, Row, Value, field::fields},
};
use serde::{Deserialize, Serialize};

/// Who ended a socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClosedBy {
    /// The client, or the network between.
    #[default]
    Peer,
    /// The server, by a rule of its own.
    Server,
    /// An operator.
    Operator(String),
}

impl ClosedBy {
    /// For people.
    pub fn name(&self) -> &str {
        match self {
            Self::Peer => "peer",
            Self::Server => "server",
            Self::Operator(name) => name,
        }
    }
}

/// One socket that ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClosedRow {
    /// When it ended.
    pub at: Timestamp,
    /// Its node.
    pub node: String,
    /// `c_<number>`.
    pub id: String,
    /// Whose.
    pub user: Option<UserId>,
    /// The user's display name.
    pub name: Option<String>,
    /// The portal.
    pub portal: Option<Portal>,
    /// What the client called itself.
    pub device: Option<String>,
    /// The client's address.
    pub address: String,
    /// How long it lived, in seconds.
    pub lived_s: u64,
    /// The close code.
    pub code: u16,
    /// Its meaning.
    pub reason: String,
    /// Who ended it.
    pub by: ClosedBy,
    /// Frames that waited for it at the end.
    pub queue: u64,
    /// Bytes written to it.
    pub sent_bytes: u64,
    /// Bytes from it.
    pub received_bytes: u64,
}

impl Row for ClosedRow {
    const FIELDS: &'static [Field] = fields![
        at: Seconds "when it ended (in sort orders; in filters use the others)",
        node: Text "its node",
        id: Text "the connection's id",
        user: Text "whose: the user's id",
        name: Text "whose: the display name",
        portal: Text "creator, investor or production",
        device: Text "what the client called itself",
        address: Text "the client's address",
        lived: Seconds "how long it lived",
        code: Number "the close code",
        reason: Text "the close code's meaning",
        by: Text "peer, server, or the operator",
        queue: Number "frames that waited for it at the end",
        sent_bytes: Bytes "bytes written to it",
        received_bytes: Bytes "bytes from it",
    ];

    fn value(&self, field: usize) -> Value<'_> {
        match field {
            0 => Value::time(self.at),
            1 => Value::text(&self.node),
            2 => Value::text(&self.id),
            3 => Value::user(self.user),
            4 => Value::maybe(self.name.as_deref()),
            5 => Value::maybe(self.portal.map(Portal::as_str)),
            6 => Value::maybe(self.device.as_deref()),
            7 => Value::text(&self.address),
            8 => Value::count(self.lived_s),
            9 => Value::count(self.code.into()),
            10 => Value::text(&self.reason),
            11 => Value::text(self.by.name()),
            12 => Value::count(self.queue),
            13 => Value::count(self.sent_bytes),
            14 => Value::count(self.received_bytes),
            _ => Value::Nothing,
        }
    }

    fn key(&self) -> String {
        super::connection::connection_key(&self.node, &self.id)
    }
}
