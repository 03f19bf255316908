//! `POST /api/auth/portal`: the same session at another portal. The token is replaced, because what it may do
//! has changed; the old one works for a few seconds more, so that requests under way survive.

use super::account::{CurrentSession, SignedIn};
use crate::http::{ApiError, Ctx, Outcome, Reply};
use serde::{Deserialize, Serialize};
use shared::{model::Portal, secret::Token, store::users};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    portal: Portal,
}

#[derive(Serialize)]
struct Switched<'a> {
    #[serde(flatten)]
    signed_in: SignedIn<'a>,
    /// The new token, only for programs that present theirs in a header; a browser gets its cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
}

/// Switches.
pub async fn create(ctx: Ctx) -> Outcome {
    let Form { portal } = ctx.json()?;
    let (who, presented) = (ctx.user()?, ctx.token()?);
    if !who.portals.contains(portal) {
        return Err(ApiError::forbidden(format!("This account has no {portal} portal")));
    }
    let user = ctx.app.store.read("users.by_id", async |c| users::by_id(c, who.user_id).await).await?;
    let user = user.ok_or(ApiError::unauthorized())?;
    let (token, identity) = ctx.app.ops.switch_portal(presented.hash(), who, portal).await?;
    let signed_in = SignedIn::new(&user, CurrentSession::from(&identity));
    let shown = (!presented.by_cookie).then(|| Token::expose(&token));
    let reply = Reply::ok(&Switched { signed_in, token: shown });
    Ok(if presented.by_cookie { reply.cookie(&ctx.app.cookie.set(&token)) } else { reply })
}
