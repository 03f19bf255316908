//! A list without a screen: all its columns as text, or its rows as JSON.

use crate::{
    columns::{Cells, Listed},
    model::{Answer, each_row},
    record::escaped,
};
use serde::Serialize;
use shared::{
    clock::Timestamp,
    protocol::admin::{Answered, Query, Rows},
};
use std::fmt::Write as _;

/// Version of the shape.
const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
struct Printed<'a> {
    schema_version: u32,
    at: Timestamp,
    total: u64,
    matched: u64,
    more: bool,
    nodes: &'a [Answered],
    query: &'a Query,
    #[serde(flatten)]
    rows: &'a Rows,
}

/// As JSON: the rows as they came, with their view's name.
pub(super) fn json(query: &Query, answer: &Answer) -> serde_json::Result<String> {
    let Answer { rows, total, matched, more, at, nodes, .. } = answer;
    let printed = Printed {
        schema_version: SCHEMA_VERSION,
        at: *at,
        total: *total,
        matched: *matched,
        more: *more,
        nodes,
        query,
        rows,
    };
    Ok(escaped(&serde_json::to_string_pretty(&printed)?) + "\n")
}

/// As text: a line of titles, a line per row, columns as wide as what is in them.
pub(super) fn text(query: &Query, answer: &Answer) -> String {
    let cells = Cells { at: answer.at, wide: true, unicode: false };
    let mut out = each_row!(&answer.rows, rows => table(rows, &cells), details(&answer.rows));
    let missing: Vec<_> = answer.missing().map(crate::figures::plain).collect();
    let nodes = if missing.is_empty() { String::new() } else { format!(", WITHOUT {}", missing.join(" ")) };
    let shown = answer.rows.len();
    let counted = format!("{shown} of {} that pass, of {}{nodes}", answer.matched, answer.total);
    writeln!(out, "{}: {counted}", query.view.name()).expect("a string takes any text");
    out
}

fn table<R: Listed>(rows: &[R], cells: &Cells) -> String {
    let titles = R::COLUMNS.iter().map(|column| column.title.to_owned()).collect();
    let lines = rows.iter().map(|row| R::COLUMNS.iter().map(|column| (column.text)(row, cells)).collect());
    let lines: Vec<Vec<String>> = std::iter::once(titles).chain(lines).collect();
    let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..R::COLUMNS.len()).map(width).collect();
    let mut out = String::new();
    for line in &lines {
        let padded = line.iter().zip(&widths).zip(R::COLUMNS).map(|((text, width), column)| {
            if column.right { format!("{text:>width$}") } else { format!("{text:<width$}") }
        });
        out.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}

/// The details of one thing have no columns: their JSON is as readable as anything.
fn details(rows: &Rows) -> String {
    let json = match rows {
        Rows::Connection(Some(detail)) => serde_json::to_string_pretty(detail),
        Rows::User(Some(detail)) => serde_json::to_string_pretty(detail),
        _ => return String::new(),
    };
    json.map(|json| escaped(&json) + "\n").unwrap_or_default()
}
