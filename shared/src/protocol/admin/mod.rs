//! The operators' wire: what the admin listener of every process sends, as plain data, both ways; no features.
//!
//! A console reads the token files in the data folder, connects to `GET /admin/stream` of each process with
//! `Authorization: Bearer <token>`, and gets one [`Message::Hello`] and then a [`Message::Tick`] a second. A console
//! that reads too slowly skips ticks, and is told how many. Fields may be added at any time, so readers ignore those
//! they do not know; [`VERSION`] changes when a field changes its meaning.

mod stats;

use crate::{
    clock::Timestamp,
    model::{PoolStats, StatementStats},
};
use serde::{Deserialize, Serialize};
use std::{fmt, net::SocketAddr};

pub use stats::{BOUNDS_US, CloseCount, Histogram, HttpStats, NamedCount, RelayStats, RouteStats, SocketStats, Stats};

/// The version of what this module describes.
pub const VERSION: u32 = 1;

/// Time between two ticks, in milliseconds.
pub const TICK_MS: u64 = 1_000;

/// The name of a token file begins with this…
pub const TOKEN_PREFIX: &str = "admin-";
/// …and ends with this; in between is the process's name.
pub const TOKEN_SUFFIX: &str = ".token";

/// What a process writes to `$DATA_DIR/admin-<name>.token`: where it listens and what it wants to hear.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenFile {
    /// The process's name.
    pub name: String,
    /// The admin listener's address.
    pub address: SocketAddr,
    /// The bearer token, fresh for each start.
    pub token: String,
    /// The process, so that a reader can tell a stale file.
    pub pid: u32,
}

impl fmt::Debug for TokenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, address, pid, .. } = self;
        write!(f, "TokenFile {{ {name} at {address}, pid {pid}, token: <redacted> }}")
    }
}

/// One text frame of `/admin/stream`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Message {
    /// Who is speaking; first and once.
    Hello(Hello),
    /// The process at one moment.
    Tick(Box<Tick>),
    /// This many ticks were skipped because the console had not read the last one.
    Lost {
        /// How many.
        count: u64,
    },
}

/// Who is speaking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`VERSION`] of the speaker.
    pub proto: u32,
    /// The process's name.
    pub name: String,
    /// The process's release.
    pub version: String,
    /// `development` or `production`.
    pub environment: String,
    /// The process's id.
    pub pid: u32,
    /// The speaker's clock, so that a console can show the age of data on a machine whose clock differs.
    pub server_time: Timestamp,
    /// When the process began.
    pub started_at: Timestamp,
    /// Time between two ticks, in milliseconds.
    pub tick_ms: u64,
    /// Most sockets this process takes; 0 if it takes none.
    pub socket_limit: u64,
}

/// A process at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tick {
    /// Grows by one a second, whoever listens.
    pub seq: u64,
    /// The speaker's clock.
    pub at: Timestamp,
    /// Since the process began, in milliseconds.
    pub uptime_ms: u64,
    /// Whether it takes new work.
    pub state: State,
    /// Memory, CPU, files.
    pub process: ProcessStats,
    /// Database pools; empty for a process without a store.
    pub pools: Vec<PoolStats>,
    /// Kinds of database work.
    pub statements: Vec<StatementStats>,
    /// Requests, sockets, relay, errors.
    pub stats: Stats,
    /// Consoles that listen to this process.
    pub consoles: u32,
}

/// Whether a process takes new work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It does.
    #[default]
    Running,
    /// It finishes what it has and then ends.
    Draining,
}

/// What the operating system and the runtime say about a process; zero where they do not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessStats {
    /// Resident memory.
    pub rss_bytes: u64,
    /// CPU time so far, in milliseconds, all threads together.
    pub cpu_ms: u64,
    /// Threads.
    pub threads: u64,
    /// Open files and sockets.
    pub open_fds: u64,
    /// Most that may be open.
    pub max_fds: u64,
    /// Tasks alive in the runtime.
    pub tasks: u64,
    /// How late this tick was woken, in microseconds: what every task waits when the machine is busy.
    pub loop_lag_us: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_read_back_as_they_were_sent_and_unknown_fields_are_ignored() {
        let tick = Tick {
            seq: 7,
            at: Timestamp::from_micros(5),
            uptime_ms: 9,
            state: State::Draining,
            process: ProcessStats::default(),
            pools: vec![PoolStats { name: "sqlite-read".into(), ..PoolStats::default() }],
            statements: Vec::new(),
            stats: Stats::default(),
            consoles: 1,
        };
        for message in [Message::Tick(Box::new(tick)), Message::Lost { count: 3 }] {
            let json = serde_json::to_string(&message).unwrap();
            assert_eq!(serde_json::from_str::<Message>(&json).unwrap(), message);
            let newer = json.replacen('{', r#"{"from_the_future":{"a":[1]},"#, 1);
            assert_eq!(serde_json::from_str::<Message>(&newer).unwrap(), message);
        }
    }

    #[test]
    fn a_token_file_never_prints_its_token() {
        let file =
            TokenFile { name: "api".into(), address: ([127, 0, 0, 1], 1).into(), token: "hidden".into(), pid: 1 };
        assert!(!format!("{file:?}").contains("hidden"));
    }
}
