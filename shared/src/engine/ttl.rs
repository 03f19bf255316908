//! A bounded map whose entries die of age: what the session, ticket and membership caches are made of.
//!
//! All entries of one map live equally long, so the order of writing is the order of dying and one queue per shard is
//! enough: no heap, no background task. Each write removes at least as much as it adds once entries die, and a reader
//! never sees a dead one.

use super::shards::Shards;
use crate::clock::{Clock, Timestamp};
use std::{
    borrow::Borrow,
    collections::{HashMap, VecDeque},
    hash::Hash,
    time::Duration,
};

/// Dead entries a write removes besides its own: more than one, so that a backlog melts.
const SWEEP: usize = 4;

#[derive(Debug)]
pub(super) struct TtlMap<K, V> {
    shards: Shards<Shard<K, V>>,
    clock: Clock,
    ttl: Duration,
    /// Entries one shard may hold. When it is full, the entry that would die first makes room.
    capacity: usize,
}

#[derive(Debug)]
struct Shard<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// Oldest first. A key written again leaves its earlier place behind, which no longer matches its entry's `write`.
    order: VecDeque<(u64, K)>,
    writes: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    dies: Timestamp,
    write: u64,
}

impl<K, V> Default for Shard<K, V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), writes: 0 }
    }
}

impl<K: Clone + Eq + Hash, V> TtlMap<K, V> {
    /// A map that holds about `capacity` entries (exactly, if keys spread evenly) for `ttl` each.
    pub(super) fn new(clock: Clock, ttl: Duration, capacity: usize) -> Self {
        let capacity = capacity.div_ceil(Shards::<Shard<K, V>>::COUNT);
        Self { shards: Shards::default(), clock, ttl, capacity }
    }

    /// Looks at the living entry of a key.
    pub(super) fn get<Q, R>(&self, key: &Q, look: impl FnOnce(&V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Eq + Hash,
    {
        let now = self.clock.now();
        let shard = self.shards.lock(key);
        shard.entries.get(key).filter(|entry| now < entry.dies).map(|entry| look(&entry.value))
    }

    /// Writes `value` if `replaces`, asked about the living entry (if any), says so.
    pub(super) fn put_if(&self, key: K, value: V, replaces: impl FnOnce(Option<&V>) -> bool) {
        let now = self.clock.now();
        let mut shard = self.shards.lock(&key);
        let living = shard.entries.get(&key).filter(|entry| now < entry.dies);
        if replaces(living.map(|entry| &entry.value)) {
            shard.put(key, value, now + self.ttl);
        }
        shard.sweep(now, self.capacity);
    }

    /// Takes the living entry of a key out, if `take` agrees.
    pub(super) fn remove_if<Q>(&self, key: &Q, take: impl FnOnce(&V) -> bool) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash,
    {
        let now = self.clock.now();
        let mut shard = self.shards.lock(key);
        shard.entries.get(key).filter(|entry| now < entry.dies && take(&entry.value))?;
        let taken = shard.entries.remove(key).map(|entry| entry.value);
        shard.sweep(now, self.capacity);
        taken
    }
}

impl<K: Clone + Eq + Hash, V> Shard<K, V> {
    fn put(&mut self, key: K, value: V, dies: Timestamp) {
        self.writes += 1;
        self.order.push_back((self.writes, key.clone()));
        self.entries.insert(key, Entry { value, dies, write: self.writes });
    }

    /// Removes a few dead entries and as many living ones as are too many.
    fn sweep(&mut self, now: Timestamp, capacity: usize) {
        let mut removed = 0;
        while let Some((write, key)) = self.order.front() {
            let current = self.entries.get(key).filter(|entry| entry.write == *write);
            let due = current.is_none_or(|entry| entry.dies <= now && removed < SWEEP);
            if !due && self.entries.len() <= capacity {
                break;
            }
            if current.is_some() {
                self.entries.remove(key);
                removed += 1;
            }
            self.order.pop_front();
        }
        // A key that is written over and over leaves its earlier places behind a living front.
        if self.order.len() > 2 * self.entries.len() + SWEEP {
            let entries = &self.entries;
            self.order.retain(|(write, key)| entries.get(key).is_some_and(|entry| entry.write == *write));
        }
        if self.entries.capacity() > 64 && self.entries.len() < self.entries.capacity() / 8 {
            self.entries.shrink_to_fit();
            self.order.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_mins(1);

    fn map(capacity: usize) -> (TtlMap<u32, u32>, Clock) {
        let clock = Clock::manual(Timestamp::from_micros(1_000_000));
        (TtlMap::new(clock.clone(), TTL, capacity), clock)
    }

    fn sizes(map: &TtlMap<u32, u32>) -> (usize, usize) {
        map.shards
            .each()
            .fold((0, 0), |(entries, places), shard| (entries + shard.entries.len(), places + shard.order.len()))
    }

    #[test]
    fn an_entry_dies_of_age_and_rewriting_renews_it() {
        let (map, clock) = map(100);
        map.put_if(1, 10, |_| true);
        clock.advance(TTL / 2);
        map.put_if(1, 11, |_| true);
        clock.advance(TTL / 2);
        assert_eq!(map.get(&1, |v| *v), Some(11));
        clock.advance(TTL / 2);
        assert_eq!(map.get(&1, |v| *v), None);
        assert_eq!(map.remove_if(&1, |_| true), None, "a dead entry cannot be taken");
    }

    #[test]
    fn a_full_map_drops_what_would_die_first() {
        let (map, _clock) = map(64 * 4);
        for key in 0..10_000 {
            map.put_if(key, key, |_| true);
        }
        let (entries, places) = sizes(&map);
        assert!(entries <= 64 * 4 && places <= 2 * entries + 64 * SWEEP, "{entries} entries, {places} places");
        assert_eq!(map.get(&9_999, |v| *v), Some(9_999));
        assert_eq!(map.get(&0, |v| *v), None);
    }

    #[test]
    fn one_key_written_for_ever_leaves_no_trail() {
        let (map, _clock) = map(100);
        for value in 0..10_000 {
            map.put_if(7, value, |_| true);
        }
        let (entries, places) = sizes(&map);
        assert_eq!(entries, 1);
        assert!(places <= 2 + SWEEP, "{places}");
    }

    #[test]
    fn dead_entries_melt_away_while_others_are_written() {
        let (map, clock) = map(1_000_000);
        for key in 0..50_000 {
            map.put_if(key, key, |_| true);
        }
        clock.advance(TTL);
        for key in 50_000..70_000 {
            map.put_if(key, key, |_| true);
        }
        assert_eq!(sizes(&map).0, 20_000);
    }
}
