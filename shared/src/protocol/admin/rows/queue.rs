//! Offline queues: inbox entries that no device of their user has acknowledged yet.

use crate::{
    id::UserId,
    protocol::admin::{Field, Row, Value, field::fields},
};
use serde::{Deserialize, Serialize};

/// One user's queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueueRow {
    /// Whose.
    pub user: UserId,
    /// The user's display name.
    pub name: Option<String>,
    /// Entries beyond what the furthest device has acknowledged.
    pub depth: u64,
    /// Age of the oldest of them, in seconds.
    pub oldest_s: u64,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Devices that have ever acknowledged anything.
    pub devices: u64,
    /// The newest entry's position.
    pub head: u64,
    /// The furthest acknowledged position.
    pub acked: u64,
    /// Whether the user is present.
    #[serde(default)]
    pub online: bool,
}

impl Row for QueueRow {
    const FIELDS: &'static [Field] = fields![
        user: Text "whose: the user's id",
        name: Text "whose: the display name",
        depth: Number "entries not acknowledged",
        oldest: Seconds "age of the oldest of them",
        bytes: Bytes "bytes of all of them",
        devices: Number "devices that have ever acknowledged anything",
        online: Text "yes or no: whether the user is present",
    ];

    fn value(&self, field: usize) -> Value<'_> {
        match field {
            0 => Value::user(Some(self.user)),
            1 => Value::maybe(self.name.as_deref()),
            2 => Value::count(self.depth),
            3 => Value::count(self.oldest_s),
            4 => Value::count(self.bytes),
            5 => Value::count(self.devices),
            6 => Value::text(if self.online { "yes" } else { "no" }),
            _ => Value::Nothing,
        }
    }

    fn key(&self) -> String {
        self.user.to_string()
    }
}
