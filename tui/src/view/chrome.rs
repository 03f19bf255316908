//! What surrounds every screen: who and how fresh at the top, what holds and which keys at the bottom, and the banner
//! that makes old data look old.

use super::{Hits, widgets::panel};
use crate::{
    app::{App, Hit, PANELS, Screen},
    figures::{self, plain, span},
    keymap::Action,
    model::{Freshness, LinkState, Store},
    theme::{Level, Theme},
};
use ratatui::{
    Frame,
    layout::{Alignment, Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::{Paragraph, Wrap},
};
use shared::protocol::admin::{AlertState, JobState, Severity};
use std::time::Duration;

/// Columns from which tabs have their whole names.
const WIDE_TABS: u16 = 120;

/// First row.
pub(super) fn header(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let ((store, now), theme) = (app.known(), app.theme());
    let mut left = vec![Span::styled(format!(" {} ", badge(store)), theme.badge(app.production())), Span::raw(" ")];
    left.push(link(app));
    let (live, all) = (store.live(now), store.nodes().len());
    let nodes = format!("  {live}/{all} node{}", if all == 1 { "" } else { "s" });
    left.push(Span::styled(nodes, theme.level(if live < all { Level::Warn } else { Level::Good })));
    left.extend(alerts(app));
    if let Some(hello) = store.hello() {
        let name = if hello.operator.is_empty() { "?" } else { &hello.operator };
        let write = if app.may_write() { hello.role.name() } else { "read-only" };
        left.push(Span::styled(format!("  {} ({write})", plain(name)), theme.quiet()));
    }
    let right = app.picture().clock().map(|at| format!(" {} ", figures::clock(at))).unwrap_or_default();
    let widths = [Constraint::Min(0), Constraint::Length(u16::try_from(right.len()).unwrap_or(0))];
    let [left_area, right_area] = area.layout(&Layout::horizontal(widths));
    frame.render_widget(Line::from(left), left_area);
    frame.render_widget(Line::from(right).alignment(Alignment::Right), right_area);
}

/// How fresh the picture is, in a sign, a word and an age.
pub(super) fn link(app: &App) -> Span<'static> {
    let ((store, now), theme) = (app.known(), app.theme());
    let (dot, cross, dots) = if theme.unicode { ("●", "✖", "…") } else { ("*", "x", "...") };
    if let Some(replay) = app.replay() {
        let (at, end) = (span(replay.at()), span(replay.end()));
        return Span::styled(format!("{dot} REPLAY {at} of {end}"), theme.level(Level::Warn));
    }
    match store.freshness(now) {
        Freshness::Live => Span::styled(format!("{dot} LIVE"), theme.live()),
        Freshness::Waiting => Span::styled(format!("{dots} CONNECTING"), theme.level(Level::Warn)),
        Freshness::Stale(age) => Span::styled(format!("{cross} STALE {}", span(age)), theme.level(Level::Crit)),
    }
}

/// How many alerts fire, on every screen.
pub(super) fn alerts(app: &App) -> Option<Span<'static>> {
    let (store, now) = app.known();
    let clock = store.clock(now).unwrap_or_default();
    let firing = store.alerts().into_iter().filter(|alert| alert.state == AlertState::Firing && alert.is_loud(clock));
    let (mut count, mut level) = (0, Level::Warn);
    for alert in firing {
        count += 1;
        if alert.severity == Severity::Critical {
            level = Level::Crit;
        }
    }
    (count > 0).then(|| {
        let word = if count == 1 { "alert" } else { "alerts" };
        Span::styled(format!("  {}{count} {word}", level.sign()), app.theme().level(level))
    })
}

/// The cluster in capitals: production must not be mistaken for anything else.
fn badge(store: &Store) -> String {
    let name = store
        .hello()
        .map(|hello| plain(if hello.cluster.is_empty() { &hello.node.environment } else { &hello.cluster }));
    format!("PITCHEY {}", name.unwrap_or_default().to_uppercase()).trim_end().to_owned()
}

/// Second row.
pub(super) fn tabs(frame: &mut Frame<'_>, area: Rect, app: &App, hits: &mut Hits) {
    let (theme, root) = (app.theme(), app.trail()[0].screen);
    let (mut line, mut at) = (Line::from(" "), area.x + 1);
    for (number, screen) in (1..).zip(Screen::ROOTS) {
        let title = if area.width < WIDE_TABS { screen.short() } else { screen.title() };
        let text = format!("{}:{title}", number % 10);
        let style = if screen == root { Theme::SELECTED } else { theme.quiet() };
        let width = u16::try_from(text.chars().count()).unwrap_or(0);
        if at + width <= area.right() {
            hits.add(Rect { x: at, width, ..area }, Hit::Tab(screen));
        }
        at += width + 1;
        line.push_span(Span::styled(text, style));
        line.push_span(" ");
    }
    frame.render_widget(line, area);
}

