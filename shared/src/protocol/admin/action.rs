//! What operators can do: `POST /admin/actions` with an [`ActionRequest`]; the answer is a [`Job`].
//!
//! Every action has a grade, which says how the console asks back, and a role, which the server enforces. Every call
//! that is not a dry run is in the audit log, refusals included. A repeated [`ActionRequest::key`] does nothing again:
//! it answers with the first one's job.

use super::{Field, Row, Value, field::fields};
use crate::{
    clock::Timestamp,
    id::{SessionId, UserId},
};
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// What a token allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks.
    #[default]
    Viewer,
    /// Also acts, where nothing is lost by it.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    /// Every role, the weakest first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How much an action can hurt, and so how the console asks back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// Nobody notices: no question.
    Harmless,
    /// Heals by itself: a dialog with Cancel in front.
    Reversible,
    /// Many notice: the count or the name is typed.
    Costly,
    /// Something is gone: administrators only, the target typed, the count checked by the server.
    Lossy,
}

/// Whether what an action changes survives a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// It does not.
    Memory,
    /// It does.
    Durable,
}

/// Which sockets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// These.
    Connections(Vec<ConnectionRef>),
    /// All of one user.
    User(UserId),
    /// All that pass a filter of the connections view; a blank one is refused.
    Filter(String),
    /// All there are. A word of its own, so that an empty list or filter can never mean it.
    Everyone,
}

/// Most sockets named one by one.
pub const MOST_NAMED: usize = 1_000;

/// One socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ConnectionRef {
    /// Its node.
    pub node: String,
    /// Its id on the node.
    pub id: String,
}

/// Whom an announcement goes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// These users.
    Users(Vec<UserId>),
    /// Every user who is present.
    Present,
    /// Every user there is.
    Everyone,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Action {
    /// Close sockets (4411): clients may come back at once.
    Disconnect {
        /// Which.
        target: Target,
    },
    /// End every session of a user: they have to sign in again, everywhere (4503).
    RevokeSessions {
        /// Whose.
        user: UserId,
    },
    /// End one session of a user.
    RevokeSession {
        /// Whose.
        user: UserId,
        /// Which.
        session: SessionId,
    },
    /// Take a user out of a room on every node; they may join again if they still may.
    Kick {
        /// Which room.
        room: String,
        /// Whom.
        user: UserId,
    },
    /// A node takes no new sockets and asks those it has to go elsewhere, at a steady rate.
    Drain {
        /// Which.
        node: String,
        /// Sockets a second; all at once within the drain window if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        per_second: Option<u32>,
    },
    /// A drained node takes sockets again.
    Undrain {
        /// Which.
        node: String,
    },
    /// Write a notification to users: it reaches those who are present now and the others when they come.
    Announce {
        /// To whom.
        to: Audience,
        /// One line.
        title: String,
        /// More, or nothing.
        #[serde(default)]
        body: String,
    },
    /// Throw away the entries a user has not acknowledged: they will never be delivered.
    PurgeQueue {
        /// Whose.
        user: UserId,
    },
    /// Send a user's entries again from the furthest acknowledged one on.
    Redeliver {
        /// Whose.
        user: UserId,
    },
    /// Log other lines for a while.
    LogFilter {
        /// Where; everywhere if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node: Option<String>,
        /// As in `LOG_FILTER`.
        filter: String,
        /// For how long, at most an hour; then what the settings say.
        for_s: u64,
    },
    /// Somebody looks after an alert.
    Ack {
        /// Its id.
        alert: String,
    },
    /// An alert makes no noise for a while.
    Silence {
        /// Its id.
        alert: String,
        /// For how long, at most a day; 0 ends the silence.
        for_s: u64,
    },
    /// Errors of this code are known: no longer marked as new.
    KnowError {
        /// Its stable code.
        code: String,
    },
}

impl Action {
    /// Every action's name.
    pub const NAMES: [&'static str; 13] = [
        "disconnect",
        "revoke_sessions",
        "revoke_session",
        "kick",
        "drain",
        "undrain",
        "announce",
        "purge_queue",
        "redeliver",
        "log_filter",
        "ack",
        "silence",
        "know_error",
    ];

