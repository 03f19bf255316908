//! The links: one task per process, and one that looks for processes. Nothing here waits for the screen.
//!
//! What they learn goes through one bounded queue. When it is full a link waits, its socket fills, and the server skips
//! ticks for us and says how many; memory never grows. What the screen wants to be told is one value that is replaced,
//! so a link that was away asks for what is wanted now, not for what was.

mod backoff;
mod discover;
mod link;
mod post;

pub(crate) use discover::Place;

use crate::model::{Event, MOST_NODES, What};
use discover::Source;
use shared::{
    lifecycle::Lifecycle,
    protocol::admin::{ActionRequest, Job, ProblemBody, Subscribe},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Events that may wait for the screen.
const QUEUE: usize = 64;
/// How often the folder is looked at for new processes.
const LOOK: Duration = Duration::from_secs(1);

type Known = Arc<Mutex<BTreeMap<String, Source>>>;

/// The console's side of the links. Dropping it ends them; so does the lifecycle.
#[derive(Debug)]
pub(crate) struct Net {
    /// What the links say.
    pub(crate) events: mpsc::Receiver<Event>,
    sender: mpsc::Sender<Event>,
    again: Arc<Notify>,
    wanted: watch::Sender<Vec<Subscribe>>,
    known: Known,
    operator: String,
    life: Lifecycle,
    end: CancellationToken,
}

/// What every link shares.
#[derive(Clone, Debug)]
struct Common {
    events: mpsc::Sender<Event>,
    again: Arc<Notify>,
    wanted: watch::Receiver<Vec<Subscribe>>,
    operator: String,
}

impl Net {
    /// Starts looking for processes at `place` and listening to each, in the name of `operator`.
    pub(crate) fn start(place: Place, operator: &str, life: &Lifecycle) -> Self {
        let (sender, events) = mpsc::channel(QUEUE);
        let (wanted, wishes) = watch::channel(Vec::new());
        let again = Arc::new(Notify::new());
        let common =
            Common { events: sender.clone(), again: Arc::clone(&again), wanted: wishes, operator: operator.to_owned() };
        let net = Self {
            events,
            sender,
            again,
            wanted,
            known: Known::default(),
            operator: operator.to_owned(),
            life: life.clone(),
            end: life.soft().child_token(),
        };
        net.spawn(look(place, common, Arc::clone(&net.known), life.clone(), net.end.clone()));
        net
    }

    /// Makes every link that waits try again now.
    pub(crate) fn reconnect(&self) {
        self.again.notify_waiters();
    }

    /// Asks every process for these lists, and for no others.
    pub(crate) fn want(&self, wanted: Vec<Subscribe>) {
        self.wanted.send_replace(wanted);
    }

    /// Asks the process at the other end of `link` for an action; the answer comes as an event.
    pub(crate) fn act(&self, link: &str, request: ActionRequest) {
        let source = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(link).cloned();
        let (events, link, operator) = (self.sender.clone(), link.to_owned(), self.operator.clone());
        self.spawn(async move {
            let outcome = perform(source, &operator, &request).await;
            let what = What::Acted { key: request.key, outcome: Box::new(outcome) };
            // Nobody listens any more when the console ends.
            let _ = events.send(Event { link, what }).await;
        });
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let end = self.end.clone();
        self.life.tracker().spawn(async move {
            tokio::select! {
                () = work => {}
                () = end.cancelled() => {}
            }
        });
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

/// Asks for an action. What goes wrong on the way is told like a refusal.
async fn perform(source: Option<Source>, operator: &str, request: &ActionRequest) -> Result<Job, ProblemBody> {
    let source = source.ok_or_else(|| post::problem("unavailable", "this process is not known any more"))?;
    let file = source.resolve().map_err(|error| post::problem("unavailable", &format!("{error:#}")))?;
    post::act(&file, operator, request).await
}

async fn look(place: Place, common: Common, known: Known, life: Lifecycle, end: CancellationToken) {
    loop {
        for source in place.sources() {
            let new = {
                let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                let new = known.len() < MOST_NODES && !known.contains_key(&source.name);
                if new {
                    known.insert(source.name.clone(), source.clone());
                }
                new
            };
            if new {
                let link = link::run(source, common.clone());
                let end = end.clone();
                life.tracker().spawn(async move {
                    tokio::select! {
                        () = link => {}
                        () = end.cancelled() => {}
                    }
                });
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests;
