//! The whole URL table on one screen.
//!
//! # Adding an endpoint
//!
//! 1. A file `routes/<resource>/<verb>.rs` with one handler: `pub async fn create(ctx: Ctx) -> Outcome`. It reads
//!    (`ctx.json::<Form>()?`, `ctx.query()?`, `ctx.param::<PitchId>("id", "Pitch")?`), asks who it is (`ctx.user()?`),
//!    authorises **on the object itself**, calls the store or `ops`, and answers (`Reply::ok(&…)`). Forms are
//!    `#[derive(Deserialize)]` with `rename_all = "camelCase", deny_unknown_fields`; their values are checked with
//!    [`crate::http::Problems`], all at once.
//! 2. A line below: method, path, who may call it ([`Access`]). Envelope, errors, limits, CSRF, CORS, HEAD, OPTIONS,
//!    `Allow`, security headers, logs and metrics come by themselves.
//! 3. Something that is not there, and something the caller may not know of, are the same
//!    [`crate::http::ApiError::NotFound`].
//! 4. A test in `tests/suite/<resource>.rs` that goes through the wire: the good case, who may not, and bad input.

use crate::router::Table;

/// Every path of the api.
pub fn table() -> Table {
    Table::new()
}