    /// Its name on the wire and in the audit log.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Disconnect { .. } => "disconnect",
            Self::RevokeSessions { .. } => "revoke_sessions",
            Self::RevokeSession { .. } => "revoke_session",
            Self::Kick { .. } => "kick",
            Self::Drain { .. } => "drain",
            Self::Undrain { .. } => "undrain",
            Self::Announce { .. } => "announce",
            Self::PurgeQueue { .. } => "purge_queue",
            Self::Redeliver { .. } => "redeliver",
            Self::LogFilter { .. } => "log_filter",
            Self::Ack { .. } => "ack",
            Self::Silence { .. } => "silence",
            Self::KnowError { .. } => "know_error",
        }
    }

    /// How much it can hurt.
    pub fn grade(&self) -> Grade {
        match self {
            Self::Ack { .. } | Self::Silence { .. } | Self::KnowError { .. } => Grade::Harmless,
            Self::Disconnect { target: Target::Connections(named) } if named.len() == 1 => Grade::Reversible,
            Self::Undrain { .. } | Self::LogFilter { .. } | Self::Kick { .. } | Self::RevokeSession { .. } => {
                Grade::Reversible
            }
            Self::Disconnect { target: Target::Everyone }
            | Self::PurgeQueue { .. }
            | Self::Announce { to: Audience::Everyone, .. } => Grade::Lossy,
            Self::Disconnect { .. }
            | Self::RevokeSessions { .. }
            | Self::Drain { .. }
            | Self::Announce { .. }
            | Self::Redeliver { .. } => Grade::Costly,
        }
    }

    /// Who may.
    pub fn role(&self) -> Role {
        match self.grade() {
            Grade::Lossy => Role::Admin,
            Grade::Harmless | Grade::Reversible | Grade::Costly => Role::Operator,
        }
    }

    /// Whether it survives a restart.
    pub const fn durability(&self) -> Durability {
        match self {
            Self::RevokeSessions { .. }
            | Self::RevokeSession { .. }
            | Self::Announce { .. }
            | Self::PurgeQueue { .. } => Durability::Durable,
            _ => Durability::Memory,
        }
    }

    /// How it is undone, for people.
    pub const fn undo(&self) -> &'static str {
        match self {
            Self::Disconnect { .. } | Self::Kick { .. } => "clients come back by themselves",
            Self::RevokeSessions { .. } | Self::RevokeSession { .. } => "the user signs in again",
            Self::Drain { .. } => "undrain the node",
            Self::Undrain { .. } => "drain the node",
            Self::Announce { .. } => "not at all: it is in the users' inboxes",
            Self::PurgeQueue { .. } => "not at all: the entries are gone",
            Self::Redeliver { .. } => "not needed: clients drop what they have seen",
            Self::LogFilter { .. } => "ends by itself",
            Self::Ack { .. } | Self::KnowError { .. } => "not needed",
            Self::Silence { .. } => "silence for 0 seconds",
        }
    }

    /// To what or whom, for the audit log and for people.
    pub fn target(&self) -> String {
        match self {
            Self::Disconnect { target } => match target {
                Target::Connections(named) => match named.as_slice() {
                    [one] => format!("{}@{}", one.id, one.node),
                    many => format!("{} connections", many.len()),
                },
                Target::User(user) => format!("user {user}"),
                Target::Filter(filter) => format!("connections with {filter}"),
                Target::Everyone => "every connection".into(),
            },
            Self::RevokeSessions { user } | Self::PurgeQueue { user } | Self::Redeliver { user } => {
                format!("user {user}")
            }
            Self::RevokeSession { user, session } => format!("session {session} of user {user}"),
            Self::Kick { room, user } => format!("user {user} in {room}"),
            Self::Drain { node, .. } | Self::Undrain { node } => node.clone(),
            Self::Announce { to, .. } => match to {
                Audience::Users(users) => format!("{} users", users.len()),
                Audience::Present => "every user who is present".into(),
                Audience::Everyone => "every user".into(),
            },
            Self::LogFilter { node, .. } => node.clone().unwrap_or_else(|| "every node".into()),
            Self::Ack { alert } | Self::Silence { alert, .. } => alert.clone(),
            Self::KnowError { code } => code.clone(),
        }
    }
}

/// A request to act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionRequest {
    /// Chosen by the console, the same for every attempt at one action: a repeat does nothing again. 8 to 64 characters.
    pub key: String,
    /// Why, for the audit log; 3 to 500 characters, needed from [`Grade::Costly`] on.
    #[serde(default)]
    pub reason: String,
    /// How many the operator saw: if more are concerned by now, nothing is done (409 `count_changed`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<u64>,
    /// Only count whom it would concern.
    #[serde(default)]
    pub dry_run: bool,
    /// What to do.
    pub action: Action,
}

/// Where a job is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Counted, nothing done.
    DryRun,
    /// Under way; a [`super::Message::Job`] follows with every change.
    #[default]
    Running,
    /// Over.
    Done,
    /// Over, and not what was wanted: see [`Job::note`].
    Failed,
}

