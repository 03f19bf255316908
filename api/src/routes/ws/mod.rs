//! What REST does for WebSockets.

pub mod ticket;
