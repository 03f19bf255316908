//! Pieces the screens share: frames, tables, curves in one row, meters, the help.

pub(super) mod help;

use crate::theme::{Level, Theme};
use ratatui::{
    Frame,
    layout::{Alignment, Constraint, Rect},
    symbols::{bar, border},
    text::Line,
    widgets::{Block, Row, Table},
};

/// Bars without block characters.
pub(super) const ASCII_BARS: bar::Set<'static> = bar::Set {
    full: "#",
    seven_eighths: "#",
    three_quarters: "#",
    five_eighths: "#",
    half: "=",
    three_eighths: "=",
    one_quarter: "-",
    one_eighth: "-",
    empty: " ",
};

/// Frames without box characters.
const ASCII_BORDER: border::Set<'static> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

/// A frame.
pub(super) fn panel(theme: Theme) -> Block<'static> {
    let block = Block::bordered().border_style(theme.quiet()).title_style(Theme::STRONG);
    if theme.unicode { block } else { block.border_set(ASCII_BORDER) }
}

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    title: &'static str,
    width: u16,
    align: Alignment,
}

impl Column {
    /// Text.
    pub(super) const fn left(title: &'static str, width: u16) -> Self {
        Self { title, width, align: Alignment::Left }
    }

    /// Figures.
    pub(super) const fn right(title: &'static str, width: u16) -> Self {
        Self { title, width, align: Alignment::Right }
    }
}

/// A table with a frame. Columns that do not fit are left out from the right; only the rows in sight are built, around
/// the chosen one.
pub(super) fn grid(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &'static str,
    columns: &[Column],
    rows: Vec<(Vec<String>, Level)>,
    chosen: Option<usize>,
    theme: Theme,
) {
    let block = panel(theme).title(title);
    let inner = block.inner(area);
    let shown = fitting(columns, inner.width);
    let cell = |column: &Column, text: String| Line::from(text).alignment(column.align);
    let header = Row::new(shown.iter().map(|column| cell(column, column.title.to_owned()))).style(Theme::STRONG);
    let height = usize::from(inner.height.saturating_sub(1));
    let chosen = chosen.map(|row| row.min(rows.len().saturating_sub(1)));
    let first = chosen.map_or(0, |row| (row + 1).saturating_sub(height));
    let body = rows.into_iter().enumerate().skip(first).take(height).map(|(at, (cells, level))| {
        let style = if chosen == Some(at) { Theme::SELECTED } else { theme.level(level) };
        Row::new(shown.iter().zip(cells).map(|(column, text)| cell(column, text))).style(style)
    });
    // What is left over goes to the first column: names are longer than figures.
    let widths = shown.iter().enumerate().map(|(at, column)| match at {
        0 => Constraint::Min(column.width),
        _ => Constraint::Length(column.width),
    });
    frame.render_widget(Table::new(body, widths).header(header).block(block), area);
}

fn fitting(columns: &[Column], width: u16) -> &[Column] {
    let mut used = 0_u16;
    let fits = columns.iter().take_while(|column| {
        used = used.saturating_add(column.width);
        let fits = used <= width;
        used = used.saturating_add(1);
        fits
    });
    &columns[..fits.count()]
}

/// A curve in one row, from 0 to `top` (by default the highest point). A gap is a dot, not a zero.
pub(super) fn spark(points: impl Iterator<Item = Option<f64>>, top: Option<f64>, unicode: bool) -> String {
    let (levels, gap) = if unicode {
        (['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'], '·')
    } else {
        (['_', ',', '-', '~', '=', '+', '*', '#'], ' ')
    };
    let points: Vec<_> = points.collect();
    let highest = points.iter().flatten().copied().fold(top.unwrap_or(0.0), f64::max);
    let level = |value: f64| {
        let share = if highest > 0.0 { (value / highest).clamp(0.0, 1.0) } else { 0.0 };
        levels[eighth(share)]
    };
    points.into_iter().map(|point| point.map_or(gap, level)).collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share between 0 and 1 gives 0 to 7")]
fn eighth(share: f64) -> usize {
    ((share * 8.0).ceil() as usize).clamp(1, 8) - 1
}

/// A share as a bar of `width` characters.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a small width")]
pub(super) fn meter(share: f64, width: u16, unicode: bool) -> String {
    let (full, empty) = if unicode { ("█", "░") } else { ("#", ".") };
    let filled = (share.clamp(0.0, 1.0) * f64::from(width)).round() as usize;
    full.repeat(filled) + &empty.repeat(usize::from(width) - filled.min(usize::from(width)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_shows_gaps_as_gaps_and_zero_as_the_lowest_bar() {
        let points = [None, Some(0.0), Some(4.0), Some(8.0)];
        assert_eq!(spark(points.into_iter(), None, true), "·▁▄█");
        assert_eq!(spark(points.into_iter(), None, false), " _~#");
        assert_eq!(spark([Some(0.0)].into_iter(), None, true), "▁");
        assert_eq!(spark([Some(1.0)].into_iter(), Some(8.0), true), "▁");
        assert_eq!(spark(std::iter::empty(), None, true), "");
    }

    #[test]
    fn a_meter_never_overflows() {
        assert_eq!(meter(0.5, 4, true), "██░░");
        assert_eq!(meter(7.0, 4, false), "####");
        assert_eq!(meter(-1.0, 4, false), "....");
        assert_eq!(meter(f64::NAN, 4, false), "....");
    }

    #[test]
    fn columns_that_do_not_fit_are_left_out_from_the_right() {
        let columns = [Column::left("A", 4), Column::right("B", 4), Column::right("C", 4)];
        assert_eq!([0, 4, 8, 9, 13, 14].map(|width| fitting(&columns, width).len()), [0, 1, 1, 2, 2, 3]);
    }
}
