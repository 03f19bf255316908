//! The links: one task per process, and one that looks for processes. Nothing here waits for the screen.
//!
//! What they learn goes through one bounded queue. When it is full a link waits, its socket fills, and the server skips
//! ticks for us and says how many; memory never grows.

mod backoff;
mod discover;
mod link;

pub(crate) use discover::Place;

use crate::model::{Event, MOST_NODES};
use shared::lifecycle::Lifecycle;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::sync::{Notify, mpsc};

/// Events that may wait for the screen.
const QUEUE: usize = 64;
/// How often the folder is looked at for new processes.
const LOOK: Duration = Duration::from_secs(1);

/// The console's side of the links. Dropping it does not end them; the lifecycle does.
#[derive(Debug)]
pub(crate) struct Net {
    /// What the links say.
    pub(crate) events: mpsc::Receiver<Event>,
    again: Arc<Notify>,
}

impl Net {
    /// Starts looking for processes at `place` and listening to each.
    pub(crate) fn start(place: Place, life: &Lifecycle) -> Self {
        let (sender, events) = mpsc::channel(QUEUE);
        let again = Arc::new(Notify::new());
        let finder = look(place, sender, Arc::clone(&again), life.clone());
        let soft = life.soft().clone();
        life.tracker().spawn(async move {
            tokio::select! {
                () = finder => {}
                () = soft.cancelled() => {}
            }
        });
        Self { events, again }
    }

    /// Makes every link that waits try again now.
    pub(crate) fn reconnect(&self) {
        self.again.notify_waiters();
    }
}

async fn look(place: Place, events: mpsc::Sender<Event>, again: Arc<Notify>, life: Lifecycle) {
    let mut known = BTreeSet::new();
    loop {
        for source in place.sources() {
            if known.len() < MOST_NODES && known.insert(source.name.clone()) {
                let link = link::run(source, events.clone(), Arc::clone(&again));
                let soft = life.soft().clone();
                life.tracker().spawn(async move {
                    tokio::select! {
                        () = link => {}
                        () = soft.cancelled() => {}
                    }
                });
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests;
