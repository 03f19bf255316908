//! Proving an address: the link of the mail, redeeming its token, and asking for another mail.
//!
//! The link changes nothing. Mail scanners and previews follow links before anybody reads the mail, with HEAD and with
//! GET; so it leads to the page, where a person enters their password, and only that redeems the token.
//!
//! Whoever holds a token reads the address's mail, and has not necessarily registered: a stranger may have done so with
//! a password of their own, before the owner or after. A registration brings its own name, portal and password (see
//! `shared/src/store/verifications.rs`), and the password tells whose it is: it must match if it is sent, as the page
//! always does, and must be sent if registrations with different passwords wait for one address.

use super::{
    RESEND, RESEND_CAP, VERIFY, handle,
    register::{LINK_TTL, is_address, post},
};
use crate::{
    app::App,
    http::{ApiError, Body, Ctx, Outcome, Reply, empty, rate_limit},
    services::{Mail, PasswordVerdict},
};
use http::{Response, StatusCode, header};
use serde::Deserialize;
use serde_json::json;
use shared::{
    id::UserId,
    model::Portals,
    secret::{Token, TokenHash},
    store::{
        StoreError, Tx,
        users::{self, EMAIL_TAKEN, NewUser, USERNAME_TAKEN},
        verifications::{self, Proof, Registration, Waiting},
    },
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProofForm {
    token: String,
    password: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmailForm {
    email: String,
}

/// `GET /api/auth/verify-email?token=…`: the link of the mail. The token goes on in the fragment, which browsers keep to
/// themselves.
pub async fn follow(ctx: Ctx) -> Outcome {
    let mut query = ctx.query()?;
    let token: String = query.get("token").unwrap_or_default();
    query.finish()?;
    // Ours are base64url; anything else has no business in a header.
    let token: String = token.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).take(64).collect();
    let mut answer: Response<Body> = Response::new(empty());
    *answer.status_mut() = StatusCode::SEE_OTHER;
    let to = format!("/#verify={token}");
    Ok(Reply::raw(answer).header(header::LOCATION, &to).header(header::REFERRER_POLICY, "no-referrer"))
}

/// `POST /api/auth/verify-email`: redeems the token.
pub async fn create(ctx: Ctx) -> Outcome {
    let ProofForm { token, password } = ctx.json()?;
    ctx.limit(VERIFY, &ctx.ip_bucket()).await?;
    let token = TokenHash::of(&token);
    let waiting = ctx.app.store.read("verifications.waiting", async |c| verifications::waiting(c, token).await).await?;
    let waiting = waiting.ok_or_else(no_such_token)?;
    check_password(&ctx, waiting, password).await?;
    if !redeem(&ctx.app, token).await? {
        return Err(no_such_token());
    }
    Ok(Reply::ok(&json!({ "message": "E-mail address verified" })))
}

/// Whether this is the registration of whoever holds the token.
async fn check_password(ctx: &Ctx, waiting: Waiting, password: Option<String>) -> Result<(), ApiError> {
    let Some(password) = password else {
        let needed = "is needed: this address was registered more than once, and it says which one is yours";
        return if waiting.contested { Err(ApiError::field("password", needed)) } else { Ok(()) };
    };
    let verdict = ctx.app.passwords.verify(password, Some(waiting.password_hash)).await?;
    if verdict == PasswordVerdict::Wrong {
        let wrong = "is not the one this mail's registration was made with; there may be another mail";
        return Err(ApiError::field("password", wrong));
    }
    Ok(())
}

fn no_such_token() -> ApiError {
    ApiError::field("token", "is not valid (any more); ask for another mail")
}

/// Makes the account; false if the token is worth nothing (any more).
async fn redeem(app: &App, token: TokenHash) -> Result<bool, ApiError> {
    for _ in 0..handle::ATTEMPTS {
        let redeemed = app.store.tx("verifications.redeem", async |tx| redeem_in(tx, token).await).await;
        match redeemed {
            Ok(redeemed) => return Ok(redeemed),
            // Two tokens of one address at once: the next attempt finds that the other one has won.
            Err(error) if error.is_unique(EMAIL_TAKEN) || error.is_unique(USERNAME_TAKEN) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::unavailable(StoreError::Conflict))
}

async fn redeem_in(tx: &mut Tx, token: TokenHash) -> Result<bool, StoreError> {
    let Registration { email, password_hash, name, user_type } = match verifications::redeem(tx, token).await? {
        None => return Ok(false),
        Some(Proof::Account(user)) => return users::mark_email_verified(tx, user).await,
        Some(Proof::Registration(registration)) => registration,
    };
    let new = NewUser {
        id: UserId::new(),
        email: &email,
        username: &handle::of(&name),
        name: &name,
        user_type,
        portals: Portals::of([user_type]),
        password_hash: &password_hash,
        email_verified: true,
    };
    users::establish(tx, new).await?;
    Ok(true)
}

/// `POST /api/auth/resend-verification`: the same answer whether anything waits there or not.
pub async fn resend(ctx: Ctx) -> Outcome {
    let EmailForm { email } = ctx.json()?;
    let email = email.trim().to_lowercase();
    if !is_address(&email) {
        return Err(ApiError::field("email", "must be an e-mail address"));
    }
    ctx.limit(VERIFY, &ctx.ip_bucket()).await?;
    let (app, client) = (ctx.app.clone(), ctx.ip_bucket());
    // Behind the answer's back: what is found must not show in its time.
    ctx.app.lifecycle.tracker().spawn(async move {
        if let Err(error) = mail_again(&app, &email, &client).await {
            tracing::error!(%error, "failed to make another verification mail");
        }
    });
    let message = "If this address waits to be verified, a mail with a link is on its way to it";
    Ok(Reply::with_status(StatusCode::ACCEPTED, &json!({ "message": message })))
}

/// Another token for what waits: the newest registration, else an account that is there and unverified. Of an address
/// that is proven, registrations are prolonged all the same, or a login would tell by what it remembers; only the mail
/// is left out.
async fn mail_again(app: &App, email: &str, client: &str) -> Result<(), ApiError> {
    let (newest, user) = app
        .store
        .read("verifications.newest", async |c| {
            Ok((verifications::newest(c, email).await?, users::by_email(c, email).await?))
        })
        .await?;
    let verified = user.as_ref().is_some_and(|user| user.email_verified);
    let unverified = user.filter(|user| !user.email_verified).map(|user| user.id);
    if newest.is_none() && unverified.is_none() {
        return Ok(());
    }
    // Past the limits the answer is the same, and no mail is sent.
    let limits = &app.engine.limits;
    if rate_limit::take(limits, RESEND, &format!("{email}:{client}")).await.is_err()
        || rate_limit::take(limits, RESEND_CAP, email).await.is_err()
    {
        return Ok(());
    }
    let token = Token::generate();
    app.store
        .tx("verifications.resend", async |tx| match (&newest, unverified) {
            (Some(newest), _) => verifications::register(tx, newest, token.hash(), LINK_TTL).await,
            (None, Some(user)) => verifications::ask_again(tx, user, email, token.hash(), LINK_TTL).await,
            (None, None) => Ok(()),
        })
        .await?;
    if !verified {
        post(app, Mail::verification(&app.config.http.base_url(), email, token.expose()));
    }
    Ok(())
}
