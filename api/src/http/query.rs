//! Reading a query string strictly: every name must be one the endpoint knows, every value must parse, and all that is
//! wrong is reported at once.
//!
//! ```ignore
//! let mut query = ctx.query()?;
//! let genre: Option<String> = query.get("genre");
//! let page = query.page(&ctx.app.cursors, "pitches:new");
//! query.finish()?;                      // 400 with details, if anything above was wrong or is left over
//! ```

use super::{ApiError, Problems};
use percent_encoding::percent_decode_str;
use std::{collections::BTreeMap, fmt::Display, str::FromStr};

/// Most parameters one query may have; no endpoint knows half as many.
const MOST: usize = 64;

/// The parameters that were not asked for yet, and what was wrong so far.
#[derive(Debug)]
#[must_use = "`finish` refuses what nobody asked for"]
pub struct Query {
    left: BTreeMap<String, String>,
    problems: Problems,
}

impl Query {
    /// Splits and decodes; 400 if it is no UTF-8 or says a name twice.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        let mut left = BTreeMap::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            if left.len() == MOST {
                return Err(ApiError::bad_request("The query has too many parameters"));
            }
            if left.contains_key(&name) {
                return Err(ApiError::field(name, "is given twice"));
            }
            left.insert(name, value);
        }
        Ok(Self { left, problems: Problems::new() })
    }

    /// The parameter as a `T`, if it is there; an empty one counts as missing. A value that does not parse is noted
    /// and reported by [`Query::finish`], in the words of `T`'s own error: for our own types, not for numbers.
    pub fn get<T: FromStr>(&mut self, name: &str) -> Option<T>
    where
        T::Err: Display,
    {
        let text = self.take(name)?;
        text.parse().map_err(|error: T::Err| self.problems.add(name, error.to_string())).ok()
    }

    /// `true` or `false`.
    pub fn flag(&mut self, name: &str) -> Option<bool> {
        let flag = self.take(name)?.parse().ok();
        self.problems.require(flag.is_some(), name, "must be true or false");
        flag
    }

    /// A whole number within a range.
    pub fn number(&mut self, name: &str, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
        let number = self.take(name)?.parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            self.problems.add(name, format!("must be a whole number from {} to {}", range.start(), range.end()));
        }
        number
    }

    fn take(&mut self, name: &str) -> Option<String> {
        self.left.remove(name).filter(|text| !text.is_empty())
    }

    /// Where routes note rules between parameters.
    pub fn problems(&mut self) -> &mut Problems {
        &mut self.problems
    }

    /// Refuses what was wrong and what nobody asked for.
    pub fn finish(mut self) -> Result<(), ApiError> {
        for name in self.left.into_keys() {
            self.problems.add(name, "is not a parameter of this endpoint");
        }
        self.problems.finish()
    }
}

/// Percent-decoding as forms do it (`+` is a space); 400 for what is no UTF-8 or holds a NUL.
pub fn decode(text: &str) -> Result<String, ApiError> {
    let spaced = text.replace('+', " ");
    match percent_decode_str(&spaced).decode_utf8() {
        Ok(text) if !text.contains('\0') => Ok(text.into_owned()),
        _ => Err(ApiError::bad_request("The address is not valid UTF-8 text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_empty_ones_count_as_missing() {
        let mut query = Query::parse("q=caf%C3%A9+noir&limit=20&genre=").unwrap();
        assert_eq!(query.get::<String>("q").as_deref(), Some("café noir"));
        assert_eq!(query.number("limit", 1..=100), Some(20));
        assert_eq!(query.get::<String>("genre"), None);
        query.finish().unwrap();
    }

    #[test]
    fn everything_wrong_is_reported_at_once() {
        let mut query = Query::parse("limit=500&page=x&by=1&seeking=maybe&colour=red").unwrap();
        assert_eq!((query.number("limit", 1..=100), query.number("page", 1..=9)), (None, None));
        assert_eq!((query.get::<shared::id::UserId>("by"), query.flag("seeking")), (None, None));
        let error = query.finish().unwrap_err();
        let said: Vec<_> =
            error.field_errors().iter().map(|error| format!("{} {}", error.field, error.message)).collect();
        assert_eq!(
            said,
            [
                "limit must be a whole number from 1 to 100",
                "page must be a whole number from 1 to 9",
                "by must be an id",
                "seeking must be true or false",
                "colour is not a parameter of this endpoint"
            ]
        );
    }

    #[test]
    fn what_cannot_be_stored_or_is_said_twice_is_refused() {
        for wrong in ["q=%ff", "q=a%00b", "limit=1&limit=2"] {
            assert!(Query::parse(wrong).is_err(), "{wrong}");
        }
    }
}
