//! The single place where a failure becomes something a client sees: one enum, its status, its stable code, its
//! message (R-200…R-206).
//!
//! Messages are written for people and never carry SQL, paths or another user's data. What really happened travels in
//! `source`, is logged once by the pipeline under the request's id, and reaches the client only in development.

use super::{
    BoxError,
    rate_limit::{Policy, Standing},
};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use shared::{
    engine::EngineError,
    model::{Portal, Portals},
    ops::OpsError,
    store::StoreError,
};
use std::{borrow::Cow, fmt, time::Duration};

/// How long a client should wait before trying again when nothing better is known.
pub const RETRY_SOON: Duration = Duration::from_secs(1);

/// One thing that is wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Where: a path such as `email` or `ids[3]`; empty for the body as a whole.
    pub field: String,
    /// What: a sentence without a full stop.
    pub message: String,
}

/// Everything that can go wrong, as the client is told.
#[derive(Debug)]
pub enum ApiError {
    /// 400: the request itself is wrong; the fields say where.
    Validation {
        /// The sentence for people.
        message: Cow<'static, str>,
        /// Field by field; may be empty.
        fields: Vec<FieldError>,
    },
    /// 401: no valid session. The message is the documents' "Authentication required" unless a route says otherwise.
    Unauthorized(&'static str),
    /// 401: the address or the password is wrong; never says which.
    InvalidCredentials,
    /// 403: this password waits for the address to be proven.
    EmailNotVerified,
    /// 403: the password was right, but this is another portal's door.
    WrongPortal(Portals),
    /// 403: signed in, and still not allowed.
    Forbidden(Cow<'static, str>),
    /// 404: there is no such thing, or it is none of the caller's business. Names the kind of thing.
    NotFound(&'static str),
    /// 405: the path exists, with these methods.
    MethodNotAllowed(HeaderValue),
    /// 408: the body did not arrive in time.
    BodyTimeout,
    /// 409: the thing has changed in the meantime, or is in the wrong state.
    Conflict(Cow<'static, str>),
    /// 409: there is one already.
    AlreadyExists(Cow<'static, str>),
    /// 409: right request, wrong moment.
    OperationNotAllowed(Cow<'static, str>),
    /// 412: `If-Match` named another version.
    PreconditionFailed,
    /// 413: more bytes than the limit.
    PayloadTooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// 415: not JSON in UTF-8.
    UnsupportedMediaType,
    /// 422: the idempotency key was used for another request.
    IdempotencyMismatch,
    /// 428: this change needs `If-Match`.
    PreconditionRequired,
    /// 429: too many.
    RateLimited(Standing),
    /// 500: our fault.
    Internal {
        /// The sentence for people.
        message: &'static str,
        /// What happened, for the log.
        source: BoxError,
    },
    /// 503: something we need is exhausted or gone; the request changed nothing.
    Unavailable {
        /// When to try again.
        retry_after: Duration,
        /// What happened, for the log.
        source: Option<BoxError>,
    },
    /// 504: the handler took too long. A change may still be committed: retry with an idempotency key.
    Timeout,
}

impl ApiError {
    /// 400 about the request as a whole.
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::Validation { message: message.into(), fields: Vec::new() }
    }

    /// 400 about one field.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::fields(vec![FieldError { field: field.into(), message: message.into() }])
    }

    /// 400 about several fields.
    pub fn fields(fields: Vec<FieldError>) -> Self {
        Self::Validation { message: "The request is not valid".into(), fields }
    }

    /// 403 with the reason.
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::Forbidden(message.into())
    }

    /// 409: changed in the meantime, or in the wrong state.
    pub fn conflict(message: impl Into<Cow<'static, str>>) -> Self {
        Self::Conflict(message.into())
    }

    /// 401 in the documents' words.
    pub const fn unauthorized() -> Self {
        Self::Unauthorized("Authentication required")
    }

    /// 500 in the documents' words.
    pub fn internal(source: impl Into<BoxError>) -> Self {
        Self::Internal { message: "An unexpected error occurred", source: source.into() }
    }

    /// 503 with the cause.
    pub fn unavailable(source: impl Into<BoxError>) -> Self {
        Self::Unavailable { retry_after: RETRY_SOON, source: Some(source.into()) }
    }

    /// The HTTP status.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Validation { .. } => StatusCode::BAD_REQUEST,
            Self::Unauthorized(_) | Self::InvalidCredentials => StatusCode::UNAUTHORIZED,
            Self::EmailNotVerified | Self::WrongPortal(_) | Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict(_) | Self::AlreadyExists(_) | Self::OperationNotAllowed(_) => StatusCode::CONFLICT,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::PayloadTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::IdempotencyMismatch => StatusCode::UNPROCESSABLE_ENTITY,
            Self::PreconditionRequired => StatusCode::PRECONDITION_REQUIRED,
            Self::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// The code programs switch on. Never changes once it was published.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Validation { .. } => "VALIDATION_ERROR",
            Self::Unauthorized(_) => "UNAUTHORIZED",
            Self::InvalidCredentials => "INVALID_CREDENTIALS",
            Self::EmailNotVerified => "EMAIL_NOT_VERIFIED",
            Self::WrongPortal(_) => "WRONG_PORTAL",
            Self::Forbidden(_) => "FORBIDDEN",
            Self::NotFound(_) => "NOT_FOUND",
            Self::MethodNotAllowed(_) => "METHOD_NOT_ALLOWED",
            Self::BodyTimeout => "REQUEST_TIMEOUT",
            Self::Conflict(_) => "CONFLICT",
            Self::AlreadyExists(_) => "ALREADY_EXISTS",
            Self::OperationNotAllowed(_) => "OPERATION_NOT_ALLOWED",
            Self::PreconditionFailed => "PRECONDITION_FAILED",
            Self::PayloadTooLarge { .. } => "PAYLOAD_TOO_LARGE",
            Self::UnsupportedMediaType => "UNSUPPORTED_MEDIA_TYPE",
            Self::IdempotencyMismatch => "IDEMPOTENCY_MISMATCH",
            Self::PreconditionRequired => "PRECONDITION_REQUIRED",
            Self::RateLimited(_) => "RATE_LIMIT_EXCEEDED",
            Self::Internal { .. } => "INTERNAL_ERROR",
            Self::Unavailable { .. } => "SERVICE_UNAVAILABLE",
            Self::Timeout => "TIMEOUT",
        }
    }

    /// The sentence people read.
    pub fn message(&self) -> Cow<'static, str> {
        match self {
            Self::Validation { message, .. } => message.clone(),
            Self::Unauthorized(text) | Self::Internal { message: text, .. } => (*text).into(),
            Self::Forbidden(text)
            | Self::Conflict(text)
            | Self::AlreadyExists(text)
            | Self::OperationNotAllowed(text) => text.clone(),
            Self::InvalidCredentials => "The e-mail address or the password is wrong".into(),
            Self::EmailNotVerified => "Please verify your e-mail address first".into(),
            Self::WrongPortal(portals) => wrong_portal(*portals).into(),
            Self::NotFound(what) => format!("{what} not found").into(),
            Self::MethodNotAllowed(_) => "This method is not allowed here".into(),
            Self::BodyTimeout => "The request took too long to arrive".into(),
            Self::PreconditionFailed => "It has changed in the meantime; load it again".into(),
            Self::PayloadTooLarge { limit } => format!("The body is larger than {limit} bytes").into(),
            Self::UnsupportedMediaType => "Send JSON: Content-Type must be application/json in UTF-8".into(),
            Self::IdempotencyMismatch => "This Idempotency-Key was used for another request".into(),
            Self::PreconditionRequired => "Send If-Match with the version you have seen".into(),
            Self::RateLimited(_) => "Too many requests; please wait".into(),
            Self::Unavailable { .. } => "The service is busy; please try again".into(),
            Self::Timeout => "The request took too long; please try again".into(),
        }
    }