/// Second-last row: a notice, else what holds.
pub(super) fn status(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let theme = app.theme();
    if let Some((text, level)) = app.notice() {
        let style = if level == Level::Good { Theme::STRONG } else { theme.level(level) };
        return frame.render_widget(Line::from(Span::styled(format!(" {text}"), style)), area);
    }
    let mut line = Line::from(Span::styled(format!(" window {}", app.window.name()), theme.quiet()));
    let mut holds = |text: String, level| line.push_span(Span::styled(format!("  {text}"), theme.level(level)));
    if app.rewound() {
        let at = app.picture().clock().map(figures::clock).unwrap_or_default();
        holds(format!("REWOUND to {at}: {} back to now", app.keymap().key(Action::Live)), Level::Warn);
    } else if app.paused() {
        holds(format!("PAUSED: {} lets it go on", app.keymap().key(Action::Pause)), Level::Warn);
    }
    if let Some(node) = &app.one_node {
        holds(format!("only {}", plain(node)), Level::Warn);
    }
    let page = app.page();
    if page.faults {
        holds("only faults".to_owned(), Level::Warn);
    }
    if !page.filter.is_empty() {
        holds(format!("filter {}", plain(&page.filter)), Level::Warn);
    }
    if !page.marks.is_empty() {
        holds(format!("{} marked", page.marks.len()), Level::Warn);
    }
    let running = app.known().0.jobs().filter(|job| job.state == JobState::Running);
    for job in running {
        let what = format!("{} {}", job.action.name().replace('_', " "), plain(&job.action.target()));
        holds(format!("{what}: {} of {}", job.done, job.matched), Level::Warn);
    }
    if app.known().0.gap() > 0 {
        holds(format!("gap: {} skipped", app.known().0.gap()), Level::Warn);
    }
    if page.screen == Screen::Overview {
        let panel = PANELS[app.panel.min(PANELS.len() - 1)].title();
        holds(format!("panel {panel}"), Level::Good);
    } else if app.trail().len() > 1 {
        let trail: Vec<_> = app.trail().iter().map(|page| page.screen.title()).collect();
        holds(trail.join(" > "), Level::Good);
    }
    frame.render_widget(line, area);
}

/// Last row, from the keymap.
pub(super) fn hints(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let mut line = Line::from(" ");
    for binding in app.keymap().bindings() {
        if let (Some(hint), Some(key)) = (binding.hint, binding.keys.first()) {
            line.push_span(Span::styled(key.to_string(), Theme::STRONG));
            line.push_span(Span::styled(format!(" {hint}  "), app.theme().quiet()));
        }
    }
    frame.render_widget(line, area);
}

/// Over old data: since when, why, and what happens next.
pub(super) fn banner(frame: &mut Frame<'_>, area: Rect, app: &App, age: Duration) {
    let crit = app.theme().level(Level::Crit);
    let newest = app.known().0.nodes().iter().filter_map(|node| node.tick()).map(|tick| tick.at).max();
    let at = newest.map(figures::clock).unwrap_or_default();
    let title = format!(" !! CONNECTION LOST {at}, {} ago: data below is OLD ", span(age));
    let text: Vec<Line<'_>> = reasons(app).into_iter().map(Line::from).collect();
    let block = panel(app.theme()).border_style(crit).title(Span::styled(title, crit));
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }).block(block), area);
}

/// Before anything was heard: what is tried, and where.
pub(super) fn waiting(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let mut lines: Vec<Line<'_>> = Vec::new();
    if app.known().0.links().is_empty() {
        lines.push(format!("Looking for {}", plain(&app.place)).into());
        lines.push("".into());
        lines.push("No process has left a token file there. Is Pitchey running, with this data folder?".into());
        lines.push("Another folder: --data-dir FOLDER or DATA_DIR.".into());
    } else {
        lines.extend(reasons(app).into_iter().map(Line::from));
    }
    let paragraph = Paragraph::new(lines).wrap(Wrap { trim: false }).block(panel(app.theme()).title(" Connecting "));
    frame.render_widget(paragraph, area);
}

/// A line for each link through which nothing is heard.
fn reasons(app: &App) -> Vec<String> {
    let (store, now) = app.known();
    let silent = store.links().iter().filter(|link| link.freshness(now) != Freshness::Live);
    silent
        .map(|link| {
            let name = plain(link.name());
            match link.state() {
                LinkState::Down { why, retry_at, attempts } => {
                    let wait = span(retry_at.saturating_sub(now));
                    let key = app.keymap().key(Action::Reconnect);
                    format!("{name}: next try in {wait} (try {attempts}), {key} tries now. {}", plain(why))
                }
                LinkState::Connecting => format!("{name}: connecting"),
                LinkState::Up => format!("{name}: connected, but silent"),
            }
        })
        .collect()
}
