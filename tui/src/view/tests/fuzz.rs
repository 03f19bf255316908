//! Random sizes and random keys over every state: nothing panics, and the state of the link is always in sight.

use super::*;
use crate::keymap::Key;

/// A fixed generator: the same walk every time.
fn dice() -> impl FnMut(usize) -> usize {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    move |sides| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % sides as u64).unwrap()
    }
}

#[test]
fn no_size_and_no_key_panics_and_the_first_line_survives() {
    let mut roll = dice();
    let mut states = [app(), listening(&["api"]), listening(&["a", "b", "c", "d"]), listening(&["api"])];
    cut(&mut states[1], 9);
    command(&mut states[3], "write");
    for (number, app) in states.iter_mut().enumerate() {
        let bound: Vec<Key> = app.keymap().bindings().iter().flat_map(|binding| binding.keys.clone()).collect();
        for _ in 0..400 {
            let now = app.console_time();
            app.update(Msg::Key(bound[roll(bound.len())].event()), now);
            if roll(4) == 0 {
                answer(app);
            }
            let side = |roll: usize| u16::try_from(roll + 1).unwrap();
            // Mostly terminals, sometimes something absurd.
            let (width, height) = if roll(20) == 0 { (500, 200) } else { (200, 60) };
            let size = (side(roll(width)), side(roll(height)));
            let shown = text(app, size);
            let first = shown.lines().next().unwrap_or_default();
            let word = ["LIVE", "STALE", "CONNECTING"].iter().any(|word| first.contains(word));
            assert!(word || size.0 < 40 || app.popup().is_some(), "state {number} at {size:?}: {first}");
            assert!(!shown.contains('\u{1b}'), "an escape code at {size:?}");
        }
    }
}
