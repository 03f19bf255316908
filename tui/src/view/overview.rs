//! Screen 1: everything at a glance, and what is wrong first. Where there is much room, `overview_wide` draws instead.

use super::{
    cells, nodes, overview_wide,
    widgets::{chosen, meter, spark},
};
use crate::{
    app::{App, PANELS, Screen},
    columns::Listed as _,
    figures::{count, millis, percent, plain, rate, whole},
    theme::{Level, Theme},
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::{Block, Paragraph},
};
use shared::protocol::admin::{Alert, Metric, Severity, View};

/// Room for the other layout.
const WIDE: (u16, u16) = (130, 34);
/// Rows below which the top is cut.
const TIGHT: u16 = 18;
/// Columns of a label and of its figure.
const LABEL: usize = 8;
const FIGURE: usize = 9;
/// Pools shown; the rest is on their own screen.
const POOLS: usize = 4;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App) {
    if area.width >= WIDE.0 && area.height >= WIDE.1 {
        return overview_wide::draw(frame, area, app);
    }
    let rows = app.node_rows().len();
    let nodes_height = u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(3).min(area.height / 2);
    // Below a banner the last two figures make room for what fires.
    let top = if area.height < TIGHT { 8 } else { 10 };
    let heights = [Constraint::Length(top), Constraint::Length(nodes_height), Constraint::Min(0)];
    let [top, middle, bottom] = area.layout(&Layout::vertical(heights));
    let [left, right] = top.layout(&Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]));
    cluster(frame, left, app);
    saturation(frame, right, app);
    nodes::table(frame, middle, app, None);
    alerts(frame, bottom, app);
}

/// A frame, told apart when its panel is the chosen one.
pub(super) fn frame_of(app: &App, screen: Screen) -> Block<'static> {
    let is_chosen = app.page().screen == Screen::Overview && PANELS.get(app.panel) == Some(&screen);
    chosen(app.theme(), is_chosen)
}

fn cluster(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let (picture, theme) = (app.picture(), app.theme());
    let block = frame_of(app, Screen::List(View::Connections)).title(" Cluster ");
    let width = usize::from(block.inner(area).width).saturating_sub(LABEL + FIGURE + 3);
    let old = if picture.is_live() { "" } else { "~" };
    let line = |label: &str, metric: Metric, show: fn(f64) -> String, bounds: Option<(f64, f64)>| {
        let value = picture.total(metric);
        let level = match (value, bounds) {
            (Some(value), Some((warn, crit))) => Level::of(value, warn, crit),
            _ => Level::Good,
        };
        let figure = value.map_or_else(|| "-".to_owned(), |value| format!("{old}{}", show(value)));
        let curve = spark(picture.curve(metric, app.window, width).into_iter(), None, theme.unicode);
        Line::from(vec![
            Span::styled(format!("{label:<LABEL$}"), theme.quiet()),
            Span::styled(format!("{figure:>FIGURE$}{:<2} ", level.sign()), theme.level(level)),
            Span::styled(curve, theme.graph()),
        ])
    };
    let per_second = |value: f64| format!("{}/s", rate(value));
    let lines = vec![
        sockets(app),
        line("opened", Metric::OpenedPerS, per_second, None),
        line("msg in", Metric::FramesInPerS, per_second, None),
        line("msg out", Metric::FramesOutPerS, per_second, None),
        line("API", Metric::RequestsPerS, per_second, None),
        line("errors", Metric::ErrorShare, percent, Some((0.005, 0.02))),
        line("p95 API", Metric::LatencyP95Ms, |ms| millis(whole(ms * 1e3)), Some((250.0, 1_000.0))),
        line("drops", Metric::DroppedPerS, per_second, Some((0.05, 1e9))),
    ];
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// Open sockets of the most there may be.
pub(super) fn sockets(app: &App) -> Line<'static> {
    let (picture, theme) = (app.picture(), app.theme());
    let old = if picture.is_live() { "" } else { "~" };
    let mut line = Line::from(Span::styled(format!("{:<LABEL$}", "conns"), theme.quiet()));
    let Some(open) = picture.total(Metric::Connections) else {
        line.push_span(" -");
        return line;
    };
    let full = picture.total(Metric::ConnectionShare).unwrap_or(0.0);
    let level = Level::of(full, 0.8, 0.95);
    line.push_span(format!(" {old}{}/{} ", count(whole(open)), count(picture.socket_limit())));
    line.push_span(Span::styled(meter(full, 6, theme.unicode), theme.graph()));
    line.push_span(Span::styled(format!(" {}{}", percent(full), level.sign()), theme.level(level)));
    line
}

