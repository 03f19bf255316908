//! `POST /api/auth/{creator,investor,production}/login` (R-002…R-005): one door per portal.
//!
//! The order matters. Limits come before the password is hashed; what is wrong with the address, the password or both
//! looks and takes the same; only who knows the account's password learns which door is theirs. A refusal opens no
//! session and leaves the one the browser has alone.
//!
//! **Whether an address has an account** must not be told to somebody who first registers with it and then signs in.
//! So `EMAIL_NOT_VERIFIED` means: this is the password of the newest registration that waits for the address. An
//! address with a verified account keeps such registrations too (nothing can redeem them), and answers the same for as
//! long. The owner who registers again with another password is told so as well; the mail they got says what to do.
//! What is left to see is that somebody else has registered the address since, or again; not whether they proved it.
//!
//! **The same work**: every attempt asks the store for both, and every attempt that ends without a session has checked
//! two passwords, the account's and the registration's, whichever of them exist. Only success stops after the first.

use super::{
    LOGIN, LOGIN_BURST,
    account::{CurrentSession, SignedIn},
    login_from_address,
};
use crate::{
    http::{ApiError, Ctx, Outcome, Problems, Reply},
    services::PasswordVerdict,
};
use serde::Deserialize;
use shared::{
    id::SessionId,
    model::{Portal, Session, User},
    secret::Token,
    store::{
        sessions::{self, NewSession},
        users, verifications,
    },
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    email: String,
    password: String,
}

/// Logs a creator in.
pub async fn creator(ctx: Ctx) -> Outcome {
    enter(ctx, Portal::Creator).await
}

/// Logs an investor in.
pub async fn investor(ctx: Ctx) -> Outcome {
    enter(ctx, Portal::Investor).await
}

/// Logs a production company in.
pub async fn production(ctx: Ctx) -> Outcome {
    enter(ctx, Portal::Production).await
}

async fn enter(ctx: Ctx, portal: Portal) -> Outcome {
    let Form { email, password } = ctx.json()?;
    let mut problems = Problems::new();
    problems.text("email", &email, 1..=254);
    // Longer than any password that can be set: hashing it would only be work.
    problems.require(!password.is_empty() && password.len() <= 1_024, "password", "must have 1 to 1024 bytes");
    problems.finish()?;
    let email = email.trim().to_lowercase();
    let address = ctx.ip_bucket();
    ctx.limit(login_from_address(ctx.app.config.http.login_rate_per_ip), &address).await?;
    let who = format!("{email}:{address}");
    ctx.limit(LOGIN_BURST, &who).await?;
    ctx.limit(LOGIN, &who).await?;

    let (user, rehash) = prove(&ctx, &email, password).await?;
    if !user.portals.contains(portal) {
        return Err(ApiError::WrongPortal(user.portals));
    }
    let (token, session) = open(&ctx, &user, portal, rehash).await?;
    if let Some(before) = &ctx.identity {
        // A new login is a new token, and the browser forgets the old one: so do we.
        ctx.app.ops.revoke_session(before.user_id, before.session_id).await?;
    }
    tracing::info!(user_id = %user.id, session_id = %session.id, %portal, "signed in");
    let current =
        CurrentSession { id: session.id, portal, created_at: session.created_at, expires_at: session.expires_at };
    Ok(Reply::ok(&SignedIn::new(&user, current)).cookie(&ctx.app.cookie.set(&token)))
}

/// The verified account, if this is its password; and the hash that should replace the stored one.
async fn prove(ctx: &Ctx, email: &str, password: String) -> Result<(User, Option<String>), ApiError> {
    let (found, waiting) = ctx
        .app
        .store
        .read("users.credentials", async |c| {
            Ok((users::credentials(c, email).await?, verifications::newest(c, email).await?))
        })
        .await?;
    let (user, hash) = found.map(|found| (found.user, found.password_hash)).unzip();
    let of_account = ctx.app.passwords.verify(password.clone(), hash).await?;
    let unproven = match (user, of_account) {
        (Some(user), PasswordVerdict::Right { rehash }) if user.email_verified => return Ok((user, rehash)),
        (_, of_account) => of_account != PasswordVerdict::Wrong,
    };
    let waiting = waiting.map(|registration| registration.password_hash);
    let of_registration = ctx.app.passwords.verify(password, waiting).await?;
    if unproven || of_registration != PasswordVerdict::Wrong {
        return Err(ApiError::EmailNotVerified);
    }
    Err(ApiError::InvalidCredentials)
}

async fn open(ctx: &Ctx, user: &User, portal: Portal, rehash: Option<String>) -> Result<(Token, Session), ApiError> {
    let token = Token::generate();
    let (ip, user_agent) = (ctx.ip.to_string(), ctx.user_agent());
    let new = NewSession {
        id: SessionId::new(),
        user_id: user.id,
        portal,
        token: token.hash(),
        ip: Some(&ip),
        user_agent: user_agent.as_deref(),
        ttl: ctx.app.config.session.ttl,
    };
    let session = ctx
        .app
        .store
        .tx("sessions.open", async |tx| {
            if let Some(hash) = &rehash {
                users::set_password_hash(tx, user.id, hash).await?;
            }
            sessions::insert(tx, new).await
        })
        .await?;
    Ok((token, session))
}
