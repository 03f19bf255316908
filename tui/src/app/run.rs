//! The loop: wait for a key, a link or time; take in everything that is already there; draw at most fifteen times a
//! second, and only when something changed. The network is never awaited here, so keys answer whatever it does.

use super::{App, Effect, Msg, Replay};
use crate::{
    cli::Cli,
    config::Settings,
    model::Event,
    net::{Net, Place},
    out,
    record::{self, Recorder},
    term::{Signals, Term},
    theme::{Level, Theme},
    view::{self, Hits},
};
use anyhow::Context as _;
use crossterm::event::{Event as Input, EventStream, KeyEventKind, MouseButton, MouseEvent, MouseEventKind};
use futures_util::{FutureExt as _, StreamExt as _};
use shared::lifecycle::Lifecycle;
use std::{process::ExitCode, time::Duration};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

/// Shortest time between two frames.
const FRAME: Duration = Duration::from_millis(66);
/// How often texts that change by time alone are looked at.
const AGE: Duration = Duration::from_millis(250);
/// How long the links get to close.
const CLOSING: Duration = Duration::from_millis(500);
/// Rows a turn of the wheel moves.
const WHEEL: isize = 3;

/// Runs the full-screen console until it is told to end.
pub(crate) async fn run(cli: &Cli, settings: Settings) -> anyhow::Result<ExitCode> {
    let life = Lifecycle::new();
    let place = cli.place(&settings, settings.context.as_deref());
    let theme = Theme::new(cli.palette(), cli.unicode()).named(&settings.theme).map_err(anyhow::Error::msg)?;
    let recorder = cli.record.as_deref().map(Recorder::create).transpose()?;
    let mut app = App::new(settings.clone(), place.to_string(), theme);
    let net = match &cli.replay {
        None => Some(Net::start(place, &settings.operator, &life)),
        Some(path) => {
            let lines = record::read(path)?;
            let from = out::begin_at(&lines, cli.at.as_deref())?;
            app = app.replaying(Replay::new(lines), from);
            None
        }
    };
    let outcome = match Term::enter(app.mouse()).context("failed to set up the terminal") {
        Ok(term) => {
            let now = Instant::now();
            Loop { cli, life: &life, app, net, recorder, term, hits: Hits::default(), began: now, drawn: now }
                .run()
                .await
        }
        Err(problem) => Err(problem),
    };
    life.shutdown(CLOSING).await;
    outcome
}

struct Loop<'a> {
    cli: &'a Cli,
    life: &'a Lifecycle,
    app: App,
    /// None before a recording.
    net: Option<Net>,
    recorder: Option<Recorder>,
    term: Term,
    hits: Hits,
    began: Instant,
    drawn: Instant,
}

