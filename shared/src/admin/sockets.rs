//! The seam to the gateway: what the admin listener asks of it, and what it may do to it.
//!
//! A trait object, because `shared` cannot know the gateway, and because tests put fifty thousand made-up sockets behind
//! it. Everything here reads what the gateway keeps anyway, when somebody asks; nothing is kept for it.

use super::select::{Picked, Plan};
use crate::{
    id::UserId,
    protocol::admin::{ClosedRow, ConnectionDetail, ConnectionRow, Filter, RoomRow, UserRow},
};
use std::fmt::Debug;

/// What the gateway says about its sockets as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketGauges {
    /// Sockets that take nothing while frames wait for them.
    pub slow: u64,
    /// Rooms somebody is in.
    pub rooms: u64,
    /// Whether it refuses new sockets.
    pub draining: bool,
}

/// Which sockets of one node.
#[derive(Clone, Debug, PartialEq)]
pub enum Which {
    /// Those with these ids.
    Ids(Vec<String>),
    /// All of one user.
    User(UserId),
    /// Those that pass.
    Passing(Filter),
    /// All.
    All,
}

/// One socket, for as long as it is open: whoever comes after it in its place is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketHandle {
    /// Where the gateway keeps it.
    pub slot: u32,
    /// Its number, which no other socket of the node ever has.
    pub number: u64,
}

/// A gateway, as operators see it.
pub trait Sockets: Send + Sync + Debug {
    /// The few numbers that are sampled every second.
    fn gauges(&self) -> SocketGauges;

    /// Open sockets.
    fn connections(&self, plan: &Plan) -> Picked<ConnectionRow>;

    /// One open socket, by its id.
    fn connection(&self, id: &str) -> Option<ConnectionDetail>;

    /// A user's open sockets.
    fn of_user(&self, user: UserId) -> Vec<ConnectionDetail>;

    /// The sockets in a room.
    fn members(&self, room: &str, plan: &Plan) -> Picked<ConnectionRow>;

    /// The rooms somebody is in.
    fn rooms(&self) -> Vec<RoomRow>;

    /// The users who are signed in.
    fn users(&self) -> Vec<UserRow>;

    /// Sockets that ended.
    fn closed(&self, plan: &Plan) -> Picked<ClosedRow>;

    /// The open sockets among those meant.
    fn matching(&self, which: &Which) -> Vec<SocketHandle>;

    /// Asks sockets to close (4411), in the name of an operator; how many were still there.
    fn close(&self, sockets: &[SocketHandle], operator: &str) -> u64;

    /// Takes no new sockets, and asks the others to go elsewhere; all within the drain window, or so many a second.
    fn drain(&self, per_second: Option<u32>, operator: &str);

    /// Takes new sockets again.
    fn undrain(&self);
}
