//! Colours: a map of where they are, and that nothing is said by them alone.

use super::*;
use crate::cli::Palette;
use ratatui::style::{Color, Modifier};
use std::collections::BTreeMap;

fn painted(palette: Palette, unicode: bool) -> App {
    let theme = Theme::new(palette, unicode);
    let mut app = App::new(Settings::plain(), "./data".into(), theme);
    for second in 0..=90 {
        let now = Moment::from_secs(second);
        if second == 0 {
            app.update(Msg::Net(Event::said("api", Message::Hello(Box::new(samples::hello("api"))))), now);
            app.update(Msg::Net(Event::said("api", Message::Alerts { alerts: alerts() })), now);
        }
        app.update(Msg::Net(Event::said("api", Message::Tick(Box::new(samples::tick("api", second + 1))))), now);
    }
    app
}

/// A letter for each style, where it is, and what each letter means.
fn map(app: &App, size: (u16, u16)) -> String {
    let terminal = screen(app, size);
    let buffer = terminal.backend().buffer();
    let mut letters: BTreeMap<String, char> = BTreeMap::new();
    let mut out = String::new();
    for row in buffer.content().chunks(usize::from(size.0)) {
        for cell in row {
            let style = format!("{:?} {:?} {:?}", cell.fg, cell.bg, cell.modifier);
            let next = char::from(b'a' + u8::try_from(letters.len()).unwrap());
            out.push(*letters.entry(style).or_insert(next));
        }
        out.push('\n');
    }
    let mut meanings: Vec<_> = letters.into_iter().map(|(style, letter)| format!("{letter} {style}")).collect();
    meanings.sort();
    format!("{out}\n{}", meanings.join("\n"))
}

#[test]
fn where_the_colours_are() {
    insta::assert_snapshot!("styles_256", map(&painted(Palette::Full, true), (80, 24)));
    insta::assert_snapshot!("styles_mono", map(&painted(Palette::Mono, true), (80, 24)));
    insta::assert_snapshot!("styles_ascii", map(&painted(Palette::Ansi, false), (80, 24)));
}

#[test]
fn ascii_and_mono_use_neither_blocks_nor_colours() {
    let mut app = painted(Palette::Mono, false);
    for keys in ["1", "2", "3", "4", "9"] {
        write(&mut app, keys);
        answer(&mut app);
        for size in [(80, 24), (160, 48)] {
            let terminal = screen(&app, size);
            for cell in terminal.backend().buffer().content() {
                let named = ["김", "민", "준"].contains(&cell.symbol());
                assert!(cell.symbol().is_ascii() || named, "{:?} on {keys} at {size:?}", cell.symbol());
                assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset));
            }
        }
    }
}

#[test]
fn stale_data_is_dim_and_the_selected_row_is_reversed_without_any_colour() {
    let mut app = painted(Palette::Mono, true);
    write(&mut app, "2");
    let terminal = screen(&app, (80, 24));
    let reversed =
        terminal.backend().buffer().content().iter().filter(|cell| cell.modifier.contains(Modifier::REVERSED));
    assert!(reversed.count() > 40, "a whole row");
    cut(&mut app, 5);
    let terminal = screen(&app, (80, 24));
    assert!(terminal.backend().buffer()[(2, 8)].modifier.contains(Modifier::DIM));
}
