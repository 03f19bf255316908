//! What surrounds every screen: who and how fresh at the top, what holds and which keys at the bottom, and the banner
//! that makes old data look old.

use super::widgets::panel;
use crate::{
    app::{App, Screen},
    figures::{plain, span},
    keymap::BINDINGS,
    model::{Freshness, Link, Store},
    theme::{Level, Theme},
};
use ratatui::{
    Frame,
    layout::{Alignment, Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::{Paragraph, Wrap},
};
use std::time::Duration;

/// First row.
pub(super) fn header(frame: &mut Frame<'_>, area: Rect, app: &App, theme: Theme) {
    let (store, now) = app.known();
    let mut left = vec![Span::styled(format!(" {} ", badge(store)), Theme::STRONG), Span::raw(" ")];
    left.push(link(store, now, theme));
    let (live, all) = (store.live(now), store.nodes().len());
    let nodes = format!("  {live}/{all} node{}", if all == 1 { "" } else { "s" });
    left.push(Span::styled(nodes, theme.level(if live < all { Level::Warn } else { Level::Good })));
    let right = clock(store).map(|time| format!("{time} ")).unwrap_or_default();
    let widths = [Constraint::Min(0), Constraint::Length(u16::try_from(right.len()).unwrap_or(0))];
    let [left_area, right_area] = area.layout(&Layout::horizontal(widths));
    frame.render_widget(Line::from(left), left_area);
    frame.render_widget(Line::from(right).alignment(Alignment::Right), right_area);
}

/// How fresh the picture is, in a sign, a word and an age.
pub(super) fn link(store: &Store, now: Duration, theme: Theme) -> Span<'static> {
    let (dot, cross) = if theme.unicode { ("●", "✖") } else { ("*", "x") };
    match store.freshness(now) {
        Freshness::Live => Span::styled(format!("{dot} LIVE"), theme.live()),
        Freshness::Waiting => {
            Span::styled("… CONNECTING".replace('…', if theme.unicode { "…" } else { "..." }), theme.level(Level::Warn))
        }
        Freshness::Stale(age) => Span::styled(format!("{cross} STALE {}", span(age)), theme.level(Level::Crit)),
    }
}

/// The environment in capitals: production must not be mistaken for anything else.
fn badge(store: &Store) -> String {
    let environment = store.nodes().iter().find_map(|node| node.hello()).map(|hello| plain(&hello.node.environment));
    format!("PITCHEY {}", environment.unwrap_or_default().to_uppercase()).trim_end().to_owned()
}

/// The servers' clock at the newest tick. Not ours: it would have to be drawn every second for nothing.
pub(super) fn clock(store: &Store) -> Option<String> {
    let newest = store.nodes().iter().filter_map(|node| node.tick()).map(|tick| tick.at).max()?;
    newest.to_string().get(11..19).map(|time| format!("{time}Z"))
}

/// Second row.
pub(super) fn tabs(frame: &mut Frame<'_>, area: Rect, app: &App, theme: Theme) {
    let mut line = Line::from(" ");
    for (number, screen) in (1..).zip(Screen::ALL) {
        let style = if screen == app.screen { Theme::SELECTED } else { theme.quiet() };
        line.push_span(Span::styled(format!(" {number}:{} ", screen.title()), style));
        line.push_span(" ");
    }
    frame.render_widget(line, area);
}

/// Second-last row.
pub(super) fn status(frame: &mut Frame<'_>, area: Rect, app: &App, theme: Theme) {
    let (store, _) = app.known();
    let mut line = Line::from(Span::styled(" curves: a column is a second", theme.quiet()));
    if app.paused() {
        line.push_span(Span::styled("  PAUSED: p lets it go on", theme.level(Level::Warn)));
    }
    if store.gap() > 0 {
        line.push_span(Span::styled(format!("  gap: {} ticks skipped", store.gap()), theme.level(Level::Warn)));
    }
    frame.render_widget(line, area);
}

/// Last row, from the keymap.
pub(super) fn hints(frame: &mut Frame<'_>, area: Rect, theme: Theme) {
    let mut line = Line::from(" ");
    for binding in BINDINGS {
        if let (Some(hint), Some(key)) = (binding.hint, binding.keys.first()) {
            line.push_span(Span::styled(key.to_string(), Theme::STRONG));
            line.push_span(Span::styled(format!(" {hint}  "), theme.quiet()));
        }
    }
    frame.render_widget(line, area);
}

/// Over old data: since when, why, and what happens next.
pub(super) fn banner(frame: &mut Frame<'_>, area: Rect, app: &App, age: Duration, theme: Theme) {
    let (store, _) = app.known();
    let crit = theme.level(Level::Crit);
    let at = clock(store).unwrap_or_default();
    let title = format!(" !! CONNECTION LOST {at}, {} ago: data below is OLD ", span(age));
    let text: Vec<Line<'_>> = reasons(app).into_iter().map(Line::from).collect();
    let block = panel(theme).border_style(crit).title(Span::styled(title, crit));
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }).block(block), area);
}

/// Before anything was heard: what is tried, and where.
pub(super) fn waiting(frame: &mut Frame<'_>, area: Rect, app: &App, theme: Theme) {
    let mut lines: Vec<Line<'_>> = Vec::new();
    if app.known().0.nodes().is_empty() {
        lines.push(format!("Looking for {}", plain(&app.place)).into());
        lines.push("".into());
        lines.push("No process has left a token file there. Is Pitchey running, with this data folder?".into());
        lines.push("Another folder: --data-dir FOLDER or DATA_DIR.".into());
    } else {
        lines.extend(reasons(app).into_iter().map(Line::from));
    }
    let paragraph = Paragraph::new(lines).wrap(Wrap { trim: false }).block(panel(theme).title(" Connecting "));
    frame.render_widget(paragraph, area);
}

/// A line for each process that is not heard.
fn reasons(app: &App) -> Vec<String> {
    let (store, now) = app.known();
    let silent = store.nodes().iter().filter(|node| node.freshness(now) != Freshness::Live);
    silent
        .map(|node| {
            let name = plain(node.name());
            match node.link() {
                Link::Down { why, retry_at, attempts } => {
                    let wait = span(retry_at.saturating_sub(now));
                    format!("{name}: next try in {wait} (try {attempts}), R tries now. {}", plain(why))
                }
                Link::Connecting => format!("{name}: connecting"),
                Link::Up => format!("{name}: connected, but silent"),
            }
        })
        .collect()
}
