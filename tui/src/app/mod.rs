//! The console's state and how it changes: a pure function from messages to state and effects. No I/O, no clock, no
//! chance; tests and replays drive it with the same messages as a person does. The loop that feeds it is in `run`.
//!
//! ```text
//! Msg ──▶ update ─┬─ popup open?   prompt, menu, dialog, help: the key is theirs
//!                 ├─ else          keymap ──▶ keys (cursor, pages, time)
//!                 └─ always        wishes: what the screen now wants to be told about
//! ```

mod command;
mod complete;
mod confirm;
mod keys;
mod line;
mod menu;
mod page;
mod popup;
mod replay;
mod run;
mod selected;
mod typed;
pub(crate) mod wishes;

pub(crate) use command::KNOWN;
pub(crate) use confirm::{Confirm, Count, Focus};
pub(crate) use keys::PANELS;
pub(crate) use line::TextLine;
pub(crate) use menu::Offer;
pub(crate) use page::{Page, Screen};
pub(crate) use popup::{Popup, Prompt, Purpose, node_of};
pub(crate) use replay::{Recorded, Replay};
pub(crate) use run::run;
pub(crate) use selected::Selected;
pub(crate) use typed::moment;

use crate::{
    config::Settings,
    figures::plain,
    keymap::Keymap,
    model::{
        Event, Freshness, Link, LinkState, Moment, NodeRow, Picture, PoolRow, Slot, Store, What, Window, each_row,
    },
    theme::{Level, Theme},
};
use crossterm::event::KeyEvent;
use shared::{
    clock::Timestamp,
    protocol::admin::{ActionRequest, Filter, JobState, Row, Subscribe, field},
};
use std::{collections::BTreeMap, time::Duration};

/// How long a notice stays.
const NOTICE: Duration = Duration::from_secs(6);

/// What can happen to the console.
#[derive(Clone, Debug)]
pub(crate) enum Msg {
    /// A link said something.
    Net(Event),
    /// A key was pressed.
    Key(KeyEvent),
    /// Text was pasted.
    Paste(String),
    /// Something on the screen was clicked.
    Click(Hit),
    /// The wheel was turned, down if positive.
    Wheel(isize),
    /// The terminal has another size.
    Resize,
    /// Time has passed.
    Age,
    /// Something outside is worth a line.
    Notice(String, Level),
}

/// What can be clicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hit {
    /// A tab.
    Tab(Screen),
    /// A row of the main list.
    Row(usize),
}

/// What the console wants done outside.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    /// End; with `true` the last picture stays in the terminal.
    Quit(bool),
    /// Let the links try again now.
    Reconnect,
    /// Give the terminal back until the shell lets the console go on.
    Suspend,
    /// Be told about these lists, and no others.
    Subscribe(Vec<Subscribe>),
    /// Ask for an action, best of the node it is about.
    Act(Box<ActionRequest>, Option<String>),
    /// Put text on the clipboard.
    Copy(String),
    /// Write what is known to files.
    Snapshot,
    /// Listen to the mouse, or leave it to the terminal.
    Mouse(bool),
    /// Look for the processes of another cluster.
    Context(String),
}

