//! What covers a page: help, lines being written, menus, and dialogs that ask back.

use super::*;

#[test]
fn the_help_names_every_key_and_every_command_and_the_hints_name_real_keys() {
    let mut app = listening(&["api"]);
    write(&mut app, "?");
    let shown = text(&app, (100, 140));
    for binding in app.keymap().bindings() {
        let keys = popup::keys(binding);
        let line = format!("{keys:<12}{}  [{}]", binding.help, binding.name);
        assert!(shown.contains(&line), "{line}\n{shown}");
    }
    for known in crate::app::KNOWN {
        assert!(shown.contains(known.help) && shown.contains(&format!(":{}", known.names[0])), "{:?}", known.names);
    }
    insta::assert_snapshot!("help", text(&app, (80, 24)));
    write(&mut app, "q");
    let shown = text(&app, (110, 24));
    let hints = shown.lines().last().unwrap();
    for binding in app.keymap().bindings().iter().filter(|binding| binding.hint.is_some()) {
        let expected = format!("{} {}", binding.keys[0], binding.hint.unwrap());
        assert!(hints.contains(&expected), "{expected} in {hints}");
    }
}

#[test]
fn a_line_that_is_written_shows_what_is_wrong_with_it() {
    let mut app = listening(&["api"]);
    write(&mut app, "4/queue>lots");
    insta::assert_snapshot!("prompt", text(&app, (80, 24)));
}

#[test]
fn a_menu_says_why_something_cannot_be_done() {
    let mut app = listening(&["api"]);
    write(&mut app, "4");
    answer(&mut app);
    write(&mut app, "x");
    insta::assert_snapshot!("menu_read_only", text(&app, (100, 24)));
}

#[test]
fn a_dialog_shows_whom_it_concerns_how_it_is_undone_and_what_is_missing() {
    let mut app = listening(&["api"]);
    command(&mut app, "write");
    write(&mut app, "4");
    answer(&mut app);
    write(&mut app, "  x");
    press(&mut app, KeyCode::Enter);
    insta::assert_snapshot!("confirm_costly", text(&app, (80, 24)));
    insta::assert_snapshot!("confirm_costly_with_little_room", text(&app, (44, 10)));
}

#[test]
fn what_can_be_sorted_by_is_explained() {
    let mut app = listening(&["api"]);
    write(&mut app, "4s");
    insta::assert_snapshot!("sort", text(&app, (80, 30)));
}

#[test]
fn every_field_of_a_row_can_be_read() {
    let mut app = listening(&["api"]);
    write(&mut app, "9");
    answer(&mut app);
    write(&mut app, "e");
    insta::assert_snapshot!("every_field", text(&app, (80, 24)));
}
