//! Screen 1: everything at a glance, and what is wrong first.

use super::{
    nodes,
    widgets::{meter, panel, spark},
};
use crate::{
    app::App,
    figures::{count, latency, millis, percent, plain, rate, share},
    model::{Cluster, Freshness, Moment, Series, Store},
    theme::{Level, Theme},
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::Paragraph,
};
use shared::protocol::admin::ProcessStats;

/// Columns of a label and of its figure.
const LABEL: usize = 8;
const FIGURE: usize = 9;
/// Pools shown; the rest is on their own screen.
const POOLS: usize = 6;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, theme: Theme) {
    let (store, now) = app.shown();
    let nodes_height = u16::try_from(store.nodes().len()).unwrap_or(u16::MAX).saturating_add(3).min(area.height / 2);
    let rows = [Constraint::Length(10), Constraint::Length(nodes_height), Constraint::Min(0)];
    let [top, middle, bottom] = area.layout(&Layout::vertical(rows));
    let [left, right] = top.layout(&Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]));
    cluster(frame, left, store, now, theme);
    saturation(frame, right, store, now, theme);
    nodes::table(frame, middle, app, theme);
    troubles(frame, bottom, &store.cluster(now), theme);
}

fn cluster(frame: &mut Frame<'_>, area: Rect, store: &Store, now: Moment, theme: Theme) {
    let block = panel(theme).title(" Cluster ");
    let width = usize::from(block.inner(area).width).saturating_sub(LABEL + FIGURE + 3);
    let (sum, past) = (store.cluster(now), store.history());
    let old = if store.freshness(now) == Freshness::Live { "" } else { "~" };
    let rates = |value: f64| if sum.has_rates { format!("{old}{}/s", rate(value)) } else { "?".into() };
    let flow = format!("{old}+{} -{}", rate(sum.opened), rate(sum.closed));
    let opened = if sum.has_rates { flow } else { "?".to_owned() };
    let errors = sum.minute.error_share();
    let p95 = sum.minute.p95();
    let p95_text = p95.map_or_else(|| "-".into(), latency);
    let line = |label: &str, figure: String, level: Level, series: &Series, top: Option<f64>| {
        let curve = spark(series.last(width), top, theme.unicode);
        Line::from(vec![
            Span::styled(format!("{label:<LABEL$}"), theme.quiet()),
            Span::styled(format!("{figure:>FIGURE$}{:<2} ", level.sign()), theme.level(level)),
            Span::styled(curve, theme.graph()),
        ])
    };
    let good = Level::Good;
    let lines = vec![
        sockets(&sum, old, theme),
        line("", opened, good, &past.sockets, None),
        line("msg in", rates(sum.frames_in), good, &past.frames_in, None),
        line("msg out", rates(sum.frames_out), good, &past.frames_out, None),
        line("API", rates(sum.requests), good, &past.requests, None),
        line(
            "errors",
            format!("{old}{}", percent(errors)),
            Level::of(errors * 100.0, 0.5, 2.0),
            &past.errors,
            Some(0.02),
        ),
        line(
            "p95 API",
            format!("{old}{p95_text}"),
            Level::of(p95.map_or(0.0, |p95| p95.as_secs_f64()), 0.25, 1.0),
            &past.p95,
            None,
        ),
        Line::from(vec![
            Span::styled(format!("{:<LABEL$}", "now"), theme.quiet()),
            Span::raw(format!(" {} requests in flight", count(sum.in_flight))),
        ]),
    ];
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn sockets(sum: &Cluster, old: &str, theme: Theme) -> Line<'static> {
    let mut line = Line::from(Span::styled(format!("{:<LABEL$}", "conns"), theme.quiet()));
    if sum.socket_limit == 0 {
        line.push_span(format!(" {old}{}", count(sum.sockets)));
        return line;
    }
    let full = share(sum.sockets, sum.socket_limit);
    let level = Level::of(full, 0.8, 0.95);
    line.push_span(format!(" {old}{}/{} ", count(sum.sockets), count(sum.socket_limit)));
    line.push_span(Span::styled(meter(full, 6, theme.unicode), theme.graph()));
    line.push_span(Span::styled(format!(" {}{}", percent(full), level.sign()), theme.level(level)));
    line
}

fn saturation(frame: &mut Frame<'_>, area: Rect, store: &Store, now: Moment, theme: Theme) {
    let block = panel(theme).title(" Saturation, worst first ");
    // What is left of a line when its bar, figures and signs have their room.
    let name_width = usize::from(block.inner(area).width).saturating_sub(26).max(12);
    let several = store.nodes().len() > 1;
    let mut lines: Vec<Line<'_>> = Vec::new();
    for row in store.pools(now).iter().take(POOLS) {
        let name = plain(&row.pool.name);
        let name = if several { format!("{name}@{}", plain(row.node.name())) } else { name };
        let used = format!("{}{}/{}", if row.stale { "~" } else { "" }, row.pool.in_use, row.pool.max_size);
        let waiting = if row.pool.waiting > 0 { format!(" w:{}", row.pool.waiting) } else { String::new() };
        lines.push(bar(&name, name_width, &used, row.saturation(), row.level(), &waiting, theme));
    }
    let processes = || store.nodes().iter().filter_map(|node| node.tick()).map(|tick| &tick.process);
    let open = |process: &ProcessStats| share(process.open_fds, process.max_fds);
    if let Some(worst) = processes().max_by(|a, b| open(a).total_cmp(&open(b))) {
        let level = Level::of(open(worst), 0.7, 0.9);
        lines.push(bar("files", name_width, &count(worst.open_fds), open(worst), level, "", theme));
    }
    if let Some(worst) = processes().map(|process| process.loop_lag_us).max() {
        let level = Level::of(share(worst, 1_000), 20.0, 100.0);
        lines.push(Line::from(vec![
            Span::styled(format!("{:<name_width$}", "loop lag"), theme.quiet()),
            Span::styled(format!("{:>6} {}", millis(worst), level.sign()), theme.level(level)),
        ]));
    }
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn bar(name: &str, width: usize, used: &str, full: f64, level: Level, more: &str, theme: Theme) -> Line<'static> {
    Line::from(vec![
        Span::styled(format!("{name:<width$.width$}"), theme.quiet()),
        Span::raw(format!("{used:>6} ")),
        Span::styled(meter(full, 6, theme.unicode), theme.graph()),
        Span::styled(format!(" {}{}{more}", percent(full), level.sign()), theme.level(level)),
    ])
}

/// Errors and closes since the processes began, most frequent first.
fn troubles(frame: &mut Frame<'_>, area: Rect, sum: &Cluster, theme: Theme) {
    let [left, right] = area.layout(&Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]));
    let list = |rows: Vec<(String, u64)>, nothing: &'static str| -> Vec<Line<'static>> {
        if rows.is_empty() {
            return vec![Line::from(Span::styled(nothing, theme.quiet()))];
        }
        rows.into_iter().map(|(name, number)| Line::from(format!("{:>9}  {name}", count(number)))).collect()
    };
    let errors = sum.errors.iter().map(|error| (plain(&error.name), error.count)).collect();
    let closes =
        sum.closes.iter().map(|close| (format!("{} {}", close.code, plain(&close.reason)), close.count)).collect();
    frame.render_widget(Paragraph::new(list(errors, "none")).block(panel(theme).title(" Errors since start ")), left);
    frame.render_widget(Paragraph::new(list(closes, "none")).block(panel(theme).title(" Closed sockets ")), right);
}