/// A picture that is held.
#[derive(Clone, Debug)]
struct Held {
    store: Store,
    now: Moment,
    /// The moment that was rewound to; the newest if none.
    at: Option<Timestamp>,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct App {
    store: Store,
    now: Moment,
    held: Option<Box<Held>>,
    replay: Option<Replay>,
    pages: Vec<Page>,
    /// Root pages as they were left.
    left: BTreeMap<Screen, Page>,
    /// What covers the page, the topmost last.
    popups: Vec<Popup>,
    settings: Settings,
    theme: Theme,
    /// How much time the curves cover.
    pub(crate) window: Window,
    /// Whole ids and long texts.
    pub(crate) wide: bool,
    /// Every list and table is narrowed to this node.
    pub(crate) one_node: Option<String>,
    /// Which panel of the overview is chosen.
    pub(crate) panel: usize,
    mouse: bool,
    write: bool,
    notice: Option<(String, Level, Moment)>,
    /// Actions on their way, by key: what they do, for people.
    asked: BTreeMap<String, String>,
    /// Actions whose end is waited for.
    watched: BTreeMap<uuid::Uuid, JobState>,
    /// Where processes are looked for, to say so while there are none.
    pub(crate) place: String,
    keys: u64,
    dirty: bool,
    ages: Vec<Aged>,
}

/// The texts of a link that change by time alone: (freshness, seconds of age, seconds to the next attempt).
type Aged = (u8, u64, u64);

impl App {
    /// A console that has heard nothing yet.
    pub(crate) fn new(settings: Settings, place: String, theme: Theme) -> Self {
        let (window, wide, mouse, write) = (settings.window, settings.wide, settings.mouse, settings.write);
        Self {
            store: Store::default(),
            now: Moment::ZERO,
            held: None,
            replay: None,
            pages: vec![Page::new(Screen::Overview)],
            left: BTreeMap::new(),
            popups: Vec::new(),
            settings,
            theme,
            window,
            wide,
            one_node: None,
            panel: 0,
            mouse,
            write,
            notice: None,
            asked: BTreeMap::new(),
            watched: BTreeMap::new(),
            place,
            keys: 0,
            dirty: true,
            ages: Vec::new(),
        }
    }

    /// A console before a recording.
    pub(crate) fn replaying(mut self, mut replay: Replay, from: Moment) -> Self {
        replay.go(&mut self.store, from);
        self.replay = Some(replay);
        self
    }

    /// Takes in what happened at `now`.
    pub(crate) fn update(&mut self, msg: Msg, now: Moment) -> Vec<Effect> {
        self.now = now;
        if self.replay.is_some() {
            self.dirty |= self.play(now);
        }
        let mut effects = match msg {
            Msg::Net(event) => {
                self.dirty = true;
                self.heard(event);
                Vec::new()
            }
            Msg::Key(key) => self.press(key),
            Msg::Paste(text) => self.paste(&text),
            Msg::Click(hit) => self.click(hit),
            Msg::Wheel(by) => self.wheel(by),
            Msg::Resize => {
                self.dirty = true;
                Vec::new()
            }
            Msg::Age => {
                self.age();
                Vec::new()
            }
            Msg::Notice(text, level) => {
                self.say(text, level);
                Vec::new()
            }
        };
        if self.wish() {
            effects.push(Effect::Subscribe(self.store.lists.subscriptions()));
        }
        effects
    }

    fn play(&mut self, now: Moment) -> bool {
        let Some(replay) = &mut self.replay else { return false };
        replay.pass(&mut self.store, now)
    }

    /// Tells the lists what the screen wants; true if that is something else than before.
    fn wish(&mut self) -> bool {
        let wishes = wishes::wishes(self.page(), self.one_node.as_deref());
        self.store.lists.want(wishes)
    }

    fn heard(&mut self, event: Event) {
        if let What::Acted { key, outcome } = &event.what {
            self.acted(key, outcome);
        }
        self.store.apply(event, self.now);
        self.watch();
    }

    /// What became of a request to act.
    fn acted(
        &mut self,
        key: &str,
        outcome: &Result<shared::protocol::admin::Job, shared::protocol::admin::ProblemBody>,
    ) {
        for popup in &mut self.popups {
            if let Popup::Confirm(confirm) = popup
                && confirm.dry_key() == key
            {
                confirm.count = match outcome {
                    Ok(job) => Count::Known(job.matched),
                    Err(problem) => Count::Failed(plain(&problem.message)),
                };
                return;
            }
        }
        let Some(label) = self.asked.remove(key) else { return };
        match outcome {
            Ok(job) if job.state == JobState::Running => {
                self.watched.insert(job.id, JobState::Running);
                self.say(format!("{label}: under way, {} of {}", job.done, job.matched), Level::Good);
            }
            Ok(job) => self.ended(job),
            Err(problem) => self.say(format!("{label}: refused: {}", plain(&problem.message)), Level::Crit),
        }
    }

