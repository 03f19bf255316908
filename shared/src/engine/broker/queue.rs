//! A node's queue: bounded in messages and bytes, and honest about what did not fit.
//!
//! The rule when it is full: from the first delivery that does not fit, the queue takes nothing at all until the node
//! has emptied it; then the node gets one [`Delivery::Lost`], and the queue is open again. So there is one `Lost` per
//! overflow and not one per dropped delivery, a node that never comes back costs nothing but what is queued, and `Lost`
//! needs no reserved room: it is a flag that the reader meets when the queue is empty, also if nothing is ever
//! published again.
//!
//! Why filling after `Lost` leaves no hole: publishers push while they hold the topic's lock, and clearing the flag and
//! pushing exclude each other. A delivery that was dropped was therefore appended to its topic before the flag was
//! cleared, so that a reader that looks at the topic after `Lost` finds it there.

use super::{Delivery, NODE_QUEUE, NODE_QUEUE_BYTES, Signal};
use crate::engine::shards::lock;
use std::{collections::VecDeque, sync::Mutex};
use tokio::sync::Notify;

/// Typing is dropped first: a queue this full takes no more of it, and nobody is told.
const TYPING_STOPS: usize = NODE_QUEUE / 2;
/// What an entry costs besides its frame.
const ENTRY_BYTES: usize = size_of::<Delivery>();

#[derive(Debug, Default)]
pub(crate) struct NodeQueue {
    state: Mutex<State>,
    /// Woken when an empty queue stops being empty. There is one reader, so a stored permit is enough.
    filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Delivery>,
    bytes: usize,
    /// Something was dropped since the queue was last empty.
    lost: bool,
    closed: bool,
}

/// What a reader finds when nothing can be delivered.
enum Empty {
    ForNow,
    ForGood,
}

impl NodeQueue {
    /// Queues a delivery, or drops it and remembers that. Never waits.
    pub(crate) fn push(&self, delivery: Delivery) {
        let mut state = lock(&self.state);
        if state.closed || state.lost {
            return;
        }
        if state.waiting.len() >= TYPING_STOPS && matches!(delivery, Delivery::Signal(_, Signal::Typing { .. })) {
            return;
        }
        let bytes = state.bytes + size(&delivery);
        if state.waiting.len() >= NODE_QUEUE || bytes > NODE_QUEUE_BYTES {
            state.lost = true;
            return;
        }
        state.bytes = bytes;
        state.waiting.push_back(delivery);
        let first = state.waiting.len() == 1;
        drop(state);
        if first {
            self.filled.notify_one();
        }
    }

    /// Deliveries were lost on their way here: the same as if they had not fitted.
    pub(crate) fn lose(&self) {
        lock(&self.state).lost = true;
        self.filled.notify_one();
    }

    /// Nothing more will come: the reader gets what is queued, then the end.
    pub(crate) fn close(&self) {
        lock(&self.state).closed = true;
        self.filled.notify_one();
    }

    /// Moves up to `limit` deliveries to `into`; waits for the first. Returns how many; 0 means the end.
    async fn recv_many(&self, into: &mut Vec<Delivery>, limit: usize) -> usize {
        loop {
            match self.take(into, limit) {
                Ok(taken) => return taken,
                Err(Empty::ForGood) => return 0,
                Err(Empty::ForNow) => self.filled.notified().await,
            }
        }
    }

    fn take(&self, into: &mut Vec<Delivery>, limit: usize) -> Result<usize, Empty> {
        let mut state = lock(&self.state);
        let count = state.waiting.len().min(limit);
        if count > 0 {
            into.extend(state.waiting.drain(..count));
            state.bytes -= into[into.len() - count..].iter().map(size).sum::<usize>();
            return Ok(count);
        }
        // Empty: give back what a burst made the queue grow to.
        state.waiting.shrink_to(1_024);
        if std::mem::take(&mut state.lost) {
            into.push(Delivery::Lost);
            return Ok(1);
        }
        Err(if state.closed { Empty::ForGood } else { Empty::ForNow })
    }
}

fn size(delivery: &Delivery) -> usize {
    ENTRY_BYTES
        + match delivery {
            Delivery::Event { frame, .. } | Delivery::Inbox { frame, .. } => frame.len(),
            Delivery::Signal(..) | Delivery::Control(_) | Delivery::Lost => 0,
        }
}

/// The node's end of its queue. Dropping it detaches the node.
#[derive(Debug)]
pub struct Deliveries {
    queue: std::sync::Arc<NodeQueue>,
    detach: Detach,
    /// Kept so that `recv` can share the batch's code without allocating each time.
    one: Vec<Delivery>,
}

/// Runs once, when the node lets go of its queue.
pub(super) struct Detach(pub(super) Option<Box<dyn FnOnce() + Send + Sync>>);

impl std::fmt::Debug for Detach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Detach")
    }
}

