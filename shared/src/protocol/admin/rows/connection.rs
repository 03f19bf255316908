//! Open sockets.

use crate::{
    clock::Timestamp,
    id::{SessionId, UserId},
    model::Portal,
    protocol::admin::{Field, Row, Value, field::fields},
};
use serde::{Deserialize, Serialize};

/// How a socket is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionState {
    /// Not signed in (yet).
    #[default]
    Anonymous,
    /// Signed in.
    Ready,
    /// Signed in, and the user is away from the keyboard.
    Away,
    /// Takes nothing while frames wait for it.
    Slow,
    /// On its way out.
    Closing,
}

impl ConnectionState {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Ready => "ready",
            Self::Away => "away",
            Self::Slow => "slow",
            Self::Closing => "closing",
        }
    }
}

/// One open socket.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConnectionRow {
    /// `c_<number>`, as the client was told in `hello`; unique on its node.
    pub id: String,
    /// Its node.
    pub node: String,
    /// Whose.
    pub user: Option<UserId>,
    /// The user's display name, as it was at sign-in.
    pub name: Option<String>,
    /// The portal the session was in at sign-in.
    pub portal: Option<Portal>,
    /// The session.
    pub session: Option<SessionId>,
    /// What the client calls itself; acks are counted under it.
    pub device: Option<String>,
    /// The client's address.
    pub address: String,
    /// How it is.
    pub state: ConnectionState,
    /// Since it was opened, in seconds.
    pub age_s: u64,
    /// The last ping's way to the client and back; absent before the first.
    pub rtt_ms: Option<u32>,
    /// Since anything was heard, in seconds.
    pub silent_s: u64,
    /// Since when its socket takes nothing, in seconds; 0 while it does.
    pub stalled_s: u64,
    /// Frames that wait for it. Nothing waits while the socket takes what it is given.
    pub queue: u64,
    /// Bytes that wait for it.
    pub queue_bytes: u64,
    /// Frames written.
    pub sent: u64,
    /// Bytes written.
    pub sent_bytes: u64,
    /// Frames from the client.
    pub received: u64,
    /// Bytes from the client.
    pub received_bytes: u64,
    /// Ephemeral frames dropped because it was slow.
    pub dropped: u64,
    /// Rooms it is in.
    pub rooms: u32,
}

impl Row for ConnectionRow {
    const FIELDS: &'static [Field] = fields![
        id: Text "the connection's id",
        node: Text "its node",
        user: Text "whose: the user's id",
        name: Text "whose: the display name",
        portal: Text "creator, investor or production",
        device: Text "what the client calls itself",
        address: Text "the client's address",
        state: Text "anonymous, ready, away, slow or closing",
        age: Seconds "since it was opened",
        rtt: Seconds "the last ping's way there and back",
        silent: Seconds "since anything was heard",
        stalled: Seconds "since its socket takes nothing",
        queue: Number "frames that wait for it",
        queue_bytes: Bytes "bytes that wait for it",
        sent: Number "frames written",
        sent_bytes: Bytes "bytes written",
        received: Number "frames from the client",
        received_bytes: Bytes "bytes from the client",
        dropped: Number "ephemeral frames dropped",
        rooms: Number "rooms it is in",
    ];

    fn value(&self, field: usize) -> Value<'_> {
        match field {
            0 => Value::text(&self.id),
            1 => Value::text(&self.node),
            2 => Value::user(self.user),
            3 => Value::maybe(self.name.as_deref()),
            4 => Value::maybe(self.portal.map(Portal::as_str)),
            5 => Value::maybe(self.device.as_deref()),
            6 => Value::text(&self.address),
            7 => Value::text(self.state.name()),
            8 => Value::count(self.age_s),
            9 => Value::number(self.rtt_ms.map(|ms| f64::from(ms) / 1e3)),
            10 => Value::count(self.silent_s),
            11 => Value::count(self.stalled_s),
            12 => Value::count(self.queue),
            13 => Value::count(self.queue_bytes),
            14 => Value::count(self.sent),
            15 => Value::count(self.sent_bytes),
            16 => Value::count(self.received),
            17 => Value::count(self.received_bytes),
            18 => Value::count(self.dropped),
            19 => Value::count(self.rooms.into()),
            _ => Value::Nothing,
        }
    }

    fn key(&self) -> String {
        connection_key(&self.node, &self.id)
    }
}

/// Numbers are of any length; padded they sort as numbers, so that ties come oldest first.
pub(super) fn connection_key(node: &str, id: &str) -> String {
    format!("{node}/{:0>16}", id.trim_start_matches("c_"))
}

/// Everything about one socket.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConnectionDetail {
    /// Its row.
    pub row: ConnectionRow,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// The rooms it is in.
    pub rooms: Vec<String>,
    /// The user's other sockets.
    pub siblings: Vec<ConnectionRow>,
    /// What happened to it, oldest first.
    #[serde(default)]
    pub timeline: Vec<Moment>,
}

/// Something that happened to a socket or a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// What, for people.
    pub what: String,
}