    /// Says it when an action that took longer is over.
    fn watch(&mut self) {
        let over: Vec<_> = self.watched.keys().filter_map(|id| self.store.find_job(*id)).cloned().collect();
        for job in over.into_iter().filter(|job| job.state != JobState::Running) {
            self.watched.remove(&job.id);
            self.ended(&job);
        }
    }

    fn ended(&mut self, job: &shared::protocol::admin::Job) {
        let what = format!("{} {}", job.action.name().replace('_', " "), plain(&job.action.target()));
        let note = if job.note.is_empty() { String::new() } else { format!(": {}", plain(&job.note)) };
        match job.state {
            JobState::Failed => self.say(format!("{what}: FAILED{note}"), Level::Crit),
            _ => self.say(format!("{what}: {} of {} done{note}", job.done, job.matched), Level::Good),
        }
    }

    /// Shows a line for a while.
    fn say(&mut self, text: impl Into<String>, level: Level) {
        self.notice = Some((text.into(), level, self.now + NOTICE));
        self.dirty = true;
    }

    /// Draws again only if a text changed by time alone.
    fn age(&mut self) {
        let kind = |freshness| match freshness {
            Freshness::Waiting => (0, 0),
            Freshness::Live => (1, 0),
            Freshness::Stale(age) => (2, age.as_secs()),
        };
        let now = self.known().1;
        let nodes = self.store.nodes().iter().map(|node| {
            let (kind, age) = kind(node.freshness(now));
            (kind, age, 0)
        });
        let links = self.store.links().iter().map(|link| {
            let (kind, age) = kind(link.freshness(now));
            let retry = match link.state() {
                LinkState::Down { retry_at, .. } => retry_at.saturating_sub(now).as_secs(),
                LinkState::Up | LinkState::Connecting => 0,
            };
            (kind, age, retry)
        });
        let popup = self.popups.last().and_then(|popup| popup.ages(self.now)).map(|age| (3, age, 0));
        let ages: Vec<Aged> = nodes.chain(links).chain(popup).collect();
        self.dirty |= ages != self.ages;
        self.ages = ages;
        if self.notice.as_ref().is_some_and(|(_, _, until)| *until <= self.now) {
            (self.notice, self.dirty) = (None, true);
        }
    }

    /// What the screen shows: what is known now, or the picture that is held.
    pub(crate) fn picture(&self) -> Picture<'_> {
        if let Some(held) = &self.held {
            return Picture { store: &held.store, now: held.now, at: held.at };
        }
        let (store, now) = self.known();
        Picture { store, now, at: None }
    }

    /// What is known now, whatever is shown: the header tells the truth about the link.
    pub(crate) fn known(&self) -> (&Store, Moment) {
        let now = self.replay.as_ref().map_or(self.now, Replay::at);
        (&self.store, now)
    }

    /// The console's own clock, which recordings do not turn back.
    pub(crate) fn console_time(&self) -> Moment {
        self.now
    }

    /// The page on the screen.
    pub(crate) fn page(&self) -> &Page {
        self.pages.last().expect("there is always a page")
    }

    fn page_mut(&mut self) -> &mut Page {
        self.pages.last_mut().expect("there is always a page")
    }

    /// How one came here.
    pub(crate) fn trail(&self) -> &[Page] {
        &self.pages
    }

    /// What covers the page.
    pub(crate) fn popup(&self) -> Option<&Popup> {
        self.popups.last()
    }

    /// The line to be shown for a while.
    pub(crate) fn notice(&self) -> Option<(&str, Level)> {
        self.notice.as_ref().map(|(text, level, _)| (text.as_str(), *level))
    }

    /// Which key does what.
    pub(crate) fn keymap(&self) -> &Keymap {
        &self.settings.keymap
    }

    /// What was set.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How things look.
    pub(crate) fn theme(&self) -> Theme {
        self.theme
    }

    /// Whether the mouse is listened to.
    pub(crate) fn mouse(&self) -> bool {
        self.mouse
    }

    /// Whether actions are allowed by whoever sits here.
    pub(crate) fn may_write(&self) -> bool {
        self.write
    }

    /// Whether the picture is held.
    pub(crate) fn paused(&self) -> bool {
        self.held.is_some() || self.replay.as_ref().is_some_and(|replay| !replay.is_playing())
    }