impl JobState {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DryRun => "dry_run",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// An action under way or done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: Uuid,
    /// What.
    pub action: Action,
    /// Why.
    pub reason: String,
    /// Who.
    pub operator: String,
    /// With which right.
    pub role: Role,
    /// The node that was asked.
    pub node: String,
    /// Where it is.
    pub state: JobState,
    /// How many it concerns.
    pub matched: u64,
    /// How many of them are done.
    pub done: u64,
    /// How many could not be done.
    pub failed: u64,
    /// When it began.
    pub started_at: Timestamp,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// More, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl Row for Job {
    const FIELDS: &'static [Field] = fields![
        at: Seconds "when it began (in sort orders)",
        operator: Text "who",
        action: Text "what",
        state: Text "running, done or failed",
        reason: Text "why",
        matched: Number "how many it concerns",
        done: Number "how many are done",
    ];

    fn value(&self, field: usize) -> Value<'_> {
        match field {
            0 => Value::time(self.started_at),
            1 => Value::text(&self.operator),
            2 => Value::text(self.action.name()),
            3 => Value::text(self.state.name()),
            4 => Value::text(&self.reason),
            5 => Value::count(self.matched),
            6 => Value::count(self.done),
            _ => Value::Nothing,
        }
    }

    fn key(&self) -> String {
        self.id.to_string()
    }
}

/// The body of every answer of the admin listener that is not 2xx.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// See there.
    pub error: ProblemBody,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemBody {
    /// Stable: `unauthorized`, `forbidden_role`, `bad_action`, `reason_missing`, `count_changed`, `key_reused`,
    /// `not_found`, `busy`, `unavailable`, …
    pub code: String,
    /// For people.
    pub message: String,
    /// With `count_changed`: how many it would concern now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_action() -> Vec<Action> {
        let (user, session) = (UserId(Uuid::nil()), SessionId(Uuid::nil()));
        let connection = ConnectionRef { node: "gw-1".into(), id: "c_7f".into() };
        vec![
            Action::Disconnect { target: Target::Connections(vec![connection]) },
            Action::RevokeSessions { user },
            Action::RevokeSession { user, session },
            Action::Kick { room: "public:lobby".into(), user },
            Action::Drain { node: "gw-1".into(), per_second: Some(50) },
            Action::Undrain { node: "gw-1".into() },
            Action::Announce { to: Audience::Present, title: "Back at noon".into(), body: String::new() },
            Action::PurgeQueue { user },
            Action::Redeliver { user },
            Action::LogFilter { node: None, filter: "debug".into(), for_s: 60 },
            Action::Ack { alert: "pool_saturation:postgres@gw-1".into() },
            Action::Silence { alert: "x".into(), for_s: 900 },
            Action::KnowError { code: "INTERNAL_ERROR".into() },
        ]
    }

    #[test]
    fn every_action_reads_back_under_its_name_and_says_what_it_is_about() {
        let all = every_action();
        assert_eq!(all.iter().map(Action::name).collect::<Vec<_>>(), Action::NAMES);
        for action in all {
            let json = serde_json::to_string(&action).unwrap();
            assert!(json.starts_with(&format!("{{\"do\":\"{}\"", action.name())), "{json}");
            assert_eq!(serde_json::from_str::<Action>(&json).unwrap(), action);
            assert!(!action.target().is_empty() && !action.undo().is_empty());
        }
    }

    #[test]
    fn what_loses_something_needs_an_administrator_and_everyone_is_a_word_of_its_own() {
        let everyone = Action::Disconnect { target: Target::Everyone };
        assert_eq!(serde_json::to_string(&everyone).unwrap(), r#"{"do":"disconnect","target":"everyone"}"#);
        assert_eq!((everyone.grade(), everyone.role()), (Grade::Lossy, Role::Admin));
        let nobody = Action::Disconnect { target: Target::Connections(Vec::new()) };
        assert_eq!(nobody.grade(), Grade::Costly);
        for action in every_action() {
            assert_eq!(action.role() == Role::Admin, action.grade() == Grade::Lossy, "{action:?}");
        }
        assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Admin);
    }

    #[test]
    fn a_request_and_its_job_read_back() {
        let request: ActionRequest =
            serde_json::from_str(r#"{"key":"0123456789","action":{"do":"undrain","node":"gw-1"}}"#).unwrap();
        assert!(!request.dry_run && request.reason.is_empty() && request.expect.is_none());
        let job = Job {
            id: Uuid::nil(),
            action: request.action,
            reason: "inc-4711".into(),
            operator: "amy".into(),
            role: Role::Operator,
            node: "gw-1".into(),
            state: JobState::Running,
            matched: 2,
            done: 1,
            failed: 0,
            started_at: Timestamp::from_micros(5),
            ended_at: None,
            note: String::new(),
        };
        let json = serde_json::to_string(&job).unwrap();
        assert_eq!(serde_json::from_str::<Job>(&json).unwrap(), job);
    }
}
