//! Everything about one user: what their own view says where a process has it, and every list narrowed to them.

use super::{
    list::{self, absence},
    widgets::panel,
};
use crate::{
    app::{App, wishes},
    figures::{moment, plain},
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::Line,
    widgets::{Paragraph, Wrap},
};
use shared::{
    model::Portal,
    protocol::admin::{Rows, UserDetail, View},
};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let heights = [Constraint::Fill(2), Constraint::Fill(2), Constraint::Fill(2), Constraint::Fill(1)];
    let [top, connections, closed, queue] = area.layout(&Layout::vertical(heights));
    let block = panel(app.theme()).title(format!(" User {} ", plain(app.page().of.as_deref().unwrap_or_default())));
    frame.render_widget(Paragraph::new(about(app)).wrap(Wrap { trim: false }).block(block), top);
    list::panel(frame, connections, app, wishes::CONNECTIONS, View::Connections);
    list::panel(frame, closed, app, wishes::CLOSED, View::Closed);
    list::panel(frame, queue, app, wishes::QUEUE, View::Queues);
}

fn about(app: &App) -> Vec<Line<'static>> {
    if let Some(why) = absence(app, View::User, wishes::USER) {
        let mut lines = vec![Line::from(name(app).unwrap_or_else(|| "no open socket tells their name".to_owned()))];
        lines.push(Line::styled(why, app.theme().quiet()));
        return lines;
    }
    match app.picture().store.lists.answer(wishes::USER).map(|answer| &answer.rows) {
        Some(Rows::User(Some(user))) => described(user),
        _ => vec![Line::from("there is no such user")],
    }
}

/// The name, as their sockets tell it.
fn name(app: &App) -> Option<String> {
    let lists = &app.picture().store.lists;
    let open = lists.answer(wishes::CONNECTIONS).and_then(|answer| match &answer.rows {
        Rows::Connections(rows) => rows.iter().find_map(|row| row.name.clone()),
        _ => None,
    });
    let closed = || {
        lists.answer(wishes::CLOSED).and_then(|answer| match &answer.rows {
            Rows::Closed(rows) => rows.iter().find_map(|row| row.name.clone()),
            _ => None,
        })
    };
    open.or_else(closed).map(|name| plain(&name))
}

fn described(user: &UserDetail) -> Vec<Line<'static>> {
    let admin = if user.is_admin { ", administrator" } else { "" };
    let portals: Vec<_> = user.portals.iter().map(Portal::as_str).collect();
    let mut lines = vec![
        Line::from(format!("{} ({}{admin}) since {}", plain(&user.name), portals.join(" "), moment(user.created_at))),
        Line::from(format!("rooms: {}", user.rooms.iter().map(|room| plain(room)).collect::<Vec<_>>().join(" "))),
    ];
    lines.extend(user.sessions.iter().map(|session| {
        let (from, with) = (session.address.as_deref().unwrap_or("-"), session.user_agent.as_deref().unwrap_or("-"));
        let until = moment(session.expires_at);
        Line::from(format!(
            "session {} {} from {} with {} until {until}",
            session.session,
            session.portal.as_str(),
            plain(from),
            plain(with)
        ))
    }));
    lines.extend(
        user.errors.iter().map(|error| Line::from(format!("error {} {}", moment(error.at), plain(&error.what)))),
    );
    lines
}