    /// Whether the picture is of an earlier moment.
    pub(crate) fn rewound(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.at.is_some())
    }

    /// The recording, if this is one.
    pub(crate) fn replay(&self) -> Option<&Replay> {
        self.replay.as_ref()
    }

    fn is_replay(&self) -> bool {
        self.replay.is_some()
    }

    /// The processes, filtered and sorted as the page says.
    pub(crate) fn node_rows(&self) -> Vec<NodeRow> {
        let mut rows = self.picture().nodes();
        rows.retain(|row| self.one_node.as_ref().is_none_or(|node| *node == row.name));
        self.arranged(rows, Screen::Nodes)
    }

    /// The pools, filtered and sorted as the page says.
    pub(crate) fn pool_rows(&self) -> Vec<PoolRow> {
        let mut rows = self.picture().pools();
        rows.retain(|row| self.one_node.as_ref().is_none_or(|node| *node == row.node));
        self.arranged(rows, Screen::Pools)
    }

    /// On another page than their own they come unfiltered, in their own order.
    fn arranged<R: Row>(&self, mut rows: Vec<R>, screen: Screen) -> Vec<R> {
        let page = self.page();
        let (filter, sort) = if page.screen == screen {
            (page.whole_filter(), page.order())
        } else {
            (String::new(), screen.default_sort())
        };
        if let Ok(Some(filter)) = Filter::parse(&filter, R::FIELDS) {
            rows.retain(|row| filter.matches(row));
        }
        if let Some((at, descending)) = sort.and_then(|sort| Some((field(R::FIELDS, &sort.by)?, sort.descending))) {
            rows.sort_by(|a, b| crate::model::by(a, b, at, descending));
        }
        rows
    }

    /// The keys of the rows of the main list, in order.
    pub(crate) fn row_keys(&self) -> Vec<String> {
        match self.page().screen {
            Screen::Nodes => self.node_rows().iter().map(Row::key).collect(),
            Screen::Pools => self.pool_rows().iter().map(Row::key).collect(),
            Screen::List(_) => match self.picture().store.lists.answer(Slot::MAIN) {
                Some(answer) => each_row!(&answer.rows, rows => rows.iter().map(Row::key).collect(), Vec::new()),
                None => Vec::new(),
            },
            Screen::Overview | Screen::Node | Screen::User => Vec::new(),
        }
    }

    /// Where the cursor is: on the row it was put on, wherever that has gone, else where it was.
    pub(crate) fn cursor(&self, keys: &[String]) -> usize {
        let page = self.page();
        let found = page.key.as_ref().and_then(|key| keys.iter().position(|known| known == key));
        found.unwrap_or(page.row).min(keys.len().saturating_sub(1))
    }

    /// The row under the cursor.
    pub(crate) fn selected(&self) -> Option<Selected> {
        let at = self.cursor(&self.row_keys());
        match self.page().screen {
            Screen::Nodes => self.node_rows().into_iter().nth(at).map(|row| Selected::Node(Box::new(row))),
            Screen::Pools => self.pool_rows().into_iter().nth(at).map(|row| Selected::Pool(Box::new(row))),
            Screen::Node => {
                let name = self.page().of.as_deref()?;
                let row = self.picture().nodes().into_iter().find(|row| row.name == name)?;
                Some(Selected::Node(Box::new(row)))
            }
            Screen::List(_) => {
                let answer = self.picture().store.lists.answer(Slot::MAIN)?;
                Selected::of(&answer.rows, at)
            }
            Screen::Overview | Screen::User => None,
        }
    }

    /// Whether the cluster is production, by its own word.
    pub(crate) fn production(&self) -> bool {
        let hellos = self.store.links().iter().filter_map(Link::hello);
        hellos.into_iter().any(|hello| hello.node.environment == "production")
    }

    /// Whether something changed since this was last asked.
    pub(crate) fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }

    /// Whether something changed.
    pub(crate) fn dirty(&self) -> bool {
        self.dirty
    }
}

#[cfg(test)]
mod tests;
