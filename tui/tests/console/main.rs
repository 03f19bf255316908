//! The program as it is: started as a process, on real sockets, in a real terminal.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod chaos;
mod pipes;
mod platform;
mod pty;
mod terminal;
