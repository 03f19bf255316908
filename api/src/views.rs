//! Counting looks without making anybody wait for it: the reader's answer leaves first, the counting happens in
//! batches.
//!
//! A look that is not written down yet is lost when the process is killed, and looks are dropped when they come faster
//! than the store takes them. That is what a counter of looks is worth; whatever matters goes through a transaction.

use shared::{
    clock::Timestamp,
    id::{PitchId, UserId},
    lifecycle::Lifecycle,
    store::{
        Store,
        engagement::{self, View},
    },
};
use std::collections::HashSet;
use tokio::sync::mpsc;

/// Looks that wait to be written down, 48 bytes each. When it is full, further looks are not counted.
const QUEUE: usize = 4_096;
/// Looks in one transaction: short enough to let other writers in between.
const BATCH: usize = 128;
/// Looks remembered as counted today. When it is full it starts over, and the store's unique index decides again.
const REMEMBERED: usize = 65_536;

/// Where looks are handed in. A cheap clone.
#[derive(Clone, Debug)]
pub struct Views(mpsc::Sender<View>);

impl Views {
    /// Starts the task that writes looks down. It ends at shutdown, after writing down what has been handed in.
    pub fn start(store: Store, lifecycle: &Lifecycle) -> Self {
        let (sender, mut looks) = mpsc::channel(QUEUE);
        let soft = lifecycle.soft().clone();
        lifecycle.tracker().spawn(async move {
            let mut today = Today::default();
            let mut batch = Vec::with_capacity(BATCH);
            loop {
                let taken = tokio::select! {
                    biased;
                    () = soft.cancelled(), if !looks.is_closed() => {
                        looks.close();
                        continue;
                    }
                    taken = looks.recv_many(&mut batch, BATCH) => taken,
                };
                if taken == 0 {
                    return;
                }
                write_down(&store, today.news(&mut batch)).await;
            }
        });
        Self(sender)
    }

    /// Somebody looked at somebody else's pitch. Never waits.
    pub fn looked(&self, pitch: PitchId, viewer: UserId, at: Timestamp) {
        // Full or closed: then this look is not counted, as said above.
        let _ = self.0.try_send(View { pitch, viewer, at });
    }
}

async fn write_down(store: &Store, views: Vec<View>) {
    if views.is_empty() {
        return;
    }
    let work = async |tx: &mut _| engagement::record_views(tx, views).await;
    if let Err(error) = store.tx("pitches.count_views", work).await {
        tracing::warn!(%error, "looks were not counted");
    }
}

/// What was counted today, so that a page that is reloaded all day costs one write.
#[derive(Default)]
struct Today {
    day: i64,
    seen: HashSet<(PitchId, UserId)>,
}

impl Today {
    /// Empties the batch and keeps of it what is news today.
    fn news(&mut self, batch: &mut Vec<View>) -> Vec<View> {
        batch.drain(..).filter(|view| self.is_news(view)).collect()
    }

    fn is_news(&mut self, view: &View) -> bool {
        let day = view.at.as_millis().div_euclid(86_400_000);
        if day != self.day || self.seen.len() >= REMEMBERED {
            self.day = day;
            self.seen.clear();
        }
        self.seen.insert((view.pitch, view.viewer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_look_is_news_once_a_day() {
        let mut today = Today::default();
        let noon = Timestamp::from_micros(1_795_348_800_000_000);
        let view = View { pitch: PitchId::new(), viewer: UserId::new(), at: noon };
        let later = |hours| View { at: noon + Duration::from_hours(hours), ..view };
        let other = View { viewer: UserId::new(), ..view };
        assert_eq!(today.news(&mut vec![view, later(1), other]), [view, other]);
        assert_eq!(today.news(&mut vec![later(2)]), []);
        assert_eq!(today.news(&mut vec![later(24)]), [later(24)]);
    }
}
