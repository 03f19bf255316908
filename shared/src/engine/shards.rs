//! A value split by key into independently locked parts, so that callers with different keys rarely meet.
//!
//! Plain std mutexes: every critical section of the memory engine is short and waits for nothing. The lock order of the
//! whole engine is written in [`super`]; two shards of one `Shards` are never locked at once.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Enough that two of a machine's threads rarely want the same one, few enough to walk in microseconds.
const COUNT: usize = 64;

#[derive(Debug)]
pub(super) struct Shards<T> {
    parts: Box<[Mutex<T>]>,
    hasher: RandomState,
}

impl<T: Default> Default for Shards<T> {
    fn default() -> Self {
        Self { parts: (0..COUNT).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }
}

impl<T> Shards<T> {
    pub(super) const COUNT: usize = COUNT;

    /// The part that holds this key.
    pub(super) fn lock(&self, key: &impl Hash) -> MutexGuard<'_, T> {
        let hash = usize::try_from(self.hasher.hash_one(key) % COUNT as u64).expect("a remainder of 64 is small");
        lock(&self.parts[hash])
    }

    /// Every part in turn, each locked only while it is looked at.
    pub(super) fn each(&self) -> impl Iterator<Item = MutexGuard<'_, T>> {
        self.parts.iter().map(lock)
    }
}

/// Locks; a panic while somebody held the lock does not take the engine down with it: every critical section here leaves
/// plain maps and counters that are valid at each step.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
