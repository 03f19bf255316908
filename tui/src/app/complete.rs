//! What `Tab` makes of a half-written word.

use shared::protocol::admin::Field;

/// The text with its last word completed as far as it is clear, and what it could become.
pub(crate) fn complete<'a>(text: &str, words: impl Iterator<Item = &'a str>) -> (String, Vec<&'a str>) {
    let start = text.rfind(|c: char| c.is_whitespace() || c == '(' || c == '!').map_or(0, |at| at + 1);
    let (before, word) = text.split_at(start);
    let fitting: Vec<&str> = words.filter(|known| known.starts_with(word)).collect();
    let Some(first) = fitting.first() else { return (text.to_owned(), Vec::new()) };
    let mut common = (*first).to_owned();
    for other in &fitting {
        let same = common.char_indices().zip(other.chars()).find(|((_, a), b)| a != b).map(|((at, _), _)| at);
        common.truncate(same.unwrap_or(common.len()).min(other.len()));
    }
    (format!("{before}{common}"), fitting)
}

/// The names of fields, for a filter.
pub(crate) fn names(fields: &'static [Field]) -> impl Iterator<Item = &'static str> {
    fields.iter().map(|field| field.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_completed_as_far_as_it_is_clear() {
        let words = ["queue", "queue_bytes", "rtt"];
        let complete = |text| complete(text, words.into_iter());
        assert_eq!(complete("rtt>5 and q"), ("rtt>5 and queue".into(), vec!["queue", "queue_bytes"]));
        assert_eq!(complete("(r"), ("(rtt".into(), vec!["rtt"]));
        assert_eq!(complete("x"), ("x".into(), vec![]));
    }
}
