//! A recording in the place of links. Every moment of it is the events up to there, taken in one after the other, so
//! that going back is exact: the picture is built anew.

use crate::model::{Event, Moment, Store};
use shared::protocol::admin::Subscribe;

/// One line of a recording.
#[derive(Clone, Debug)]
pub(crate) enum Recorded {
    /// A link said something.
    Event(Event),
    /// The console asked for lists.
    Asked(Vec<Subscribe>),
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Replay {
    lines: Vec<(Moment, Recorded)>,
    /// How many of the lines are in the picture.
    next: usize,
    /// Where in the recording.
    at: Moment,
    /// The console's clock when it was there.
    since: Moment,
    playing: bool,
}

impl Replay {
    /// A recording, at its beginning, playing.
    pub(crate) fn new(lines: Vec<(Moment, Recorded)>) -> Self {
        Self { lines, next: 0, at: Moment::ZERO, since: Moment::ZERO, playing: true }
    }

    /// Where in the recording.
    pub(crate) fn at(&self) -> Moment {
        self.at
    }

    /// Whether it goes on by itself.
    pub(crate) fn is_playing(&self) -> bool {
        self.playing && self.at < self.end()
    }

    /// Its length.
    pub(crate) fn end(&self) -> Moment {
        self.lines.last().map_or(Moment::ZERO, |(at, _)| *at)
    }

    /// Lets it go on, or stops it.
    pub(crate) fn toggle(&mut self, now: Moment) {
        (self.playing, self.since) = (!self.playing, now);
    }

    /// Time has passed: true if that changed the picture.
    pub(crate) fn pass(&mut self, store: &mut Store, now: Moment) -> bool {
        let passed = now.saturating_sub(self.since);
        self.since = now;
        if !self.playing {
            return false;
        }
        self.go(store, (self.at + passed).min(self.end()))
    }

    /// Goes to a moment of the recording; true if that changed the picture.
    pub(crate) fn go(&mut self, store: &mut Store, to: Moment) -> bool {
        let to = to.min(self.end());
        if to < self.at {
            let lists = std::mem::take(&mut store.lists);
            *store = Store::wanting(lists.replayed());
            self.next = 0;
        }
        self.at = to;
        let before = self.next;
        while let Some((at, line)) = self.lines.get(self.next).filter(|(at, _)| *at <= to) {
            match line {
                Recorded::Event(event) => store.apply(event.clone(), *at),
                Recorded::Asked(asked) => store.lists.recorded(asked),
            }
            self.next += 1;
        }
        self.next != before
    }
}
