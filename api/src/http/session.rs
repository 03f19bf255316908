//! From a presented token to an identity, and the once-a-day renewal.
//!
//! In three steps, because the one in the middle waits for the store: it runs in a task of its own and has a deadline,
//! and only the others touch the request and its answer.

use super::{
    ApiError,
    credentials::{self, Credentials, Presented},
};
use crate::{app::App, router::Access};
use http::{HeaderMap, HeaderValue, header};
use shared::{model::Identity, store::by_deadline};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Longest time for a renewal, which can wait until the next request.
const RENEWAL: Duration = Duration::from_secs(2);

/// A valid session and the token that proved it.
pub(super) struct Visitor {
    pub(super) identity: Identity,
    pub(super) presented: Presented,
}

/// What there is to know about a presented token.
pub(super) enum Known {
    /// It proves nothing; whether it belonged to a session that has expired.
    Nobody { expired: bool },
    /// It proves this; whether the expiry was moved just now.
    Somebody { identity: Identity, renewed: bool },
}

/// The token that must be looked at; `None` if nobody needs to be somebody.
pub(super) fn presented(app: &App, headers: &HeaderMap, access: Access) -> Result<Option<Presented>, ApiError> {
    let needed = match access {
        Access::Open => return Ok(None),
        Access::Public => false,
        Access::Session | Access::ReadOnlySession => true,
    };
    match credentials::read(headers, app.cookie.name()) {
        Credentials::Token(presented) => Ok(Some(presented)),
        // Whoever sends a broken `Authorization` believes to be somebody: say so, also where nobody needs to be.
        Credentials::Unusable => Err(ApiError::unauthorized()),
        Credentials::None if needed => Err(ApiError::unauthorized()),
        Credentials::None => Ok(None),
    }
}

/// Asks the cache, and the store if it must.
pub(super) async fn look_up(app: App, presented: Presented, access: Access) -> Result<Known, ApiError> {
    let token = presented.token.expose();
    let Some(identity) = app.ops.authenticate(token).await? else {
        let expired = presented.by_cookie && app.ops.has_expired(token).await.unwrap_or(false);
        return Ok(Known::Nobody { expired });
    };
    let renewed = if access == Access::ReadOnlySession { None } else { renew(&app, &identity, &presented).await };
    let was_renewed = renewed.is_some();
    Ok(Known::Somebody { identity: renewed.unwrap_or_else(|| Arc::unwrap_or_clone(identity)), renewed: was_renewed })
}

/// Who asks. `answer` collects the cookies the answer must carry: a renewed one, or the order to forget a dead one.
///
/// A presented token that is not (any more) one of ours is 401 where a session is needed; elsewhere its bearer is a
/// stranger like any other.
///
/// A browser is told to forget the cookie of a session that has expired, and no other. The order would hit
/// whatever cookie it has when the answer arrives: a request that was under way while the token was replaced, or while
/// somebody signed in again, would sign that browser out. Cookies that stay for nothing end with their `Max-Age`.
pub(super) fn visitor(
    app: &App,
    (presented, known): (Presented, Known),
    access: Access,
    answer: &mut HeaderMap,
) -> Result<Option<Visitor>, ApiError> {
    match known {
        Known::Nobody { expired } => {
            if expired {
                set_cookie(answer, &app.cookie.clear());
            }
            let a_stranger_will_do = access == Access::Public && presented.by_cookie;
            if a_stranger_will_do { Ok(None) } else { Err(ApiError::unauthorized()) }
        }
        Known::Somebody { identity, renewed } => {
            if renewed && presented.by_cookie {
                set_cookie(answer, &app.cookie.renew(presented.token.expose()));
            }
            Ok(Some(Visitor { identity, presented }))
        }
    }
}

/// Moves the expiry if that is due. Should it fail, the session is as good as before and the next request tries again.
async fn renew(app: &App, identity: &Identity, presented: &Presented) -> Option<Identity> {
    if app.clock.now().since(identity.refreshed_at) < app.config.session.update_age {
        return None;
    }
    let refresh = app.ops.refresh_session(presented.hash(), identity);
    by_deadline(Instant::now() + RENEWAL, refresh).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "failed to renew a session");
        None
    })
}

fn set_cookie(answer: &mut HeaderMap, cookie: &cookie::Cookie<'_>) {
    // A renewed token came in as a header, so it is legal in one.
    if let Ok(value) = HeaderValue::try_from(cookie.to_string()) {
        answer.append(header::SET_COOKIE, value);
    }
}
