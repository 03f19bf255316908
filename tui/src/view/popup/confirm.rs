//! The dialog that asks back: what, whom, what it does, how it is undone, and what still stands in the way.

use crate::{
    app::{App, Confirm, Count, Focus, TextLine},
    figures::{count, plain},
    theme::{Level, Theme},
    view::widgets::panel,
};
use ratatui::{
    Frame,
    layout::{Constraint, Rect},
    text::{Line, Span},
    widgets::{Clear, Paragraph},
};
use shared::protocol::admin::Durability;

/// Names shown.
const NAMES: usize = 5;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, confirm: &Confirm) {
    let (theme, now) = (app.theme(), app.console_time());
    let concerned = match &confirm.count {
        Count::Known(number) => count(*number),
        Count::Asked => "counting".to_owned(),
        Count::Failed(why) => why.clone(),
    };
    let mut lines: Vec<Line<'_>> =
        confirm.names.iter().take(NAMES).map(|name| Line::from(format!(" {name}"))).collect();
    if confirm.names.len() > NAMES {
        lines.push(Line::from(format!(" and {} more", confirm.names.len() - NAMES)));
    }
    let lasting = match confirm.action.durability() {
        Durability::Memory => "in memory: gone with a restart",
        Durability::Durable => "durable",
    };
    lines.push(Line::from(format!(" concerns  {concerned}")));
    lines.push(Line::from(format!(" effect    {lasting}")));
    lines.push(Line::from(format!(" undo      {}", confirm.action.undo())));
    lines.push(field(" reason   ", &confirm.reason, confirm.focus == Focus::Reason));
    if confirm.is_typed() {
        let wanted = confirm.wanted().unwrap_or_else(|| "the count".to_owned());
        let label = format!(" type {} to confirm ", plain(&wanted));
        lines.push(field(&label, &confirm.word, confirm.focus == Focus::Word));
    }
    let missing = confirm.missing(now);
    let button = |text: &str, focused: bool| {
        Span::styled(format!("[ {text} ]"), if focused { Theme::SELECTED } else { ratatui::style::Style::new() })
    };
    let mut last = Line::from("  ");
    last.push_span(button("Cancel", confirm.focus == Focus::Cancel));
    last.push_span("   ");
    last.push_span(button(&plain(confirm.action.name()).replace('_', " "), confirm.focus == Focus::Confirm));
    if let Some(missing) = missing {
        last.push_span(Span::styled(format!("   {}", plain(&missing)), theme.level(Level::Warn)));
    }
    lines.push(Line::from(""));
    lines.push(last);
    let title =
        format!(" {} {} ", confirm.action.name().replace('_', " ").to_uppercase(), plain(&confirm.action.target()));
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let area = area.centered(Constraint::Max(66), Constraint::Max(height));
    frame.render_widget(Clear, area);
    let block = panel(theme).border_style(theme.level(Level::Crit)).title(title);
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn field(label: &str, line: &TextLine, focused: bool) -> Line<'static> {
    let caret = if focused { Span::styled(" ", Theme::SELECTED) } else { Span::raw(" ") };
    Line::from(vec![Span::raw(format!("{label}[")), Span::raw(plain(line.text())), caret, Span::raw("]")])
}
