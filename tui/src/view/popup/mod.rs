//! What covers a page: help, lines being written, menus, details, and dialogs that ask back.

mod confirm;
mod help;

use super::{detail, widgets::panel};
use crate::{
    app::{App, Offer, Popup, Prompt, Purpose},
    figures::plain,
    theme::{Level, Theme},
};
use ratatui::{
    Frame,
    layout::{Constraint, Rect},
    text::{Line, Span},
    widgets::{Clear, Paragraph},
};

#[cfg(test)]
pub(super) use help::keys;

/// Draws it over whatever is there.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, popup: &Popup) {
    match popup {
        Popup::Help(at) => help::draw(frame, area, app, *at),
        Popup::Prompt(prompt) => line(frame, area, app, prompt),
        Popup::Menu(offers, at) => menu(frame, area, app, offers, *at),
        Popup::Sort(at) => sort(frame, area, app, *at),
        Popup::Confirm(confirm) => confirm::draw(frame, area, app, confirm),
        Popup::Detail(at) => {
            let lines = detail::pairs(detail::of_selected(app), app.theme());
            boxed(frame, area, app, " Every field ".to_owned(), lines, (100, *at));
        }
    }
}

/// Lines in a box of at most this width, scrolled so far, as high as they need.
pub(super) fn boxed(
    frame: &mut Frame<'_>,
    area: Rect,
    app: &App,
    title: String,
    lines: Vec<Line<'_>>,
    (width, at): (u16, usize),
) {
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let area = area.centered(Constraint::Max(width), Constraint::Max(height));
    let hidden = lines.len().saturating_sub(usize::from(area.height.saturating_sub(2)));
    let at = u16::try_from(at.min(hidden)).unwrap_or(0);
    frame.render_widget(Clear, area);
    let block = panel(app.theme()).border_style(app.theme().live()).title(title);
    frame.render_widget(Paragraph::new(lines).scroll((at, 0)).block(block), area);
}

/// A line being written, in the second-last row, where the eye is.
fn line(frame: &mut Frame<'_>, area: Rect, app: &App, prompt: &Prompt) {
    let sign = match prompt.purpose {
        Purpose::Filter => "filter>",
        Purpose::Command => ":",
    };
    let height = if prompt.remark.is_empty() { 1 } else { 2 };
    let y = area.bottom().saturating_sub(height + 1).max(area.y);
    let row = Rect { y, height: height.min(area.height), ..area };
    let caret = Span::styled(" ", Theme::SELECTED);
    let mut lines = Vec::new();
    if !prompt.remark.is_empty() {
        lines.push(Line::from(Span::styled(format!(" {}", prompt.remark), app.theme().level(Level::Warn))));
    }
    lines.push(Line::from(vec![
        Span::styled(format!(" {sign}"), Theme::STRONG),
        plain(prompt.line.text()).into(),
        caret,
    ]));
    frame.render_widget(Clear, row);
    frame.render_widget(Paragraph::new(lines), row);
}

fn menu(frame: &mut Frame<'_>, area: Rect, app: &App, offers: &[Offer], at: usize) {
    // A reason that holds for all is said once.
    let reason = offers.first().and_then(|first| first.blocked.as_ref());
    let reason = reason.filter(|why| offers.iter().all(|offer| offer.blocked.as_ref() == Some(*why)));
    let common = reason.map(|why| Line::styled(format!(" not now: {why}"), app.theme().level(Level::Warn)));
    let lines = offers.iter().enumerate().map(|(place, offer)| {
        let text = match offer.blocked.as_ref().filter(|_| reason.is_none()) {
            None => format!(" {}  {}", offer.key, offer.label),
            Some(why) => format!(" {}  {} [{why}]", offer.key, offer.label),
        };
        let style = match (place == at, offer.blocked.is_some()) {
            (true, _) => Theme::SELECTED,
            (false, true) => app.theme().quiet(),
            (false, false) => ratatui::style::Style::new(),
        };
        Line::styled(text, style)
    });
    let lines = common.into_iter().chain(lines).collect();
    boxed(frame, area, app, " Actions ".to_owned(), lines, (76, 0));
}

fn sort(frame: &mut Frame<'_>, area: Rect, app: &App, at: usize) {
    let lines = app.page().screen.fields().iter().enumerate().map(|(place, field)| {
        let style = if place == at { Theme::SELECTED } else { ratatui::style::Style::new() };
        Line::styled(format!(" {:<15} {}", field.name, field.help), style)
    });
    let scroll = at.saturating_sub(usize::from(area.height.saturating_sub(4)));
    boxed(frame, area, app, " Sort by ".to_owned(), lines.collect(), (70, scroll));
}