    /// When to try again, for `Retry-After`.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited(standing) => Some(standing.retry_after()),
            Self::Unavailable { retry_after, .. } => Some(*retry_after),
            Self::Timeout => Some(RETRY_SOON),
            _ => None,
        }
    }

    /// The cause, for the log and for developers.
    pub fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Internal { source, .. } | Self::Unavailable { source: Some(source), .. } => Some(&**source),
            _ => None,
        }
    }

    /// The fields that are wrong; empty for everything but [`ApiError::Validation`].
    pub fn field_errors(&self) -> &[FieldError] {
        if let Self::Validation { fields, .. } = self { fields } else { &[] }
    }
}

fn wrong_portal(portals: Portals) -> String {
    let names: Vec<_> = portals.iter().map(Portal::as_str).collect();
    if names.is_empty() {
        return "This account has no portal".into();
    }
    format!("This account signs in at the {} portal", names.join(" or the "))
}

/// A cause and everything below it in one line, for the log.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let line = cause.to_string();
        // Many errors repeat their source in their own text.
        if !text.contains(&line) {
            text.push_str(": ");
            text.push_str(&line);
        }
        next = cause.source();
    }
    text
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code(), self.message())
    }
}

impl std::error::Error for ApiError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause()
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            // Nothing was saved and the same call may succeed in a moment: never a 500.
            error if error.is_transient() => Self::unavailable(error),
            StoreError::UniqueViolation { .. } => Self::AlreadyExists("There is one like this already".into()),
            StoreError::ForeignKeyViolation => Self::Conflict("It refers to something that is not there".into()),
            error => Self::internal(error),
        }
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        Self::unavailable(error)
    }
}

impl From<OpsError> for ApiError {
    fn from(error: OpsError) -> Self {
        match error {
            OpsError::NotFound => Self::NotFound("Resource"),
            OpsError::Forbidden => Self::forbidden("You may not do this"),
            OpsError::Invalid { field, message } => Self::field(field, message),
            OpsError::Conflict(message) => Self::conflict(message),
            OpsError::RateLimited { retry_after } => Self::RateLimited(Standing::spent(
                Policy { name: "operation", burst: 1, window: retry_after },
                retry_after,
            )),
            OpsError::Unavailable { retry_after, .. } => Self::Unavailable { retry_after, source: Some(error.into()) },
            OpsError::Internal(_) => Self::internal(error),
        }
    }
}
