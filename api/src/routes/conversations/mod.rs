//! Conversations and messages. The rules are `shared::ops`', shared with the gateway: a message sent here and one sent
//! over a socket are the same message.

pub mod create;
pub mod list;
pub mod messages;

use crate::http::ApiError;
use shared::ops::OpsError;

/// What is not there, by its name.
fn naming(what: &'static str) -> impl Fn(OpsError) -> ApiError {
    move |error| if error == OpsError::NotFound { ApiError::NotFound(what) } else { error.into() }
}
