//! Screen 2: the processes, side by side, so that the odd one out is seen.

use super::{
    Hits, cells,
    overview::frame_of,
    widgets::{Look, panel},
};
use crate::{
    app::{App, Screen},
    figures::{count, latency, plain},
    model::NodeRow,
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::Line,
    widgets::Paragraph,
};
use shared::protocol::admin::Row as _;
use std::collections::BTreeSet;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, hits: &mut Hits) {
    let [list, detail] = area.layout(&Layout::vertical([Constraint::Fill(1), Constraint::Length(7)]));
    table(frame, list, app, Some(hits));
    let rows = app.node_rows();
    let keys: Vec<_> = rows.iter().map(NodeRow::key).collect();
    let lines = rows.get(app.cursor(&keys)).map(|row| about(row, app)).unwrap_or_default();
    frame.render_widget(Paragraph::new(lines).block(panel(app.theme()).title(" Detail ")), detail);
}

/// The list, also part of the overview.
pub(super) fn table(frame: &mut Frame<'_>, area: Rect, app: &App, hits: Option<&mut Hits>) {
    let rows = app.node_rows();
    let mine = app.page().screen == Screen::Nodes;
    let keys: Vec<_> = rows.iter().map(NodeRow::key).collect();
    let chosen = mine.then(|| app.cursor(&keys));
    let sort = app.page().order().filter(|_| mine);
    let versions: BTreeSet<&str> =
        rows.iter().map(|row| row.info.version.as_str()).filter(|version| !version.is_empty()).collect();
    let skew = if versions.len() > 1 { " · VERSIONS DIFFER !" } else { "" };
    let title = format!(" Nodes {}{skew} ", rows.len());
    let block = frame_of(app, Screen::Nodes).title(if app.theme().unicode { title } else { title.replace('·', "-") });
    let look = Look { block, chosen, marked: None, sort, theme: app.theme() };
    super::widgets::table(frame, area, &rows, &cells(app), look, hits);
}

/// What does not fit into columns.
pub(super) fn about(row: &NodeRow, app: &App) -> Vec<Line<'static>> {
    let info = &row.info;
    let join = |parts: &[String]| parts.join(if app.theme().unicode { " · " } else { ", " });
    let mut lines = vec![
        Line::from(join(&[
            plain(&row.name),
            format!("version {}", plain(&info.version)),
            plain(&info.environment),
            format!("pid {}", info.pid),
            format!("engine {}", plain(&info.engine)),
            format!("store {}", plain(&info.store)),
        ])),
        Line::from(join(&[
            format!("started {}", crate::figures::moment(info.started_at)),
            format!("takes {} sockets", count(info.socket_limit)),
            format!("clock {:+}ms", row.clock_ahead_ms),
        ])),
    ];
    if let Some(tick) = &row.tick {
        let process = &tick.process;
        let files = format!("files {}/{}", count(process.open_fds), count(process.max_fds));
        lines.push(Line::from(join(&[
            format!("{} threads", process.threads),
            format!("{} tasks", count(process.tasks)),
            files,
        ])));
        let relay = &tick.stats.relay;
        let lag = relay.lag.quantile(0.95).map_or_else(|| "-".to_owned(), latency);
        lines.push(Line::from(join(&[
            format!("relay: {} delivered", count(relay.delivered)),
            format!("{} failed rounds", count(relay.failures)),
            format!("lag p95 {lag}"),
            format!("{} console(s)", tick.consoles),
        ])));
        let closes: Vec<_> = tick.stats.sockets.closed.iter().collect();
        let closed =
            closes.iter().map(|close| format!("{} {} {}", close.code, plain(&close.reason), count(close.count)));
        lines.push(Line::from(format!("closed: {}", closed.collect::<Vec<_>>().join(", "))));
    }
    lines
}
