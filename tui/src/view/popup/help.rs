//! The help, generated from the keymap and the table of commands.

use super::boxed;
use crate::{
    app::{App, KNOWN},
    keymap::Binding,
    theme::Theme,
};
use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

/// Columns of the keys.
const KEYS: usize = 12;
/// Columns of a command with its arguments.
const COMMANDS: usize = 34;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, at: usize) {
    let mut lines: Vec<Line<'_>> = app.keymap().bindings().iter().map(line).collect();
    lines.push(Line::from(""));
    lines.extend(KNOWN.iter().map(|known| {
        let written = format!(":{} {}", known.names.join(", "), known.arguments);
        Line::from(vec![Span::styled(format!(" {written:<COMMANDS$} "), Theme::STRONG), Span::raw(known.help)])
    }));
    boxed(frame, area, app, " Keys and commands, j and k scroll ".to_owned(), lines, (90, at));
}

/// The keys of a binding as they are written.
pub(in crate::view) fn keys(binding: &Binding) -> String {
    binding.keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn line(binding: &Binding) -> Line<'static> {
    let name = format!("  [{}]", binding.name);
    Line::from(vec![
        Span::styled(format!(" {:<KEYS$}", keys(binding)), Theme::STRONG),
        Span::raw(binding.help),
        Span::styled(name, Theme::STALE),
    ])
}
