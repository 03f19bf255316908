//! A table with a frame. Columns that do not fit are left out from the right; only the rows in sight are made, around
//! the chosen one: a list of five hundred costs no more than one of twenty.

use crate::{
    app::Hit,
    columns::{Cells, Column, Listed},
    theme::Theme,
    view::Hits,
};
use ratatui::{
    Frame,
    layout::{Alignment, Constraint, Rect},
    text::Line,
    widgets::{Block, Row, Table},
};
use shared::protocol::admin::Sort;

/// Widest a column becomes in wide mode.
const WIDEST: u16 = 60;

/// How a table looks besides its rows.
pub(in crate::view) struct Look<'a> {
    /// The frame with its title.
    pub(in crate::view) block: Block<'a>,
    /// The row under the cursor.
    pub(in crate::view) chosen: Option<usize>,
    /// Which rows are marked; none if rows of this kind cannot be.
    pub(in crate::view) marked: Option<&'a dyn Fn(usize) -> bool>,
    /// The order, to be shown over its column.
    pub(in crate::view) sort: Option<Sort>,
    /// How things look.
    pub(in crate::view) theme: Theme,
}

/// Draws it; tells where its rows are.
pub(in crate::view) fn table<R: Listed>(
    frame: &mut Frame<'_>,
    area: Rect,
    rows: &[R],
    cells: &Cells,
    look: Look<'_>,
    hits: Option<&mut Hits>,
) {
    let inner = look.block.inner(area);
    let height = usize::from(inner.height.saturating_sub(1));
    let chosen = look.chosen.map(|row| row.min(rows.len().saturating_sub(1)));
    let first = chosen.map_or(0, |row| (row + 1).saturating_sub(height));
    let shown = &rows[first.min(rows.len())..rows.len().min(first + height)];
    let margin = u16::from(look.marked.is_some());
    let widths = widths(R::COLUMNS, shown, cells, inner.width.saturating_sub(margin * 2));
    let titles = R::COLUMNS.iter().zip(&widths).map(|(column, _)| title(column, look.sort.as_ref(), cells));
    let lead = || look.marked.is_some().then(|| Line::from(" "));
    let header = Row::new(lead().into_iter().chain(titles)).style(Theme::STRONG);
    let body = shown.iter().zip(first..).map(|(row, at)| {
        let mark = look.marked.map(|marked| Line::from(if marked(at) { "*" } else { " " }));
        let line = R::COLUMNS.iter().zip(&widths).map(|(column, _)| cell(column, (column.text)(row, cells)));
        let style = if chosen == Some(at) { Theme::SELECTED } else { look.theme.level(row.level(cells)) };
        Row::new(mark.into_iter().chain(line)).style(style)
    });
    if let Some(hits) = hits {
        for (line, at) in (0..).zip(first..first + shown.len()) {
            let area = Rect { y: inner.y + 1 + line, height: 1, ..inner };
            hits.add(area, Hit::Row(at));
        }
    }
    // What is left over goes to the widest: names and texts are longer than figures.
    let widest = (0..widths.len()).max_by_key(|at| (widths[*at], usize::MAX - at));
    let constraint = |(at, width): (usize, &u16)| {
        if Some(at) == widest { Constraint::Min(*width) } else { Constraint::Length(*width) }
    };
    let lead = look.marked.is_some().then_some(Constraint::Length(1));
    let constraints: Vec<_> = lead.into_iter().chain(widths.iter().enumerate().map(constraint)).collect();
    frame.render_widget(Table::new(body, constraints).header(header).block(look.block), area);
}

fn title<R>(column: &Column<R>, sort: Option<&Sort>, cells: &Cells) -> Line<'static> {
    let sorted = sort.filter(|sort| sort.by == column.field && !column.field.is_empty());
    let arrow = match (sorted.map(|sort| sort.descending), cells.unicode) {
        (None, _) => "",
        (Some(true), true) => "▼",
        (Some(false), true) => "▲",
        (Some(true), false) => "v",
        (Some(false), false) => "^",
    };
    // An arrow that does not fit would hide a letter of the title: then it takes the last one's place.
    let room = usize::from(column.width).saturating_sub(arrow.chars().count());
    let text: String = column.title.chars().take(room).collect();
    cell(column, format!("{text}{arrow}"))
}

fn cell<R>(column: &Column<R>, text: String) -> Line<'static> {
    Line::from(text).alignment(if column.right { Alignment::Right } else { Alignment::Left })
}

/// The widths of the columns that fit. In wide mode a column is as wide as what is in it.
fn widths<R>(columns: &[Column<R>], rows: &[R], cells: &Cells, room: u16) -> Vec<u16> {
    let mut used = 0_u16;
    let widths = columns.iter().map(|column| {
        if !cells.wide {
            return column.width;
        }
        let longest = rows.iter().map(|row| (column.text)(row, cells).chars().count()).max().unwrap_or(0);
        column.width.max(u16::try_from(longest).unwrap_or(WIDEST).min(WIDEST))
    });
    widths
        .take_while(|width| {
            used = used.saturating_add(*width);
            let fits = used <= room;
            used = used.saturating_add(1);
            fits
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::{clock::Timestamp, protocol::admin::RoomRow};

    #[test]
    fn columns_that_do_not_fit_are_left_out_from_the_right_and_wide_ones_take_their_room() {
        let mut cells = Cells { at: Timestamp::default(), wide: false, unicode: true };
        let room = RoomRow { room: "x".repeat(40), ..RoomRow::default() };
        let rows = [room];
        let count = |room, cells: &Cells| widths(RoomRow::COLUMNS, &rows, cells, room).len();
        assert_eq!([0, 27, 28, 35, 36].map(|room| count(room, &cells)), [0, 0, 1, 1, 2]);
        cells.wide = true;
        assert_eq!([28, 40, 48].map(|room| count(room, &cells)), [0, 1, 2]);
    }
}
