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
        users::{self, Credentials},
        verifications,
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

    let proven = prove(&ctx, &email, password).await?;
    let user = &proven.user;
    if !user.portals.contains(portal) {
        return Err(ApiError::WrongPortal(user.portals));
    }
    let (token, session) = open(&ctx, &proven, portal).await?;
    tracing::info!(user_id = %user.id, session_id = %session.id, %portal, "signed in");
    let current =
        CurrentSession { id: session.id, portal, created_at: session.created_at, expires_at: session.expires_at };
    Ok(Reply::ok(&SignedIn::new(user, current)).cookie(&ctx.app.cookie.set(&token)))
}

/// A verified account whose password was right.
struct Proven {
    user: User,
    /// What it was checked against.
    hash: String,
    /// What should replace that.
    rehash: Option<String>,
}

/// The verified account, if this is its password.
async fn prove(ctx: &Ctx, email: &str, password: String) -> Result<Proven, ApiError> {
    let (found, waiting) = ctx
        .app
        .store
        .read("users.credentials", async |c| {
            Ok((users::credentials(c, email).await?, verifications::newest(c, email).await?))
        })
        .await?;
    let hash = found.as_ref().map(|found| found.password_hash.clone());
    let of_account = ctx.app.passwords.verify(password.clone(), hash).await?;
    let unproven = match (found, of_account) {
        (Some(Credentials { user, password_hash: hash }), PasswordVerdict::Right { rehash }) if user.email_verified => {
            return Ok(Proven { user, hash, rehash });
        }
        (_, of_account) => of_account != PasswordVerdict::Wrong,
    };
    let waiting = waiting.map(|registration| registration.password_hash);
    let of_registration = ctx.app.passwords.verify(password, waiting).await?;
    if unproven || of_registration != PasswordVerdict::Wrong {
        return Err(ApiError::EmailNotVerified);
    }
    Err(ApiError::InvalidCredentials)
}

/// Opens the session, and ends in the same transaction what it takes the place of: the browser's session before, which
/// the browser forgets, and the account's oldest beyond the limit. Nothing happens if the password was changed since it
/// was proven: the change may have ended every session but its own, and this would be one more.
async fn open(ctx: &Ctx, proven: &Proven, portal: Portal) -> Result<(Token, Session), ApiError> {
    let Proven { user, hash, rehash } = proven;
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
    let opened = ctx
        .app
        .store
        .tx("sessions.open", async |tx| {
            let unchanged = match rehash {
                Some(rehash) => users::replace_password_hash(tx, user.id, hash, rehash).await?,
                None => users::has_password_hash(tx, user.id, hash).await?,
            };
            if !unchanged {
                return Ok(None);
            }
            let mut ended = Vec::new();
            if let Some(before) = &ctx.identity {
                ended.extend(sessions::revoke(tx, before.user_id, before.session_id).await?);
            }
            let session = sessions::insert(tx, new).await?;
            ended.extend(sessions::trim(tx, user.id, session.id).await?);
            Ok(Some((session, ended)))
        })
        .await?;
    let Some((session, ended)) = opened else { return Err(ApiError::InvalidCredentials) };
    ctx.app.ops.bury(&ended).await;
    Ok((token, session))
}
