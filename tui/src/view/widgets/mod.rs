//! Pieces the screens share: frames, tables, curves, meters.

mod chart;
mod table;

pub(super) use chart::chart;
pub(super) use table::{Look, table};

use crate::theme::Theme;
use ratatui::{
    symbols::{bar, border},
    widgets::Block,
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

/// A frame around what is chosen, or around something else.
pub(super) fn chosen(theme: Theme, is_chosen: bool) -> Block<'static> {
    if is_chosen { panel(theme).border_style(theme.live()) } else { panel(theme) }
}

/// A curve in one row, from 0 to `top` (by default the highest point). A gap is a dot, not a zero.
pub(crate) fn spark(points: impl Iterator<Item = Option<f64>>, top: Option<f64>, unicode: bool) -> String {
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
}
