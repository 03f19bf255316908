//! Pitches: lists, one pitch, and what its creator and its readers do with it.
//!
//! Who may do what:
//!
//! | | anybody | signed in | the creator, in the creator portal | an editor |
//! |---|---|---|---|---|
//! | published | lists, get | like, save | update, publish, archive, delete | featured |
//! | draft, archived | 404 | 404 | get, list with `?status=`, update, publish, delete | 404 |
//!
//! Somebody else's published pitch answers a change with 403, somebody else's draft with 404: it does not exist.

mod archive;
mod create;
mod delete;
mod featured;
mod filter;
mod form;
mod get;
mod list;
mod mark;
mod new;
mod page;
mod publish;
mod trending;
mod update;

pub use archive::archive;
pub use create::create;
pub use delete::delete;
pub use featured::featured;
pub use get::get;
pub use list::list;
pub use mark::{like, save, unlike, unsave};
pub use new::new;
pub use publish::publish;
pub use trending::trending;
pub use update::{patch, replace};

use crate::http::{
    ApiError, Ctx, Reply,
    etag::{Expected, if_match},
};
use shared::{
    id::{PitchId, UserId},
    model::Pitch,
    store::{Tx, pitches, pitches::Refusal},
};

/// What a 404 is about.
const PITCH: &str = "Pitch";

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Missing => Self::NotFound(PITCH),
            Refusal::NotYours => Self::forbidden("This pitch belongs to somebody else"),
            Refusal::Stale { .. } => Self::PreconditionFailed,
            Refusal::UnknownGenre => Self::field("genre", "is none of the genres of /api/genres"),
            Refusal::Budgets => Self::field("budgetMin", "must not be above budgetMax"),
            Refusal::Store(error) => error.into(),
        }
    }
}

/// The version that a change expects to find. `If-Match` is optional: without it the last one to save wins, as
/// clients of the old platform expect; with it nobody's work is overwritten unseen (412).
fn expected_version(ctx: &Ctx) -> Result<Option<i64>, ApiError> {
    match if_match(ctx.headers()) {
        Ok(Expected::Version(version)) => Ok(Some(version)),
        Ok(Expected::Any) | Err(ApiError::PreconditionRequired) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The pitch as this reader sees it, inside the transaction that has just changed it.
async fn shown(tx: &mut Tx, id: PitchId, reader: UserId) -> Result<Pitch, ApiError> {
    pitches::by_id(tx, id, Some(reader)).await?.ok_or(ApiError::NotFound(PITCH))
}

/// A pitch with the tag that its next change names in `If-Match`.
fn reply(pitch: &Pitch) -> Reply {
    Reply::ok(pitch).etag_from_version(pitch.version)
}
