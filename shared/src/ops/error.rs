//! What an operation says when it does not do what was asked: one enum for REST and gateway alike.
//!
//! What a client may see is [`OpsError::code`] and [`OpsError::public_message`]; the rest is for the log, once, where
//! the error is answered.

use crate::{engine::EngineError, store::StoreError};
use std::time::Duration;

/// When a client should try again after something was unreachable.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why an operation did nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpsError {
    /// It is not there, or the asker may not know that it is.
    #[error("not found")]
    NotFound,
    /// The asker may know that it is there, but not do this.
    #[error("not allowed")]
    Forbidden,
    /// A value that cannot be accepted.
    #[error("{message}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// What is wrong with it, for people.
        message: String,
    },
    /// It contradicts what is there.
    #[error("{0}")]
    Conflict(String),
    /// Too many of these.
    #[error("too many requests")]
    RateLimited {
        /// When one will be allowed again.
        retry_after: Duration,
    },
    /// Something this needs cannot be reached right now; nothing was done, or doing it again is harmless.
    #[error("unavailable: {detail}")]
    Unavailable {
        /// When to try again.
        retry_after: Duration,
        /// For the log only.
        detail: String,
    },
    /// A fault of ours.
    #[error("internal: {0}")]
    Internal(String),
}

impl OpsError {
    /// A refused value.
    pub fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { field, message: message.into() }
    }

    /// The stable code a client can act on.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Forbidden => "forbidden",
            Self::Invalid { .. } => "invalid",
            Self::Conflict(_) => "conflict",
            Self::RateLimited { .. } => "rate_limited",
            Self::Unavailable { .. } => "unavailable",
            Self::Internal(_) => "internal",
        }
    }

    /// What a client may read: never a word of what the database or the engine said.
    pub fn public_message(&self) -> &str {
        match self {
            Self::NotFound => "not found",
            Self::Forbidden => "not allowed",
            Self::Invalid { message, .. } | Self::Conflict(message) => message,
            Self::RateLimited { .. } => "too many requests",
            Self::Unavailable { .. } => "temporarily unavailable, try again",
            Self::Internal(_) => "something went wrong",
        }
    }

    /// When trying again may help; `None` when it will not.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } | Self::Unavailable { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    /// Whether it is our fault and belongs into the log.
    pub const fn is_fault(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Internal(_))
    }
}

impl From<StoreError> for OpsError {
    fn from(error: StoreError) -> Self {
        if error.is_transient() {
            Self::Unavailable { retry_after: RETRY_AFTER, detail: error.to_string() }
        } else {
            Self::Internal(error.to_string())
        }
    }
}

impl From<EngineError> for OpsError {
    fn from(error: EngineError) -> Self {
        Self::Unavailable { retry_after: RETRY_AFTER, detail: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_never_read_what_the_database_said() {
        let broken = OpsError::from(StoreError::Corrupt("column secret_column".into()));
        let gone = OpsError::from(StoreError::Unavailable("10.0.0.7 refused".into()));
        for error in [broken, gone] {
            assert!(error.is_fault());
            assert!(!error.public_message().contains("secret") && !error.public_message().contains("10.0"));
        }
    }

    #[test]
    fn a_full_pool_may_be_tried_again_and_a_broken_row_may_not() {
        assert_eq!(OpsError::from(StoreError::Exhausted).code(), "unavailable");
        assert!(OpsError::from(StoreError::Exhausted).retry_after().is_some());
        assert!(OpsError::from(StoreError::Corrupt(String::new())).retry_after().is_none());
    }
}
