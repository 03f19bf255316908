//! Rules for single values, and the list of everything that is wrong with a request: a client is told all of it at
//! once, field by field, so that a form can mark every box in one go.

use super::{ApiError, FieldError};
use std::ops::RangeInclusive;

/// What is wrong so far.
#[derive(Debug, Default)]
#[must_use = "`finish` turns problems into an answer"]
pub struct Problems(Vec<FieldError>);

impl Problems {
    /// Nothing wrong yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Something is wrong with a field.
    pub fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(FieldError { field: field.into(), message: message.into() });
    }

    /// Adds the message unless `holds`.
    pub fn require(&mut self, holds: bool, field: &str, message: &str) {
        if !holds {
            self.add(field, message);
        }
    }

    /// A text of so many characters, without control characters but line breaks and tabs. Markup is nobody's
    /// business here: it is stored as it came and escaped where it is shown.
    pub fn text(&mut self, field: &str, value: &str, chars: RangeInclusive<usize>) {
        let (least, most) = (*chars.start(), *chars.end());
        // Counting stops one past the limit, so a huge text costs no more than a long one.
        let count = value.chars().take(most.saturating_add(1)).count();
        if value.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            self.add(field, "must not contain control characters");
        } else if least > 0 && value.trim().is_empty() {
            self.add(field, "must not be blank");
        } else if !chars.contains(&count) {
            self.add(field, format!("must have {least} to {most} characters"));
        }
    }

    /// The same for a text that may be missing.
    pub fn optional_text(&mut self, field: &str, value: Option<&str>, chars: RangeInclusive<usize>) {
        if let Some(value) = value {
            self.text(field, value, chars);
        }
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The end of checking: 400 with everything found, or on with the work.
    pub fn finish(self) -> Result<(), ApiError> {
        if self.0.is_empty() { Ok(()) } else { Err(ApiError::fields(self.0)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(value: &str, chars: RangeInclusive<usize>) -> Option<String> {
        let mut problems = Problems::new();
        problems.text("title", value, chars);
        problems.0.pop().map(|error| error.message)
    }

    #[test]
    fn texts_are_counted_in_characters_and_markup_is_left_alone() {
        assert_eq!(complaint("<script>'; drop table users; --", 1..=100), None);
        assert_eq!(complaint("ééé", 1..=3), None);
        assert_eq!(complaint("éééé", 1..=3).as_deref(), Some("must have 1 to 3 characters"));
        assert_eq!(complaint("  ", 1..=3).as_deref(), Some("must not be blank"));
        assert_eq!(complaint("a\u{7}", 1..=3).as_deref(), Some("must not contain control characters"));
        assert_eq!(complaint("", 0..=3), None);
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let mut problems = Problems::new();
        problems.text("title", "", 1..=3);
        problems.require(false, "genre", "is not one of ours");
        let Err(error) = problems.finish() else { panic!("two problems") };
        assert_eq!(error.field_errors().len(), 2);
    }
}
