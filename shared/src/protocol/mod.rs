//! The wire, `pitchey.v1`: plain data, no I/O.
//!
//! * [`command`]: what a client may say. Parsed leniently (unknown fields are ignored), answered strictly.
//! * [`event`]: what the server says, each frame encoded exactly once, whoever and however many receive it.
//! * [`close`]: why a socket ends, what the client should do about it, in one table.
//! * [`position`], [`room`]: where a reader is, and in what.
//! * [`admin`]: the operators' stream.
//!
//! # Adding an event
//!
//! 1. A function in [`event`] that returns the encoded frame, and its decoder's variant in [`event::Event`].
//! 2. A line in the table of the client's README and a case in `gateway/client/pitchey.js`.
//! 3. A test in `gateway/tests` named as the promise.

pub mod admin;
pub mod close;
pub mod command;
pub mod event;
pub mod position;
pub mod room;

pub use close::CloseReason;
pub use command::{BadFrame, Command, Frame};
pub use position::{Epoch, Position};
pub use room::{RoomKind, RoomName};

/// The subprotocol's name, echoed when a client asks for it.
pub const SUBPROTOCOL: &str = "pitchey.v1";
