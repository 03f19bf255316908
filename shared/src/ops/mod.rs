//! Operations that REST and the gateway share: one function each, one transaction each, whoever asks.
//!
//! ```text
//!  route ─┐                                ┌─▶ store   the change and its inbox rows, one transaction
//!         ├─▶ Ops: rule, transaction ──────┤
//!  frame ─┘                                └─▶ engine  caches before, the bell after the commit
//! ```
//!
//! A database connection is held for the length of one call, never by whoever calls (invariant 4). What an operation
//! commits survives any crash; what it tells the engine afterwards is only speed. What caches must hear (ends of
//! sessions and of memberships) is committed with the change too, and the relay goes on until the engine has it.
//!
//! An operation that changes something is spawned on the lifecycle's tracker by callers whose client may hang up:
//! dropping it undoes it, which is safe, but not what the client wanted.
//!
//! # Adding an operation
//!
//! 1. A method on [`Ops`] in its subject's file here: check the values, then one `store.tx` that checks the rights on
//!    the very rows it changes, then whatever the engine needs to hear.
//! 2. Refusals are [`OpsError`]s. What the asker may not see is [`OpsError::NotFound`], never `Forbidden`.
//! 3. If it tells somebody: an event in [`events`], `inbox::append` last in the transaction, `bell.ring()` after it.
//! 4. A test in `shared/tests/suite/ops`, on both databases when SQL decides.

mod batch;
mod error;
pub mod events;
mod inbox;
mod messages;
pub mod notifications;
mod rooms;
mod sessions;
mod start;

pub use error::OpsError;
pub use inbox::{PAGE_BYTES, PAGE_ENTRIES};
pub(crate) use inbox::{frame, page_bounds};
pub use messages::SentMessage;
pub use notifications::{Feed, MarkRead, MarkedRead};
pub use rooms::EVERYBODY;
pub(crate) use rooms::belongs_in_store;
pub use start::InboxStart;

use crate::{
    clock::Clock,
    config::{GatewayConfig, SessionConfig},
    engine::{Engine, EngineError},
    model::Identity,
    secret::TokenHash,
    store::{Store, rooms::Fact},
};
use batch::Batch;
use start::{Asked, Found};
use std::sync::Arc;

/// What REST and gateway can do. A cheap clone: every clone shares the look-ups under way.
#[derive(Clone)]
pub struct Ops(Arc<Inner>);

struct Inner {
    store: Store,
    engine: Engine,
    clock: Clock,
    session: SessionConfig,
    public_rooms: Vec<String>,
    lookups: Batch<TokenHash, Identity>,
    facts: Batch<Fact, ()>,
    starts: Batch<Asked, Found>,
}

impl Ops {
    /// Operations on this store and this engine. The public rooms are the configuration's defaults until
    /// [`Ops::with_public_rooms`] says otherwise.
    pub fn new(store: Store, engine: Engine, clock: Clock, session: SessionConfig) -> Self {
        let public_rooms = GatewayConfig::default().public_rooms;
        let (lookups, facts, starts) = (Batch::default(), Batch::default(), Batch::default());
        Self(Arc::new(Inner { store, engine, clock, session, public_rooms, lookups, facts, starts }))
    }

    /// The same operations with these names after `public:`.
    #[must_use]
    pub fn with_public_rooms(self, names: &[String]) -> Self {
        Self(Arc::new(Inner {
            store: self.0.store.clone(),
            engine: self.0.engine.clone(),
            clock: self.0.clock.clone(),
            session: self.0.session.clone(),
            public_rooms: names.to_vec(),
            lookups: self.0.lookups.clone(),
            facts: self.0.facts.clone(),
            starts: self.0.starts.clone(),
        }))
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    fn session(&self) -> &SessionConfig {
        &self.0.session
    }

    fn public_rooms(&self) -> &[String] {
        &self.0.public_rooms
    }

    fn lookups(&self) -> &Batch<TokenHash, Identity> {
        &self.0.lookups
    }

    fn facts(&self) -> &Batch<Fact, ()> {
        &self.0.facts
    }

    fn starts(&self) -> &Batch<Asked, Found> {
        &self.0.starts
    }
}

impl std::fmt::Debug for Ops {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ops").field("store", self.store()).finish_non_exhaustive()
    }
}

/// The end of an attempt to tell a cache at once what it must hear. The change is committed, so failing the call would be
/// wrong; the relay tells it within a second of the engine's return.
fn heard(what: &'static str, outcome: Result<(), EngineError>) {
    if let Err(problem) = outcome {
        tracing::debug!(%problem, "failed to {what}: left to the relay");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::{ConversationId, PitchId, SessionId, UserId},
        lifecycle::Lifecycle,
        model::Portal,
        protocol::RoomName,
        relay::Relay,
        store::sessions::Revoked,
    };
    use uuid::Uuid;

    /// Callers spawn these on a multi-threaded runtime; this compiles only while the futures may move between threads.
    #[test]
    fn operations_and_the_relay_are_send() {
        fn is_send<T: Send>(_: T) {}
        type Args<'a> = (&'a Ops, &'a Identity, &'a RoomName, TokenHash, ConversationId, &'a [Revoked]);
        let _ = |(ops, who, room, token, conversation, revoked): Args<'_>| {
            is_send(ops.authenticate(""));
            is_send(ops.authenticate_socket(""));
            is_send(ops.issue_ticket(who));
            is_send(ops.refresh_session(token, who));
            is_send(ops.switch_portal(token, who, Portal::Creator));
            is_send(ops.revoke_session(who.user_id, SessionId::new()));
            is_send(ops.revoke_other_sessions(who));
            is_send(ops.revoke_all_sessions(who.user_id));
            is_send(ops.bury(revoked));
            is_send(ops.may_join(Some(who), room));
            is_send(ops.may_publish(who, room));
            is_send(ops.watchable(who, &[]));
            is_send(ops.pitch_visibility_changed(PitchId::new(), true));
            is_send(ops.pitch_deleted(PitchId::new(), who.user_id));
            is_send(ops.send_message(who, Uuid::nil(), Uuid::nil(), ""));
            is_send(ops.conversations(who, None, 1));
            is_send(ops.open_conversation(who, UserId::new()));
            is_send(ops.messages(who, conversation, None, 1));
            is_send(ops.notify(Vec::new()));
            is_send(ops.mark_read(who, MarkRead::All));
            is_send(ops.notifications(who, false, None, 1));
            is_send(ops.inbox_start(who.user_id, "", None));
            is_send(ops.inbox_page(who.user_id, 0, 1));
            is_send(ops.inbox_heads(&[]));
            is_send(ops.renew_sessions(&[]));
            is_send(ops.renew_memberships(&[]));
            is_send(ops.lost_places(&[]));
        };
        let _ = |relay: Relay| is_send(relay.run(Lifecycle::new()));
    }
}
