//! Little room: the figures that decide whether to look closer, one line each, most important first. Next to no room:
//! the first line alone.

use super::chrome::{clock, link};
use crate::{
    app::App,
    figures::{count, latency, percent, plain, rate},
    model::{Freshness, PoolRow},
    theme::{Level, Theme},
};
use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::Paragraph,
};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, theme: Theme) {
    let (known, now) = app.known();
    let mut first = Line::from(" ");
    first.push_span(link(known, now, theme));
    if app.paused() {
        first.push_span(Span::styled(" PAUSED", theme.level(Level::Warn)));
    }
    first.push_span(format!("  {}/{}", known.live(now), known.nodes().len()));
    if let Some(time) = clock(known) {
        first.push_span(format!("  {time}"));
    }
    let mut lines = vec![first];
    if known.freshness(now) == Freshness::Waiting {
        lines.push(Line::from(format!(" looking for {}", plain(&app.place))));
    } else {
        lines.extend(figures(app, theme));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn figures(app: &App, theme: Theme) -> Vec<Line<'static>> {
    let (store, now) = app.shown();
    let sum = store.cluster(now);
    let old = if store.freshness(now) == Freshness::Live { "" } else { "~" };
    let errors = sum.minute.error_share();
    let p95 = sum.minute.p95().map_or_else(|| "-".into(), latency);
    let level = Level::of(errors * 100.0, 0.5, 2.0);
    let mut lines = vec![
        Line::from(vec![
            Span::raw(format!(" conns {old}{}  ", count(sum.sockets))),
            Span::styled(format!("err {old}{}{}", percent(errors), level.sign()), theme.level(level)),
            Span::raw(format!("  p95 {old}{p95}")),
        ]),
        Line::from(format!(
            " in {old}{}/s  out {old}{}/s  API {old}{}/s",
            rate(sum.frames_in),
            rate(sum.frames_out),
            rate(sum.requests)
        )),
    ];
    lines.extend(store.pools(now).iter().map(|row| pool(row, theme)));
    lines
}

fn pool(row: &PoolRow<'_>, theme: Theme) -> Line<'static> {
    let level = row.level();
    let (name, node) = (plain(&row.pool.name), plain(row.node.name()));
    let text = format!(" {name}@{node} {}{} w{}", percent(row.saturation()), level.sign(), row.pool.waiting);
    Line::from(Span::styled(text, theme.level(level)))
}
