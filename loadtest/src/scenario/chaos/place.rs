//! What one user's place in a room must do: events follow each other without a gap, and where one cannot be closed the
//! user is told so (`recovered:false`) before anything newer.

use super::verdict::Breaches;
use shared::protocol::{Position, event::ReadyRoom};

/// A place.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// The last event; none before the first `joined`.
    at: Option<Position>,
    /// In, on this connection.
    pub(super) joined: bool,
    /// How often the user was told to reload.
    pub(super) resets: u64,
}

impl Place {
    /// Where it resumes.
    pub(super) fn position(&self) -> Option<Position> {
        self.at
    }

    /// In the room again, or told to go on from another place. `asked` is the position the client gave.
    pub(super) fn entered(&mut self, asked: Option<Position>, room: ReadyRoom) {
        if !room.recovered {
            self.resets += 1;
        }
        // With a position that still holds, what lies between comes now: we are still where we were.
        if asked.is_none() || !room.recovered {
            self.at = Some(room.pos);
        }
        self.joined = true;
    }

    /// An event has arrived; true if it is a new one.
    pub(super) fn arrived(&mut self, pos: Position, breaches: &mut Breaches) -> bool {
        let Some(at) = self.at else {
            breaches.note("room events before the room was entered", format!("{pos}"));
            return false;
        };
        if at.epoch != pos.epoch {
            breaches.note("room events of another epoch without a word", format!("{pos} after {at}"));
        } else if pos.seq != at.seq + 1 {
            let what = if pos.seq <= at.seq { "room events that came again" } else { "gaps in a room without a word" };
            breaches.note(what, format!("{pos} after {at}"));
        }
        let new = at.epoch != pos.epoch || pos.seq > at.seq;
        self.at = Some(pos);
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_only_fine_when_it_was_announced() {
        let (mut place, mut breaches) = (Place::default(), Breaches::default());
        let pos = |text: &str| text.parse::<Position>().unwrap();
        place.entered(None, ReadyRoom { pos: pos("k:4"), recovered: true });
        assert!(place.arrived(pos("k:5"), &mut breaches));
        place.entered(place.position(), ReadyRoom { pos: pos("k:9"), recovered: true });
        assert!(place.arrived(pos("k:6"), &mut breaches), "replay begins behind what we had");
        place.entered(place.position(), ReadyRoom { pos: pos("m:2"), recovered: false });
        assert!(place.arrived(pos("m:3"), &mut breaches));
        assert_eq!((breaches.is_empty(), place.resets), (true, 1));
        place.arrived(pos("m:5"), &mut breaches);
        place.arrived(pos("m:5"), &mut breaches);
        place.arrived(pos("n:6"), &mut breaches);
        assert_eq!(breaches.lines().len(), 3);
    }
}
