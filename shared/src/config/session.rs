//! Sessions and their cookie (R-007…R-013).

use std::time::Duration;

/// Settings of sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// `SESSION_COOKIE`: the cookie's name.
    pub cookie: String,
    /// `SESSION_COOKIE_DOMAIN`; unset is host-only.
    pub domain: Option<String>,
    /// `SESSION_COOKIE_SAMESITE`.
    pub same_site: SameSite,
    /// `SESSION_COOKIE_SECURE`; unset: on in production or when the base URL is https.
    pub secure: Option<bool>,
    /// `SESSION_TTL`: how long a session lives without being used.
    pub ttl: Duration,
    /// `SESSION_UPDATE_AGE`: how old the last refresh must be before a request moves the expiry.
    pub update_age: Duration,
    /// `SESSION_ABSOLUTE_MAX`: how long a session lives however much it is used.
    pub absolute_max: Duration,
    /// `SESSION_ROTATION_GRACE`: how long the old token still works after a rotation, so that requests under way
    /// survive it.
    pub rotation_grace: Duration,
}

impl Default for SessionConfig {
    fn default() -> Self {
        const DAY: u64 = 86_400;
        Self {
            cookie: "pitchey-session".into(),
            domain: None,
            same_site: SameSite::Lax,
            secure: None,
            ttl: Duration::from_secs(7 * DAY),
            update_age: Duration::from_secs(DAY),
            absolute_max: Duration::from_secs(30 * DAY),
            rotation_grace: Duration::from_secs(10),
        }
    }
}

/// When a browser sends the cookie with requests that another site caused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SameSite {
    /// With links that are followed, not with calls or forms.
    #[default]
    Lax,
    /// Never.
    Strict,
    /// Always; browsers then demand `Secure`.
    None,
}

impl SameSite {
    /// The name in settings; `Set-Cookie` takes it in any case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lax => "lax",
            Self::Strict => "strict",
            Self::None => "none",
        }
    }
}