impl Deliveries {
    pub(super) fn new(queue: std::sync::Arc<NodeQueue>, detach: Detach) -> Self {
        Self { queue, detach, one: Vec::with_capacity(1) }
    }

    /// The next delivery; `None` when the broker is gone. Cancel-safe.
    pub async fn recv(&mut self) -> Option<Delivery> {
        self.queue.recv_many(&mut self.one, 1).await;
        self.one.pop()
    }

    /// Appends up to `limit` (at least 1) deliveries to `into`, waiting for the first; returns how many, 0 when the
    /// broker is gone. One lock for a whole batch. Cancel-safe.
    pub async fn recv_many(&mut self, into: &mut Vec<Delivery>, limit: usize) -> usize {
        self.queue.recv_many(into, limit.max(1)).await
    }

    /// The next delivery, if there is one now.
    pub fn try_recv(&mut self) -> Option<Delivery> {
        self.queue.take(&mut self.one, 1).ok()?;
        self.one.pop()
    }
}

impl Drop for Deliveries {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(detach) = self.detach.0.take() {
            detach();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Control, Topic};
    use crate::{
        id::{SessionId, UserId},
        protocol::RoomName,
    };
    use bytes::Bytes;
    use std::sync::Arc;

    fn queue() -> (Arc<NodeQueue>, Deliveries) {
        let queue = Arc::new(NodeQueue::default());
        (Arc::clone(&queue), Deliveries::new(queue, Detach(None)))
    }

    fn inbox(seq: u64, bytes: usize) -> Delivery {
        Delivery::Inbox { user: UserId(uuid::Uuid::nil()), seq, frame: Bytes::from(vec![b'x'; bytes]) }
    }

    fn drain(deliveries: &mut Deliveries) -> (usize, usize) {
        let (mut kept, mut lost) = (0, 0);
        while let Some(delivery) = deliveries.try_recv() {
            if matches!(delivery, Delivery::Lost) { lost += 1 } else { kept += 1 }
        }
        (kept, lost)
    }

    #[test]
    fn an_overflow_is_announced_once_after_what_fitted_and_even_if_nothing_follows() {
        let (queue, mut deliveries) = queue();
        for seq in 0..2 * NODE_QUEUE as u64 {
            queue.push(inbox(seq, 10));
        }
        for seq in 0..NODE_QUEUE as u64 {
            assert!(matches!(deliveries.try_recv(), Some(Delivery::Inbox { seq: s, .. }) if s == seq));
        }
        assert!(matches!(deliveries.try_recv(), Some(Delivery::Lost)));
        assert!(deliveries.try_recv().is_none());
        queue.push(inbox(7, 10));
        assert_eq!(drain(&mut deliveries), (1, 0));
    }

    #[test]
    fn nothing_is_taken_between_the_overflow_and_its_announcement() {
        let (queue, mut deliveries) = queue();
        for seq in 0..=NODE_QUEUE as u64 {
            queue.push(inbox(seq, 10));
        }
        for _ in 0..NODE_QUEUE / 2 {
            deliveries.try_recv().unwrap();
        }
        queue.push(inbox(0, 10));
        assert_eq!(drain(&mut deliveries), (NODE_QUEUE / 2, 1));
    }

    #[test]
    fn bytes_are_bounded_too() {
        let (queue, mut deliveries) = queue();
        let frame = 1 << 20;
        for seq in 0..1_000 {
            queue.push(inbox(seq, frame));
        }
        let (kept, lost) = drain(&mut deliveries);
        assert!(kept <= NODE_QUEUE_BYTES / frame && kept > NODE_QUEUE_BYTES / frame - 10, "{kept}");
        assert_eq!(lost, 1);
        queue.push(inbox(0, frame));
        assert_eq!(drain(&mut deliveries), (1, 0), "the bytes were given back");
    }

    #[test]
    fn typing_gives_way_without_an_announcement_and_a_control_message_does_not() {
        let (queue, mut deliveries) = queue();
        let room: RoomName = "public:lobby".parse().unwrap();
        for _ in 0..NODE_QUEUE {
            let typing = Signal::Typing { user: UserId(uuid::Uuid::nil()), ttl_ms: 1 };
            queue.push(Delivery::Signal(Topic::Room(room.clone()), typing));
        }
        queue.push(Delivery::Control(Control::SessionRevoked(SessionId::new())));
        assert_eq!(drain(&mut deliveries), (TYPING_STOPS + 1, 0));
    }

    #[tokio::test]
    async fn a_closed_queue_gives_what_it_has_and_then_ends() {
        let (queue, mut deliveries) = queue();
        queue.push(inbox(1, 1));
        queue.close();
        queue.push(inbox(2, 1));
        assert!(matches!(deliveries.recv().await, Some(Delivery::Inbox { seq: 1, .. })));
        assert!(deliveries.recv().await.is_none());
        assert_eq!(deliveries.recv_many(&mut Vec::new(), 10).await, 0);
    }
}
