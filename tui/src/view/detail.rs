//! One thing: every field of a row, and everything about one socket.

use super::{
    cells,
    list::{absence, notice},
    widgets::{Look, panel, table},
};
use crate::{
    app::{App, Selected},
    columns::{Cells, fields as all},
    figures::{clock, plain},
    model::Slot,
    theme::Theme,
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::{Paragraph, Wrap},
};
use shared::protocol::admin::{ConnectionDetail, Rows, View};

/// Columns of a field's name.
const NAME: usize = 15;

/// Everything about one socket.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let title = app.page().of.as_deref().map(plain).unwrap_or_default();
    if let Some(why) = absence(app, View::Connection, Slot::MAIN) {
        return notice(frame, area, app, &title, &why);
    }
    match app.picture().store.lists.answer(Slot::MAIN).map(|answer| (&answer.rows, answer.at)) {
        Some((Rows::Connection(Some(detail)), at)) => socket(frame, area, app, detail, Cells { at, ..cells(app) }),
        _ => notice(frame, area, app, &title, "it has ended: the closed log may know why"),
    }
}

fn socket(frame: &mut Frame<'_>, area: Rect, app: &App, detail: &ConnectionDetail, cells: Cells) {
    let theme = app.theme();
    let siblings = u16::try_from(detail.siblings.len()).unwrap_or(u16::MAX).saturating_add(3).min(area.height / 3);
    let [top, bottom] = area.layout(&Layout::vertical([Constraint::Fill(1), Constraint::Length(siblings)]));
    let [left, right] = top.layout(&Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]));
    let name = format!(" {}@{} ", plain(&detail.row.id), plain(&detail.row.node));
    let lines = pairs(all(&detail.row, &cells), theme);
    frame.render_widget(Paragraph::new(lines).block(panel(theme).title(name)), left);
    let mut lines: Vec<Line<'_>> = vec![Line::styled("rooms", theme.quiet())];
    lines.extend(detail.rooms.iter().map(|room| Line::from(format!("  {}", plain(room)))));
    lines.push(Line::styled("what happened", theme.quiet()));
    lines.push(Line::from(format!("  {} opened", clock(detail.opened_at))));
    lines.extend(
        detail.timeline.iter().map(|moment| Line::from(format!("  {} {}", clock(moment.at), plain(&moment.what)))),
    );
    frame.render_widget(Paragraph::new(lines).block(panel(theme).title(" Rooms and timeline ")), right);
    let block = panel(theme).title(format!(" The user's other sockets {} ", detail.siblings.len()));
    let look = Look { block, chosen: None, marked: None, sort: None, theme };
    table(frame, bottom, &detail.siblings, &cells, look, None);
}

/// Every field of the row under the cursor.
pub(super) fn fields(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let lines = pairs(of_selected(app), app.theme());
    let block = panel(app.theme()).title(" Detail ");
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }).block(block), area);
}

/// Every field of the row under the cursor, and what it has besides.
pub(super) fn of_selected(app: &App) -> Vec<(&'static str, String)> {
    let answer = app.picture().store.lists.answer(Slot::MAIN);
    let cells = Cells { at: answer.map_or_else(|| cells(app).at, |answer| answer.at), ..cells(app) };
    let mut more: Vec<(&'static str, String)> = Vec::new();
    let mut add = |name, text: &str| more.push((name, plain(text)));
    let mut fields = match app.selected() {
        None => return Vec::new(),
        Some(Selected::Node(row)) => all(row.as_ref(), &cells),
        Some(Selected::Pool(row)) => {
            add("last error", row.pool.last_error.as_deref().unwrap_or("-"));
            all(row.as_ref(), &cells)
        }
        Some(Selected::Connection(row)) => {
            add("session", &row.session.map(|session| session.to_string()).unwrap_or_default());
            all(row.as_ref(), &cells)
        }
        Some(Selected::Closed(row)) => all(row.as_ref(), &cells),
        Some(Selected::Room(row)) => {
            add("on", &row.nodes.join(" "));
            all(&row, &cells)
        }
        Some(Selected::User(row)) => {
            add("on", &row.nodes.join(" "));
            all(&row, &cells)
        }
        Some(Selected::Queue(row)) => all(&row, &cells),
        Some(Selected::Endpoint(row)) => {
            add("classes", &format!("1xx to 5xx of the minute: {:?}", row.by_class));
            all(row.as_ref(), &cells)
        }
        Some(Selected::Request(row)) => all(row.as_ref(), &cells),
        Some(Selected::Error(row)) => {
            add("message", row.message.as_deref().unwrap_or("-"));
            add("request", row.request_id.as_deref().unwrap_or("-"));
            all(row.as_ref(), &cells)
        }
        Some(Selected::Affected(row)) => all(&row, &cells),
        Some(Selected::Statement(row)) => all(&row, &cells),
        Some(Selected::Alert(row)) => {
            add("what", &row.text);
            add("id", &row.id);
            all(row.as_ref(), &cells)
        }
        Some(Selected::Log(row)) => {
            row.fields.iter().for_each(|(name, value)| add("field", &format!("{name}={value}")));
            all(row.as_ref(), &cells)
        }
        Some(Selected::Audit(row)) => {
            add("role", row.role.name());
            add("id", &row.id.to_string());
            all(row.as_ref(), &cells)
        }
        Some(Selected::Job(row)) => {
            add("target", &row.action.target());
            add("note", &row.note);
            add("id", &row.id.to_string());
            all(row.as_ref(), &cells)
        }
    };
    fields.extend(more);
    fields
}

/// Names and values, a line each.
pub(super) fn pairs(fields: Vec<(&'static str, String)>, theme: Theme) -> Vec<Line<'static>> {
    let line = |(name, text): (&str, String)| {
        Line::from(vec![Span::styled(format!("{name:<NAME$}"), theme.quiet()), Span::raw(text)])
    };
    fields.into_iter().map(line).collect()
}
