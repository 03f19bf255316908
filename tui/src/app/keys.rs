//! What keys do on a page: the cursor, the pages, the time.

use super::{
    App, Effect, Held, Hit, Page, Popup, Prompt, Purpose, Screen, Selected,
    selected::{look_at, user_page},
};
use crate::{keymap::Action, model::Slot, theme::Level};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use shared::{
    clock::Timestamp,
    protocol::admin::{ConnectionRef, ConnectionRow, MOST_ROWS, Row as _, Sort, View},
};
use std::time::Duration;

/// Rows of half a page.
const HALF_PAGE: isize = 10;
/// Most pages one can go into each other.
const DEEPEST: usize = 16;
/// Panels of the overview, and the screens they lead to.
pub(crate) const PANELS: [Screen; 7] = [
    Screen::List(View::Alerts),
    Screen::List(View::Connections),
    Screen::Pools,
    Screen::Nodes,
    Screen::List(View::Errors),
    Screen::List(View::Endpoints),
    Screen::List(View::Rooms),
];

impl App {
    pub(super) fn press(&mut self, key: KeyEvent) -> Vec<Effect> {
        if let Some(popup) = self.popups.pop() {
            self.dirty = true;
            return self.press_popup(popup, key);
        }
        let Some(action) = self.keymap().action(key) else { return Vec::new() };
        self.dirty = true;
        self.act(action)
    }

