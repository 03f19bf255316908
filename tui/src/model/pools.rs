//! Pools of all processes in one list, worst first: the one to look at is at the top.

use super::{Freshness, Moment, Node, PoolRates, Store};
use crate::{figures::share, theme::Level};
use shared::model::PoolStats;

/// One pool of one process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PoolRow<'a> {
    /// Whose.
    pub(crate) node: &'a Node,
    /// Its numbers.
    pub(crate) pool: &'a PoolStats,
    /// Per second; none until two ticks were heard.
    pub(crate) rates: Option<PoolRates>,
    /// Whether these numbers are old.
    pub(crate) stale: bool,
}

impl PoolRow<'_> {
    /// How full it is, 0 to 1.
    pub(crate) fn saturation(&self) -> f64 {
        share(u64::from(self.pool.in_use), u64::from(self.pool.max_size))
    }

    /// How bad that is. A pool of one is always empty or full: only waiting tells whether it is short.
    pub(crate) fn level(&self) -> Level {
        let waiting = Level::of(f64::from(self.pool.waiting), 1.0, 11.0);
        if self.pool.max_size > 1 { waiting.max(Level::of(self.saturation(), 0.7, 0.9)) } else { waiting }
    }
}

impl Store {
    /// Every pool, worst first.
    pub(crate) fn pools(&self, now: Moment) -> Vec<PoolRow<'_>> {
        let mut rows: Vec<_> = self
            .nodes()
            .iter()
            .flat_map(|node| {
                let stale = node.freshness(now) != Freshness::Live;
                let pools = node.tick().map(|tick| tick.pools.as_slice()).unwrap_or_default();
                pools.iter().enumerate().map(move |(at, pool)| {
                    let rates = node.rates().and_then(|rates| rates.pools.get(at).copied());
                    PoolRow { node, pool, rates, stale }
                })
            })
            .collect();
        rows.sort_by(|a, b| {
            let worse = b.level().cmp(&a.level()).then(b.pool.waiting.cmp(&a.pool.waiting));
            worse.then(b.saturation().total_cmp(&a.saturation())).then_with(|| a.pool.name.cmp(&b.pool.name))
        });
        rows
    }
}

#[cfg(test)]
mod tests {
    use crate::{model::samples::listened, theme::Level};

    #[test]
    fn the_pool_people_wait_for_comes_first() {
        let (store, now) = listened(&["api"], 3);
        let rows = store.pools(now);
        assert_eq!(rows.iter().map(|row| row.pool.name.as_str()).collect::<Vec<_>>(), ["sqlite-write", "sqlite-read"]);
        assert_eq!((rows[0].level(), rows[1].level()), (Level::Crit, Level::Good));
    }

    #[test]
    fn a_full_pool_of_one_is_no_alarm_while_nobody_waits() {
        let (mut store, now) = listened(&["api"], 3);
        let mut calm = super::super::samples::tick(9);
        calm.pools[1].waiting = 0;
        let event = crate::model::Event { node: "api".into(), what: crate::model::What::Tick(Box::new(calm)) };
        store.apply(event, now);
        let rows = store.pools(now);
        assert_eq!((rows[0].pool.name.as_str(), rows[0].level()), ("sqlite-write", Level::Good));
    }
}
