//! How the rows of each list are written: one table of columns per kind of row, for the screen and for `--view`.
//!
//! A column knows the field it shows, so that one can sort by the column one looks at. Columns stand in the order of
//! their importance: where there is little room, those to the right go.

mod operators;
mod rest;
mod rooms;
mod sockets;
mod tables;

use crate::{
    figures::{self, plain},
    theme::Level,
};
use shared::{
    clock::Timestamp,
    protocol::admin::{Field, Kind, Row, Value, View},
};
use std::time::Duration;

/// What a cell needs to know besides its row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cells {
    /// When the rows were true, by the servers' clock.
    pub(crate) at: Timestamp,
    /// Whole ids and long texts.
    pub(crate) wide: bool,
    /// Block characters; else ASCII.
    pub(crate) unicode: bool,
}

/// One column.
pub(crate) struct Column<R: 'static> {
    /// Over it.
    pub(crate) title: &'static str,
    /// The field it shows; empty if it shows none that can be sorted by.
    pub(crate) field: &'static str,
    /// Its width in characters; in wide mode the first column takes what is left.
    pub(crate) width: u16,
    /// Figures stand to the right.
    pub(crate) right: bool,
    /// What is in it.
    pub(crate) text: fn(&R, &Cells) -> String,
}

const fn left<R>(title: &'static str, field: &'static str, width: u16, text: fn(&R, &Cells) -> String) -> Column<R> {
    Column { title, field, width, right: false, text }
}

const fn right<R>(title: &'static str, field: &'static str, width: u16, text: fn(&R, &Cells) -> String) -> Column<R> {
    Column { title, field, width, right: true, text }
}

/// A row that can be shown.
pub(crate) trait Listed: Row + Sized + 'static {
    /// Its columns.
    const COLUMNS: &'static [Column<Self>];

    /// How bad it is.
    fn level(&self, cells: &Cells) -> Level;
}

/// The fields the columns of a list show, in their order.
pub(crate) fn sortable(view: View) -> Vec<&'static str> {
    use shared::protocol::admin as wire;
    fn of<R: Listed>() -> Vec<&'static str> {
        R::COLUMNS.iter().map(|column| column.field).filter(|field| !field.is_empty()).collect()
    }
    match view {
        View::Connections | View::Members => of::<wire::ConnectionRow>(),
        View::Closed => of::<wire::ClosedRow>(),
        View::Rooms => of::<wire::RoomRow>(),
        View::Users => of::<wire::UserRow>(),
        View::Queues => of::<wire::QueueRow>(),
        View::Endpoints => of::<wire::EndpointRow>(),
        View::Requests => of::<wire::RequestRow>(),
        View::Errors => of::<wire::ErrorRow>(),
        View::Affected => of::<wire::AffectedRow>(),
        View::Statements => of::<wire::StatementRow>(),
        View::Alerts => of::<wire::Alert>(),
        View::Logs => of::<wire::LogRow>(),
        View::Audit => of::<wire::AuditRow>(),
        View::Jobs => of::<wire::Job>(),
        View::Connection | View::User => Vec::new(),
    }
}

/// The fields the columns of nodes and pools show.
pub(crate) fn sortable_here<R: Listed>() -> Vec<&'static str> {
    R::COLUMNS.iter().map(|column| column.field).filter(|field| !field.is_empty()).collect()
}

/// Every field of a row, by name, as text.
pub(crate) fn fields<R: Row>(row: &R, cells: &Cells) -> Vec<(&'static str, String)> {
    let value = |(at, field): (usize, &Field)| (field.name, spelled(field, &row.value(at), cells));
    R::FIELDS.iter().enumerate().map(value).collect()
}

fn spelled(field: &Field, value: &Value<'_>, cells: &Cells) -> String {
    match (value, field.kind) {
        (Value::Nothing, _) => "-".to_owned(),
        (Value::Text(text), _) => plain(text),
        // Times are seconds since 1970, which no duration is.
        (Value::Number(number), Kind::Seconds) if *number > 1e9 => {
            let at = time_of(*number);
            format!("{}, {} ago", figures::moment(at), figures::span(cells.at.since(at)))
        }
        (Value::Number(number), Kind::Seconds) if *number > 0.0 && *number < 10.0 => format!("{:.1}ms", number * 1e3),
        (Value::Number(number), Kind::Seconds) => figures::span(Duration::from_secs_f64(number.max(0.0))),
        (Value::Number(number), Kind::Bytes) => figures::bytes(figures::whole(*number)),
        (Value::Number(number), Kind::Share) => figures::percent(*number),
        (Value::Number(number), _) if number.fract() == 0.0 => figures::count(figures::whole(*number)),
        (Value::Number(number), _) => figures::rate(*number),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "microseconds since 1970 fit an i64 and nearly an f64")]