impl Loop<'_> {
    async fn run(mut self) -> anyhow::Result<ExitCode> {
        let mut keys = EventStream::new();
        let mut signals = Signals::new()?;
        let mut age = interval(AGE);
        age.set_missed_tick_behavior(MissedTickBehavior::Skip);
        self.take(Msg::Age);
        self.draw()?;
        #[cfg(debug_assertions)]
        crate::term::break_on_purpose(self.cli.panic.as_deref(), self.life);
        loop {
            let msg = tokio::select! {
                ended = signals.next() => {
                    if let Some(code) = ended {
                        return Ok(code);
                    }
                    self.term.suspend()?;
                    Some(Msg::Resize)
                }
                input = keys.next() => self.message(input)?,
                event = heard(&mut self.net) => event.map(Msg::Net),
                _ = age.tick() => Some(Msg::Age),
                () = sleep_until(self.drawn + FRAME), if self.app.dirty() => None,
            };
            if let Some(keep) = msg.and_then(|msg| self.take(msg)) {
                return self.end(keep);
            }
            // What is already there goes into the same frame. `Skip` bounds the ticks, the queue bounds the events.
            while let Some(event) = self.net.as_mut().and_then(|net| net.events.try_recv().ok()) {
                self.take(Msg::Net(event));
            }
            while let Some(input) = keys.next().now_or_never() {
                if let Some(keep) = self.message(input)?.and_then(|msg| self.take(msg)) {
                    return self.end(keep);
                }
            }
            if self.app.dirty() && self.drawn.elapsed() >= FRAME {
                self.draw()?;
            }
        }
    }

    /// Hands a message to the state and does what it wants done; something when the console is to end.
    fn take(&mut self, msg: Msg) -> Option<bool> {
        let now = self.began.elapsed();
        if let Msg::Net(event) = &msg {
            self.record(record::line(event, now));
        }
        for effect in self.app.update(msg, now) {
            if let Effect::Quit(keep) = effect {
                return Some(keep);
            }
            if let Err(problem) = self.perform(effect) {
                self.app.update(Msg::Notice(format!("{problem:#}"), Level::Warn), now);
            }
        }
        None
    }

    fn perform(&mut self, effect: Effect) -> anyhow::Result<()> {
        match effect {
            Effect::Quit(_) => {}
            Effect::Suspend => {
                self.term.suspend().context("failed to give the terminal back")?;
                self.app.update(Msg::Resize, self.began.elapsed());
            }
            Effect::Reconnect => self.net.iter().for_each(Net::reconnect),
            Effect::Subscribe(wanted) => {
                self.record(record::asked(&wanted, self.began.elapsed()));
                if let Some(net) = &self.net {
                    net.want(wanted);
                }
            }
            Effect::Act(request, node) => {
                let links = self.app.known().0.links();
                let able = || links.iter().filter(|link| link.can(request.action.name()));
                let at = |name: &str| able().find(|link| link.hello().is_some_and(|hello| hello.node.name == name));
                let link = node.as_deref().and_then(at).or_else(|| able().next());
                let link = link.context("no process that is heard can do this")?.name().to_owned();
                self.net.as_ref().context("this is a recording")?.act(&link, *request);
            }
            Effect::Copy(text) => Term::copy(&text).context("failed to copy")?,
            Effect::Mouse(on) => self.term.mouse(on).context("failed to turn the mouse")?,
            Effect::Snapshot => {
                let (store, now) = self.app.known();
                let name = out::snapshot(store, now).context("failed to write the snapshot")?;
                let said = Msg::Notice(format!("written to {name}.json and {name}.txt"), Level::Good);
                self.app.update(said, self.began.elapsed());
            }
            Effect::Context(name) => {
                let settings = self.app.settings().clone();
                let place = self.cli.place(&settings, Some(&name));
                self.move_to(place, &settings);
            }
        }
        Ok(())
    }

    fn move_to(&mut self, place: Place, settings: &Settings) {
        if self.net.is_some() {
            self.app.moved(place.to_string());
            self.net = Some(Net::start(place, &settings.operator, self.life));
            self.take(Msg::Age);
        }
    }

    fn record(&mut self, line: Option<String>) {
        if let Some(Err(problem)) = self.recorder.as_mut().map(|recorder| recorder.add(line)) {
            self.recorder = None;
            let said = Msg::Notice(format!("the recording ended: {problem}"), Level::Crit);
            self.app.update(said, self.began.elapsed());
        }
    }

    fn draw(&mut self) -> anyhow::Result<()> {
        self.app.take_dirty();
        self.drawn = Instant::now();
        let (app, hits) = (&self.app, &mut self.hits);
        self.term.draw(|frame| *hits = view::draw(frame, app)).context("failed to draw")
    }

    fn end(mut self, keep: bool) -> anyhow::Result<ExitCode> {
        if let Some(recorder) = &mut self.recorder {
            recorder.flush().context("failed to end the recording")?;
        }
        if keep {
            let lines = self.term.picture();
            drop(self.term);
            print!("{lines}");
        }
        Ok(ExitCode::SUCCESS)
    }

    /// What an input event means; none if nothing. The end of the input is an error: nobody could ever quit.
    fn message(&self, input: Option<std::io::Result<Input>>) -> anyhow::Result<Option<Msg>> {
        Ok(match input.context("the terminal went away")?.context("failed to read the terminal")? {
            Input::Key(key) if key.kind == KeyEventKind::Press => Some(Msg::Key(key)),
            Input::Paste(text) => Some(Msg::Paste(text)),
            Input::Mouse(MouseEvent { kind, column, row, .. }) => match kind {
                MouseEventKind::Down(MouseButton::Left) => self.hits.at(column, row).map(Msg::Click),
                MouseEventKind::ScrollDown => Some(Msg::Wheel(WHEEL)),
                MouseEventKind::ScrollUp => Some(Msg::Wheel(-WHEEL)),
                _ => None,
            },
            Input::Resize(..) => Some(Msg::Resize),
            _ => None,
        })
    }
}

/// The next thing a link says; never, before a recording.
async fn heard(net: &mut Option<Net>) -> Option<Event> {
    match net {
        Some(net) => net.events.recv().await,
        None => std::future::pending().await,
    }
}
