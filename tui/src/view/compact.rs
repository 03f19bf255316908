//! Little room: the figures that decide whether to look closer, one line each, most important first. Next to no room:
//! the first line alone.

use super::chrome::{alerts, link};
use crate::{
    app::App,
    figures::{self, count, millis, percent, plain, rate, whole},
    model::{Freshness, NodeRow, PoolRow},
    theme::{Level, Theme},
};
use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::Paragraph,
};
use shared::protocol::admin::Metric;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let ((known, now), theme) = (app.known(), app.theme());
    let mut first = Line::from(" ");
    first.push_span(link(app));
    first.extend(alerts(app));
    if app.rewound() || app.paused() {
        let word = if app.rewound() { " REWOUND" } else { " PAUSED" };
        first.push_span(Span::styled(word, theme.level(Level::Warn)));
    }
    first.push_span(format!("  {}/{}", known.live(now), known.nodes().len()));
    if let Some(at) = app.picture().clock() {
        first.push_span(format!("  {}", figures::clock(at)));
    }
    let mut lines = vec![first];
    if known.freshness(now) == Freshness::Waiting {
        lines.push(Line::from(format!(" looking for {}", plain(&app.place))));
    } else {
        lines.extend(figures(app));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn figures(app: &App) -> Vec<Line<'static>> {
    let (picture, theme) = (app.picture(), app.theme());
    let old = if picture.is_live() { "" } else { "~" };
    let known = |metric, show: fn(f64) -> String| {
        picture.total(metric).map_or_else(|| "-".to_owned(), |value| format!("{old}{}", show(value)))
    };
    let level = Level::of(picture.total(Metric::ErrorShare).unwrap_or(0.0), 0.005, 0.02);
    let mut lines = vec![
        Line::from(vec![
            Span::raw(format!(" conns {}  ", known(Metric::Connections, |value| count(whole(value))))),
            Span::styled(format!("err {}{}", known(Metric::ErrorShare, percent), level.sign()), theme.level(level)),
            Span::raw(format!("  p95 {}", known(Metric::LatencyP95Ms, |ms| millis(whole(ms * 1e3))))),
        ]),
        Line::from(format!(
            " in {}/s  out {}/s  API {}/s",
            known(Metric::FramesInPerS, rate),
            known(Metric::FramesOutPerS, rate),
            known(Metric::RequestsPerS, rate)
        )),
    ];
    lines.extend(picture.alerts(false).first().map(|alert| {
        let text = format!(" !! {}@{} {}", plain(&alert.rule), plain(&alert.node), plain(&alert.text));
        Line::from(Span::styled(text, theme.level(Level::Crit)))
    }));
    lines.extend(app.pool_rows().iter().map(|row| pool(row, theme)));
    lines.extend(app.node_rows().iter().map(|row| node(row, theme)));
    lines
}

fn pool(row: &PoolRow, theme: Theme) -> Line<'static> {
    let level = row.level();
    let (name, node) = (plain(&row.pool.name), plain(&row.node));
    let text = format!(" {name}@{node} {}{} w{}", percent(row.saturation), level.sign(), whole(row.waiting));
    Line::from(Span::styled(text, theme.level(level)))
}

fn node(row: &NodeRow, theme: Theme) -> Line<'static> {
    let level = row.level();
    let conns = row.get(Metric::Connections).map_or_else(|| "-".to_owned(), |value| count(whole(value)));
    let text = format!(" {}{} {} {conns}", plain(&row.name), level.sign(), row.status());
    Line::from(Span::styled(text, theme.level(level)))
}
