//! A slab: values by small number, numbers reused. Iteration touches one dense list, which for one or two values, as in
//! most inboxes, needs no allocation.

use smallvec::SmallVec;

/// Values by slot.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    entries: SmallVec<[Option<T>; 2]>,
    free: Vec<u32>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { entries: SmallVec::new(), free: Vec::new() }
    }
}

impl<T> Slots<T> {
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.entries[slot as usize] = Some(value);
            return slot;
        }
        self.entries.push(Some(value));
        u32::try_from(self.entries.len() - 1).expect("fewer than four billion connections")
    }

    pub(crate) fn remove(&mut self, slot: u32) -> Option<T> {
        let value = self.entries.get_mut(slot as usize)?.take();
        if value.is_some() {
            self.free.push(slot);
        }
        if self.free.len() == self.entries.len() {
            *self = Self::default(); // the last one out gives the memory back
        }
        value
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&T> {
        self.entries.get(slot as usize)?.as_ref()
    }

    pub(crate) fn iter_with_slots(&self) -> impl Iterator<Item = (u32, &T)> {
        let entries = (0..).zip(&self.entries);
        entries.filter_map(|(slot, entry)| Some((slot, entry.as_ref()?)))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_reused_and_the_last_one_gives_the_memory_back() {
        let mut slots = Slots::default();
        let (a, b) = (slots.insert('a'), slots.insert('b'));
        assert_eq!(slots.remove(a), Some('a'));
        assert_eq!(slots.remove(a), None);
        assert_eq!(slots.insert('c'), a);
        assert_eq!(slots.iter().collect::<String>(), "cb");
        assert_eq!(slots.iter_with_slots().collect::<Vec<_>>(), [(a, &'c'), (b, &'b')]);
        assert_eq!((slots.get(b), slots.get(9)), (Some(&'b'), None));
        slots.remove(a);
        slots.remove(b);
        assert!(slots.is_empty() && !slots.entries.spilled());
    }
}
