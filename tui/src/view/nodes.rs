//! Screen 2: the processes, side by side, so that the odd one out is seen.

use super::widgets::{Column, grid, panel};
use crate::{
    app::{App, Screen},
    figures::{bytes, count, latency, millis, percent, plain, rate, span},
    model::{Freshness, Link, Moment, Node},
    theme::{Level, Theme},
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::Line,
    widgets::Paragraph,
};
use shared::protocol::admin::State;
use std::time::Duration;

const COLUMNS: &[Column] = &[
    Column::left("NODE", 12),
    Column::left("STATE", 8),
    Column::right("CONNS", 7),
    Column::right("IN/s", 6),
    Column::right("OUT/s", 6),
    Column::right("ERR%", 6),
    Column::right("CPU", 5),
    Column::right("RSS", 5),
    Column::right("UP", 6),
    Column::right("SEEN", 4),
    Column::right("P95", 6),
    Column::right("API/s", 6),
    Column::right("LAG", 6),
    Column::right("FILES", 7),
    Column::right("TASKS", 7),
];

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, theme: Theme) {
    let [list, detail] = area.layout(&Layout::vertical([Constraint::Fill(1), Constraint::Length(7)]));
    table(frame, list, app, theme);
    let (store, _) = app.shown();
    let chosen = store.nodes().get(app.row.min(store.nodes().len().saturating_sub(1)));
    let lines = chosen.map(about).unwrap_or_default();
    frame.render_widget(Paragraph::new(lines).block(panel(theme).title(" Detail ")), detail);
}

/// The list, also part of the overview.
pub(super) fn table(frame: &mut Frame<'_>, area: Rect, app: &App, theme: Theme) {
    let (store, now) = app.shown();
    let chosen = (app.screen == Screen::Nodes).then_some(app.row);
    let rows = store.nodes().iter().map(|node| (cells(node, now), level(node, now))).collect();
    grid(frame, area, " Nodes ", COLUMNS, rows, chosen, theme);
}

fn level(node: &Node, now: Moment) -> Level {
    if node.freshness(now) != Freshness::Live {
        return Level::Crit;
    }
    let errors = Level::of(node.minute().error_share() * 100.0, 0.5, 2.0);
    let lag = node.tick().map_or(0, |tick| tick.process.loop_lag_us);
    let draining = node.tick().is_some_and(|tick| tick.state == State::Draining);
    errors.max(Level::of(crate::figures::share(lag, 1_000), 20.0, 100.0)).max(if draining {
        Level::Warn
    } else {
        Level::Good
    })
}

fn state(node: &Node, now: Moment) -> &'static str {
    match (node.freshness(now), node.tick().map(|tick| tick.state)) {
        (Freshness::Waiting, _) => "waiting",
        (Freshness::Stale(_), _) => "? lost",
        (Freshness::Live, Some(State::Draining)) => "draining",
        (Freshness::Live, _) => "running",
    }
}

fn cells(node: &Node, now: Moment) -> Vec<String> {
    let live = node.freshness(now) == Freshness::Live;
    let mut cells = vec![plain(node.name()), state(node, now).to_owned()];
    let Some(tick) = node.tick() else { return cells };
    let rates = node.rates();
    let per_second = |value: Option<f64>| value.map_or_else(|| "?".to_owned(), rate);
    let minute = node.minute();
    let process = &tick.process;
    cells.extend([
        format!("{}{}", if live { "" } else { "~" }, count(tick.stats.sockets.open())),
        per_second(rates.map(|rates| rates.frames_in)),
        per_second(rates.map(|rates| rates.frames_out)),
        percent(minute.error_share()),
        rates.map_or_else(|| "?".to_owned(), |rates| percent(rates.cores)),
        bytes(process.rss_bytes),
        span(Duration::from_millis(tick.uptime_ms)),
        node.age(now).filter(|_| !live).map_or_else(|| "now".to_owned(), span),
        minute.p95().map_or_else(|| "-".to_owned(), latency),
        per_second(rates.map(|rates| rates.requests)),
        millis(process.loop_lag_us),
        count(process.open_fds),
        count(process.tasks),
    ]);
    cells
}

fn about(node: &Node) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    if let Some(hello) = node.hello() {
        let (version, environment) = (plain(&hello.node.version), plain(&hello.node.environment));
        lines.push(Line::from(format!(
            "{} · version {version} · {environment} · pid {}",
            plain(&hello.node.name),
            hello.node.pid
        )));
        lines.push(Line::from(format!(
            "started {} · takes {} sockets",
            hello.node.started_at,
            count(hello.node.socket_limit)
        )));
    }
    if let Some(tick) = node.tick() {
        let process = &tick.process;
        let files = format!("{}/{}", count(process.open_fds), count(process.max_fds));
        lines.push(Line::from(format!("{} threads · {} tasks · files {files}", process.threads, count(process.tasks))));
        let relay = &tick.stats.relay;
        let lag = relay.lag.quantile(0.95).map_or_else(|| "-".to_owned(), latency);
        let relayed = format!(
            "relay: {} delivered, {} failed rounds, lag p95 {lag}",
            count(relay.delivered),
            count(relay.failures)
        );
        lines.push(Line::from(format!("{relayed} · {} console(s)", tick.consoles)));
    }
    if let Link::Down { why, .. } = node.link() {
        lines.push(Line::from(format!("link: {}", plain(why))));
    }
    lines
}