fn time_of(seconds: f64) -> Timestamp {
    Timestamp::from_micros((seconds * 1e6) as i64)
}

/// A name, else an id, else nothing.
fn named(name: Option<&str>, id: Option<&impl ToString>, cells: &Cells) -> String {
    match (name, id) {
        (Some(name), Some(id)) if cells.wide => format!("{} {}", plain(name), id.to_string()),
        (Some(name), _) => plain(name),
        (None, Some(id)) => short(&id.to_string(), cells),
        (None, None) => "-".to_owned(),
    }
}

/// An id: its end tells it apart, because UUIDs made in one moment begin alike.
fn short(id: &str, cells: &Cells) -> String {
    let id = plain(id);
    match id.char_indices().rev().nth(7) {
        Some((at, _)) if !cells.wide && id.len() > 12 => {
            format!("…{}", &id[at..]).replace('…', if cells.unicode { "…" } else { ".." })
        }
        _ => id,
    }
}

fn text(text: &str) -> String {
    plain(text)
}

fn maybe(text: Option<&str>) -> String {
    text.map_or_else(|| "-".to_owned(), plain)
}

fn seconds(seconds: u64) -> String {
    figures::span(Duration::from_secs(seconds))
}

fn micros(us: u64) -> String {
    figures::millis(us)
}

/// Time of the day; in wide mode with its date.
fn clock(at: Timestamp, cells: &Cells) -> String {
    if cells.wide { figures::moment(at) } else { figures::clock(at) }
}

fn number(value: Option<f64>, show: fn(f64) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), show)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_shows_a_field_its_row_has() {
        for view in View::ALL {
            for name in sortable(view) {
                assert!(view.fields().iter().any(|field| field.name == name), "{view:?} has no {name}");
            }
            assert!(!sortable(view).is_empty() || view.fields().is_empty(), "{view:?}");
        }
        for name in sortable_here::<crate::model::NodeRow>() {
            assert!(crate::model::NodeRow::FIELDS.iter().any(|field| field.name == name), "{name}");
        }
        for name in sortable_here::<crate::model::PoolRow>() {
            assert!(crate::model::PoolRow::FIELDS.iter().any(|field| field.name == name), "{name}");
        }
    }

    #[test]
    fn fields_are_spelled_in_their_units() {
        let cells = Cells { at: Timestamp::from_micros(1_795_349_100_000_000), wide: false, unicode: true };
        let spell = |kind, value| spelled(&Field { name: "x", kind, help: "" }, &value, &cells);
        assert_eq!(spell(Kind::Seconds, Value::Number(0.0125)), "12.5ms");
        assert_eq!(spell(Kind::Seconds, Value::Number(8_000.0)), "2h13m");
        assert_eq!(spell(Kind::Seconds, Value::Number(1_795_349_040.0)), "2026-11-22 12:04:00Z, 1m00s ago");
        assert_eq!(spell(Kind::Share, Value::Number(0.42)), "42%");
        assert_eq!(spell(Kind::Number, Value::Number(1_234.0)), "1,234");
        assert_eq!(spell(Kind::Text, Value::text("a\u{1b}[2J")), "a\\u{1b}[2J");
        assert_eq!(spell(Kind::Text, Value::Nothing), "-");
    }

    #[test]
    fn a_short_id_is_its_end() {
        let cells = Cells { at: Timestamp::default(), wide: false, unicode: true };
        assert_eq!(short("0197-aaaa-bbbb-12345678", &cells), "…12345678");
        assert_eq!(short("0197-aaaa-bbbb-12345678", &Cells { wide: true, ..cells }), "0197-aaaa-bbbb-12345678");
        assert_eq!(short("c_7f", &cells), "c_7f");
    }
}
