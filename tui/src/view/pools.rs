//! Screen 3: the database pools, worst first, and one of them in detail.

use super::{
    Hits, cells,
    widgets::{Look, chart, panel, table},
};
use crate::{
    app::App,
    figures::{count, millis, plain},
    model::PoolRow,
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::Line,
    widgets::{Paragraph, Wrap},
};
use shared::protocol::admin::{Metric, Row as _};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, hits: &mut Hits) {
    let (rows, theme) = (app.pool_rows(), app.theme());
    let keys: Vec<_> = rows.iter().map(PoolRow::key).collect();
    let chosen = app.cursor(&keys);
    let layout = Layout::vertical([Constraint::Fill(1), Constraint::Length(10), Constraint::Length(1)]);
    let [list, below, note] = area.layout(&layout);
    let block = panel(theme).title(format!(" Pools {} ", rows.len()));
    let look = Look { block, chosen: Some(chosen), marked: None, sort: app.page().order(), theme };
    table(frame, list, &rows, &cells(app), look, Some(hits));
    if let Some(row) = rows.get(chosen) {
        let [left, detail] = below.layout(&Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]));
        history(frame, left, app, row);
        frame.render_widget(
            Paragraph::new(about(row)).wrap(Wrap { trim: true }).block(panel(theme).title(" Detail ")),
            detail,
        );
    }
    let dot = if theme.unicode { "·" } else { "," };
    let meaning = format!(" WAIT waiting now {dot} P95 of waits {dot} T/O given up {dot} CHURN opened and closed");
    frame.render_widget(Line::styled(meaning, theme.quiet()), note);
}

/// Connections in use over time.
fn history(frame: &mut Frame<'_>, area: Rect, app: &App, row: &PoolRow) {
    let picture = app.picture();
    let Some(node) = picture.store.node(&row.node) else { return };
    let title = format!(" {}@{} in use, of {} ", plain(&row.pool.name), plain(&row.node), row.pool.max_size);
    let block = panel(app.theme()).title(title);
    let width = usize::from(block.inner(area).width);
    let points = picture.curve_of(&[node], Metric::PoolInUse, Some(&row.pool.name), app.window, width);
    chart(frame, area, block, &points, Some(f64::from(row.pool.max_size.max(1))), app.theme());
}

fn about(row: &PoolRow) -> Vec<Line<'static>> {
    let pool = &row.pool;
    vec![
        Line::from(format!(
            "open {} of {}, idle {}, in use {}",
            pool.connections, pool.max_size, pool.idle, pool.in_use
        )),
        Line::from(format!("asked {} times, {} given up", count(pool.gets), count(pool.timeouts))),
        Line::from(format!(
            "waits p50 {} p95 {} max {}, limit {}ms",
            millis(pool.wait_p50_us),
            millis(pool.wait_p95_us),
            millis(pool.wait_max_us),
            count(pool.wait_limit_ms)
        )),
        Line::from(format!(
            "bb8: direct {} waited {} pending {}",
            count(pool.direct),
            count(pool.waited),
            count(pool.pending)
        )),
        Line::from(format!(
            "opened {}; closed {} broken, {} invalid, {} old, {} idle",
            count(pool.created),
            count(pool.closed_broken),
            count(pool.closed_invalid),
            count(pool.closed_max_lifetime),
            count(pool.closed_idle)
        )),
        Line::from(match &pool.last_error {
            Some(error) => format!("errors {}, last: {}", count(pool.errors), plain(error)),
            None => format!("errors {}", count(pool.errors)),
        }),
    ]
}
