//! What this process is subscribed to, and for which of its nodes: the truth that the connection is brought in line with.
//!
//! A topic is subscribed to once, however many nodes want it. [`Registry::subscribe`] and its opposite only note what
//! is wanted; the subscriber's one task takes the difference in batches ([`Registry::batch`]), so that subscribing and
//! unsubscribing of one channel can never overtake each other, and says what is confirmed ([`Registry::confirm`]).
//!
//! One lock for all of it: the dispatcher holds it for a batch of messages, subscribing for a moment.

use super::wire;
use crate::engine::{Control, Delivery, EngineError, NodeId, Topic, broker::queue::NodeQueue, shards::lock};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex},
};
use tokio::sync::{Notify, oneshot};

/// A channel's name.
pub(super) type Channel = Arc<str>;

#[derive(Debug, Default)]
pub(super) struct Registry {
    state: Mutex<State>,
    /// Rung when there is a difference to be taken.
    pub(super) changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    nodes: HashMap<NodeId, Node>,
    topics: HashMap<Channel, Entry>,
    /// Channels whose entries may differ from what Redis knows; each at most once.
    unsettled: VecDeque<Channel>,
}

#[derive(Debug)]
struct Node {
    queue: Arc<NodeQueue>,
    channels: HashSet<Channel>,
}

#[derive(Debug)]
struct Entry {
    topic: Topic,
    listeners: Vec<(NodeId, Arc<NodeQueue>)>,
    /// Redis has confirmed the subscription, on the present connection.
    confirmed: bool,
    unsettled: bool,
    /// Told of the confirmation; dropped without a word when the entry goes.
    waiting: Vec<oneshot::Sender<()>>,
}

/// What to tell Redis.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) subscribe: Vec<Channel>,
    pub(super) unsubscribe: Vec<(Channel, Topic)>,
}

impl Registry {
    pub(super) fn attach(&self, node: NodeId, queue: Arc<NodeQueue>) {
        lock(&self.state).nodes.insert(node, Node { queue, channels: HashSet::new() });
    }

