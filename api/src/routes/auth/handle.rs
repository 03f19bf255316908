//! Handles of new accounts. They are made, not chosen: "this name is taken" would tell whether there is an account.

use shared::secret::Token;

/// Handles that are tried before giving up; two in a row are taken once in a billion times.
pub(super) const ATTEMPTS: u32 = 3;

/// A handle nobody has yet, most likely: the name's letters and something random.
pub(super) fn of(name: &str) -> String {
    let letters: String = name.chars().filter(char::is_ascii_alphanumeric).take(20).collect();
    let random: String = Token::generate().expose().chars().filter(char::is_ascii_alphanumeric).take(6).collect();
    let letters = if letters.is_empty() { "user".to_owned() } else { letters };
    format!("{letters}-{random}").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_are_made_of_the_name_and_differ() {
        let (one, two) = (of("Ada Lovelace"), of("Ada Lovelace"));
        assert!(one.starts_with("adalovelace-") && one != two, "{one} {two}");
        assert!(of("李安").starts_with("user-"));
    }
}
