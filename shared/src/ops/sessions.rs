//! Sessions between the store, which decides, and the engine, which answers.
//!
//! A session that is in the cache costs no query, and works while the database does not. One that is not is looked up
//! together with all others that are asked for at that moment (see `batch.rs`). A revoke deletes the row, then leaves
//! tombstones under every token of the session; a look-up that raced it finds the tombstone and says no. While the
//! engine is away every look-up asks the store, and the relay leaves the tombstones when it is back
//! (`store::invalidations`).

use super::{Ops, OpsError, heard};
use crate::{
    clock::Timestamp,
    engine::CachedSession,
    id::{SessionId, UserId},
    model::{Identity, Portal},
    secret::{Token, TokenHash},
    store::{
        by_deadline,
        sessions::{self, Revoked, Rotation},
    },
};
use futures_util::{StreamExt as _, stream};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// No token of ours is longer; what is, is not worth hashing.
const TOKEN_BYTES: usize = 128;
/// Longest time for one look-up of tokens in the store: more than the wait for a connection, and so little that a client
/// is told to come back while it still listens.
const LOOK_UP: Duration = Duration::from_secs(4);
/// Tombstones left at a time.
const BURIALS: usize = 8;

impl Ops {
    /// Who presents this session token; `None` if it is unknown, expired or revoked.
    pub async fn authenticate(&self, token: &str) -> Result<Option<Arc<Identity>>, OpsError> {
        if token.is_empty() || token.len() > TOKEN_BYTES {
            return Ok(None);
        }
        let token = TokenHash::of(token);
        match self.engine().sessions.get(&token).await {
            Ok(CachedSession::Live(identity)) if self.is_live(&identity) => Ok(Some(identity)),
            Ok(CachedSession::Revoked) => Ok(None),
            // Expired in the cache: the store knows whether it was prolonged elsewhere. Engine down: ask the store too.
            Ok(CachedSession::Live(_) | CachedSession::Unknown) | Err(_) => self.authenticate_in_store(token).await,
        }
    }

    /// Whether this is the token of a session that has expired: the one kind of dead token that a browser may be told to
    /// forget. Whoever presents a replaced or revoked one may have been given another since, and whoever presents a
    /// stranger's is no browser of ours.
    pub async fn has_expired(&self, token: &str) -> Result<bool, OpsError> {
        if token.is_empty() || token.len() > TOKEN_BYTES {
            return Ok(false);
        }
        let token = TokenHash::of(token);
        Ok(self.store().read("sessions.has_expired", async |c| sessions::has_expired(c, token).await).await?)
    }

    /// Who presents this session token or one-time ticket. A ticket is used up; the engine refuses those of sessions
    /// that were revoked since. While the engine does not answer, only a session's token can be told from a wrong one.
    pub async fn authenticate_socket(&self, token: &str) -> Result<Option<Arc<Identity>>, OpsError> {
        if token.is_empty() || token.len() > TOKEN_BYTES {
            return Ok(None);
        }
        let failed = match self.engine().sessions.redeem_ticket(&TokenHash::of(token)).await {
            Ok(Some(identity)) => return Ok(Some(identity)),
            Ok(None) => None,
            Err(problem) => Some(problem),
        };
        match (self.authenticate(token).await?, failed) {
            (None, Some(problem)) => Err(problem.into()), // it may be a good ticket
            (known, _) => Ok(known),
        }
    }

    /// A one-time ticket for a WebSocket of this identity, good for [`crate::engine::sessions::TICKET_TTL`].
    pub async fn issue_ticket(&self, who: &Identity) -> Result<Token, OpsError> {
        let ticket = Token::generate();
        self.engine().sessions.issue_ticket(&ticket.hash(), who).await?;
        Ok(ticket)
    }

    /// Prolongs the session if that is due (R-009: at most once in `update_age`) and its life is not used up. Returns
    /// the identity with its new expiry if this call moved it: then the cookie is sent again.
    pub async fn refresh_session(&self, token: TokenHash, who: &Identity) -> Result<Option<Identity>, OpsError> {
        let (now, config) = (self.clock().now(), self.session());
        if now.since(who.refreshed_at) < config.update_age {
            return Ok(None);
        }
        let expires_at = (now + config.ttl).min(who.created_at + config.absolute_max);
        if expires_at <= who.expires_at {
            return Ok(None);
        }
        let (id, unless_since) = (who.session_id, now - config.update_age);
        let moved = self
            .store()
            .tx("sessions.refresh", async |tx| sessions::refresh(tx, id, token, unless_since, expires_at).await)
            .await?;
        if !moved {
            return Ok(None);
        }
        let refreshed = Identity { expires_at, refreshed_at: now, ..who.clone() };
        // Only in the place of what we saw: meanwhile the token may have been replaced, and then it ends with the grace.
        // Should this fail, the cache keeps the old expiry, and asks the store when that is over.
        let _ = self.engine().sessions.prolong(&token, who, &refreshed).await;
        Ok(Some(refreshed))
    }

