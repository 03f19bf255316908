//! Rows as filters and sort orders see them: named fields of a few kinds.
//!
//! Every row type of the lists has a table of its fields ([`Row::FIELDS`]) and answers for each what its value is. The
//! server filters and sorts with them, before it makes the rows; the console completes and explains filters with the
//! same tables.

use serde::{Deserialize, Serialize};
use std::{borrow::Cow, cmp::Ordering};

/// What a field holds, and in which unit it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text; compared without regard to case.
    Text,
    /// A plain number; `10k` and `2M` are understood.
    Number,
    /// Seconds; `500ms`, `90s`, `5m`, `2h`, `1d` are understood.
    Seconds,
    /// Bytes; `64KiB`, `1MB` are understood.
    Bytes,
    /// A share, 0 to 1; `80%` is understood.
    Share,
}

/// One field of a kind of row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in filters and sort orders.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// What it says, for people.
    pub help: &'static str,
}

/// A table of fields: `fields![user: Text "who", age: Seconds "since it opened"]`.
macro_rules! fields {
    ($($name:ident: $kind:ident $help:literal),+ $(,)?) => {
        &[$($crate::protocol::admin::Field {
            name: stringify!($name),
            kind: $crate::protocol::admin::Kind::$kind,
            help: $help,
        }),+]
    };
}
pub(super) use fields;

/// A field's value in one row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value<'a> {
    /// There is none: it matches no comparison but `!=`, and sorts last.
    Nothing,
    /// A number, in the unit of its [`Kind`].
    Number(f64),
    /// Text.
    Text(Cow<'a, str>),
}

impl<'a> Value<'a> {
    /// A count.
    #[expect(clippy::cast_precision_loss, reason = "for comparing; counts stay far below 2^52")]
    pub fn count(count: u64) -> Self {
        Self::Number(count as f64)
    }

    /// A number, if there is one.
    pub fn number(number: Option<f64>) -> Self {
        number.map_or(Self::Nothing, Self::Number)
    }

    /// A time, as seconds since 1970.
    #[expect(clippy::cast_precision_loss, reason = "microseconds since 1970 fit 2^53 until 2255")]
    pub fn time(at: crate::clock::Timestamp) -> Self {
        Self::Number(at.as_micros() as f64 / 1e6)
    }

    /// Text that is at hand.
    pub fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    /// Text, if there is some.
    pub fn maybe(text: Option<&'a str>) -> Self {
        text.map_or(Self::Nothing, Self::text)
    }

    /// A user's id.
    pub fn user(user: Option<crate::id::UserId>) -> Self {
        user.map_or(Self::Nothing, |user| Self::Text(Cow::Owned(user.to_string())))
    }

    /// Ascending order; nothing comes last whichever way numbers are sorted.
    pub fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Nothing, Self::Nothing) => Ordering::Equal,
            (Self::Nothing, _) | (Self::Text(_), Self::Number(_)) => Ordering::Greater,
            (_, Self::Nothing) | (Self::Number(_), Self::Text(_)) => Ordering::Less,
        }
    }

    /// Keeps the value beyond its row.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Nothing => Value::Nothing,
            Self::Number(number) => Value::Number(number),
            Self::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
        }
    }
}

/// A row of a list, or what a row will be made of.
pub trait Row {
    /// Its fields.
    const FIELDS: &'static [Field];

    /// The value of the field at this place of [`Row::FIELDS`].
    fn value(&self, field: usize) -> Value<'_>;

    /// Tells it from every other row of the list, on every node: rows of equal value come in the order of their keys.
    fn key(&self) -> String;

    /// The order of two keys. For rows that can tell without making the text.
    fn key_order(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

/// The place of a field in a table.
pub fn field(fields: &[Field], name: &str) -> Option<usize> {
    fields.iter().position(|field| field.name.eq_ignore_ascii_case(name))
}