    pub(super) fn detach(&self, node: NodeId) {
        let mut state = lock(&self.state);
        let Some(gone) = state.nodes.remove(&node) else { return };
        for channel in gone.channels {
            state.unlisten(node, &channel);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Notes that a node wants a topic. What is returned is told when Redis has confirmed it; nothing is returned if it
    /// has already.
    pub(super) fn subscribe(
        &self,
        node: NodeId,
        topic: &Topic,
        channel: &str,
    ) -> Result<Option<oneshot::Receiver<()>>, EngineError> {
        let mut state = lock(&self.state);
        let State { nodes, topics, .. } = &mut *state;
        let listener = nodes.get_mut(&node).ok_or(EngineError::NotAttached)?;
        let channel = topics.get_key_value(channel).map_or_else(|| channel.into(), |(known, _)| Arc::clone(known));
        let entry = topics.entry(Arc::clone(&channel)).or_insert_with(|| Entry {
            topic: topic.clone(),
            listeners: Vec::new(),
            confirmed: false,
            unsettled: false,
            waiting: Vec::new(),
        });
        if listener.channels.insert(Arc::clone(&channel)) {
            entry.listeners.push((node, Arc::clone(&listener.queue)));
        }
        if entry.confirmed {
            return Ok(None);
        }
        let (confirmed, wait) = oneshot::channel();
        entry.waiting.push(confirmed);
        state.unsettle(&channel);
        drop(state);
        self.changed.notify_one();
        Ok(Some(wait))
    }

    /// Notes that a node no longer wants a topic.
    pub(super) fn unsubscribe(&self, node: NodeId, channel: &str) {
        let mut state = lock(&self.state);
        let Some(listener) = state.nodes.get_mut(&node) else { return };
        let Some(channel) = listener.channels.take(channel) else { return };
        state.unlisten(node, &channel);
        drop(state);
        self.changed.notify_one();
    }

    /// A connection that knows nothing has begun: every wanted channel is to be subscribed to again. Returns how many.
    pub(super) fn start_over(&self) -> usize {
        let mut state = lock(&self.state);
        state.topics.retain(|_, entry| !entry.listeners.is_empty());
        for entry in state.topics.values_mut() {
            (entry.confirmed, entry.unsettled) = (false, true);
        }
        state.unsettled = state.topics.keys().cloned().collect();
        state.unsettled.len()
    }

    /// The next differences, at most `most`; forgets topics that nobody wants any more.
    pub(super) fn batch(&self, most: usize) -> Batch {
        let mut state = lock(&self.state);
        let mut batch = Batch::default();
        while batch.subscribe.len() + batch.unsubscribe.len() < most
            && let Some(channel) = state.unsettled.pop_front()
        {
            let Some(entry) = state.topics.get_mut(&channel) else { continue };
            entry.unsettled = false;
            match (entry.listeners.is_empty(), entry.confirmed) {
                (false, false) => batch.subscribe.push(channel),
                (false, true) => {}
                (true, confirmed) => {
                    let entry = state.topics.remove(&channel).expect("it was just there");
                    if confirmed {
                        batch.unsubscribe.push((channel, entry.topic));
                    }
                }
            }
        }
        batch
    }

    /// Redis has carried the subscriptions out.
    pub(super) fn confirm(&self, channels: &[Channel]) {
        let mut state = lock(&self.state);
        for channel in channels {
            // Still there: only `batch` removes, and it is called by the same task.
            let Some(entry) = state.topics.get_mut(channel) else { continue };
            entry.confirmed = true;
            for waiting in entry.waiting.drain(..) {
                let _ = waiting.send(());
            }
            if entry.listeners.is_empty() {
                state.unsettle(channel);
            }
        }
    }

    /// Hands messages to the nodes that want them, in their order.
    pub(super) fn deliver<'a>(&self, messages: impl Iterator<Item = (&'a str, &'a [u8])>) {
        let state = lock(&self.state);
        for (channel, message) in messages {
            let Some(entry) = state.topics.get(channel) else { continue };
            let understood = wire::read(&entry.topic, message, |delivery| {
                for (_, queue) in &entry.listeners {
                    queue.push(delivery.clone());
                }
            });
            if understood.is_none() {
                tracing::debug!(channel, "a message of another version was left out");
            }
        }
    }

    /// Tells every node.
    pub(super) fn control(&self, control: &Control) {
        for node in lock(&self.state).nodes.values() {
            node.queue.push(Delivery::Control(control.clone()));
        }
    }

    /// Messages were lost: every node hears of it.
    pub(super) fn announce_loss(&self) {
        for node in lock(&self.state).nodes.values() {
            node.queue.lose();
        }
    }

    /// The topics that are subscribed to.
    pub(super) fn topics(&self) -> Vec<Topic> {
        lock(&self.state).topics.values().map(|entry| entry.topic.clone()).collect()
    }

    /// How many topics there are.
    pub(super) fn len(&self) -> usize {
        lock(&self.state).topics.len()
    }
}

impl State {
    fn unlisten(&mut self, node: NodeId, channel: &Channel) {
        if let Some(entry) = self.topics.get_mut(channel) {
            entry.listeners.retain(|(listener, _)| *listener != node);
            if entry.listeners.is_empty() {
                self.unsettle(channel);
            }
        }
    }

