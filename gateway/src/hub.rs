//! Which topics this node follows, and who of its connections is in them.
//!
//! A node subscribes to a topic once, however many clients want it, and unsubscribes when the last one has been gone
//! for a moment ([`Hub::sweep`]). Subscribing and unsubscribing of one topic can never overtake each other: a topic
//! that is being given up stays in the map, closed, until the engine has confirmed; who wants in waits for that and
//! starts a new one.

use crate::{connection::outbox::Outbox, topic::Topic};
use dashmap::DashMap;
use shared::engine::{self, Broker, EngineError, NodeId};
use std::{
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// Shards of the topic map; far more than cores, so that joins of different rooms rarely meet.
const SHARDS: usize = 64;

/// The topics of this node.
pub(crate) struct Hub {
    broker: Broker,
    node: NodeId,
    topics: DashMap<engine::Topic, Arc<Topic>>,
    /// How many of them are rooms.
    rooms: AtomicUsize,
    /// Topics whose last member left; looked at once per sweep.
    idle: Mutex<Vec<Arc<Topic>>>,
    /// Rooms that somebody entered or left since they were last told of (see [`crate::occupancy`]), each once.
    changed: Mutex<Vec<Arc<Topic>>>,
    /// Topics that got frames since the last sweep, and those that got some since the one before.
    warm: Mutex<Warm>,
}

/// See [`Hub::note_warm`].
#[derive(Default)]
struct Warm {
    recent: Vec<Arc<Topic>>,
    earlier: Vec<Arc<Topic>>,
}

/// A connection's place in a topic. Dropping it leaves.
pub(crate) struct Entered {
    hub: Arc<Hub>,
    topic: Arc<Topic>,
    slot: u32,
}

impl Entered {
    pub(crate) fn topic(&self) -> &Arc<Topic> {
        &self.topic
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let last = self.topic.remove(self.slot);
        self.hub.note_changed(&self.topic);
        if last {
            self.hub.note_idle(Arc::clone(&self.topic));
        }
    }
}

impl Hub {
    pub(crate) fn new(broker: Broker, node: NodeId) -> Self {
        let topics = DashMap::with_shard_amount(SHARDS);
        Self {
            broker,
            node,
            topics,
            rooms: AtomicUsize::new(0),
            idle: Mutex::default(),
            changed: Mutex::default(),
            warm: Mutex::default(),
        }
    }

    /// Enters a topic: registered first, then confirmed, so that nothing published after this returns is missed.
    pub(crate) async fn enter(
        self: &Arc<Self>,
        key: engine::Topic,
        outbox: &Arc<Outbox>,
    ) -> Result<Entered, EngineError> {
        loop {
            let topic = self.topic(&key);
            let Some(slot) = topic.add(outbox) else {
                topic.wait_gone(|| self.is_current(&topic)).await;
                continue;
            };
            let entered = Entered { hub: Arc::clone(self), topic, slot };
            self.note_changed(&entered.topic);
            entered.topic.subscribe_with(self.broker.subscribe(self.node, &key)).await?;
            return Ok(entered);
        }
    }

    fn topic(&self, key: &engine::Topic) -> Arc<Topic> {
        if let Some(topic) = self.topics.get(key) {
            return Arc::clone(&topic);
        }
        let made = || {
            self.rooms.fetch_add(usize::from(is_room(key)), Relaxed);
            Arc::new(Topic::new(key.clone()))
        };
        Arc::clone(&self.topics.entry(key.clone()).or_insert_with(made))
    }

    /// A topic that is followed right now.
    pub(crate) fn find(&self, key: &engine::Topic) -> Option<Arc<Topic>> {
        self.topics.get(key).map(|topic| Arc::clone(&topic))
    }

    /// Every topic that is followed right now.
    pub(crate) fn all(&self) -> Vec<Arc<Topic>> {
        self.topics.iter().map(|entry| Arc::clone(&entry)).collect()
    }

    /// How many rooms are followed.
    pub(crate) fn rooms(&self) -> usize {
        self.rooms.load(Relaxed)
    }

    /// How many topics are followed.
    pub(crate) fn len(&self) -> usize {
        self.topics.len()
    }

    fn is_current(&self, topic: &Arc<Topic>) -> bool {
        self.topics.get(topic.key()).is_some_and(|current| Arc::ptr_eq(&current, topic))
    }

    /// Somebody entered or left: if it is a room, the other nodes will hear of it.
    pub(crate) fn note_changed(&self, topic: &Arc<Topic>) {
        if is_room(topic.key()) && topic.begin_change() {
            self.changed.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(topic));
        }
    }

    /// The rooms that somebody entered or left and that nobody has told of since.
    pub(crate) fn take_changed(&self) -> Vec<Arc<Topic>> {
        let mut changed = mem::take(&mut *self.changed.lock().unwrap_or_else(PoisonError::into_inner));
        changed.retain(|topic| topic.settle_change());
        changed
    }

    fn note_idle(&self, topic: Arc<Topic>) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(topic);
    }

    /// The topic got frames: its log is worth keeping for a moment.
    pub(crate) fn note_warm(&self, topics: impl Iterator<Item = Arc<Topic>>) {
        self.warm.lock().unwrap_or_else(PoisonError::into_inner).recent.extend(topics);
    }

    /// Once a second: gives up topics nobody is in any more, and empties the logs of those that went quiet. The cost is
    /// that of what changed, not of what exists.
    pub(crate) async fn sweep(&self) {
        let idle = mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        for topic in idle {
            if self.is_current(&topic) && topic.try_close() {
                self.give_up(topic).await;
            }
        }
        self.cool();
    }

    async fn give_up(&self, topic: Arc<Topic>) {
        if let Err(problem) = self.broker.unsubscribe(self.node, topic.key()).await {
            tracing::debug!(%problem, "failed to unsubscribe, trying again with the next sweep");
            self.note_idle(topic);
            return;
        }
        if self.topics.remove_if(topic.key(), |_, current| Arc::ptr_eq(current, &topic)).is_some() {
            self.rooms.fetch_sub(usize::from(is_room(topic.key())), Relaxed);
        }
        topic.mark_gone();
    }

    fn cool(&self) {
        let mut warm = self.warm.lock().unwrap_or_else(PoisonError::into_inner);
        let mut recent = mem::take(&mut warm.recent);
        recent.sort_unstable_by_key(Arc::as_ptr);
        recent.dedup_by(|a, b| Arc::ptr_eq(a, b));
        let earlier = mem::replace(&mut warm.earlier, recent);
        let still_warm = &warm.earlier;
        for topic in earlier {
            if still_warm.binary_search_by_key(&Arc::as_ptr(&topic), Arc::as_ptr).is_err() {
                topic.cool();
            }
        }
    }
}

