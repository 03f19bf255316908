//! What one console wants to be told about, and when it is due.
//!
//! A list is made when it is due, and sent only if it says something new. What making it cost is measured: the next one
//! comes no sooner than two hundred times that later, so that one subscription never costs more than 0.5 % of a core.

use super::{Shared, lists, select::Refusal};
use crate::protocol::admin::{List, MOST_SUBSCRIPTIONS, Message, Subscribe, TICK_MS};
use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

/// The share of a core one subscription may cost, inverted.
const THRIFT: u32 = 200;
/// Longest pause between two answers, however dear they are.
const LONGEST: Duration = Duration::from_secs(15);
/// Ticks come a little early or late: what is due this soon is due now.
const SLACK: Duration = Duration::from_millis(50);

/// One console's subscriptions.
#[derive(Debug, Default)]
pub(super) struct Subscriptions(BTreeMap<u32, Subscription>);

#[derive(Debug)]
struct Subscription {
    wish: Subscribe,
    due: Instant,
    /// What was said last, as a hash.
    said: Option<u64>,
}

impl Subscriptions {
    /// Adds or replaces one; it is due at once.
    pub(super) fn add(&mut self, shared: &Shared, wish: Subscribe) -> Result<(), Refusal> {
        lists::check(shared, &wish.query)?;
        if self.0.len() >= MOST_SUBSCRIPTIONS && !self.0.contains_key(&wish.id) {
            return Err(Refusal::new("too_many", format!("{MOST_SUBSCRIPTIONS} subscriptions are open")));
        }
        self.0.insert(wish.id, Subscription { wish, due: Instant::now(), said: None });
        Ok(())
    }

    pub(super) fn remove(&mut self, id: u32) {
        self.0.remove(&id);
    }

    /// The answers that are due and new. A subscription that cannot be served any more is refused and forgotten.
    pub(super) async fn due(&mut self, shared: &Shared) -> Vec<Message> {
        let (now, mut messages, mut dead) = (Instant::now(), Vec::new(), Vec::new());
        let due = self.0.iter_mut().filter(|(_, subscription)| subscription.due <= now + SLACK);
        for (id, subscription) in due {
            match subscription.answer(shared).await {
                Ok(list) => messages.extend(list.map(|list| Message::List(Box::new(list)))),
                Err(Refusal { code, message }) => {
                    messages.push(Message::Refused { id: Some(*id), code: code.into(), message });
                    dead.push(*id);
                }
            }
        }
        for id in dead {
            self.remove(id);
        }
        messages
    }
}

impl Subscription {
    async fn answer(&mut self, shared: &Shared) -> Result<Option<List>, Refusal> {
        let began = Instant::now();
        let list = lists::answer(shared, self.wish.id, &self.wish.query).await?;
        let cost = began.elapsed();
        shared.console_cpu_us.fetch_add(u64::try_from(cost.as_micros()).unwrap_or(u64::MAX), Relaxed);
        let every = Duration::from_millis(self.wish.every_ms.max(TICK_MS));
        self.due = began + every.max(cost * THRIFT).min(LONGEST.max(every));
        let says = fingerprint(&list);
        let new = self.said.replace(says) != Some(says);
        Ok(new.then_some(list))
    }
}

/// Everything a list says but the time.
fn fingerprint(list: &List) -> u64 {
    let mut hasher = DefaultHasher::new();
    let said = serde_json::to_vec(&(&list.rows, list.total, list.matched, &list.nodes)).unwrap_or_default();
    said.hash(&mut hasher);
    hasher.finish()
}
