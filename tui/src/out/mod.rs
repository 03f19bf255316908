//! `--once`: the same model, without a screen. Text for people, JSON for scripts.

mod json;
mod text;

use crate::{
    cli::{Cli, Form},
    figures::plain,
    model::{Link, Moment, Store},
    net::{Net, Place},
};
use anyhow::bail;
use shared::lifecycle::Lifecycle;
use std::{
    io::{ErrorKind, Write as _},
    process::ExitCode,
    time::Duration,
};
use tokio::time::{Instant, timeout_at};

/// How long the links get to close.
const CLOSING: Duration = Duration::from_millis(500);
/// After the first process is complete, how long others may take.
const OTHERS: Duration = Duration::from_millis(1_500);

/// Listens until every process has told enough for rates, prints, and ends.
pub(crate) async fn once(cli: &Cli, form: Form) -> anyhow::Result<ExitCode> {
    let (life, place) = (Lifecycle::new(), Place::new(cli));
    let looked_at = place.to_string();
    let mut net = Net::start(place, &life);
    let (store, now) = gather(&mut net, cli.patience()).await;
    life.shutdown(CLOSING).await;
    if store.nodes().iter().all(|node| node.tick().is_none()) {
        bail!("{}", nothing(&store, &looked_at));
    }
    let printed = match form {
        Form::Text => text::print(&store, now),
        Form::Json => json::print(&store, now)?,
    };
    match std::io::stdout().lock().write_all(printed.as_bytes()) {
        // `| head -1` is no failure of ours.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        outcome => Ok(outcome.map(|()| ExitCode::SUCCESS)?),
    }
}

async fn gather(net: &mut Net, patience: Duration) -> (Store, Moment) {
    let (mut store, began) = (Store::default(), Instant::now());
    let mut until = began + patience;
    while let Ok(Some(event)) = timeout_at(until, net.events.recv()).await {
        store.apply(event, began.elapsed());
        let complete = store.nodes().iter().filter(|node| node.rates().is_some()).count();
        if complete > 0 && complete == store.nodes().len() {
            break;
        }
        if complete > 0 {
            until = until.min(Instant::now() + OTHERS);
        }
    }
    (store, began.elapsed())
}

/// Why there is nothing to print.
fn nothing(store: &Store, looked_at: &str) -> String {
    let reasons = store.nodes().iter().filter_map(|node| match node.link() {
        Link::Down { why, .. } => Some(format!("{}: {}", plain(node.name()), plain(why))),
        Link::Up | Link::Connecting => None,
    });
    let reasons: Vec<_> = reasons.collect();
    if reasons.is_empty() {
        format!("no answer from any process (looked for {}): is Pitchey running?", plain(looked_at))
    } else {
        reasons.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Event, What, samples};

    fn store() -> (Store, Moment) {
        let (mut store, now) = samples::listened(&["api"], 5);
        let mut hello = samples::hello("gw\u{1b}[2J-1");
        hello.node.version = "1.0\u{202e}.0".into();
        store.apply(Event { node: "gw\u{1b}[2J-1".into(), what: What::Hello(Box::new(hello)) }, now);
        store.apply(Event { node: "gw\u{1b}[2J-1".into(), what: What::Tick(Box::new(samples::tick(1))) }, now);
        (store, now)
    }

    #[test]
    fn text_has_the_figures_and_no_escape_codes() {
        let (store, now) = store();
        let printed = text::print(&store, now);
        assert!(printed.chars().all(|c| c == '\n' || !c.is_control()), "{printed:?}");
        insta::assert_snapshot!(printed);
    }

    #[test]
    fn json_has_a_schema_version_raw_numbers_and_units_in_its_names() {
        let (store, now) = store();
        let printed = json::print(&store, now).unwrap();
        assert!(printed.chars().all(|c| c == '\n' || !c.is_control()), "control characters are escaped");
        insta::assert_snapshot!(printed);
    }

    #[test]
    fn silence_is_explained() {
        assert!(nothing(&Store::default(), "./data/x").contains("is Pitchey running"));
        let mut store = Store::default();
        let what = What::Down { why: "refused \u{7}".into(), retry_in: Duration::ZERO };
        store.apply(Event { node: "api".into(), what }, Duration::ZERO);
        assert_eq!(nothing(&store, ""), "api: refused \\u{7}");
    }
}