fn is_room(key: &engine::Topic) -> bool {
    matches!(key, engine::Topic::Room(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::{clock::Clock, engine::Engine, engine::Topic as Key};

    async fn hub() -> (Arc<Hub>, engine::Attachment) {
        let broker = Engine::memory(Clock::System).broker;
        let attachment = broker.attach().await.unwrap();
        (Arc::new(Hub::new(broker, attachment.node)), attachment)
    }

    fn outbox() -> Arc<Outbox> {
        Arc::new(Outbox::new(1, 0, u32::MAX))
    }

    #[tokio::test]
    async fn a_topic_everyone_left_is_given_up_by_the_next_sweep_and_can_be_entered_again() {
        let (hub, _attachment) = hub().await;
        let key = Key::Room("public:lobby".parse().unwrap());
        let (a, b) =
            (hub.enter(key.clone(), &outbox()).await.unwrap(), hub.enter(key.clone(), &outbox()).await.unwrap());
        drop(a);
        hub.sweep().await;
        assert_eq!(hub.len(), 1, "somebody is still in");
        drop(b);
        let again = hub.enter(key.clone(), &outbox()).await.unwrap();
        hub.sweep().await;
        assert_eq!(hub.len(), 1, "somebody came back before the sweep");
        drop(again);
        hub.sweep().await;
        assert_eq!(hub.len(), 0);
        let _again = hub.enter(key, &outbox()).await.unwrap();
        assert_eq!(hub.len(), 1);
    }

    #[tokio::test]
    async fn who_enters_while_a_topic_is_given_up_ends_in_a_new_subscribed_one() {
        let (hub, mut attachment) = hub().await;
        let room = "public:lobby".parse().unwrap();
        let key = Key::Room(room);
        for _ in 0..200 {
            drop(hub.enter(key.clone(), &outbox()).await.unwrap());
            let member = outbox();
            let (entered, ()) = tokio::join!(hub.enter(key.clone(), &member), hub.sweep());
            let _entered = entered.unwrap();
            hub.broker
                .signal(&key, engine::Signal::Typing { user: shared::id::UserId::new(), ttl_ms: 1 })
                .await
                .unwrap();
            assert!(attachment.deliveries.recv().await.is_some());
        }
    }
}
