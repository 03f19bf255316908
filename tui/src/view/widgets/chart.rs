//! A curve of several rows, as bars. A moment in which nothing was heard is a dot, not a zero.

use super::ASCII_BARS;
use crate::theme::Theme;
use ratatui::{
    Frame,
    layout::Rect,
    widgets::{Block, Sparkline, SparklineBar},
};

/// Steps a bar is divided into: fractions must survive as whole numbers.
const STEPS: f64 = 1e4;

/// Draws points, oldest first, from 0 to `top`, or to the highest point.
pub(in crate::view) fn chart(
    frame: &mut Frame<'_>,
    area: Rect,
    block: Block<'_>,
    points: &[Option<f64>],
    top: Option<f64>,
    theme: Theme,
) {
    let highest = points.iter().flatten().copied().fold(top.unwrap_or(0.0), f64::max);
    let scale = if highest > 0.0 { STEPS / highest } else { 0.0 };
    let bars = points.iter().map(|point| SparklineBar::from(point.map(|value| crate::figures::whole(value * scale))));
    let chart = Sparkline::default()
        .block(block)
        .data(bars)
        .max(crate::figures::whole(STEPS))
        .style(theme.graph())
        .absent_value_style(theme.quiet())
        .absent_value_symbol(if theme.unicode { "·" } else { "." });
    let chart = if theme.unicode { chart } else { chart.bar_set(ASCII_BARS) };
    frame.render_widget(chart, area);
}
