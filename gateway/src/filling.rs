//! Who fills a topic's log: one at a time, and nobody for longer than they live.
//!
//! A filler has a number, and only its own number is ever taken back: one that gives the topic up late, or panics, can
//! neither end another's filling nor leave its own behind.

use crate::topic::Topic;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// Numbers fillers, 0 being nobody. After four billion of them the numbers of the long gone come again.
static NEXT: AtomicU32 = AtomicU32::new(1);

/// The filler of a topic, if it has one.
#[derive(Debug, Default)]
pub(crate) struct Filling(AtomicU32);

impl Filling {
    /// Whether live frames are left to a filler.
    pub(crate) fn is_on(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }
}

/// The right to fill a topic. Dropping it gives it up.
pub(crate) struct Filler {
    topic: Arc<Topic>,
    number: u32,
}

impl Filler {
    /// Takes the topic; `None` if somebody fills it already.
    pub(crate) fn begin(topic: &Arc<Topic>) -> Option<Self> {
        let filler = Self { topic: Arc::clone(topic), number: NEXT.fetch_add(1, Ordering::Relaxed).max(1) };
        filler.resume().then_some(filler)
    }

    pub(crate) fn topic(&self) -> &Topic {
        &self.topic
    }

    /// Live frames are appended again.
    pub(crate) fn pause(&self) {
        // Fails if the topic is not ours, and then there is nothing to give up.
        let _ = self.topic.filling.0.compare_exchange(self.number, 0, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Takes the topic again, unless it was never let go; false if another filler has it now.
    pub(crate) fn resume(&self) -> bool {
        let taken = self.topic.filling.0.compare_exchange(0, self.number, Ordering::AcqRel, Ordering::Acquire);
        taken.is_ok() || taken == Err(self.number)
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        self.pause();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::{engine, id::UserId};

    fn topic() -> Arc<Topic> {
        Arc::new(Topic::new(engine::Topic::Inbox(UserId::new())))
    }

    #[test]
    fn a_filler_that_comes_back_too_late_does_not_end_the_filling_of_another() {
        let topic = topic();
        let first = Filler::begin(&topic).unwrap();
        assert!(Filler::begin(&topic).is_none() && topic.filling.is_on());
        first.pause();
        assert!(!topic.filling.is_on());
        let second = Filler::begin(&topic).unwrap();
        assert!(!first.resume(), "the topic is the other's now");
        drop(first);
        assert!(topic.filling.is_on() && second.resume());
        drop(second);
        assert!(!topic.filling.is_on());
    }

    #[test]
    fn a_filler_that_panics_gives_the_topic_up() {
        let topic = topic();
        let filler = Filler::begin(&topic).unwrap();
        let filling = std::thread::spawn(move || {
            let _filler = filler;
            panic!("while it fills");
        });
        assert!(filling.join().is_err());
        assert!(!topic.filling.is_on());
    }
}
