//! The overview where there is much room: curves, then tables of what is hot.

use super::{
    cells, list, nodes,
    overview::{alerts, frame_of},
    widgets::{Look, chart, table},
};
use crate::{
    app::{App, Screen, wishes},
    figures::{count, measure, millis, percent, rate, span, whole},
    model::Window,
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::Line,
    widgets::Paragraph,
};
use shared::protocol::admin::{Metric, RedisStats, View};
use std::time::Duration;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let rows = u16::try_from(app.node_rows().len()).unwrap_or(u16::MAX).saturating_add(3).min(area.height / 4);
    let heights = [Constraint::Fill(2), Constraint::Length(rows), Constraint::Fill(2), Constraint::Fill(2)];
    let [top, middle, lower, bottom] = area.layout(&Layout::vertical(heights));
    let thirds = Layout::horizontal([Constraint::Fill(1); 3]);
    let [left, centre, right] = top.layout(&thirds);
    connections(frame, left, app);
    messages(frame, centre, app);
    api(frame, right, app);
    nodes::table(frame, middle, app, None);
    let [left, centre, right] = lower.layout(&thirds);
    pools(frame, left, app);
    list::panel(frame, centre, app, wishes::ERRORS, View::Errors);
    alerts(frame, right, app);
    let [left, right] = bottom.layout(&Layout::horizontal([Constraint::Fill(1); 2]));
    list::panel(frame, left, app, wishes::ENDPOINTS, View::Endpoints);
    let [presence, rooms] = right.layout(&Layout::vertical([Constraint::Length(4), Constraint::Fill(1)]));
    people(frame, presence, app);
    list::panel(frame, rooms, app, wishes::ROOMS, View::Rooms);
}

/// A number with its age sign; `-` when nobody knows.
fn known(app: &App, metric: Metric) -> String {
    let picture = app.picture();
    let old = if picture.is_live() { "" } else { "~" };
    picture.total(metric).map_or_else(|| "-".to_owned(), |value| format!("{old}{}", measure(value, metric.unit())))
}

fn curve(frame: &mut Frame<'_>, area: Rect, app: &App, screen: Screen, title: String, metric: Metric) {
    let block = frame_of(app, screen).title(title);
    let points = app.picture().curve(metric, app.window, usize::from(block.inner(area).width));
    chart(frame, area, block, &points, None, app.theme());
}

fn connections(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let limit = count(app.picture().socket_limit());
    let (opened, closed) = (known(app, Metric::OpenedPerS), known(app, Metric::ClosedPerS));
    let title = format!(" Conns {}/{limit}  +{opened} -{closed} ", known(app, Metric::Connections));
    curve(frame, area, app, Screen::List(View::Connections), title, Metric::Connections);
}

fn messages(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let (come, go) = (known(app, Metric::FramesInPerS), known(app, Metric::FramesOutPerS));
    let title = format!(" Messages in {come} out {go}  drops {} ", known(app, Metric::DroppedPerS));
    // What goes out is what costs.
    curve(frame, area, app, Screen::List(View::Rooms), title, Metric::FramesOutPerS);
}

fn api(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let percentile = |metric| app.picture().total(metric).map_or_else(|| "-".to_owned(), |ms| millis(whole(ms * 1e3)));
    let errors = app.picture().total(Metric::ErrorShare).map_or_else(|| "-".to_owned(), percent);
    let title = format!(
        " API {}  p50 {} p95 {} p99 {}  err {errors} ",
        known(app, Metric::RequestsPerS),
        percentile(Metric::LatencyP50Ms),
        percentile(Metric::LatencyP95Ms),
        percentile(Metric::LatencyP99Ms)
    );
    curve(frame, area, app, Screen::List(View::Endpoints), title, Metric::LatencyP95Ms);
}

fn pools(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let redis = redis(app);
    let below = u16::try_from(redis.len()).unwrap_or(0);
    let [top, bottom] = area.layout(&Layout::vertical([Constraint::Fill(1), Constraint::Length(below)]));
    let block = frame_of(app, Screen::Pools).title(" Pools, worst first ");
    let look = Look { block, chosen: None, marked: None, sort: None, theme: app.theme() };
    table(frame, top, &app.pool_rows(), &cells(app), look, None);
    frame.render_widget(Paragraph::new(redis), bottom);
}

/// What one node says of Redis; nothing with the engine in memory.
fn redis(app: &App) -> Vec<Line<'static>> {
    let mut ticks = app.picture().store.nodes().iter().filter_map(|node| node.tick());
    let Some(redis) = ticks.find_map(|tick| tick.redis.as_ref()) else { return Vec::new() };
    let RedisStats { up, role, version, ping_us, memory_bytes, clients, blocked_clients, ops_per_s, .. } = redis;
    let state = if *up { "OK" } else { "DOWN !!" };
    let memory = crate::figures::bytes(*memory_bytes);
    vec![
        Line::from(format!(
            " Redis {state} {} {}  ping {}  {}/s",
            crate::figures::plain(role),
            crate::figures::plain(version),
            millis(*ping_us),
            count(*ops_per_s)
        )),
        Line::from(format!(
            " mem {memory}  clients {}  blocked {}  evicted {}  rejected {}  up {}",
            count(*clients),
            count(*blocked_clients),
            count(redis.evicted),
            count(redis.rejected),
            span(Duration::from_secs(redis.uptime_s))
        )),
    ]
}

/// Who is there, and what waits for those who are not.
fn people(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let picture = app.picture();
    let number = |metric| picture.total(metric).map_or_else(|| "-".to_owned(), |value| count(whole(value)));
    let oldest =
        picture.total(Metric::OfflineOldestS).map_or_else(|| "-".to_owned(), |s| span(Duration::from_secs(whole(s))));
    let relayed = picture.total(Metric::RelayedPerS).map_or_else(|| "-".to_owned(), rate);
    let lag = picture.total(Metric::RelayLagP95Ms).map_or_else(|| "-".to_owned(), |ms| millis(whole(ms * 1e3)));
    let lines = vec![
        Line::from(format!(
            "users online {}  sockets signed in {}  rooms {}",
            number(Metric::OnlineUsers),
            number(Metric::Authenticated),
            number(Metric::Rooms)
        )),
        Line::from(format!(
            "offline queues {} users {} entries oldest {oldest}  relayed {relayed}/s lag p95 {lag}",
            number(Metric::OfflineUsers),
            number(Metric::OfflineEntries)
        )),
    ];
    let title = format!(" Presence and offline, curves over {} ", Window::name(app.window));
    frame.render_widget(Paragraph::new(lines).block(frame_of(app, Screen::List(View::Queues)).title(title)), area);
}
