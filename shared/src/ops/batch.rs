//! Many look-ups of one key each become few look-ups of many keys.
//!
//! When a node dies, thousands of clients reconnect within seconds, each with a session that must be looked up. Here
//! the first one to ask leads: it fetches its key together with all that wait meanwhile, in one query, and hands the
//! lead to one of those that came later. So at most one query is under way at a time, it grows with the load, nobody
//! waits for a timer, and a key asked for a hundred times is fetched once.
//!
//! Leading happens inside the caller's own future, so there is no task to spawn. A leader that is dropped half-way
//! (its client hung up) passes the lead on by its destructor, and those whose answer it was fetching ask again.

use super::OpsError;
use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

/// Keys in one fetch; a statement with this many parameters is still planned quickly.
const MAX_BATCH: usize = 128;
/// Longest wait for an answer or the lead: a few fetches of a busy store, and less than a client waits for an answer.
const LONGEST_WAIT: Duration = Duration::from_secs(8);
/// Askers that may wait. One more is told to come back: the store is far behind, and memory is not a queue.
const MAX_WAITING: usize = 16_384;

type Answer<V> = Result<Option<V>, OpsError>;
type Fetched<K, V> = Result<HashMap<K, V>, OpsError>;

/// What can be looked up.
pub(super) trait Key: Eq + Hash + Clone {}

impl<K: Eq + Hash + Clone> Key for K {}

/// What a waiting asker is told.
enum Turn<K: Key, V> {
    Answer(Answer<V>),
    Lead(Lead<K, V>),
}

struct State<K: Key, V> {
    led: bool,
    askers: usize,
    waiting: HashMap<K, Vec<oneshot::Sender<Turn<K, V>>>>,
}

/// Joins look-ups. A cheap clone.
pub(super) struct Batch<K: Key, V>(Arc<Mutex<State<K, V>>>);

/// The right to fetch. Exactly one exists while anybody waits; dropping it hands it on.
struct Lead<K: Key, V>(Option<Batch<K, V>>);

impl<K: Key, V> Clone for Batch<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Key, V> Default for Batch<K, V> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State { led: false, askers: 0, waiting: HashMap::new() })))
    }
}

impl<K: Key, V: Clone> Batch<K, V> {
    /// The value of `key`, fetched together with what others ask for. `fetch` leaves out keys that are not there, and
    /// ends by itself; whoever waits longer than [`LONGEST_WAIT`] for it is told to come back.
    pub(super) async fn get<F>(&self, key: K, fetch: impl Fn(Vec<K>) -> F) -> Answer<V>
    where
        F: Future<Output = Fetched<K, V>>,
    {
        let until = Instant::now() + LONGEST_WAIT;
        loop {
            let turn = match self.ask(&key)? {
                Asked::Leading(lead) => Turn::Lead(lead),
                // A closed channel means that the leader was dropped in the middle: ask again.
                Asked::Waiting(turn) => match timeout_at(until, turn).await {
                    Ok(Ok(turn)) => turn,
                    Ok(Err(_)) => continue,
                    Err(_) => return Err(come_back("the look-up before this one takes too long".into())),
                },
            };
            match turn {
                Turn::Answer(answer) => return answer,
                Turn::Lead(lead) => return self.fetch(lead, key, fetch).await,
            }
        }
    }

    fn ask(&self, key: &K) -> Result<Asked<K, V>, OpsError> {
        let mut state = self.state();
        if !state.led {
            state.led = true;
            return Ok(Asked::Leading(Lead(Some(self.clone()))));
        }
        if state.askers >= MAX_WAITING {
            return Err(come_back(format!("{MAX_WAITING} look-ups are waiting for the store")));
        }
        let (sender, receiver) = oneshot::channel();
        state.waiting.entry(key.clone()).or_default().push(sender);
        state.askers += 1;
        Ok(Asked::Waiting(receiver))
    }

    /// Fetches one batch, answers its askers, and hands the lead on.
    async fn fetch<F>(&self, lead: Lead<K, V>, own: K, fetch: impl Fn(Vec<K>) -> F) -> Answer<V>
    where
        F: Future<Output = Fetched<K, V>>,
    {
        let others = self.state().take(&own);
        let keys = std::iter::once(own.clone()).chain(others.keys().filter(|key| **key != own).cloned()).collect();
        let found = fetch(keys).await;
        let answer = |key: &K| found.as_ref().map(|found| found.get(key).cloned()).map_err(Clone::clone);
        for (key, askers) in others {
            for asker in askers {
                // An asker that hung up needs no answer.
                let _ = asker.send(Turn::Answer(answer(&key)));
            }
        }
        drop(lead);
        answer(&own)
    }
}

fn come_back(detail: String) -> OpsError {
    OpsError::Unavailable { retry_after: Duration::from_secs(2), detail }
}

enum Asked<K: Key, V> {
    Leading(Lead<K, V>),
    Waiting(oneshot::Receiver<Turn<K, V>>),
}

impl<K: Key, V> Batch<K, V> {
    fn state(&self) -> MutexGuard<'_, State<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Key, V> State<K, V> {
    /// Takes those who wait for `own`, and others up to a batch.
    fn take(&mut self, own: &K) -> HashMap<K, Vec<oneshot::Sender<Turn<K, V>>>> {
        let mut keys: Vec<_> = self.waiting.keys().filter(|key| *key != own).take(MAX_BATCH - 1).cloned().collect();
        keys.push(own.clone());
        let taken: HashMap<_, _> = keys.into_iter().filter_map(|key| self.waiting.remove_entry(&key)).collect();
        self.askers -= taken.values().map(Vec::len).sum::<usize>();
        taken
    }

