//! The help, generated from the keymap.

use super::panel;
use crate::{
    keymap::{BINDINGS, Binding},
    theme::Theme,
};
use ratatui::{
    Frame,
    layout::{Constraint, Rect},
    text::{Line, Span},
    widgets::{Clear, Paragraph},
};

/// Columns of the keys.
const KEYS: usize = 12;

/// Draws it over whatever is there.
pub(in crate::view) fn draw(frame: &mut Frame<'_>, area: Rect, theme: Theme) {
    let lines: Vec<Line<'_>> = BINDINGS.iter().map(line).collect();
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let area = area.centered(Constraint::Max(56), Constraint::Max(height));
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).block(panel(theme).title(" Keys ")), area);
}

/// The keys of a binding as they are written.
pub(in crate::view) fn keys(binding: &Binding) -> String {
    binding.keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn line(binding: &Binding) -> Line<'static> {
    Line::from(vec![Span::styled(format!(" {:<KEYS$}", keys(binding)), Theme::STRONG), Span::raw(binding.help)])
}
