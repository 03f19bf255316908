//! What every request passes and every answer is made of; no business rule lives here.
//!
//! ```text
//! pipeline.rs    the order of it all: id, limits, identity, body, handler, rendering, headers, log
//! request.rs     Ctx: what a handler is given          json.rs query.rs validate.rs   reading it strictly
//! response.rs    Reply: what a handler gives back      error.rs problem.rs            failures as clients see them
//! credentials.rs session.rs cookie.rs                 who asks
//! csrf.rs (and shared::cors)                           from where, and whether a browser may
//! client.rs      the client's address behind proxies   rate_limit.rs                  and what it may use
//! pagination.rs etag.rs idempotency.rs                 lists, conditional requests, safe retries
//! headers.rs encoding.rs request_id.rs                 what every answer carries
//! ```

pub mod client;
mod complaint;
pub mod cookie;
pub mod credentials;
pub mod csrf;
pub(crate) mod encoding;
pub mod error;
pub mod etag;
mod headers;
pub mod idempotency;
mod json;
pub mod pagination;
mod pipeline;
mod problem;
pub mod query;
pub mod rate_limit;
pub mod request;
mod request_id;
pub mod response;
mod session;
pub mod validate;

pub use error::{ApiError, FieldError};
pub(crate) use headers::PAGE_POLICY;
pub use pagination::Cursor;
pub use pipeline::handle;
pub use request::{Ctx, Params};
pub use request_id::RequestId;
pub use response::{Outcome, Reply};
pub use validate::Problems;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Full, combinators::UnsyncBoxBody};

/// The cause of a failure, whatever it is.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of every answer: whole in memory today, a stream where a route needs one.
pub type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// A body that is all there.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// No body.
pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}
