//! The orders a list of pitches can have, and places in them.
//!
//! An order is an expression with an index that ends in it and the id (migration 9), so a page begins at a place in
//! the index. Places travel in cursors as text; doubles as their bits, since decimal digits would not come back as the
//! same number.

use super::{browse::List, row::CardRow};
use crate::{clock::Timestamp, id::PitchId, model::Sort, store::trend::Engagement};
use sqlx::{Database, Encode, QueryBuilder, Type};
use std::{fmt, str::FromStr};

/// Where a page ended: the next one begins after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct After {
    /// The last row's place in the order.
    pub key: Key,
    /// The last row; tells apart what stands at the same place.
    pub id: PitchId,
}

/// A place in an order. Its text comes back as exactly the same place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// A time.
    Time(Timestamp),
    /// A number of dollars or of engagements.
    Int(i64),
    /// The bits of a `trend_score`.
    Real(u64),
    /// A title, as titles are compared.
    Text(String),
}

/// The text is no place in any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a place in an order")]
pub struct BadKey;

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) => write!(f, "t{}", time.as_micros()),
            Self::Int(number) => write!(f, "i{number}"),
            Self::Real(bits) => write!(f, "r{bits:x}"),
            Self::Text(text) => write!(f, "s{text}"),
        }
    }
}

impl FromStr for Key {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        let (kind, value) = text.split_at_checked(1).ok_or(BadKey)?;
        match kind {
            "t" => value.parse().map(|micros| Self::Time(Timestamp::from_micros(micros))).map_err(|_| BadKey),
            "i" => value.parse().map(Self::Int).map_err(|_| BadKey),
            "r" => u64::from_str_radix(value, 16).map(Self::Real).map_err(|_| BadKey),
            "s" => Ok(Self::Text(value.to_owned())),
            _ => Err(BadKey),
        }
    }
}

/// A value both databases take as an argument.
pub(super) trait Bind<DB: Database>: for<'q> Encode<'q, DB> + Type<DB> {}
impl<DB: Database, T: for<'q> Encode<'q, DB> + Type<DB>> Bind<DB> for T {}

/// The columns an order walks along, and in which direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Created,
    Published,
    Trend,
    Budget,
    Title,
    Popular,
}

impl Order {
    pub(super) fn of(list: &List) -> Self {
        match list {
            List::Featured | List::Browse(_, Sort::New) => Self::Created,
            List::New => Self::Published,
            List::Trending => Self::Trend,
            List::Browse(_, Sort::Budget) => Self::Budget,
            List::Browse(_, Sort::Title) => Self::Title,
            List::Browse(_, Sort::Popular) => Self::Popular,
        }
    }

    /// As in the index of migration 9, to the letter: an index on an expression serves that very expression.
    pub(super) const fn expression(self) -> &'static str {
        match self {
            Self::Created => "p.created_at",
            Self::Published => "p.published_at",
            Self::Trend => "p.trend_score",
            Self::Budget => "coalesce(p.budget_max, p.budget_min, 0)",
            Self::Title => "p.title_key",
            Self::Popular => "(p.view_count + 4 * p.like_count + 6 * p.save_count)",
        }
    }

    const fn ascending(self) -> bool {
        matches!(self, Self::Title)
    }

    pub(super) fn key_of(self, row: &CardRow) -> Key {
        match self {
            Self::Created => Key::Time(row.created_at),
            Self::Published => Key::Time(row.published_at.unwrap_or_default()),
            Self::Trend => Key::Real(row.trend_score.to_bits()),
            Self::Budget => Key::Int(row.budget_max.or(row.budget_min).unwrap_or(0)),
            Self::Title => Key::Text(title_key(&row.title)),
            Self::Popular => Key::Int(
                row.view_count
                    + Engagement::Like.weight() * row.like_count
                    + Engagement::Save.weight() * row.save_count,
            ),
        }
    }

    pub(super) fn push_after<DB>(self, sql: &mut QueryBuilder<DB>, after: &After)
    where
        DB: Database,
        String: Bind<DB>,
        i64: Bind<DB>,
        f64: Bind<DB>,
        Timestamp: Bind<DB>,
        PitchId: Bind<DB>,
    {
        let beyond = if self.ascending() { ") > (" } else { ") < (" };
        sql.push(" and (").push(self.expression()).push(", p.id").push(beyond);
        match &after.key {
            Key::Time(time) => sql.push_bind(*time),
            Key::Int(number) => sql.push_bind(*number),
            Key::Real(bits) => sql.push_bind(f64::from_bits(*bits)),
            Key::Text(text) => sql.push_bind(text.clone()),
        };
        sql.push(", ").push_bind(after.id).push(")");
    }

    pub(super) fn push_order<DB: Database>(self, sql: &mut QueryBuilder<DB>) {
        let direction = if self.ascending() { "" } else { " desc" };
        sql.push(" order by ").push(self.expression()).push(direction).push(", p.id").push(direction);
    }
}

/// Longer titles are compared by their beginning: the key travels in cursors.
const TITLE_KEY_CHARS: usize = 64;

/// What titles are ordered by: made in Rust, so that both databases agree on it.
pub(super) fn title_key(title: &str) -> String {
    title.to_lowercase().chars().take(TITLE_KEY_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn popularity_weighs_as_trends_do() {
        let expression = Order::Popular.expression();
        assert_eq!(Engagement::View.weight(), 1);
        assert!(expression.contains(&format!("{} * p.like_count", Engagement::Like.weight())));
        assert!(expression.contains(&format!("{} * p.save_count", Engagement::Save.weight())));
    }

    proptest! {
        #[test]
        fn every_place_comes_back_from_its_text_to_the_last_bit(
            micros in any::<i64>(), number in any::<i64>(), score in any::<u64>(), text in "\\PC{0,80}",
        ) {
            let keys = [Key::Time(Timestamp::from_micros(micros)), Key::Int(number), Key::Real(score), Key::Text(text)];
            for key in keys {
                prop_assert_eq!(key.to_string().parse::<Key>().unwrap(), key);
            }
        }

        #[test]
        fn a_text_that_is_no_place_is_refused_or_harmless(text in "\\PC{0,30}") {
            let _ = text.parse::<Key>();
        }
    }
}
