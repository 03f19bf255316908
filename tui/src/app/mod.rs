//! The console's state and how it changes: a pure function from messages to state and effects. No I/O, no clock, no
//! chance; tests and replays drive it with the same messages as a person does. The loop that feeds it is in `run`.

mod run;

pub(crate) use run::run;

use crate::{
    keymap::{self, Action},
    model::{Event, Freshness, Link, Moment, Store},
};
use crossterm::event::KeyEvent;

/// What is on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Screen {
    /// Everything at a glance.
    Overview,
    /// The processes.
    Nodes,
    /// The database pools.
    Pools,
}

impl Screen {
    /// All screens, in the order of their tabs.
    pub(crate) const ALL: [Self; 3] = [Self::Overview, Self::Nodes, Self::Pools];

    /// Its name on the tab.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Nodes => "Nodes",
            Self::Pools => "Pools",
        }
    }

    fn next(self) -> Self {
        match self {
            Self::Overview => Self::Nodes,
            Self::Nodes => Self::Pools,
            Self::Pools => Self::Overview,
        }
    }
}

/// What can happen to the console.
#[derive(Clone, Debug)]
pub(crate) enum Msg {
    /// A link said something.
    Net(Event),
    /// A key was pressed.
    Key(KeyEvent),
    /// The terminal has another size.
    Resize,
    /// Time has passed.
    Age,
}

/// What the console wants done outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// End.
    Quit,
    /// Let the links try again now.
    Reconnect,
}

/// A picture that is held.
#[derive(Clone, Debug)]
struct Held {
    store: Store,
    at: Moment,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct App {
    store: Store,
    now: Moment,
    held: Option<Box<Held>>,
    /// What is on the screen.
    pub(crate) screen: Screen,
    /// Whether the help covers it.
    pub(crate) help: bool,
    /// The chosen row; a screen with fewer rows shows its last one.
    pub(crate) row: usize,
    /// Where processes are looked for, to say so while there are none.
    pub(crate) place: String,
    dirty: bool,
    ages: Vec<Aged>,
}

/// The texts of a node that change by time alone: (freshness, seconds of age, seconds to the next attempt).
type Aged = (u8, u64, u64);

impl App {
    /// A console that has heard nothing yet.
    pub(crate) fn new(place: String) -> Self {
        Self {
            store: Store::default(),
            now: Moment::ZERO,
            held: None,
            screen: Screen::Overview,
            help: false,
            row: 0,
            place,
            dirty: true,
            ages: Vec::new(),
        }
    }

    /// Takes in what happened at `now`.
    pub(crate) fn update(&mut self, msg: Msg, now: Moment) -> Option<Effect> {
        self.now = now;
        match msg {
            Msg::Net(event) => {
                self.store.apply(event, now);
                self.dirty = true;
            }
            Msg::Key(key) => return keymap::action(key).and_then(|action| self.act(action)),
            Msg::Resize => self.dirty = true,
            Msg::Age => self.age(),
        }
        None
    }

    fn act(&mut self, action: Action) -> Option<Effect> {
        self.dirty = true;
        match action {
            Action::Quit | Action::Back if self.help => self.help = false,
            Action::Quit => return Some(Effect::Quit),
            Action::Back => {}
            Action::Help => self.help = !self.help,
            Action::Show(screen) => self.show(screen),
            Action::NextScreen => self.show(self.screen.next()),
            Action::Pause => {
                let held = || Box::new(Held { store: self.store.clone(), at: self.now });
                self.held = if self.held.is_none() { Some(held()) } else { None };
            }
            Action::Up => self.row = self.row.min(self.last_row()).saturating_sub(1),
            Action::Down => self.row = (self.row + 1).min(self.last_row()),
            Action::First => self.row = 0,
            Action::Last => self.row = self.last_row(),
            Action::Reconnect => return Some(Effect::Reconnect),
        }
        None
    }

    fn show(&mut self, screen: Screen) {
        (self.screen, self.row, self.help) = (screen, 0, false);
    }

    fn last_row(&self) -> usize {
        let (store, now) = self.shown();
        let rows = match self.screen {
            Screen::Overview | Screen::Nodes => store.nodes().len(),
            Screen::Pools => store.pools(now).len(),
        };
        rows.saturating_sub(1)
    }

    /// Draws again only if a text changed by time alone, or a curve got its next point.
    fn age(&mut self) {
        let sampled = self.store.sample(self.now);
        let ages = self.store.nodes().iter().map(|node| {
            let (kind, age) = match node.freshness(self.now) {
                Freshness::Waiting => (0, 0),
                Freshness::Live => (1, 0),
                Freshness::Stale(age) => (2, age.as_secs()),
            };
            let retry = match node.link() {
                Link::Down { retry_at, .. } => retry_at.saturating_sub(self.now).as_secs(),
                Link::Up | Link::Connecting => 0,
            };
            (kind, age, retry)
        });
        let ages: Vec<Aged> = ages.collect();
        self.dirty |= sampled || ages != self.ages;
        self.ages = ages;
    }

    /// What the body of the screen shows: the held picture, or what is known now.
    pub(crate) fn shown(&self) -> (&Store, Moment) {
        self.held.as_ref().map_or((&self.store, self.now), |held| (&held.store, held.at))
    }

    /// What is known now, whatever is shown: the header tells the truth about the link.
    pub(crate) fn known(&self) -> (&Store, Moment) {
        (&self.store, self.now)
    }

    /// Whether the picture is held.
    pub(crate) fn paused(&self) -> bool {
        self.held.is_some()
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