    /// One of those who wait.
    fn pop(&mut self) -> Option<oneshot::Sender<Turn<K, V>>> {
        let key = self.waiting.keys().next()?.clone();
        let askers = self.waiting.get_mut(&key)?;
        let next = askers.pop();
        if askers.is_empty() {
            self.waiting.remove(&key);
        }
        self.askers -= usize::from(next.is_some());
        next
    }
}

impl<K: Key, V> Drop for Lead<K, V> {
    fn drop(&mut self) {
        let Some(batch) = self.0.take() else { return };
        loop {
            let mut state = batch.state();
            let Some(next) = state.pop() else {
                state.led = false;
                return;
            };
            drop(state);
            match next.send(Turn::Lead(Self(Some(batch.clone())))) {
                Ok(()) => return, // and if its receiver is dropped unread, this destructor runs again, there
                Err(Turn::Lead(mut refused)) => refused.0 = None,
                Err(Turn::Answer(_)) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::atomic::{AtomicUsize, Ordering::SeqCst},
        task::{Context, Waker},
    };
    use tokio::{sync::Semaphore, task::JoinSet};

    /// Doubles even keys and does not know odd ones; every fetch takes a permit, so a test decides when it ends.
    #[derive(Default)]
    struct Source {
        fetches: AtomicUsize,
        keys: AtomicUsize,
    }

    impl Source {
        async fn fetch(&self, gate: &Semaphore, keys: Vec<u32>) -> Result<HashMap<u32, u32>, OpsError> {
            self.fetches.fetch_add(1, SeqCst);
            self.keys.fetch_add(keys.len(), SeqCst);
            gate.acquire().await.expect("the gate stays").forget();
            Ok(keys.into_iter().filter(|key| key % 2 == 0).map(|key| (key, key * 2)).collect())
        }
    }

    async fn waiting(batch: &Batch<u32, u32>, askers: usize) {
        while batch.state().askers < askers {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_storm_of_look_ups_becomes_a_few_fetches_and_everybody_gets_their_own_answer() {
        let (batch, source, gate) = (Batch::default(), Arc::new(Source::default()), Arc::new(Semaphore::new(0)));
        let mut askers = JoinSet::new();
        for n in 0..400_u32 {
            let (batch, source, gate) = (batch.clone(), Arc::clone(&source), Arc::clone(&gate));
            askers.spawn(async move {
                let key = n % 100;
                let answer = batch.get(key, |keys| source.fetch(&gate, keys)).await.unwrap();
                assert_eq!(answer, (key % 2 == 0).then_some(key * 2));
            });
        }
        waiting(&batch, 399).await;
        gate.add_permits(400);
        while let Some(done) = askers.join_next().await {
            done.unwrap();
        }
        assert_eq!(source.fetches.load(SeqCst), 2, "the first key alone, then all the others together");
        assert!(source.keys.load(SeqCst) <= 101, "no key is fetched once per asker");
        assert!(!batch.state().led && batch.state().askers == 0);
    }

    #[tokio::test]
    async fn a_leader_that_hangs_up_loses_nobody() {
        let (batch, source, gate) = (Batch::default(), Arc::new(Source::default()), Arc::new(Semaphore::new(0)));
        let ask = |key: u32| {
            let (batch, source, gate) = (batch.clone(), Arc::clone(&source), Arc::clone(&gate));
            async move { batch.get(key, |keys| source.fetch(&gate, keys)).await.unwrap() }
        };
        let mut leader = Box::pin(ask(2));
        assert!(leader.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let mut others = JoinSet::new();
        others.spawn(ask(2));
        others.spawn(ask(4));
        waiting(&batch, 2).await;
        drop(leader);
        gate.add_permits(10);
        let mut answers = others.join_all().await;
        answers.sort_unstable();
        assert_eq!(answers, [Some(4), Some(8)]);
        assert!(!batch.state().led);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_too_long_for_a_leader_is_told_to_come_back() {
        let (batch, gate) = (Batch::default(), Semaphore::new(0));
        let source = Source::default();
        let mut leader = Box::pin(batch.get(2, |keys| source.fetch(&gate, keys)));
        assert!(leader.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let late = batch.get(4, |keys| source.fetch(&gate, keys)).await;
        assert!(late.is_err_and(|refusal| refusal.retry_after().is_some()));
        gate.add_permits(1);
        assert_eq!(leader.await.unwrap(), Some(4));
        assert!(!batch.state().led, "nobody else is left to lead");
    }

    #[tokio::test]
    async fn a_failed_fetch_fails_those_who_waited_and_not_those_who_come_later() {
        let batch = Batch::<u32, u32>::default();
        let failed = batch.get(1, async |_| Err(OpsError::Internal("no".into()))).await;
        assert!(matches!(failed, Err(OpsError::Internal(_))));
        let found = batch.get(1, async |keys: Vec<u32>| Ok(keys.into_iter().map(|key| (key, 7)).collect())).await;
        assert_eq!(found.unwrap(), Some(7));
    }
}
