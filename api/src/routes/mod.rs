//! The whole URL table on one screen.
//!
//! # Adding an endpoint
//!
//! 1. A file `routes/<resource>/<verb>.rs` with one handler: `pub async fn create(ctx: Ctx) -> Outcome`. It reads
//!    (`ctx.json::<Form>()?`, `ctx.query()?`, `ctx.param::<PitchId>("id", "Pitch")?`), asks who it is (`ctx.user()?`),
//!    authorises **on the object itself**, calls the store or `ops`, and answers (`Reply::ok(&…)`). Forms are
//!    `#[derive(Deserialize)]` with `rename_all = "camelCase", deny_unknown_fields`; their values are checked with
//!    [`crate::http::Problems`], all at once.
//! 2. A line below: method, path, who may call it ([`crate::router::Access`]). Envelope, errors, limits, CSRF, CORS, HEAD, OPTIONS,
//!    `Allow`, security headers, logs and metrics come by themselves.
//! 3. Something that is not there, and something the caller may not know of, are the same
//!    [`crate::http::ApiError::NotFound`].
//! 4. A test in `tests/suite/<resource>.rs` that goes through the wire: the good case, who may not, and bad input.

pub mod auth;
pub mod conversations;
pub mod dashboard;
pub mod demo;
pub mod follows;
pub mod genres;
pub mod health;
pub mod notifications;
pub mod pitches;
mod portal;
pub mod ws;

use crate::{
    embedded::EVENTS,
    page,
    router::{
        Access::{Open, Public, ReadOnlySession, Session},
        Table,
    },
};

/// Every path of the api.
#[rustfmt::skip] // a table is read by column
pub fn table() -> Table {
    page::routes(Table::new())
        .get("/health", Open, health::report::show)
        .get("/health/live", Open, health::probes::live)
        .get("/health/ready", Open, health::probes::ready)
        .get("/api/health/db", Public, health::db::show)
        .get("/api/health/cache", Public, health::cache::show)

        .post("/api/auth/register", Public, auth::register::create)
        .get("/api/auth/verify-email", Public, auth::verification::follow)
        .post("/api/auth/verify-email", Public, auth::verification::create)
        .post("/api/auth/resend-verification", Public, auth::verification::resend)
        .post("/api/auth/creator/login", Public, auth::login::creator)
        .post("/api/auth/investor/login", Public, auth::login::investor)
        .post("/api/auth/production/login", Public, auth::login::production)
        .post("/api/auth/portal", Session, auth::portal::create)
        .get("/api/auth/session", ReadOnlySession, auth::session::show)
        .post("/api/auth/session", Session, auth::session::show)
        .post("/api/auth/logout", Session, auth::logout::create)
        .get("/api/auth/sessions", Session, auth::sessions::list)
        .delete("/api/auth/sessions/{id}", Session, auth::sessions::delete)
        .post("/api/auth/sessions/revoke-others", Session, auth::sessions::revoke_others)
        .post("/api/auth/change-password", Public, auth::change_password::create)

        .socket("/ws")
        .socket("/ws/echo")
        .events(EVENTS)
        .post("/api/ws/ticket", Session, ws::ticket::create)

        .get("/api/conversations", Session, conversations::list::list)
        .post("/api/conversations", Session, conversations::create::create)
        .get("/api/conversations/{id}/messages", Session, conversations::messages::list)
        .post("/api/conversations/{id}/messages", Session, conversations::messages::create)
        .get("/api/notifications", Session, notifications::list::list)
        .post("/api/notifications/mark-read", Session, notifications::mark_read::create)

        .get("/api/genres", Public, genres::list)
        .get("/api/pitches", Public, pitches::list)
        .post("/api/pitches", Session, pitches::create)
        .get("/api/search", Public, pitches::list)
        .get("/api/pitches/featured", Public, pitches::featured)
        .get("/api/pitches/trending", Public, pitches::trending)
        .get("/api/pitches/new", Public, pitches::new)
        .get("/api/pitches/{id}", Public, pitches::get)
        .put("/api/pitches/{id}", Session, pitches::replace)
        .patch("/api/pitches/{id}", Session, pitches::patch)
        .delete("/api/pitches/{id}", Session, pitches::delete)
        .post("/api/pitches/{id}/publish", Session, pitches::publish)
        .post("/api/pitches/{id}/archive", Session, pitches::archive)
        .put("/api/pitches/{id}/like", Session, pitches::like)
        .delete("/api/pitches/{id}/like", Session, pitches::unlike)
        .put("/api/pitches/{id}/save", Session, pitches::save)
        .delete("/api/pitches/{id}/save", Session, pitches::unsave)

        .put("/api/users/{id}/follow", Session, follows::create)
        .delete("/api/users/{id}/follow", Session, follows::delete)

        .get("/api/dashboard/creator", Session, dashboard::creator)
        .get("/api/creator/dashboard", Session, dashboard::creator)

        .get("/api/demo/accounts", Public, demo::accounts::list)
}
