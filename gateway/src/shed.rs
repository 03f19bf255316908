//! Load shedding: what gives way when the process comes near its memory ceiling, the least important first.
//!
//! | from | what gives way |
//! |---|---|
//! | 80 % of the ceiling | ephemeral frames are dropped: typing is stale anyway, presence is told anew afterwards |
//! | 90 % | new upgrades are answered 503 with `Retry-After` |
//! | 100 % | the sockets that take nothing are closed 1013, those stuck longest first, a tenth of them a second |
//!
//! What is measured is the resident memory of the process, once a second: that is what the kernel kills for. A socket
//! that takes what it is sent holds next to nothing, so it is never closed for memory; nor does anything that is
//! durable get lost, because positions are on the server. A level is left a little below where it was entered, so
//! that a node at the edge does not waver.

use crate::{connection::outbox::Outbox, drain::random_below, node::Node, pump};
use shared::{config::GatewayLimits, memory, protocol::CloseReason};
use std::sync::{
    Arc,
    atomic::{AtomicU8, AtomicU64, Ordering},
};

/// A level is left this many per cent below where it was entered.
const SLACK: u64 = 5;
/// `retry_after` of a socket that was closed: at least, and up to as much again as the second.
const BACK_AFTER_MS: u64 = 5_000;
const BACK_SPREAD_MS: u64 = 25_000;

/// How much gives way; each level includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
enum Level {
    Nothing,
    Ephemeral,
    Upgrades,
    Sockets,
}

impl Level {
    const SHEDDING: [Self; 3] = [Self::Sockets, Self::Upgrades, Self::Ephemeral];

    /// Per cent of the ceiling.
    const fn entered_at(self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Ephemeral => 80,
            Self::Upgrades => 90,
            Self::Sockets => 100,
        }
    }

    fn at(self, used: u64, ceiling: u64) -> Self {
        let percent = used.saturating_mul(100) / ceiling.max(1);
        let holds = |level: &Self| percent >= level.entered_at() - if *level <= self { SLACK } else { 0 };
        Self::SHEDDING.into_iter().find(holds).unwrap_or(Self::Nothing)
    }
}

/// The ceiling, and what it asks for right now.
pub(crate) struct Shedding {
    ceiling: AtomicU64,
    level: AtomicU8,
}

impl Shedding {
    /// Three quarters of what the process may use, unless the settings say otherwise; the rest is for the kernel's
    /// socket buffers, which a container's limit counts too, and for whatever else runs there.
    pub(crate) fn new(limits: &GatewayLimits) -> Self {
        let configured = limits.memory_bytes.map(|bytes| bytes as u64);
        let ceiling = configured.or_else(|| memory::available().map(|bytes| bytes / 4 * 3)).unwrap_or(u64::MAX);
        Self { ceiling: AtomicU64::new(ceiling), level: AtomicU8::new(Level::Nothing as u8) }
    }

    pub(crate) fn set_ceiling(&self, bytes: u64) {
        self.ceiling.store(bytes, Ordering::Relaxed);
    }

    fn level(&self) -> Level {
        let level = self.level.load(Ordering::Relaxed);
        Level::SHEDDING.into_iter().find(|known| *known as u8 == level).unwrap_or(Level::Nothing)
    }

    /// Whether ephemeral frames are dropped.
    pub(crate) fn sheds_ephemeral(&self) -> bool {
        self.level.load(Ordering::Relaxed) >= Level::Ephemeral as u8
    }

    /// Whether upgrades are refused.
    pub(crate) fn sheds_upgrades(&self) -> bool {
        self.level.load(Ordering::Relaxed) >= Level::Upgrades as u8
    }
}

/// Once a second: measures, and does what that asks for.
pub(crate) fn tick(node: &Arc<Node>, second: u32) {
    let Some(used) = memory::resident() else { return };
    let ceiling = node.shedding.ceiling.load(Ordering::Relaxed);
    let (before, now) = (node.shedding.level(), node.shedding.level().at(used, ceiling));
    if now != before {
        node.shedding.level.store(now as u8, Ordering::Relaxed);
        tracing::warn!(used_mib = used >> 20, ceiling_mib = ceiling >> 20, sheds = ?now, did = ?before, "memory");
        if now == Level::Nothing {
            pump::tell_presence_again(node); // changes were dropped, and nobody may be left believing the old state
        }
    }
    if now == Level::Sockets {
        close_stuck(node, second);
    }
}

fn close_stuck(node: &Node, second: u32) {
    let mut stuck: Vec<(u32, Arc<Outbox>)> = Vec::new();
    node.registry.for_each(|outbox| {
        let since = outbox.stalled_since.load(Ordering::Relaxed);
        if since != 0 && since < second {
            stuck.push((since, Arc::clone(outbox)));
        }
    });
    stuck.sort_unstable_by_key(|(since, _)| *since);
    // Only a tenth at a time: what the first ones held must be given back before it is known how many have to go.
    for (_, outbox) in stuck.iter().take(stuck.len().div_ceil(10)) {
        outbox.close(CloseReason::Overloaded, BACK_AFTER_MS + random_below(BACK_SPREAD_MS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_least_important_gives_way_first() {
        let from_calm = |percent| Level::Nothing.at(percent, 100);
        assert_eq!(
            [79, 80, 89, 90, 99, 100, 500].map(from_calm),
            [
                Level::Nothing,
                Level::Ephemeral,
                Level::Ephemeral,
                Level::Upgrades,
                Level::Upgrades,
                Level::Sockets,
                Level::Sockets,
            ]
        );
    }

    #[test]
    fn a_level_is_left_a_little_below_where_it_was_entered() {
        assert_eq!(Level::Upgrades.at(86, 100), Level::Upgrades);
        assert_eq!(Level::Upgrades.at(84, 100), Level::Ephemeral);
        assert_eq!(Level::Ephemeral.at(76, 100), Level::Ephemeral);
        assert_eq!(Level::Sockets.at(10, 100), Level::Nothing);
    }

    proptest! {
        #[test]
        fn more_memory_never_sheds_less(from in 0_usize..4, a in 0_u64..200, b in 0_u64..200) {
            let from = [Level::Nothing, Level::Ephemeral, Level::Upgrades, Level::Sockets][from];
            prop_assert!(from.at(a.min(b), 100) <= from.at(a.max(b), 100));
        }
    }
}
