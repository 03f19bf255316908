//! Secrets: values that never print, and tokens that are never stored.
//!
//! A token is 32 random bytes in base64url. The store and the engine only ever see its SHA-256, so a leaked
//! database or cache holds nothing anybody could log in with; 256 random bits need no slow hash.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;

/// Text that must not appear in logs, errors or `Debug` output.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself; the call site says why it may see it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// A bearer token on its way to its owner: 43 characters of base64url.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// 256 fresh random bits from the operating system.
    pub fn generate() -> Self {
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes).expect("the operating system has randomness");
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The token's text, to be sent to its owner and to nobody else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What may be stored.
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// SHA-256 of a token: the key under which sessions, tickets and links are kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TokenHash(pub [u8; 32]);

impl TokenHash {
    /// The hash of what a client presented, whatever it is.
    pub fn of(presented: &str) -> Self {
        Self(Sha256::digest(presented.as_bytes()).into())
    }

    /// The 32 bytes, as the store keeps them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<&[u8]> for TokenHash {
    type Error = std::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        bytes.try_into().map(Self)
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A prefix is enough to follow one session through the logs.
        write!(f, "{:02x}{:02x}{:02x}…", self.0[0], self.0[1], self.0[2])
    }
}

/// Compares two secrets in time that depends on their lengths only.
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_tokens_never_print() {
        let token = Token::generate();
        assert_eq!(format!("{:?} {token:?}", Secret::new("hunter2")), "<redacted> <redacted>");
        assert!(!format!("{:?}", token.hash()).contains(token.expose()));
    }

    #[test]
    fn tokens_are_43_characters_and_differ() {
        let (a, b) = (Token::generate(), Token::generate());
        assert_eq!(a.expose().len(), 43);
        assert_ne!(a.hash(), b.hash());
        assert_eq!(TokenHash::of(a.expose()), a.hash());
    }
}
