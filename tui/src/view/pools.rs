//! Screen 3: the database pools, worst first, and one of them in detail.

use super::widgets::{Column, grid, panel};
use crate::{
    app::App,
    figures::{count, millis, percent, plain, rate},
    model::PoolRow,
    theme::Theme,
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::Line,
    widgets::{Paragraph, Sparkline, SparklineBar, Wrap},
};

const COLUMNS: &[Column] = &[
    Column::left("POOL", 13),
    Column::left("NODE", 8),
    Column::right("USE/MAX", 8),
    Column::right("USE%", 6),
    Column::right("IDLE", 4),
    Column::right("WAIT", 5),
    Column::right("GET/s", 6),
    Column::right("P95", 6),
    Column::right("T/O/s", 5),
    Column::right("CHURN/m", 7),
    Column::right("P50", 6),
];

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, theme: Theme) {
    let (store, now) = app.shown();
    let rows = store.pools(now);
    let chosen = app.row.min(rows.len().saturating_sub(1));
    let layout = Layout::vertical([Constraint::Fill(1), Constraint::Length(8), Constraint::Length(1)]);
    let [list, below, note] = area.layout(&layout);
    let table = rows.iter().map(|row| (cells(row), row.level())).collect();
    grid(frame, list, " Pools, worst first ", COLUMNS, table, Some(chosen), theme);
    if let Some(row) = rows.get(chosen) {
        let [chart, detail] = below.layout(&Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]));
        history(frame, chart, row, theme);
        frame.render_widget(
            Paragraph::new(about(row)).wrap(Wrap { trim: true }).block(panel(theme).title(" Detail ")),
            detail,
        );
    }
    let meaning = " WAIT waiting now · P95 of waits · T/O given up · CHURN opened and closed";
    frame.render_widget(Line::styled(meaning, theme.quiet()), note);
}

fn cells(row: &PoolRow<'_>) -> Vec<String> {
    let (pool, rates) = (row.pool, row.rates);
    let per_second = |value: Option<f64>| value.map_or_else(|| "?".to_owned(), rate);
    vec![
        plain(&pool.name),
        plain(row.node.name()),
        format!("{}{}/{}", if row.stale { "~" } else { "" }, pool.in_use, pool.max_size),
        format!("{}{}", percent(row.saturation()), row.level().sign()),
        pool.idle.to_string(),
        pool.waiting.to_string(),
        per_second(rates.map(|rates| rates.gets)),
        millis(pool.wait_p95_us),
        per_second(rates.map(|rates| rates.timeouts)),
        per_second(rates.map(|rates| rates.churn_per_minute)),
        millis(pool.wait_p50_us),
    ]
}

/// Connections in use over time; seconds in which nothing was heard stay empty.
fn history(frame: &mut Frame<'_>, area: Rect, row: &PoolRow<'_>, theme: Theme) {
    let title = format!(" {}@{} in use, of {} ", plain(&row.pool.name), plain(row.node.name()), row.pool.max_size);
    let block = panel(theme).title(title);
    let width = usize::from(block.inner(area).width);
    let points = row.node.pool_history(&row.pool.name).map(|series| series.last(width).collect::<Vec<_>>());
    let bars = points.unwrap_or_default().into_iter().map(|point| SparklineBar::from(point.and_then(whole)));
    let chart = Sparkline::default()
        .block(block)
        .data(bars)
        .max(u64::from(row.pool.max_size.max(1)))
        .style(theme.graph())
        .absent_value_style(theme.quiet())
        .absent_value_symbol(if theme.unicode { "·" } else { "." });
    let chart = if theme.unicode { chart } else { chart.bar_set(super::widgets::ASCII_BARS) };
    frame.render_widget(chart, area);
}

/// A point of the curve, which was a count.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was a u32 once")]
fn whole(point: f64) -> Option<u64> {
    (point >= 0.0).then_some(point as u64)
}

fn about(row: &PoolRow<'_>) -> Vec<Line<'static>> {
    let pool = row.pool;
    vec![
        Line::from(format!(
            "open {} of {}, idle {}, in use {}",
            pool.connections, pool.max_size, pool.idle, pool.in_use
        )),
        Line::from(format!("asked {} times, {} given up", count(pool.gets), count(pool.timeouts))),
        Line::from(format!(
            "opened {}; closed {} broken, {} invalid,",
            count(pool.created),
            count(pool.closed_broken),
            count(pool.closed_invalid)
        )),
        Line::from(format!("{} old, {} idle", count(pool.closed_max_lifetime), count(pool.closed_idle))),
        Line::from(match &pool.last_error {
            Some(error) => format!("errors {}, last: {}", count(pool.errors), plain(error)),
            None => format!("errors {}", count(pool.errors)),
        }),
    ]
}