    fn act(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::Quit => return vec![Effect::Quit(false)],
            Action::QuitKeeping => return vec![Effect::Quit(true)],
            Action::Reconnect => return vec![Effect::Reconnect],
            Action::Suspend => return vec![Effect::Suspend],
            Action::Snapshot => return vec![Effect::Snapshot],
            Action::Copy => return self.copy(),
            Action::Mouse => {
                self.mouse = !self.mouse;
                return vec![Effect::Mouse(self.mouse)];
            }
            Action::Help => self.popups.push(Popup::Help(0)),
            Action::Command => self.popups.push(Popup::Prompt(Prompt::new(Purpose::Command, ""))),
            Action::Theme => {
                self.theme = self.theme.next();
                self.say(format!("colours: {}", self.theme.name()), Level::Good);
            }
            Action::Wide => self.wide = !self.wide,
            Action::Shorter => self.window = self.window.longer(-1),
            Action::Longer => self.window = self.window.longer(1),
            Action::Act => self.open_menu(),
            Action::Back => self.back(),
            Action::Show(screen) => self.show(screen),
            Action::Next => self.next(1),
            Action::Previous => self.next(-1),
            Action::Up => self.step(-1),
            Action::Down => self.step(1),
            Action::PageUp => self.step(-HALF_PAGE),
            Action::PageDown => self.step(HALF_PAGE),
            Action::First => self.step(isize::MIN / 2),
            Action::Last => self.step(isize::MAX / 2),
            Action::Drill => self.drill(),
            Action::Expand => self.expand(),
            Action::User => match self.selected().and_then(|row| row.user()) {
                Some(user) => self.go(user_page(user)),
                None => self.say("this row is about no user", Level::Good),
            },
            Action::Closed => self.toggle_closed(),
            Action::OneNode => self.toggle_node(),
            Action::Filter | Action::Sort | Action::SortLeft | Action::SortRight | Action::Invert | Action::Faults => {
                self.arrange(action);
            }
            Action::Mark => self.mark(),
            Action::MarkAll => self.mark_all(),
            Action::Pause => self.pause(),
            Action::Earlier => self.travel(-1),
            Action::Later => self.travel(1),
            Action::MuchEarlier => self.travel(-60),
            Action::MuchLater => self.travel(60),
            Action::Live => self.live(),
        }
        Vec::new()
    }

    pub(super) fn click(&mut self, hit: Hit) -> Vec<Effect> {
        self.dirty = true;
        if !self.popups.is_empty() {
            return Vec::new();
        }
        match hit {
            Hit::Tab(screen) => self.show(screen),
            Hit::Row(row) => {
                let keys = self.row_keys();
                if self.cursor(&keys) == row && self.page().key.is_some() {
                    self.drill();
                } else {
                    self.put_cursor(row, &keys);
                }
            }
        }
        Vec::new()
    }

    /// Turns the list, or what covers it.
    pub(super) fn wheel(&mut self, by: isize) -> Vec<Effect> {
        self.dirty = true;
        let code = if by > 0 { KeyCode::Down } else { KeyCode::Up };
        match self.popups.pop() {
            Some(popup @ (Popup::Help(_) | Popup::Detail(_))) => {
                self.press_popup(popup, KeyEvent::new(code, KeyModifiers::NONE))
            }
            Some(popup) => {
                self.popups.push(popup);
                Vec::new()
            }
            None => {
                self.step(by);
                Vec::new()
            }
        }
    }

    /// Goes to a screen with a number of its own, as it was left.
    pub(super) fn show(&mut self, screen: Screen) {
        let root = self.pages.swap_remove(0);
        self.pages.clear();
        self.left.insert(root.screen, root);
        let page = self.left.remove(&screen).unwrap_or_else(|| Page::new(screen));
        self.pages.push(page);
    }

    /// Goes into a page.
    pub(super) fn go(&mut self, page: Page) {
        if self.pages.len() < DEEPEST {
            self.pages.push(page);
        }
    }

    /// Out of the page; on a root, first its filter goes, then everything narrowed.
    fn back(&mut self) {
        if self.pages.len() > 1 {
            self.pages.pop();
            return;
        }
        let page = self.page();
        if !page.filter.is_empty() || page.faults {
            self.page_mut().faults = false;
            self.page_mut().filter.clear();
            self.page_mut().rewind();
        } else if !page.marks.is_empty() {
            self.page_mut().marks.clear();
        } else if self.one_node.is_some() {
            self.one_node = None;
        } else if self.held.is_some() {
            self.live();
        }
    }

    fn next(&mut self, by: isize) {
        let turn = |at: usize, of: usize| (at + of).saturating_add_signed(by) % of;
        if self.page().screen == Screen::Overview {
            self.panel = turn(self.panel, PANELS.len());
            return;
        }
        let root = self.pages[0].screen;
        let at = Screen::ROOTS.iter().position(|screen| *screen == root).unwrap_or(0);
        self.show(Screen::ROOTS[turn(at, Screen::ROOTS.len())]);
    }

    /// Moves the cursor. At the end of what was asked for it asks for more.
    pub(super) fn step(&mut self, by: isize) {
        let keys = self.row_keys();
        let to = self.cursor(&keys).saturating_add_signed(by).min(keys.len().saturating_sub(1));
        self.put_cursor(to, &keys);
        let page = self.page();
        if to + 1 == keys.len() && keys.len() >= page.limit && page.limit < MOST_ROWS {
            self.page_mut().limit = (page.limit * 2).min(MOST_ROWS);
        }
    }

    fn put_cursor(&mut self, to: usize, keys: &[String]) {
        let page = self.page_mut();
        (page.row, page.key) = (to, keys.get(to).cloned());
    }

    fn drill(&mut self) {
        if self.page().screen == Screen::Overview {
            return self.jump();
        }
        if self.page().screen == Screen::List(View::Connection) {
            if let Some(user) = self.selected().and_then(|row| row.user()) {
                self.go(user_page(user));
            }
            return;
        }
        match self.selected().map(|row| row.drill()) {
            Some(Some(page)) => self.go(page),
            Some(None) => self.expand(),
            None => {}
        }
    }

    /// From the overview to the cause: of the worst alert if that is chosen, else to the panel's screen.
    fn jump(&mut self) {
        let screen = PANELS[self.panel.min(PANELS.len() - 1)];
        let cause = self.picture().alerts(false).first().and_then(|alert| look_at(alert));
        match cause.filter(|_| screen == Screen::List(View::Alerts)) {
            Some(page) => self.go(page),
            None => self.show(screen),
        }
    }

    fn expand(&mut self) {
        if self.selected().is_some() {
            self.popups.push(Popup::Detail(0));
        }
    }

    fn toggle_closed(&mut self) {
        let to = if self.page().screen == Screen::List(View::Closed) { View::Connections } else { View::Closed };
        if to == View::Closed {
            self.go(Page::new(Screen::List(to)));
        } else {
            self.show(Screen::List(to));
        }
    }

    fn toggle_node(&mut self) {
        let node = self.selected().and_then(|row| row.node().map(str::to_owned));
        self.one_node = if self.one_node.is_some() { None } else { node };
    }

    fn arrange(&mut self, action: Action) {
        let screen = self.page().screen;
        if screen.fields().is_empty() {
            return self.say("this screen is no list", Level::Good);
        }
        match action {
            Action::Filter => {
                let filter = self.page().filter.clone();
                self.popups.push(Popup::Prompt(Prompt::new(Purpose::Filter, &filter)));
            }
            Action::Sort => {
                let by = self.page().order().map(|sort| sort.by);
                let at = screen.fields().iter().position(|field| Some(field.name) == by.as_deref());
                self.popups.push(Popup::Sort(at.unwrap_or(0)));
            }
            Action::SortLeft => self.sort_aside(-1),
            Action::SortRight => self.sort_aside(1),
            Action::Invert => {
                if let Some(sort) = self.page().order() {
                    self.sort_by(&sort.by, !sort.descending);
                }
            }
            _ if screen.faults().is_none() => self.say("nothing here can be told to be a fault", Level::Good),
            _ => {
                let page = self.page_mut();
                page.faults = !page.faults;
                page.rewind();
            }
        }
    }

    fn sort_aside(&mut self, by: isize) {
        let columns = crate::view::sortable(self.page().screen);
        let now = self.page().order().map(|sort| sort.by).unwrap_or_default();
        let at = columns.iter().position(|name| *name == now);
        let to = at.map_or(0, |at| at.saturating_add_signed(by).min(columns.len().saturating_sub(1)));
        if let Some(name) = columns.get(to) {
            self.sort_by(name, true);
        }
    }

    pub(super) fn sort_by(&mut self, name: &str, descending: bool) {
        let page = self.page_mut();
        page.sort = Some(Sort { by: name.to_owned(), descending });
        page.rewind();
    }

    fn mark(&mut self) {
        let Some(Selected::Connection(row)) = self.selected() else {
            return self.say("only open sockets can be marked", Level::Good);
        };
        if self.page_mut().marks.remove(&row.key()).is_none() {
            self.page_mut().marks.insert(row.key(), reference(&row));
        }
        self.step(1);
    }

    fn mark_all(&mut self) {
        if !self.page().marks.is_empty() {
            return self.page_mut().marks.clear();
        }
        let listed = self.row_keys().len();
        let rows: Vec<_> = (0..listed).filter_map(|at| self.row_at(at)).collect();
        let marks = rows.iter().filter_map(|row| match row {
            Selected::Connection(row) => Some((row.key(), reference(row))),
            _ => None,
        });
        self.page_mut().marks = marks.collect();
        if self.page().marks.is_empty() {
            self.say("only open sockets can be marked", Level::Good);
        }
    }

    fn row_at(&self, at: usize) -> Option<Selected> {
        let answer = self.picture().store.lists.answer(Slot::MAIN)?;
        Selected::of(&answer.rows, at)
    }

    fn copy(&mut self) -> Vec<Effect> {
        let page = self.page();
        let inspected = page.of.clone().filter(|_| page.screen == Screen::User);
        match self.selected().map(|row| row.copy()).or(inspected) {
            Some(text) => {
                self.say(format!("copied {text}"), Level::Good);
                vec![Effect::Copy(text)]
            }
            None => Vec::new(),
        }
    }

    fn pause(&mut self) {
        if let Some(replay) = &mut self.replay {
            return replay.toggle(self.now);
        }
        self.held = match self.held.take() {
            Some(_) => None,
            None => Some(self.hold()),
        };
    }

    fn hold(&self) -> Box<Held> {
        Box::new(Held { store: self.store.clone(), now: self.now, at: None })
    }

    pub(super) fn live(&mut self) {
        self.held = None;
        if let Some(replay) = &mut self.replay {
            let end = replay.end();
            replay.go(&mut self.store, end);
        }
    }

    /// So many seconds on, or back. In a recording anywhere, else within what the nodes remember.
    fn travel(&mut self, seconds: i64) {
        let by = Duration::from_secs(seconds.unsigned_abs());
        if let Some(replay) = &mut self.replay {
            let at = replay.at();
            let to = if seconds < 0 { at.saturating_sub(by) } else { at + by };
            if replay.is_playing() {
                replay.toggle(self.now);
            }
            replay.go(&mut self.store, to);
            return;
        }
        let from = self.picture().at.or_else(|| self.picture().store.clock(self.picture().now));
        let Some(from) = from else { return };
        let to = if seconds < 0 { from - by } else { from + by };
        if let Err(problem) = self.go_to(to) {
            self.say(problem, Level::Good);
        }
    }

    /// Goes to a moment of the last 15 minutes; at the newest the picture is the newest again, still held.
    pub(super) fn go_to(&mut self, at: Timestamp) -> Result<(), String> {
        if self.is_replay() {
            let clock = self.store.clock(self.known().1).ok_or("nothing has been recorded yet")?;
            let back = clock.since(at).as_secs();
            let on = at.since(clock).as_secs();
            self.travel(i64::try_from(on).unwrap_or(0) - i64::try_from(back).unwrap_or(0));
            return Ok(());
        }
        let store = self.picture().store;
        let newest = store.nodes().iter().filter_map(|node| node.fine().newest()).max();
        let oldest = store.nodes().iter().filter_map(|node| node.fine().oldest()).min();
        let (Some(newest), Some(oldest)) = (newest, oldest) else { return Err("nothing has been heard yet".into()) };
        let end = at.max(oldest);
        let mut held = self.held.take().unwrap_or_else(|| self.hold());
        held.at = (end < newest).then_some(end);
        self.held = Some(held);
        if at < oldest {
            let time = oldest.to_string();
            return Err(format!("the nodes remember no further than {}Z", time.get(11..19).unwrap_or_default()));
        }
        Ok(())
    }
}

fn reference(row: &ConnectionRow) -> ConnectionRef {
    ConnectionRef { node: row.node.clone(), id: row.id.clone() }
}