    fn unsettle(&mut self, channel: &Channel) {
        if let Some(entry) = self.topics.get_mut(channel)
            && !std::mem::replace(&mut entry.unsettled, true)
        {
            self.unsettled.push_back(Arc::clone(channel));
        }
    }
}

impl Drop for Registry {
    /// Nothing more will come: the nodes' queues end.
    fn drop(&mut self) {
        for node in lock(&self.state).nodes.values() {
            node.queue.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::UserId;
    use uuid::Uuid;

    fn node(registry: &Registry) -> NodeId {
        let node = NodeId(Uuid::now_v7());
        registry.attach(node, Arc::default());
        node
    }

    fn topic() -> (Topic, String) {
        let user = UserId::new();
        (Topic::Inbox(user), format!("inbox:{user}"))
    }

    #[test]
    fn a_topic_is_subscribed_to_once_however_many_nodes_want_it() {
        let registry = Registry::default();
        let (a, b, (topic, channel)) = (node(&registry), node(&registry), topic());
        let mut first = registry.subscribe(a, &topic, &channel).unwrap().unwrap();
        let mut second = registry.subscribe(b, &topic, &channel).unwrap().unwrap();
        let batch = registry.batch(10);
        assert_eq!(batch.subscribe, [Arc::from(channel.as_str())]);
        assert!(first.try_recv().is_err());
        registry.confirm(&batch.subscribe);
        assert!(first.try_recv().is_ok() && second.try_recv().is_ok());
        assert!(registry.subscribe(a, &topic, &channel).unwrap().is_none(), "confirmed already");
        registry.unsubscribe(a, &channel);
        assert!(registry.batch(10).unsubscribe.is_empty(), "the other one still wants it");
        registry.unsubscribe(b, &channel);
        assert_eq!(registry.batch(10).unsubscribe.len(), 1);
        assert_eq!(registry.len(), 0);
    }

    #[test]
    fn who_changes_their_mind_in_time_costs_nothing() {
        let registry = Registry::default();
        let (node, (topic, channel)) = (node(&registry), topic());
        let _ = registry.subscribe(node, &topic, &channel).unwrap();
        registry.unsubscribe(node, &channel);
        let batch = registry.batch(10);
        assert!(batch.subscribe.is_empty() && batch.unsubscribe.is_empty());
        let _ = registry.subscribe(node, &topic, &channel).unwrap();
        let batch = registry.batch(10);
        registry.confirm(&batch.subscribe);
        registry.unsubscribe(node, &channel);
        assert!(registry.subscribe(node, &topic, &channel).unwrap().is_none(), "never unsubscribed");
        let batch = registry.batch(10);
        assert!(batch.subscribe.is_empty() && batch.unsubscribe.is_empty());
    }

    #[test]
    fn who_leaves_while_the_subscription_is_under_way_is_unsubscribed_after_it() {
        let registry = Registry::default();
        let (node, (topic, channel)) = (node(&registry), topic());
        let _ = registry.subscribe(node, &topic, &channel).unwrap();
        let batch = registry.batch(10);
        registry.unsubscribe(node, &channel);
        // The difference is taken again before the first one was confirmed, as it may be by a later batch.
        registry.confirm(&batch.subscribe);
        assert_eq!(registry.batch(10).unsubscribe.len(), 1);
        assert_eq!(registry.len(), 0);
    }

    #[test]
    fn a_new_connection_is_told_everything_that_is_wanted_in_batches() {
        let registry = Registry::default();
        let (a, b) = (node(&registry), node(&registry));
        let topics: Vec<_> = (0..1_000).map(|_| topic()).collect();
        for (topic, channel) in &topics {
            let _ = registry.subscribe(a, topic, channel).unwrap();
        }
        let _ = registry.subscribe(b, &topics[0].0, &topics[0].1).unwrap();
        let first = registry.batch(usize::MAX);
        registry.confirm(&first.subscribe);
        registry.detach(a);
        assert_eq!(registry.start_over(), 1, "what only the dead node wanted is forgotten");
        let (mut waiting, batch) =
            (registry.subscribe(b, &topics[0].0, &topics[0].1).unwrap().unwrap(), registry.batch(512));
        assert_eq!(batch.subscribe.len(), 1);
        assert!(waiting.try_recv().is_err(), "what an old connection confirmed is worth nothing");
        assert_eq!(lock(&registry.state).unsettled.len(), 0);
    }

    #[test]
    fn churn_leaves_nothing_behind() {
        let registry = Registry::default();
        for _ in 0..10 {
            let node = node(&registry);
            for _ in 0..100 {
                let (topic, channel) = topic();
                let _ = registry.subscribe(node, &topic, &channel).unwrap();
            }
            let batch = registry.batch(50);
            registry.confirm(&batch.subscribe);
            registry.detach(node);
            assert_eq!(registry.batch(usize::MAX).unsubscribe.len(), 50);
        }
        let state = lock(&registry.state);
        assert_eq!((state.nodes.len(), state.topics.len(), state.unsettled.len()), (0, 0, 0));
    }
}
