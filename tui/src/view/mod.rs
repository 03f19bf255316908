//! What the state looks like. Reads the state, draws into a frame, decides nothing; what it returns is where things
//! are, for the mouse.
//!
//! Three layouts: the full one; a few lines when there is little room; one line when there is next to none. No size
//! panics (a test draws them all).

mod chrome;
mod compact;
mod detail;
mod hits;
mod list;
mod node;
mod nodes;
mod overview;
mod overview_wide;
mod pools;
mod popup;
mod user;
mod widgets;

pub(crate) use hits::Hits;
pub(crate) use widgets::spark;

use crate::{
    app::{App, Screen},
    columns::{self, Cells},
    model::{Freshness, NodeRow, PoolRow},
    theme::Theme,
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
};
use shared::protocol::admin::View;

/// Least room for the full layout.
const FULL: (u16, u16) = (60, 14);
/// Rows of the banner over old data, with its frame.
const BANNER: u16 = 4;

/// Draws the whole screen.
pub(crate) fn draw(frame: &mut Frame<'_>, app: &App) -> Hits {
    let (area, mut hits) = (frame.area(), Hits::default());
    if area.is_empty() {
        return hits;
    }
    if area.width < FULL.0 || area.height < FULL.1 {
        compact::draw(frame, area, app);
    } else {
        full(frame, area, app, &mut hits);
    }
    if let Some(popup) = app.popup() {
        popup::draw(frame, area, app, popup);
        // What is covered cannot be clicked.
        hits = Hits::default();
    }
    hits
}

/// The fields one goes through with `<` and `>`: those of the columns.
pub(crate) fn sortable(screen: Screen) -> Vec<&'static str> {
    match screen {
        Screen::Nodes => columns::sortable_here::<NodeRow>(),
        Screen::Pools => columns::sortable_here::<PoolRow>(),
        Screen::List(view) => columns::sortable(view),
        Screen::Overview | Screen::Node | Screen::User => Vec::new(),
    }
}

fn full(frame: &mut Frame<'_>, area: Rect, app: &App, hits: &mut Hits) {
    let rows = [
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
        Constraint::Length(1),
    ];
    let [header, tabs, body, status, hints] = area.layout(&Layout::vertical(rows));
    chrome::header(frame, header, app);
    chrome::tabs(frame, tabs, app, hits);
    chrome::status(frame, status, app);
    chrome::hints(frame, hints, app);
    let (known, now) = app.known();
    let body = match known.freshness(now) {
        Freshness::Live => body,
        Freshness::Waiting => return chrome::waiting(frame, body, app),
        Freshness::Stale(age) => {
            let [banner, rest] = body.layout(&Layout::vertical([Constraint::Length(BANNER), Constraint::Min(0)]));
            chrome::banner(frame, banner, app, age);
            rest
        }
    };
    page(frame, body, app, hits);
    if !app.picture().is_live() {
        frame.buffer_mut().set_style(body, Theme::STALE);
    }
}

fn page(frame: &mut Frame<'_>, area: Rect, app: &App, hits: &mut Hits) {
    match app.page().screen {
        Screen::Overview => overview::draw(frame, area, app),
        Screen::Nodes => nodes::draw(frame, area, app, hits),
        Screen::Pools => pools::draw(frame, area, app, hits),
        Screen::Node => node::draw(frame, area, app),
        Screen::User => user::draw(frame, area, app),
        Screen::List(View::Connection | View::User) => detail::draw(frame, area, app),
        Screen::List(view) => list::draw(frame, area, app, view, hits),
    }
}

/// What cells need to know on this page.
fn cells(app: &App) -> Cells {
    let at = app.picture().clock().unwrap_or_default();
    Cells { at, wide: app.wide, unicode: app.theme().unicode }
}

#[cfg(test)]
mod tests;
