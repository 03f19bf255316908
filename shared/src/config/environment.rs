//! Development or production.

/// What kind of installation this is. When nothing is said it is `Development` only if the engine is memory, the
/// store SQLite and the bind address loopback; otherwise `Production`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Environment {
    /// Demo data, plain-HTTP cookies, error details in answers.
    Development,
    /// None of these.
    #[default]
    Production,
}

impl Environment {
    /// The name in settings, logs and `/health`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Production => "production",
        }
    }

    /// Whether conveniences for developers are on.
    pub const fn is_development(self) -> bool {
        matches!(self, Self::Development)
    }
}
