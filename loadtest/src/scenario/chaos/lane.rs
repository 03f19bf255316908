//! Messages on their way: one unanswered in each lane, repeated with the same id on the next connection or when the
//! server asks for it, so that a repeat is harmless and cannot overtake what came after it.

use crate::frames::{Letter, Mark};
use serde_json::json;
use std::{collections::VecDeque, time::Duration};
use tokio::time::Instant;
use uuid::Uuid;

/// Most messages that wait; a client refuses its page one more.
const QUEUE: usize = 100;
/// How long an answer may take before the message is sent again.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a lane carries.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Durable messages to a user or conversation.
    Letters { to: String, run: u64 },
    /// Events into a room.
    Events { room: String },
}

/// One message.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) id: Uuid,
    pub(super) mark: Mark,
    /// When its user wrote it.
    pub(super) at: Instant,
}

/// A lane.
#[derive(Debug)]
pub(super) struct Lane {
    kind: Kind,
    queue: VecDeque<Item>,
    /// When to send the first one (again).
    due: Instant,
    next: u64,
    /// Written by the user but never queued: the queue was full.
    pub(super) dropped: u64,
}

impl Lane {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, queue: VecDeque::new(), due: Instant::now(), next: 0, dropped: 0 }
    }

    /// The user writes one more. `at_ns` is when, on the run's clock.
    pub(super) fn write(&mut self, sender: usize, at_ns: u64) {
        if self.queue.len() >= QUEUE {
            self.dropped += 1;
            return;
        }
        let mark = Mark { sender, number: self.next, at: at_ns };
        self.next += 1;
        self.queue.push_back(Item { id: Uuid::now_v7(), mark, at: Instant::now() });
    }

    /// How many are not answered yet.
    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Another connection: what was not answered is sent again.
    pub(super) fn reconnected(&mut self) {
        self.due = Instant::now();
    }

    /// The frame to send now.
    pub(super) fn frame(&mut self) -> Option<String> {
        let item = self.queue.front()?;
        if self.due > Instant::now() {
            return None;
        }
        self.due = Instant::now() + PATIENCE;
        let Item { id, mark, .. } = item;
        Some(match &self.kind {
            Kind::Letters { to, run } => {
                let body = Letter { run: *run, mark: *mark }.body();
                json!({"type": "message", "id": id, "to": to, "body": body}).to_string()
            }
            Kind::Events { room } => {
                let data = mark.payload(96);
                format!(r#"{{"type":"send","id":"{id}","room":"{room}","data":{data}}}"#)
            }
        })
    }

    /// When [`Lane::frame`] has something; none while nothing waits.
    pub(super) fn due(&self) -> Option<Instant> {
        (!self.queue.is_empty()).then_some(self.due)
    }

    /// The one with this id was carried out.
    pub(super) fn answered(&mut self, id: &str) -> Option<Item> {
        self.first(id)?;
        self.due = Instant::now();
        self.queue.pop_front()
    }

    /// The one with this id was refused for now; false if it is none of ours.
    pub(super) fn refused(&mut self, id: &str, retry_after: Duration) -> bool {
        let ours = self.first(id).is_some();
        if ours {
            self.due = Instant::now() + retry_after;
        }
        ours
    }

    fn first(&self, id: &str) -> Option<&Item> {
        let id = Uuid::parse_str(id).ok()?;
        self.queue.front().filter(|item| item.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_is_on_its_way_until_it_is_answered_and_again_with_the_same_id_after_a_reconnect() {
        let mut lane = Lane::new(Kind::Events { room: "public:lobby".into() });
        assert_eq!((lane.frame(), lane.due()), (None, None));
        lane.write(3, 1);
        lane.write(3, 2);
        let first = lane.frame().unwrap();
        assert_eq!(lane.frame(), None, "the second waits for the first one's answer");
        lane.reconnected();
        assert_eq!(lane.frame().as_ref(), Some(&first));
        let id = lane.queue[0].id.to_string();
        assert!(lane.refused(&id, Duration::from_secs(2)));
        assert_eq!(lane.frame(), None);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(lane.frame().as_ref(), Some(&first));
        assert!(lane.answered("no uuid").is_none() && lane.answered(&Uuid::now_v7().to_string()).is_none());
        assert_eq!(lane.answered(&id).unwrap().mark.number, 0);
        assert_eq!(Mark::find(&lane.frame().unwrap()).unwrap().number, 1);
        tokio::time::advance(PATIENCE).await;
        assert!(lane.frame().is_some(), "no answer: once more");
    }
}