fn saturation(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let (picture, theme) = (app.picture(), app.theme());
    let block = frame_of(app, Screen::Pools).title(" Saturation, worst first ");
    // What is left of a line when its bar, figures and signs have their room.
    let name_width = usize::from(block.inner(area).width).saturating_sub(26).max(12);
    let several = picture.store.nodes().len() > 1;
    let mut lines: Vec<Line<'_>> = Vec::new();
    for row in app.pool_rows().iter().take(POOLS) {
        let name = plain(&row.pool.name);
        let name = if several { format!("{name}@{}", plain(&row.node)) } else { name };
        let used = format!("{}{}/{}", if row.stale { "~" } else { "" }, whole(row.in_use), row.pool.max_size);
        let waiting = if row.waiting > 0.0 { format!(" w:{}", whole(row.waiting)) } else { String::new() };
        lines.push(bar(&name, name_width, &used, row.saturation, row.level(), &waiting, theme));
    }
    if let Some(share) = picture.total(Metric::FdShare) {
        let open = picture.total(Metric::OpenFds).map(|open| count(whole(open))).unwrap_or_default();
        lines.push(bar("files", name_width, &open, share, Level::of(share, 0.7, 0.9), "", theme));
    }
    let mut line = |label: &str, text: String, level: Level| {
        lines.push(Line::from(vec![
            Span::styled(format!("{label:<name_width$}"), theme.quiet()),
            Span::styled(format!("{text:>6} {}", level.sign()), theme.level(level)),
        ]));
    };
    if let Some(lag) = picture.total(Metric::LoopLagMs) {
        line("loop lag", millis(whole(lag * 1e3)), Level::of(lag, 20.0, 100.0));
    }
    if let Some(slow) = picture.total(Metric::SlowConnections) {
        line("slow conns", count(whole(slow)), Level::of(slow, 1.0, 100.0));
    }
    if let Some(ping) = picture.total(Metric::RedisPingMs) {
        line("redis ping", millis(whole(ping * 1e3)), Level::of(ping, 5.0, 50.0));
    }
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// A meter with its name and figures.
pub(super) fn bar(
    name: &str,
    width: usize,
    used: &str,
    full: f64,
    level: Level,
    more: &str,
    theme: Theme,
) -> Line<'static> {
    Line::from(vec![
        Span::styled(format!("{name:<width$.width$}"), theme.quiet()),
        Span::raw(format!("{used:>6} ")),
        Span::styled(meter(full, 6, theme.unicode), theme.graph()),
        Span::styled(format!(" {}{}{more}", percent(full), level.sign()), theme.level(level)),
    ])
}

/// What fires, the gravest first; then what is over.
pub(super) fn alerts(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let (theme, cells) = (app.theme(), cells(app));
    let block = frame_of(app, Screen::List(View::Alerts));
    let firing = app.picture().alerts(false).len();
    let width = usize::from(block.inner(area).width);
    let lines: Vec<Line<'_>> = app
        .picture()
        .alerts(true)
        .into_iter()
        .map(|alert| {
            let text = line(alert, app);
            let text: String = text.chars().take(width).collect();
            Line::from(Span::styled(text, theme.level(alert.level(&cells))))
        })
        .collect();
    let lines = if lines.is_empty() { vec![Line::from(Span::styled("none", theme.quiet()))] } else { lines };
    frame.render_widget(Paragraph::new(lines).block(block.title(format!(" Alerts firing {firing} "))), area);
}

fn line(alert: &Alert, app: &App) -> String {
    let cells = cells(app);
    let sign = match (alert.is_loud(cells.at), alert.severity) {
        (false, _) => "  ",
        (true, Severity::Warning) => "! ",
        (true, Severity::Critical) => "!!",
    };
    let of = alert.of.as_deref().map(|of| format!(" {}", plain(of))).unwrap_or_default();
    let number = |value| alert.metric.map_or_else(String::new, |metric| crate::figures::measure(value, metric.unit()));
    let standing = (Alert::COLUMNS[1].text)(alert, &cells);
    let since = crate::figures::span(cells.at.since(alert.since));
    let (node, text) = (plain(&alert.node), plain(&alert.text));
    format!(
        "{sign} {standing:<8} {since:>6}{of}@{node}  {text}: {} (bound {})",
        number(alert.value),
        number(alert.threshold)
    )
}
