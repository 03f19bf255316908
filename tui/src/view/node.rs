//! One process: who it is, and its curves.

use super::{
    cells, nodes,
    widgets::{Look, chart, panel, table},
};
use crate::{
    app::App,
    figures::{measure, plain},
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    widgets::Paragraph,
};
use shared::protocol::admin::Metric;

/// The curves, as they stand in the grid.
const CURVES: [(Metric, &str); 9] = [
    (Metric::Connections, "Connections"),
    (Metric::FramesInPerS, "Frames in"),
    (Metric::FramesOutPerS, "Frames out"),
    (Metric::RequestsPerS, "Requests"),
    (Metric::LatencyP95Ms, "API p95"),
    (Metric::ErrorShare, "5xx"),
    (Metric::CpuCores, "CPU cores"),
    (Metric::RssBytes, "Memory"),
    (Metric::LoopLagMs, "Loop lag"),
];

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let name = app.page().of.clone().unwrap_or_default();
    let picture = app.picture();
    let (Some(node), Some(row)) = (picture.store.node(&name), picture.nodes().into_iter().find(|row| row.name == name))
    else {
        let text = format!("no node of the name {} is known", plain(&name));
        return frame.render_widget(Paragraph::new(text).block(panel(app.theme()).title(" Node ")), area);
    };
    let pools: Vec<_> = picture.pools().into_iter().filter(|row| row.node == name).collect();
    let pools_height = u16::try_from(pools.len()).unwrap_or(0).saturating_add(3);
    let heights = [Constraint::Length(7), Constraint::Fill(1), Constraint::Length(pools_height)];
    let [top, middle, bottom] = area.layout(&Layout::vertical(heights));
    let block = panel(app.theme()).title(format!(" {} {} ", plain(&name), row.status()));
    frame.render_widget(Paragraph::new(nodes::about(&row, app)).block(block), top);
    // A curve needs four rows to say anything: where there are fewer, fewer are drawn.
    let lines = usize::from(middle.height / 4).clamp(1, 3);
    let rows = Layout::vertical(vec![Constraint::Fill(1); lines]).split(middle);
    for (line, curves) in rows.iter().zip(CURVES.chunks(3)) {
        let cells = line.layout::<3>(&Layout::horizontal([Constraint::Fill(1); 3]));
        for (area, (metric, label)) in cells.into_iter().zip(curves) {
            let value = picture.of(node, *metric, None).map_or_else(|| "-".to_owned(), |v| measure(v, metric.unit()));
            let block = panel(app.theme()).title(format!(" {label} {value} "));
            let width = usize::from(block.inner(area).width);
            let points = picture.curve_of(&[node], *metric, None, app.window, width);
            chart(frame, area, block, &points, None, app.theme());
        }
    }
    let block = panel(app.theme()).title(" Pools ");
    let look = Look { block, chosen: None, marked: None, sort: None, theme: app.theme() };
    table(frame, bottom, &pools, &cells(app), look, None);
}
