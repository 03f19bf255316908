//! Where on the screen the things are that can be clicked.

use crate::app::Hit;
use ratatui::layout::{Position, Rect};

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hits(Vec<(Rect, Hit)>);

impl Hits {
    /// Something that can be clicked.
    pub(super) fn add(&mut self, area: Rect, hit: Hit) {
        self.0.push((area, hit));
    }

    /// What is there.
    pub(crate) fn at(&self, column: u16, row: u16) -> Option<Hit> {
        let here = Position { x: column, y: row };
        self.0.iter().find(|(area, _)| area.contains(here)).map(|(_, hit)| *hit)
    }
}
