//! Proving an address: the link of the mail, the same for programs, and asking for another mail.

use super::{
    MAIL, VERIFY,
    register::{LINK_TTL, is_address, post},
};
use crate::{
    app::App,
    http::{ApiError, Body, Ctx, Outcome, Reply, empty},
    services::Mail,
};
use http::{Response, StatusCode, header};
use serde::Deserialize;
use serde_json::json;
use shared::{
    model::User,
    secret::{Token, TokenHash},
    store::{users, verifications},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenForm {
    token: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmailForm {
    email: String,
}

/// `POST /api/auth/verify-email`: for front ends that take the token out of the link themselves.
pub async fn create(ctx: Ctx) -> Outcome {
    let TokenForm { token } = ctx.json()?;
    ctx.limit(VERIFY, &ctx.ip_bucket()).await?;
    if !redeem(&ctx.app, &token).await? {
        return Err(ApiError::field("token", "is not valid (any more); ask for another mail"));
    }
    Ok(Reply::ok(&json!({ "message": "E-mail address verified" })))
}

/// `GET /api/auth/verify-email?token=…`: the link of the mail, followed by a browser, which ends on the page. The one
/// GET that changes something: a link can do nothing else, and the secret in it is what makes it safe.
pub async fn follow(ctx: Ctx) -> Outcome {
    let mut query = ctx.query()?;
    let token: String = query.get("token").unwrap_or_default();
    query.finish()?;
    ctx.limit(VERIFY, &ctx.ip_bucket()).await?;
    let verified = redeem(&ctx.app, &token).await?;
    let mut answer: Response<Body> = Response::new(empty());
    *answer.status_mut() = StatusCode::SEE_OTHER;
    let to = if verified { "/?verified=true" } else { "/?verified=false" };
    Ok(Reply::raw(answer).header(header::LOCATION, to).header(header::REFERRER_POLICY, "no-referrer"))
}

async fn redeem(app: &App, token: &str) -> Result<bool, ApiError> {
    let token = TokenHash::of(token);
    let user = app
        .store
        .tx("verifications.redeem", async |tx| {
            let Some(user) = verifications::redeem(tx, token).await? else { return Ok(None) };
            users::mark_email_verified(tx, user).await?;
            Ok(Some(user))
        })
        .await?;
    Ok(user.is_some())
}

/// `POST /api/auth/resend-verification`: the same answer whether there is such an account or not.
pub async fn resend(ctx: Ctx) -> Outcome {
    let EmailForm { email } = ctx.json()?;
    let email = email.trim().to_lowercase();
    if !is_address(&email) {
        return Err(ApiError::field("email", "must be an e-mail address"));
    }
    ctx.limit(VERIFY, &ctx.ip_bucket()).await?;
    // Past the limit the answer stays the same, and no mail is sent.
    if ctx.limit(MAIL, &email).await.is_ok() {
        // Behind the answer's back: finding the account must not show in its time.
        let app = ctx.app.clone();
        ctx.app.lifecycle.tracker().spawn(async move {
            if let Err(error) = mail_again(&app, &email).await {
                tracing::error!(%error, "failed to make another verification mail");
            }
        });
    }
    let message = "If this address waits to be verified, a mail with a link is on its way to it";
    Ok(Reply::with_status(StatusCode::ACCEPTED, &json!({ "message": message })))
}

async fn mail_again(app: &App, email: &str) -> Result<(), ApiError> {
    let user = app.store.read("users.by_email", async |c| users::by_email(c, email).await).await?;
    let Some(User { id, email, name, .. }) = user.filter(|user| !user.email_verified) else { return Ok(()) };
    let token = Token::generate();
    app.store
        .tx("verifications.insert", async |tx| verifications::insert(tx, id, &email, token.hash(), LINK_TTL).await)
        .await?;
    post(app, Mail::verification(&app.config.http.base_url(), &email, &name, token.expose()));
    Ok(())
}
