//! A Lua script: its text and the name Redis knows it by.

use sha1::{Digest, Sha1};
use std::{fmt::Write as _, sync::OnceLock};

/// One of `engine/scripts/*.lua`, as a `static`. Its header there says what it takes and answers.
#[derive(Debug)]
pub(in crate::engine) struct Script {
    source: &'static str,
    sha: OnceLock<String>,
}

impl Script {
    pub(in crate::engine) const fn new(source: &'static str) -> Self {
        Self { source, sha: OnceLock::new() }
    }

    pub(super) fn source(&self) -> &'static str {
        self.source
    }

    /// What `EVALSHA` wants: the SHA-1 of the text, in hexadecimal.
    pub(super) fn sha(&self) -> &str {
        self.sha.get_or_init(|| {
            Sha1::digest(self.source.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
                write!(hex, "{byte:02x}").expect("writing to a string");
                hex
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_known_by_the_sha1_of_its_text() {
        static SCRIPT: Script = Script::new("return 1");
        // As `redis-cli script load 'return 1'` answers.
        assert_eq!(SCRIPT.sha(), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
    }
}
