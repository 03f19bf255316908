//! Every promise of the protocol, against a real gateway on real sockets: SQLite in a temporary folder, the memory
//! engine, a relay. One binary, so that everything is linked once.

mod node;

mod auth;
mod bad_input;
mod drain;
mod inbox;
mod liveness;
mod presence;
mod rooms;
mod slow;
