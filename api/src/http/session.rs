//! From a presented token to an identity, and the once-a-day renewal.

use super::{
    ApiError,
    credentials::{self, Credentials, Presented},
};
use crate::{app::App, router::Access};
use http::{HeaderMap, HeaderValue, header};
use shared::model::Identity;
use std::sync::Arc;

/// A valid session and the token that proved it.
pub(super) struct Visitor {
    pub(super) identity: Identity,
    pub(super) presented: Presented,
}

/// Who asks. `answer` collects the cookies the answer must carry: a renewed one, or the order to forget a dead one.
///
/// A presented token that is not (any more) one of ours is 401 where a session is needed; elsewhere its bearer is a
/// stranger like any other.
///
/// A browser is told to forget the cookie of a session that has expired, and no other. The order would hit
/// whatever cookie it has when the answer arrives: a request that was under way while the token was replaced, or while
/// somebody signed in again, would sign that browser out. Cookies that stay for nothing end with their `Max-Age`.
pub(super) async fn identify(
    app: &App,
    headers: &HeaderMap,
    access: Access,
    answer: &mut HeaderMap,
) -> Result<Option<Visitor>, ApiError> {
    let needed = match access {
        Access::Open => return Ok(None),
        Access::Public => false,
        Access::Session | Access::ReadOnlySession => true,
    };
    let presented = match credentials::read(headers, app.cookie.name()) {
        Credentials::Token(presented) => presented,
        // Whoever sends a broken `Authorization` believes to be somebody: say so, also where nobody needs to be.
        Credentials::Unusable => return Err(ApiError::unauthorized()),
        Credentials::None if needed => return Err(ApiError::unauthorized()),
        Credentials::None => return Ok(None),
    };
    let Some(identity) = app.ops.authenticate(presented.token.expose()).await? else {
        if presented.by_cookie && app.ops.has_expired(presented.token.expose()).await.unwrap_or(false) {
            set_cookie(answer, &app.cookie.clear());
        }
        return if needed || !presented.by_cookie { Err(ApiError::unauthorized()) } else { Ok(None) };
    };
    let identity = Arc::unwrap_or_clone(identity);
    if access == Access::ReadOnlySession {
        return Ok(Some(Visitor { identity, presented }));
    }
    let identity = renew(app, identity, &presented, answer).await;
    Ok(Some(Visitor { identity, presented }))
}

/// Moves the expiry if that is due. Should it fail, the session is as good as before and the next request tries again.
async fn renew(app: &App, identity: Identity, presented: &Presented, answer: &mut HeaderMap) -> Identity {
    if app.clock.now().since(identity.refreshed_at) < app.config.session.update_age {
        return identity;
    }
    let (ops, who, token) = (app.ops.clone(), identity.clone(), presented.hash());
    // In a task of its own: the client may hang up at any moment.
    let task = app.lifecycle.tracker().spawn(async move { ops.refresh_session(token, &who).await });
    match task.await {
        Ok(Ok(Some(renewed))) => {
            if presented.by_cookie {
                set_cookie(answer, &app.cookie.renew(presented.token.expose()));
            }
            renewed
        }
        Ok(Ok(None)) | Err(_) => identity,
        Ok(Err(error)) => {
            tracing::warn!(%error, "failed to renew a session");
            identity
        }
    }
}

fn set_cookie(answer: &mut HeaderMap, cookie: &cookie::Cookie<'_>) {
    // A renewed token came in as a header, so it is legal in one.
    if let Ok(value) = HeaderValue::try_from(cookie.to_string()) {
        answer.append(header::SET_COOKIE, value);
    }
}
