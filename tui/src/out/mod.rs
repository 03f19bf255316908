//! The same model without a screen: for scripts, monitoring and people in a hurry. Nothing here ever prints what a
//! terminal would obey.

mod act;
mod check;
mod json;
mod list;
mod stream;
mod text;

pub(crate) use act::{Asked, act};
pub(crate) use check::{check, unknown};
pub(crate) use stream::stream;

use crate::{
    app::{Recorded, moment},
    cli::{Cli, Form},
    config::Settings,
    deed,
    figures::plain,
    model::{Event, LinkState, Lists, Moment, Picture, Showing, Slot, Store, What},
    net::Net,
};
use anyhow::{Context as _, bail};
use shared::{
    clock::Timestamp,
    lifecycle::Lifecycle,
    protocol::admin::{Message, Query, Sort},
};
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

/// Listens until every process has told enough, prints, and ends.
pub(crate) async fn once(cli: &Cli, settings: &Settings, form: Form) -> anyhow::Result<ExitCode> {
    let query = query(cli)?;
    let (store, now) = gather(cli, settings, query.clone()).await?;
    let printed = match (query, form) {
        (None, Form::Text) => text::print(&Picture { store: &store, now, at: None }),
        (None, Form::Json) => json::print(&Picture { store: &store, now, at: None })?,
        (Some(query), form) => match store.lists.showing(Slot::MAIN) {
            Showing::Rows(answer, _) if form == Form::Text => list::text(&query, answer),
            Showing::Rows(answer, _) => list::json(&query, answer)?,
            Showing::Refused(why) => bail!("{}: {}", query.view.name(), plain(why)),
            Showing::Waiting if store.offers(query.view) == Some(false) => {
                bail!("{} is not available from the processes that are heard", query.view.name())
            }
            Showing::Waiting => bail!("no answer in time"),
        },
    };
    print(&printed)
}

/// Writes to standard output. A reader that has enough (`| head -1`) is no failure of ours.
pub(crate) fn print(text: &str) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        outcome => Ok(outcome.map(|()| ExitCode::SUCCESS)?),
    }
}

/// The list the command line asks for.
fn query(cli: &Cli) -> anyhow::Result<Option<Query>> {
    let Some(view) = cli.output.view else { return Ok(None) };
    let sort = cli.output.sort.as_ref().map(|text| match text.split_once(':') {
        Some((by, way)) => Sort { by: by.to_owned(), descending: way != "asc" },
        None => Sort { by: text.clone(), descending: true },
    });
    let query = Query {
        of: cli.output.of.clone(),
        filter: cli.output.filter.clone(),
        sort,
        limit: cli.output.limit,
        ..Query::of(view)
    };
    if view.needs_of() && query.of.is_none() {
        bail!("{} is about one thing: say which with --of", view.name());
    }
    Ok(Some(query))
}

/// Listens until every process has told two ticks, and answered what was asked. At least one must have.
async fn gather(cli: &Cli, settings: &Settings, query: Option<Query>) -> anyhow::Result<(Store, Moment)> {
    let (life, place) = (Lifecycle::new(), cli.place(settings, settings.context.as_deref()));
    let looked_at = place.to_string();
    let mut net = Net::start(place, &settings.operator, &life);
    let mut lists = Lists::default();
    lists.want(query.into_iter().map(|query| (Slot::MAIN, query)).collect());
    net.want(lists.subscriptions());
    let (mut store, began) = (Store::wanting(lists), Instant::now());
    let mut until = began + cli.patience();
    while let Ok(Some(event)) = timeout_at(until, net.events.recv()).await {
        store.apply(event, began.elapsed());
        match complete(&store) {
            (0, _) => {}
            (done, all) if done == all => break,
            _ => until = until.min(Instant::now() + OTHERS),
        }
    }
    drop(net);
    life.shutdown(CLOSING).await;
    if store.nodes().iter().all(|node| node.tick().is_none()) {
        bail!("{}", nothing(&store, &looked_at));
    }
    Ok((store, began.elapsed()))
}

/// How many links have told what they will be asked for, and how many there are.
fn complete(store: &Store) -> (usize, usize) {
    let waits = |view| store.offers(view) == Some(true) && matches!(store.lists.showing(Slot::MAIN), Showing::Waiting);
    let waits = store.lists.query(Slot::MAIN).is_some_and(|query| waits(query.view));
    let asked = store.lists.query(Slot::MAIN).is_some();
    let told = |name: &str| {
        store
            .node(name)
            .and_then(|node| node.tick())
            .is_some_and(|tick| asked || tick.sample.get(shared::protocol::admin::Metric::RequestsPerS, None).is_some())
    };
    let links = store.links();
    let done = links.iter().filter(|link| !waits && link.hello().is_some_and(|hello| told(&hello.node.name))).count();
    (done, links.len())
}

/// Why there is nothing to print.
fn nothing(store: &Store, looked_at: &str) -> String {
    let reasons = store.links().iter().filter_map(|link| match link.state() {
        LinkState::Down { why, .. } => Some(format!("{}: {}", plain(link.name()), plain(why))),
        LinkState::Up | LinkState::Connecting => None,
    });
    let reasons: Vec<_> = reasons.collect();
    if reasons.is_empty() {
        format!("no answer from any process (looked for {}): is Pitchey running?", plain(looked_at))
    } else {
        reasons.join("; ")
    }
}

/// Writes what is known beside the console: `pitchey-<time>.json` and `.txt`; the name without its end.
pub(crate) fn snapshot(store: &Store, now: Moment) -> anyhow::Result<String> {
    let picture = Picture { store, now, at: None };
    let clock = picture.clock().context("nothing has been heard yet")?.to_string();
    let name = format!("pitchey-{}", clock.get(..19).unwrap_or_default().replace(':', ""));
    std::fs::write(format!("{name}.json"), json::print(&picture)?)?;
    std::fs::write(format!("{name}.txt"), text::print(&picture))?;
    Ok(name)
}

/// Where in a recording to begin: at a time of the day, or so long after its beginning.
pub(crate) fn begin_at(lines: &[(Moment, Recorded)], at: Option<&str>) -> anyhow::Result<Moment> {
    let Some(text) = at else { return Ok(Moment::ZERO) };
    if let Ok(seconds) = deed::seconds(text) {
        return Ok(Moment::from_secs(seconds));
    }
    let ticks: Vec<(Moment, Timestamp)> = lines.iter().filter_map(|(at, line)| Some((*at, tick_of(line)?))).collect();
    let (_, last) = ticks.last().context("the recording has no tick")?;
    let wanted = moment(text, *last).map_err(anyhow::Error::msg)?;
    let first = ticks.iter().find(|(_, tick)| *tick >= wanted).context("the recording ends before that")?;
    Ok(first.0)
}

fn tick_of(line: &Recorded) -> Option<Timestamp> {
    match line {
        Recorded::Event(Event { what: What::Said(said), .. }) => match said.as_ref() {
            Message::Tick(tick) => Some(tick.at),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests;