    /// Switches the active portal. The session stays; its token is replaced, and the old one works for the grace.
    pub async fn switch_portal(
        &self,
        old: TokenHash,
        who: &Identity,
        portal: Portal,
    ) -> Result<(Token, Identity), OpsError> {
        if !who.portals.contains(portal) {
            return Err(OpsError::Forbidden);
        }
        let (token, grace) = (Token::generate(), self.session().rotation_grace);
        let rotation = Rotation { id: who.session_id, old, new: token.hash(), portal, grace };
        if !self.store().tx("sessions.rotate", async |tx| sessions::rotate(tx, rotation).await).await? {
            return Err(OpsError::Conflict("the session was changed by another request".into()));
        }
        let identity = Identity { portal, ..who.clone() };
        let sessions = &self.engine().sessions;
        // The old token's entry ends with the grace and stays in its place: a look-up that raced us cannot fill it in.
        let ending = Identity { expires_at: self.clock().now() + grace, ..identity.clone() };
        heard("end the old token", sessions.put(&old, &ending).await);
        let _ = sessions.put(&token.hash(), &identity).await;
        Ok((token, identity))
    }

    /// Those of these sessions that are still open, and until when, by the store's word: what a node asks that may have
    /// missed a revocation or a refresh.
    pub async fn open_sessions(&self, ids: &[SessionId]) -> Result<Vec<(SessionId, Timestamp)>, OpsError> {
        Ok(self.store().read("sessions.alive", async |c| sessions::alive(c, ids).await).await?)
    }

    /// [`Ops::open_sessions`] for a node whose clients are connected with them; the cached ones live on, so that a client
    /// that loses its node is known wherever it comes back.
    pub async fn renew_sessions(&self, ids: &[SessionId]) -> Result<Vec<(SessionId, Timestamp)>, OpsError> {
        let open = self.store().read("sessions.renew", async |c| sessions::by_id(c, ids).await).await?;
        for (token, identity) in &open {
            self.engine().sessions.renew(token, identity).await?;
        }
        Ok(open.into_iter().map(|(_, identity)| (identity.session_id, identity.expires_at)).collect())
    }

    /// Ends one session of the user. False if the user has no such session.
    pub async fn revoke_session(&self, user: UserId, session: SessionId) -> Result<bool, OpsError> {
        let revoke = async |tx: &mut _| sessions::revoke(tx, user, session).await;
        let revoked = self.store().tx("sessions.revoke", revoke).await?;
        self.bury(revoked.as_slice()).await;
        Ok(revoked.is_some())
    }

    /// Ends every session of the asker but the one that asks; returns how many.
    pub async fn revoke_other_sessions(&self, who: &Identity) -> Result<usize, OpsError> {
        let revoke = async |tx: &mut _| sessions::revoke_others(tx, who.user_id, who.session_id).await;
        let revoked = self.store().tx("sessions.revoke_others", revoke).await?;
        self.bury(&revoked).await;
        Ok(revoked.len())
    }

    /// Ends every session of a user; returns how many.
    pub async fn revoke_all_sessions(&self, user: UserId) -> Result<usize, OpsError> {
        let revoke = async |tx: &mut _| sessions::revoke_all(tx, user).await;
        let revoked = self.store().tx("sessions.revoke_all", revoke).await?;
        self.bury(&revoked).await;
        Ok(revoked.len())
    }

    /// Leaves tombstones for sessions whose rows are gone, so that the relay need not be waited for. For business changes
    /// that revoke in their own transaction; to be called right after the commit.
    pub async fn bury(&self, revoked: &[Revoked]) {
        stream::iter(revoked.to_vec()).for_each_concurrent(BURIALS, |session| self.bury_one(session)).await;
    }

    async fn bury_one(&self, session: Revoked) {
        let tokens: Vec<_> = std::iter::once(session.token_hash).chain(session.previous_token_hash).collect();
        let sessions = &self.engine().sessions;
        heard("bury a session", sessions.revoke(session.session_id, &tokens).await);
    }

    fn is_live(&self, identity: &Identity) -> bool {
        identity.expires_at > self.clock().now()
    }

    async fn authenticate_in_store(&self, token: TokenHash) -> Result<Option<Arc<Identity>>, OpsError> {
        let fetch = |tokens: Vec<TokenHash>| async move {
            let read = async |c: &mut _| sessions::identities(c, &tokens).await;
            // For all who wait, whenever the one who leads began to.
            Ok(by_deadline(Instant::now() + LOOK_UP, self.store().read("sessions.identities", read)).await?)
        };
        let Some(identity) = self.lookups().get(token, fetch).await? else { return Ok(None) };
        let cache = &self.engine().sessions;
        let identity = match cache.fill(&token, &identity).await {
            Ok(()) => match cache.get(&token).await {
                // A revoke that came after the query has left a tombstone before the fill, and the tombstone is right.
                Ok(CachedSession::Revoked) => return Ok(None),
                // One identity for the cache and all who are let in by it.
                Ok(CachedSession::Live(cached)) if *cached == identity => cached,
                Ok(CachedSession::Live(_) | CachedSession::Unknown) | Err(_) => Arc::new(identity),
            },
            Err(_) => Arc::new(identity),
        };
        Ok(self.is_live(&identity).then_some(identity))
    }
}
