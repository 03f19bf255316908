//! Plain data that the store, the operations, the REST api and the gateway agree on. No I/O, no rules.

mod conversation;
mod message;
mod notification;
mod pitch;
mod portal;
mod session;
mod stats;
mod user;

pub use conversation::Conversation;
pub use message::Message;
pub use notification::{NewNotification, Notification};
pub use pitch::{
    Access, Confidential, CreatorStats, Format, Pitch, PitchCard, PitchStatus, PitchText, Sort, Stage, UnknownName,
};
pub use portal::{Portal, Portals};
pub use session::{Identity, Session};
pub use stats::{PoolStats, StatementStats};
pub use user::{Person, User};
