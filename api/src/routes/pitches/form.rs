//! What a creator sends: a whole pitch, or the parts of it that change. Checked field by field, all at once; markup and
//! SQL in a text are text.

use super::filter::MAX_BUDGET;
use crate::http::{ApiError, Problems};
use serde::{Deserialize, Deserializer};
use shared::model::{Confidential, PitchText, Stage};

const TITLE: std::ops::RangeInclusive<usize> = 1..=200;
const LOGLINE: std::ops::RangeInclusive<usize> = 1..=500;
const LONG: std::ops::RangeInclusive<usize> = 0..=20_000;

/// A whole pitch: the body of POST and PUT.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Whole {
    title: String,
    logline: String,
    #[serde(default)]
    synopsis: String,
    genre: String,
    format: String,
    #[serde(default)]
    stage: Option<String>,
    #[serde(default)]
    budget_min: Option<i64>,
    #[serde(default)]
    budget_max: Option<i64>,
    #[serde(default)]
    seeking_investment: bool,
    #[serde(default)]
    confidential_synopsis: Option<String>,
    #[serde(default)]
    confidential_notes: Option<String>,
    /// Only editors feature, and only what is published.
    #[serde(default)]
    pub(super) featured: bool,
}

impl Whole {
    /// The pitch, if every field of it is one.
    pub(super) fn check(self) -> Result<PitchText, ApiError> {
        let mut problems = Problems::new();
        problems.text("title", &self.title, TITLE);
        problems.text("logline", &self.logline, LOGLINE);
        problems.text("synopsis", &self.synopsis, LONG);
        problems.optional_text("confidentialSynopsis", self.confidential_synopsis.as_deref(), LONG);
        problems.optional_text("confidentialNotes", self.confidential_notes.as_deref(), LONG);
        check_budget(&mut problems, "budgetMin", self.budget_min);
        check_budget(&mut problems, "budgetMax", self.budget_max);
        let format = parse(&mut problems, "format", &self.format);
        let stage = self.stage.map_or(Some(Stage::Concept), |stage| parse(&mut problems, "stage", &stage));
        problems.finish()?;
        Ok(PitchText {
            title: self.title,
            logline: self.logline,
            synopsis: self.synopsis,
            genre: self.genre,
            format: format.expect("a format that does not parse is a problem"),
            stage: stage.expect("a stage that does not parse is a problem"),
            budget_min: self.budget_min,
            budget_max: self.budget_max,
            seeking_investment: self.seeking_investment,
            confidential: Confidential {
                confidential_synopsis: self.confidential_synopsis,
                confidential_notes: self.confidential_notes,
            },
        })
    }
}

/// What changes: the body of PATCH. A field that is left out stays; `null` empties those that may be empty.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(clippy::option_option, reason = "left out and null are different things to a PATCH")]
pub(super) struct Changes {
    #[serde(deserialize_with = "given")]
    title: Option<String>,
    #[serde(deserialize_with = "given")]
    logline: Option<String>,
    #[serde(deserialize_with = "given")]
    synopsis: Option<String>,
    #[serde(deserialize_with = "given")]
    genre: Option<String>,
    #[serde(deserialize_with = "given")]
    format: Option<String>,
    #[serde(deserialize_with = "given")]
    stage: Option<String>,
    #[serde(deserialize_with = "given")]
    budget_min: Option<Option<i64>>,
    #[serde(deserialize_with = "given")]
    budget_max: Option<Option<i64>>,
    #[serde(deserialize_with = "given")]
    seeking_investment: Option<bool>,
    #[serde(deserialize_with = "given")]
    confidential_synopsis: Option<Option<String>>,
    #[serde(deserialize_with = "given")]
    confidential_notes: Option<Option<String>>,
    /// For editors.
    #[serde(deserialize_with = "given")]
    pub(super) featured: Option<bool>,
}

/// Tells `null` from a field that is left out: `null` has to be a value of the field's own type.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Checked changes, ready to be laid over what is there.
pub(super) struct Patch(Changes, Option<shared::model::Format>, Option<Stage>);

impl Changes {
    /// Whether the pitch's text is to change.
    pub(super) fn touch_the_text(&self) -> bool {
        self.title.is_some()
            || self.logline.is_some()
            || self.synopsis.is_some()
            || self.genre.is_some()
            || self.format.is_some()
            || self.stage.is_some()
            || self.budget_min.is_some()
            || self.budget_max.is_some()
            || self.seeking_investment.is_some()
            || self.confidential_synopsis.is_some()
            || self.confidential_notes.is_some()
    }

    /// The changes, if every field of them can be accepted.
    pub(super) fn check(self) -> Result<Patch, ApiError> {
        let mut problems = Problems::new();
        problems.optional_text("title", self.title.as_deref(), TITLE);
        problems.optional_text("logline", self.logline.as_deref(), LOGLINE);
        problems.optional_text("synopsis", self.synopsis.as_deref(), LONG);
        let (synopsis, notes) = (&self.confidential_synopsis, &self.confidential_notes);
        problems.optional_text("confidentialSynopsis", synopsis.as_ref().and_then(Option::as_deref), LONG);
        problems.optional_text("confidentialNotes", notes.as_ref().and_then(Option::as_deref), LONG);
        check_budget(&mut problems, "budgetMin", self.budget_min.flatten());
        check_budget(&mut problems, "budgetMax", self.budget_max.flatten());
        let format = self.format.as_deref().and_then(|format| parse(&mut problems, "format", format));
        let stage = self.stage.as_deref().and_then(|stage| parse(&mut problems, "stage", stage));
        problems.finish()?;
        Ok(Patch(self, format, stage))
    }
}

impl Patch {
    /// Lays the changes over what is there.
    pub(super) fn apply(self, text: &mut PitchText) {
        let Self(changes, format, stage) = self;
        set(&mut text.title, changes.title);
        set(&mut text.logline, changes.logline);
        set(&mut text.synopsis, changes.synopsis);
        set(&mut text.genre, changes.genre);
        set(&mut text.format, format);
        set(&mut text.stage, stage);
        set(&mut text.budget_min, changes.budget_min);
        set(&mut text.budget_max, changes.budget_max);
        set(&mut text.seeking_investment, changes.seeking_investment);
        set(&mut text.confidential.confidential_synopsis, changes.confidential_synopsis);
        set(&mut text.confidential.confidential_notes, changes.confidential_notes);
    }
}

fn set<T>(field: &mut T, change: Option<T>) {
    if let Some(value) = change {
        *field = value;
    }
}

fn check_budget(problems: &mut Problems, field: &str, value: Option<i64>) {
    let fine = value.is_none_or(|value| (0..=MAX_BUDGET).contains(&value));
    problems.require(fine, field, "must be between 0 and 10000000000 US dollars");
}

fn parse<T: std::str::FromStr<Err: ToString>>(problems: &mut Problems, field: &str, text: &str) -> Option<T> {
    text.parse().map_err(|error: T::Err| problems.add(field, error.to_string())).ok()
}
