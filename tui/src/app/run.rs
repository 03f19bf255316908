//! The loop: wait for a key, a link or time; take in everything that is already there; draw at most fifteen times a
//! second, and only when something changed. The network is never awaited here, so keys answer whatever it does.

use super::{App, Effect, Msg};
use crate::{
    cli::Cli,
    net::{Net, Place},
    term::Term,
    theme::Theme,
    view,
};
use anyhow::Context as _;
use crossterm::event::{Event as Input, EventStream, KeyEventKind};
use futures_util::{FutureExt as _, StreamExt as _};
use shared::lifecycle::Lifecycle;
use std::{process::ExitCode, time::Duration};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

/// Shortest time between two frames.
const FRAME: Duration = Duration::from_millis(66);
/// How often texts that change by time alone are looked at.
const AGE: Duration = Duration::from_millis(250);
/// How long the links get to close.
const CLOSING: Duration = Duration::from_millis(500);

/// Runs the full-screen console until it is told to end.
pub(crate) async fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    let life = Lifecycle::new();
    let place = Place::new(cli);
    let app = App::new(place.to_string());
    let theme = Theme::new(cli.palette(), cli.unicode());
    let net = Net::start(place, &life);
    let outcome = match Term::enter().context("failed to set up the terminal") {
        Ok(term) => Loop { app, theme, net, term, drawn: Instant::now() }.run().await,
        Err(problem) => Err(problem),
    };
    life.shutdown(CLOSING).await;
    outcome.map(|()| ExitCode::SUCCESS)
}

struct Loop {
    app: App,
    theme: Theme,
    net: Net,
    term: Term,
    drawn: Instant,
}

impl Loop {
    async fn run(mut self) -> anyhow::Result<()> {
        let began = Instant::now();
        let mut keys = EventStream::new();
        let mut ends =
            [signal(SignalKind::terminate())?, signal(SignalKind::hangup())?, signal(SignalKind::interrupt())?];
        let mut age = interval(AGE);
        age.set_missed_tick_behavior(MissedTickBehavior::Skip);
        self.draw()?;
        loop {
            let msg = tokio::select! {
                () = any(&mut ends) => return Ok(()),
                input = keys.next() => message(input)?,
                event = self.net.events.recv() => event.map(Msg::Net),
                _ = age.tick() => Some(Msg::Age),
                () = sleep_until(self.drawn + FRAME), if self.app.dirty() => None,
            };
            if self.take(msg, began.elapsed()) {
                return Ok(());
            }
            // What is already there goes into the same frame. `Skip` bounds the ticks, the queue bounds the events.
            while let Ok(event) = self.net.events.try_recv() {
                self.take(Some(Msg::Net(event)), began.elapsed());
            }
            while let Some(input) = keys.next().now_or_never() {
                if self.take(message(input)?, began.elapsed()) {
                    return Ok(());
                }
            }
            if self.app.dirty() && self.drawn.elapsed() >= FRAME {
                self.draw()?;
            }
        }
    }

    /// Hands a message to the state; true when the console is to end.
    fn take(&mut self, msg: Option<Msg>, now: Duration) -> bool {
        match msg.and_then(|msg| self.app.update(msg, now)) {
            Some(Effect::Quit) => true,
            Some(Effect::Reconnect) => {
                self.net.reconnect();
                false
            }
            None => false,
        }
    }

    fn draw(&mut self) -> anyhow::Result<()> {
        self.app.take_dirty();
        self.drawn = Instant::now();
        let (app, theme) = (&self.app, self.theme);
        self.term.draw(|frame| view::draw(frame, app, theme)).context("failed to draw")
    }
}

/// What an input event means; none if nothing. The end of the input is an error: nobody could ever quit.
fn message(input: Option<std::io::Result<Input>>) -> anyhow::Result<Option<Msg>> {
    Ok(match input.context("the terminal went away")?.context("failed to read the terminal")? {
        Input::Key(key) if key.kind == KeyEventKind::Press => Some(Msg::Key(key)),
        Input::Resize(..) => Some(Msg::Resize),
        _ => None,
    })
}

async fn any(ends: &mut [Signal; 3]) {
    let [terminate, hangup, interrupt] = ends;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
        _ = interrupt.recv() => {}
    }
}
