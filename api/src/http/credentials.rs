//! What a request presents to prove who it is: the session cookie, or the same token as `Authorization: Bearer`.
//!
//! There is one kind of session and no JWT: whatever stands in `Authorization` is looked up as a session token, and a
//! string we never issued is 401. The header wins over the cookie: who sends it means it.

use http::{HeaderMap, header};
use shared::secret::{Secret, TokenHash};

/// A presented token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    /// The token itself: looked up, and sent back with a renewed cookie.
    pub token: Secret,
    /// Whether a browser may have sent it by itself.
    pub by_cookie: bool,
}

impl Presented {
    /// What the token would be stored under.
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(self.token.expose())
    }
}

/// What the headers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// Nothing.
    None,
    /// A token, to be looked up.
    Token(Presented),
    /// An `Authorization` header that cannot be one of ours.
    Unusable,
}

/// Reads the headers.
pub fn read(headers: &HeaderMap, cookie_name: &str) -> Credentials {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let Some(token) = value.to_str().ok().and_then(bearer) else { return Credentials::Unusable };
        return Credentials::Token(Presented { token: Secret::new(token), by_cookie: false });
    }
    match cookie(headers, cookie_name) {
        Some(token) => Credentials::Token(Presented { token: Secret::new(token), by_cookie: true }),
        None => Credentials::None,
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The first cookie of this name; browsers send the most specific one first.
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find_map(|(key, value)| (key == name && !value.is_empty()).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn with(pairs: &[(header::HeaderName, &'static str)]) -> Credentials {
        let headers = pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        read(&headers, "pitchey-session")
    }

    fn token(text: &str, by_cookie: bool) -> Credentials {
        Credentials::Token(Presented { token: Secret::new(text), by_cookie })
    }

    #[test]
    fn the_header_wins_and_must_be_a_bearer_token() {
        assert_eq!(with(&[(header::COOKIE, "a=b; pitchey-session=abc; c=d")]), token("abc", true));
        assert_eq!(with(&[(header::AUTHORIZATION, "bearer xyz")]), token("xyz", false));
        let both = [(header::COOKIE, "pitchey-session=abc"), (header::AUTHORIZATION, "Bearer xyz")];
        assert_eq!(with(&both), token("xyz", false));
        assert_eq!(with(&[(header::AUTHORIZATION, "Basic dXNlcjpwdw==")]), Credentials::Unusable);
        assert_eq!(with(&[(header::COOKIE, "pitchey-session=; other=1")]), Credentials::None);
        assert_eq!(with(&[(header::COOKIE, "xpitchey-session=abc")]), Credentials::None);
    }
}
