//! The query of a browse list, read strictly: a name or a value that nobody knows is 400 with its field.

use crate::http::{ApiError, pagination::MAX_LIMIT, query::Query};
use shared::{
    id::UserId,
    model::{PitchStatus, Sort},
    store::{
        pitches::{Filter, List},
        words::Terms,
    },
};
use std::{
    fmt::{Display, Write as _},
    str::FromStr,
};

/// Longest search text that is looked at, in characters.
const MAX_QUERY: usize = 200;

/// Largest budget anybody may name, in whole US dollars: ten billion.
pub(super) const MAX_BUDGET: i64 = 10_000_000_000;

/// Rows that a page counted from the start may skip. Whoever leafs further uses the cursor, whose cost does not grow.
pub(super) const MAX_OFFSET: u32 = 10_000;

/// A list as asked for, and the name that its cursors are tied to.
pub(super) struct Wanted {
    pub(super) list: List,
    pub(super) name: String,
    /// The number of the page, for clients that count pages.
    pub(super) page: Option<u32>,
}

/// Reads everything but `limit` and `cursor`. `caller` decides whose drafts `?status=draft` shows: their own.
pub(super) fn read(query: &mut Query, caller: Option<UserId>) -> Result<Wanted, ApiError> {
    let mut name = String::from("browse");
    let status = take(query, &mut name, "status").unwrap_or(PitchStatus::Published);
    let own = match status {
        PitchStatus::Published => None,
        status => Some((caller.ok_or(ApiError::unauthorized())?, status)),
    };
    if let Some((caller, _)) = own {
        note(&mut name, "of", caller);
    }
    let filter = Filter {
        own,
        creator: take(query, &mut name, "creator"),
        genre: take(query, &mut name, "genre"),
        terms: terms(query, &mut name),
        format: take(query, &mut name, "format"),
        stage: take(query, &mut name, "stage"),
        budget_min: budget(query, &mut name, "budgetMin"),
        budget_max: budget(query, &mut name, "budgetMax"),
        seeking_investment: flag(query, &mut name, "seekingInvestment"),
    };
    if let (Some(least), Some(most)) = (filter.budget_min, filter.budget_max) {
        query.problems().require(least <= most, "budgetMin", "must not be above budgetMax");
    }
    let sort = take(query, &mut name, "sort").unwrap_or(Sort::New);
    let page = query.number("page", 1..=i64::from(MAX_OFFSET)).and_then(|page| u32::try_from(page).ok());
    Ok(Wanted { list: List::Browse(filter, sort), name, page })
}

/// How many rows to skip for a page of so many.
pub(super) fn offset(page: u32, limit: u32) -> Result<u32, ApiError> {
    debug_assert!(limit <= MAX_LIMIT);
    let offset = (page - 1).saturating_mul(limit);
    if offset > MAX_OFFSET {
        return Err(ApiError::field("page", format!("skips more than {MAX_OFFSET} entries; use the cursor instead")));
    }
    Ok(offset)
}

/// A parameter, noted in the list's name in the form in which it was understood.
fn take<T: FromStr<Err: Display> + Display>(query: &mut Query, name: &mut String, field: &str) -> Option<T> {
    let value: T = query.get(field)?;
    note(name, field, &value);
    Some(value)
}

fn flag(query: &mut Query, name: &mut String, field: &str) -> Option<bool> {
    let value = query.flag(field)?;
    note(name, field, value);
    Some(value)
}

fn budget(query: &mut Query, name: &mut String, field: &str) -> Option<i64> {
    let value = query.number(field, 0..=MAX_BUDGET)?;
    note(name, field, value);
    Some(value)
}

fn terms(query: &mut Query, name: &mut String) -> Option<Terms> {
    let text: String = take(query, name, "q")?;
    query.problems().require(text.chars().count() <= MAX_QUERY, "q", "must have at most 200 characters");
    Some(Terms::parse(&text))
}

/// The value's length in front keeps one value from passing for two.
fn note(name: &mut String, field: &str, value: impl Display) {
    let value = value.to_string();
    let _ = write!(name, " {field}={}:{value}", value.len());
}
