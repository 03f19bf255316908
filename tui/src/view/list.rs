//! A list that comes from the server: its rows, how many there are besides, who did not answer, and beside it, where
//! there is room, every field of the row under the cursor.

use super::{
    Hits, cells, detail,
    overview::frame_of,
    widgets::{Look, panel as framed, table},
};
use crate::{
    app::{App, Screen, wishes},
    columns::Cells,
    figures::{count, plain, span},
    model::{Answer, Showing, Slot, each_row},
    theme::Level,
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::{Paragraph, Wrap},
};
use shared::protocol::admin::View;

/// Room for the details beside the list, and for the closed log below it.
const WITH_DETAIL: u16 = 130;
const WITH_CLOSED: u16 = 30;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, view: View, hits: &mut Hits) {
    let (area, beside) = if area.width >= WITH_DETAIL {
        let [list, beside] = area.layout(&Layout::horizontal([Constraint::Fill(1), Constraint::Length(46)]));
        (list, Some(beside))
    } else {
        (area, None)
    };
    let (area, below) = if view == View::Connections && area.height >= WITH_CLOSED {
        let [list, below] = area.layout(&Layout::vertical([Constraint::Fill(3), Constraint::Fill(1)]));
        (list, Some(below))
    } else {
        (area, None)
    };
    main(frame, area, app, view, hits);
    if let Some(below) = below {
        panel(frame, below, app, wishes::CLOSED, View::Closed);
    }
    if let Some(beside) = beside {
        detail::fields(frame, beside, app);
    }
}

fn main(frame: &mut Frame<'_>, area: Rect, app: &App, view: View, hits: &mut Hits) {
    let picture = app.picture();
    if let Some(why) = absence(app, view, Slot::MAIN) {
        return notice(frame, area, app, &title_of(app), &why);
    }
    let Some(answer) = picture.store.lists.answer(Slot::MAIN) else { return };
    let keys = app.row_keys();
    let page = app.page();
    let marked = |at: usize| keys.get(at).is_some_and(|key| page.marks.contains_key(key));
    let marks = matches!(view, View::Connections | View::Members).then_some(&marked as &dyn Fn(usize) -> bool);
    let look = Look {
        block: framed(app.theme()).title(title(app, answer)),
        chosen: Some(app.cursor(&keys)),
        marked: marks,
        sort: page.order(),
        theme: app.theme(),
    };
    let cells = Cells { at: answer.at, ..cells(app) };
    each_row!(&answer.rows, rows => table(frame, area, rows, &cells, look, Some(hits)), ());
    if answer.rows.is_empty() {
        let inner = framed(app.theme()).inner(area);
        let text = if page.whole_filter().is_empty() { "none" } else { "none that pass the filter" };
        let line = Rect { y: inner.y.saturating_add(1), height: inner.height.min(1), ..inner };
        frame.render_widget(Line::from(Span::styled(text, app.theme().quiet())), line.intersection(inner));
    }
}

/// A list beside others: its first rows, without a cursor.
pub(super) fn panel(frame: &mut Frame<'_>, area: Rect, app: &App, slot: Slot, view: View) {
    let screen = Screen::List(view);
    if let Some(why) = absence(app, view, slot) {
        return notice(frame, area, app, screen.title(), &why);
    }
    let Some(answer) = app.picture().store.lists.answer(slot) else { return };
    let counted = if answer.matched == answer.total {
        count(answer.total)
    } else {
        format!("{} of {}", count(answer.matched), count(answer.total))
    };
    let look = Look {
        block: frame_of(app, screen).title(format!(" {} {counted} ", screen.title())),
        chosen: None,
        marked: None,
        sort: view.default_sort(),
        theme: app.theme(),
    };
    let cells = Cells { at: answer.at, ..cells(app) };
    each_row!(&answer.rows, rows => table(frame, area, rows, &cells, look, None), ());
}

/// Why there are no rows to show; none if there are.
pub(super) fn absence(app: &App, view: View, slot: Slot) -> Option<String> {
    let store = app.picture().store;
    let name = view.name();
    if app.rewound() {
        return Some("lists are of now: the nodes remember numbers, not rows".to_owned());
    }
    match store.lists.showing(slot) {
        Showing::Rows(..) => None,
        Showing::Refused(why) => Some(plain(why)),
        Showing::Waiting if app.replay().is_some() => Some(format!("{name}: not on this recording")),
        Showing::Waiting if store.offers(view) == Some(false) => {
            let from: Vec<_> = store.links().iter().map(|link| plain(link.name())).collect();
            let whom = if from.len() == 1 { "this process" } else { "these processes" };
            Some(format!("{name}: not available from {whom} ({})", from.join(", ")))
        }
        Showing::Waiting if app.paused() => Some(format!("{name}: not in the picture that is held")),
        Showing::Waiting => Some(format!("{name}: asked")),
    }
}

/// Says why, in the place of rows.
pub(super) fn notice(frame: &mut Frame<'_>, area: Rect, app: &App, title: &str, why: &str) {
    let block = framed(app.theme()).title(format!(" {title} "));
    let text = Paragraph::new(Line::from(Span::styled(why.to_owned(), app.theme().quiet())));
    frame.render_widget(text.wrap(Wrap { trim: true }).block(block), area);
}

fn title_of(app: &App) -> String {
    let page = app.page();
    match &page.of {
        Some(of) => format!("{} of {}", page.screen.title(), plain(of)),
        None => page.screen.title().to_owned(),
    }
}

/// How many there are, how many pass, how many are shown, in which order, how old, and who is missing.
fn title(app: &App, answer: &Answer) -> Line<'static> {
    let (page, theme) = (app.page(), app.theme());
    let dot = if theme.unicode { "·" } else { "-" };
    let mut text = format!(" {} {}", title_of(app), count(answer.total));
    if answer.matched != answer.total {
        text.extend([format!(" {dot} {} match", count(answer.matched))]);
    }
    if answer.more {
        text.extend([format!(" {dot} first {}", answer.rows.len())]);
    }
    if let Some(sort) = page.order() {
        text.extend([format!(" by {}", sort.by)]);
    }
    let mut line = Line::from(text);
    let waiting = matches!(app.picture().store.lists.showing(Slot::MAIN), Showing::Rows(_, false));
    if waiting {
        line.push_span(Span::styled(format!(" {dot} asked again"), theme.level(Level::Warn)));
    }
    let missing: Vec<_> = answer.missing().map(plain).collect();
    if !missing.is_empty() {
        line.push_span(Span::styled(format!(" {dot} WITHOUT {}", missing.join(" ")), theme.level(Level::Warn)));
    }
    let age = app.picture().now.saturating_sub(answer.heard);
    if !app.picture().is_live() {
        line.push_span(Span::styled(format!(" {dot} {} old", span(age)), theme.level(Level::Warn)));
    }
    line.push_span(" ");
    line
}
