//! Every screen at every size, and every state.

use super::*;

/// A snapshot for each size.
fn pictures(name: &str, app: &App) {
    for (width, height) in SIZES {
        insta::assert_snapshot!(format!("{name}_{width}x{height}"), text(app, (width, height)));
    }
}

fn on(keys: &str) -> App {
    let mut app = listening(&["api"]);
    write(&mut app, keys);
    answer(&mut app);
    app
}

#[test]
fn overview() {
    pictures("overview_live", &on(""));
    pictures("overview_of_two_nodes", &listening(&["gw-1", "gw-2"]));
}

#[test]
fn nodes_and_pools() {
    pictures("nodes_live", &on("2"));
    pictures("pools_live", &on("3"));
    let mut app = on("2");
    press(&mut app, KeyCode::Enter);
    pictures("node_live", &app);
}

#[test]
fn lists() {
    pictures("connections_live", &on("4"));
    pictures("rooms_live", &on("5"));
    pictures("errors_live", &on("8"));
    pictures("alerts_live", &on("9"));
    let mut app = on("4");
    write(&mut app, " ");
    insta::assert_snapshot!("connections_with_a_mark", text(&app, (80, 24)));
}

#[test]
fn a_view_no_process_answers_is_not_available_rather_than_empty() {
    let mut app = app();
    let mut hello = samples::hello("api");
    hello.views.retain(|view| view != "queues");
    app.update(Msg::Net(Event::said("api", Message::Hello(Box::new(hello)))), Moment::ZERO);
    app.update(Msg::Net(Event::said("api", Message::Tick(Box::new(samples::tick("api", 1))))), Moment::ZERO);
    write(&mut app, "6");
    let shown = text(&app, (80, 24));
    assert!(shown.contains("queues: not available from this process (api)"), "{shown}");
    write(&mut app, "5");
    let shown = text(&app, (80, 24));
    assert!(shown.contains("rooms: asked") && !shown.contains("none"), "{shown}");
}

#[test]
fn a_user() {
    let mut app = on("4");
    write(&mut app, "u");
    answer(&mut app);
    pictures("user_live", &app);
}

#[test]
fn nothing_found_yet() {
    pictures("nothing_found_yet", &app());
}

#[test]
fn stale() {
    let mut app = on("");
    cut(&mut app, 47);
    pictures("overview_stale", &app);
    write(&mut app, "4");
    insta::assert_snapshot!("connections_stale", text(&app, (80, 24)));
}

#[test]
fn a_refused_list_says_why() {
    let mut app = on("4");
    let id = app.known().0.lists.subscriptions()[0].id;
    say(&mut app, Message::Refused { id: Some(id), code: "bad_sort".into(), message: "no field \u{1b}x".into() });
    let shown = text(&app, (80, 24));
    assert!(shown.contains("no field \\u{1b}x"), "{shown}");
}

#[test]
fn rewound() {
    let mut app = on("");
    write(&mut app, "[[{");
    pictures("overview_rewound", &app);
    write(&mut app, "4");
    let shown = text(&app, (80, 24));
    assert!(shown.contains("the nodes remember numbers, not rows") && shown.contains("REWOUND"), "{shown}");
}

#[test]
fn held() {
    let mut app = on("");
    write(&mut app, "p");
    let shown = text(&app, (80, 24));
    assert!(shown.contains("PAUSED: p lets it go on"), "{shown}");
}

#[test]
fn the_picture_is_stale_two_seconds_after_the_last_word_and_live_again_with_the_next() {
    let mut app = listening(&["api"]);
    let heard = app.console_time();
    app.update(Msg::Age, heard + Duration::from_millis(1_900));
    assert!(text(&app, (80, 24)).contains("LIVE"));
    app.update(Msg::Age, heard + Duration::from_secs(2));
    let shown = text(&app, (80, 24));
    assert!(shown.contains("STALE 2s") && shown.contains("~4,891") && shown.contains("? lost"), "{shown}");
    let tick = Message::Tick(Box::new(samples::tick("api", 95)));
    app.update(Msg::Net(Event::said("api", tick)), heard + Duration::from_secs(4));
    let shown = text(&app, (80, 24));
    assert!(shown.contains("LIVE") && !shown.contains('~'), "{shown}");
}

#[test]
fn what_was_not_heard_is_a_gap_in_every_curve_and_no_zero() {
    let mut app = listening(&["api"]);
    cut(&mut app, 30);
    for keys in ["1", "3"] {
        write(&mut app, keys);
        for size in [(80, 24), (160, 48)] {
            let shown = text(&app, size);
            let gaps = shown.lines().filter(|line| line.contains("·····")).count();
            assert!(gaps >= 3, "screen {keys} at {size:?}: {shown}");
        }
    }
}

#[test]
fn a_click_chooses_what_is_under_it() {
    let app = on("4");
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    let mut hits = Hits::default();
    terminal
        .draw(|frame| {
            hits = draw(frame, &app);
        })
        .unwrap();
    let shown = terminal.backend().to_string();
    let row = shown.lines().position(|line| line.contains("김민준")).unwrap();
    assert_eq!(hits.at(10, u16::try_from(row).unwrap()), Some(crate::app::Hit::Row(1)));
    let tabs: Vec<char> = shown.lines().nth(1).unwrap().trim_matches('"').chars().collect();
    let column = tabs.iter().collect::<String>().find("3:Pools").unwrap();
    let pools = crate::app::Hit::Tab(Screen::Pools);
    assert_eq!(hits.at(u16::try_from(column).unwrap(), 1), Some(pools));
}
