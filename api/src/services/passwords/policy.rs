//! Which passwords may be chosen: 8 to 128 characters of any kind, none of the 3 000 most common ones, none
//! that is little more than the product's or the person's name. No composition rules, no expiry: OWASP ASVS 6.2 knows
//! that they make passwords worse.
//!
//! The list holds the most frequent leaked passwords of at least 8 characters, most frequent first, from the corpus
//! that zxcvbn ships (MIT).

use std::{collections::HashSet, ops::RangeInclusive, sync::LazyLock};

/// Characters (not bytes) a password has. The text is taken as it is: no normalisation, no trimming, no truncation.
pub const LENGTH: RangeInclusive<usize> = 8..=128;

/// What is left of a password when the names in it are taken out must be at least this long.
const LEAST_REST: usize = 5;
/// Shorter names are parts of too many words.
const LEAST_WORD: usize = 4;
const PRODUCT: &str = "pitchey";

static COMMON: LazyLock<HashSet<&'static str>> = LazyLock::new(|| include_str!("common.txt").lines().collect());

/// What is wrong with a new password, if anything. `context`: the person's name, handle and address.
pub fn complaint(password: &str, context: &[&str]) -> Option<&'static str> {
    let count = password.chars().take(LENGTH.end() + 1).count();
    if count < *LENGTH.start() {
        return Some("must have at least 8 characters");
    }
    if count > *LENGTH.end() {
        return Some("must have at most 128 characters");
    }
    let lower = password.to_lowercase();
    if COMMON.contains(lower.as_str()) {
        return Some("is one of the most common passwords");
    }
    let words = context.iter().flat_map(|text| text.split(|c: char| !c.is_alphanumeric()));
    let rest = words
        .map(str::to_lowercase)
        .filter(|word| word.chars().count() >= LEAST_WORD)
        .fold(lower.replace(PRODUCT, ""), |rest, word| rest.replace(&word, ""));
    (rest.chars().count() < LEAST_REST).then_some("is too close to your name, your address or ours")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seven_and_129_characters_are_refused_and_what_lies_between_is_not() {
        assert_eq!(complaint("tooshor", &[]), Some("must have at least 8 characters"));
        assert_eq!(complaint("éèêëàâäç", &[]), None, "characters are counted, not bytes");
        assert_eq!(complaint(&"ab".repeat(64), &[]), None);
        assert_eq!(complaint(&"a".repeat(129), &[]), Some("must have at most 128 characters"));
    }

    #[test]
    fn common_passwords_are_refused_in_any_case() {
        assert_eq!(COMMON.len(), 3_000);
        for common in ["password", "Baseball", "1qaz2wsx", "12345678"] {
            assert_eq!(complaint(common, &[]), Some("is one of the most common passwords"), "{common}");
        }
    }

    #[test]
    fn names_with_little_around_them_are_refused() {
        let ada = ["Ada Lovelace", "ada.lovelace@example.org"];
        for weak in ["Pitchey2026", "lovelace99", "lovelace-Pitchey"] {
            assert!(complaint(weak, &ada).is_some(), "{weak}");
        }
        assert_eq!(complaint("lovelace and the analytical engine", &ada), None);
    }
}
