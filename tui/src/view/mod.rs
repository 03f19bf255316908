//! What the state looks like. Reads the state, draws into a frame, decides nothing.
//!
//! Three layouts: the full one; a few lines when there is little room; one line when there is next to none. No size
//! panics (a test draws them all).

mod chrome;
mod compact;
mod nodes;
mod overview;
mod pools;
mod widgets;

use crate::{
    app::{App, Screen},
    model::Freshness,
    theme::Theme,
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
};

/// Least room for the full layout.
const FULL: (u16, u16) = (60, 14);
/// Rows of the banner over old data, with its frame.
const BANNER: u16 = 4;

/// Draws the whole screen.
pub(crate) fn draw(frame: &mut Frame<'_>, app: &App, theme: Theme) {
    let area = frame.area();
    if area.is_empty() {
        return;
    }
    if area.width < FULL.0 || area.height < FULL.1 {
        compact::draw(frame, area, app, theme);
    } else {
        full(frame, area, app, theme);
    }
    if app.help {
        widgets::help::draw(frame, area, theme);
    }
}

fn full(frame: &mut Frame<'_>, area: Rect, app: &App, theme: Theme) {
    let rows = [
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
        Constraint::Length(1),
    ];
    let [header, tabs, body, status, hints] = area.layout(&Layout::vertical(rows));
    chrome::header(frame, header, app, theme);
    chrome::tabs(frame, tabs, app, theme);
    chrome::status(frame, status, app, theme);
    chrome::hints(frame, hints, theme);

    let (known, now) = app.known();
    let body = match known.freshness(now) {
        Freshness::Live => body,
        Freshness::Waiting => return chrome::waiting(frame, body, app, theme),
        Freshness::Stale(age) => {
            let [banner, rest] = body.layout(&Layout::vertical([Constraint::Length(BANNER), Constraint::Min(0)]));
            chrome::banner(frame, banner, app, age, theme);
            rest
        }
    };
    match app.screen {
        Screen::Overview => overview::draw(frame, body, app, theme),
        Screen::Nodes => nodes::draw(frame, body, app, theme),
        Screen::Pools => pools::draw(frame, body, app, theme),
    }
    let (shown, at) = app.shown();
    if shown.freshness(at) != Freshness::Live {
        frame.buffer_mut().set_style(body, Theme::STALE);
    }
}

#[cfg(test)]
mod tests;
