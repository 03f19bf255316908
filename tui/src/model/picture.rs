//! The store read at one moment: now, or one that was rewound to. Everything the screens show besides lists comes
//! through here, so that a rewound screen is the same screen.

use super::{Freshness, Moment, Node, NodeRow, PoolRow, Store, track::Column};
use shared::{
    clock::Timestamp,
    protocol::admin::{Alert, AlertState, Metric, Unit},
};
use std::time::Duration;

/// How much time the curves cover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Window {
    /// A minute.
    Minute,
    /// Five.
    #[default]
    Five,
    /// All there is by the second.
    Fifteen,
    /// All there is by the minute.
    Day,
}

impl Window {
    /// Every window, the shortest first.
    pub(crate) const ALL: [Self; 4] = [Self::Minute, Self::Five, Self::Fifteen, Self::Day];

    /// Its length.
    pub(crate) const fn span(self) -> Duration {
        match self {
            Self::Minute => Duration::from_mins(1),
            Self::Five => Duration::from_mins(5),
            Self::Fifteen => Duration::from_mins(15),
            Self::Day => Duration::from_hours(24),
        }
    }

    /// As it is written.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Minute => "1m",
            Self::Five => "5m",
            Self::Fifteen => "15m",
            Self::Day => "24h",
        }
    }

    /// The one this many longer, as far as there is one.
    pub(crate) fn longer(self, by: isize) -> Self {
        let at = Self::ALL.iter().position(|window| *window == self).unwrap_or(0);
        Self::ALL[at.saturating_add_signed(by).min(Self::ALL.len() - 1)]
    }
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Picture<'a> {
    /// What is known.
    pub(crate) store: &'a Store,
    /// The console's clock when it was known.
    pub(crate) now: Moment,
    /// The moment that was rewound to; the newest if none.
    pub(crate) at: Option<Timestamp>,
}

/// How the numbers of several nodes become one.
enum Merging {
    Sum,
    /// The worst is what one has to know: percentiles and shares cannot be added up.
    Max,
    /// Each node's share, weighed by its requests.
    Weighed,
}

fn merging(metric: Metric) -> Merging {
    match metric {
        Metric::ErrorShare => Merging::Weighed,
        // Every node tells these of the whole cluster.
        Metric::OnlineUsers
        | Metric::OfflineUsers
        | Metric::OfflineEntries
        | Metric::OfflineOldestS
        | Metric::RedisClients
        | Metric::RedisOpsPerS
        | Metric::RedisEvictedPerS => Merging::Max,
        _ => match metric.unit() {
            Unit::Millis | Unit::Seconds | Unit::Share => Merging::Max,
            Unit::Count | Unit::PerSecond | Unit::Bytes | Unit::BytesPerSecond | Unit::Cores => Merging::Sum,
        },
    }
}

fn merged(metric: Metric, values: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
    let (mut sum, mut weights, mut most) = (0.0, 0.0, None);
    for (value, weight) in values {
        let weight = if matches!(merging(metric), Merging::Weighed) { weight + 1e-9 } else { 1.0 };
        sum += value * weight;
        weights += weight;
        most = Some(most.map_or(value, |most: f64| most.max(value)));
    }
    most.map(|most| match merging(metric) {
        Merging::Sum => sum,
        Merging::Max => most,
        Merging::Weighed => sum / weights,
    })
}

impl<'a> Picture<'a> {
    /// One number of a node, or of a pool of it.
    pub(crate) fn of(&self, node: &Node, metric: Metric, pool: Option<&str>) -> Option<f64> {
        match self.at {
            None => node.tick()?.sample.get(metric, pool),
            Some(at) => node.fine().get(metric, pool, at),
        }
    }

    /// One number of the whole cluster. A lost node no longer counts, except when all are lost: then the last that is
    /// known of each is better than nothing.
    pub(crate) fn total(&self, metric: Metric) -> Option<f64> {
        let values = self.counted().filter_map(|node| {
            let weight = self.of(node, Metric::RequestsPerS, None).unwrap_or(0.0);
            Some((self.of(node, metric, None)?, weight))
        });
        merged(metric, values)
    }

    fn counted(&self) -> impl Iterator<Item = &'a Node> + use<'a> {
        let Self { store, now, at } = *self;
        let all = at.is_some() || store.live(now) == 0;
        store.nodes().iter().filter(move |node| all || node.freshness(now) == Freshness::Live)
    }

    /// Most sockets the counted nodes take.
    pub(crate) fn socket_limit(&self) -> u64 {
        self.counted().map(|node| node.info().socket_limit).sum()
    }

    /// How old it is. What was rewound to is as it was.
    pub(crate) fn freshness(&self) -> Freshness {
        if self.at.is_some() { Freshness::Live } else { self.store.freshness(self.now) }
    }

    /// Whether its figures are those of now.
    pub(crate) fn is_live(&self) -> bool {
        self.freshness() == Freshness::Live
    }

    /// The nodes' clock at its moment.
    pub(crate) fn clock(&self) -> Option<Timestamp> {
        self.at.or_else(|| self.store.clock(self.now))
    }

    /// A row for each node.
    pub(crate) fn nodes(&self) -> Vec<NodeRow> {
        self.store.nodes().iter().map(|node| NodeRow::of(self, node)).collect()
    }

    /// A row for each pool of each node.
    pub(crate) fn pools(&self) -> Vec<PoolRow> {
        let nodes = self.store.nodes().iter();
        let of = |node| PoolRow::all(self, node);
        nodes.flat_map(of).collect()
    }

    /// The alerts that fired at its moment, and with `over` those that were over by then.
    pub(crate) fn alerts(&self, over: bool) -> Vec<&'a Alert> {
        let mut alerts = self.store.alerts();
        alerts.retain(|alert| match self.at {
            None => over || alert.state == AlertState::Firing,
            Some(at) => alert.since <= at && (over || alert.resolved_at.is_none_or(|end| end > at)),
        });
        alerts
    }

    /// A curve of the whole cluster: `width` points, oldest first, the worst of each stretch.
    pub(crate) fn curve(&self, metric: Metric, window: Window, width: usize) -> Vec<Option<f64>> {
        let nodes: Vec<_> = self.store.nodes().iter().collect();
        self.curve_of(&nodes, metric, None, window, width)
    }

    /// A curve of some nodes, or of one pool of theirs.
    pub(crate) fn curve_of(
        &self,
        nodes: &[&Node],
        metric: Metric,
        pool: Option<&str>,
        window: Window,
        width: usize,
    ) -> Vec<Option<f64>> {
        let track = |node: &'a Node| if window == Window::Day { node.coarse() } else { node.fine() };
        let lines = self.store.nodes().iter().filter(|node| nodes.iter().any(|wanted| wanted.name() == node.name()));
        let lines: Vec<(Column<'_>, Option<Column<'_>>)> = lines
            .filter_map(|node| {
                let weight = track(node).column(Metric::RequestsPerS, None);
                Some((track(node).column(metric, pool)?, weight))
            })
            .collect();
        let Some(end) = self.clock().filter(|_| !lines.is_empty()) else { return vec![None; width] };
        let step = if window == Window::Day { Duration::from_mins(1) } else { Duration::from_secs(1) };
        let at = |point: usize| {
            let values = lines.iter().filter_map(|(line, weight)| {
                let back = step.saturating_mul(u32::try_from(point).unwrap_or(u32::MAX));
                let weight = weight.as_ref().and_then(|weight| weight.get(end - back)).unwrap_or(0.0);
                Some((line.get(end - back)?, weight))
            });
            merged(metric, values)
        };
        // Point 0 is the newest. A column stands for the points of its stretch; narrow windows leave the left empty.
        let points = usize::try_from(window.span().as_secs() / step.as_secs().max(1)).unwrap_or(1);
        let columns = width.min(points);
        let stretch = |column: usize| (column * points / columns.max(1), (column + 1) * points / columns.max(1));
        let newest_first = (0..columns).map(|column| {
            let (from, to) = stretch(column);
            (from..to.max(from + 1))
                .filter_map(at)
                .fold(None, |most: Option<f64>, value| Some(most.map_or(value, |most| most.max(value))))
        });
        let mut curve: Vec<_> = newest_first.chain(std::iter::repeat_n(None, width - columns)).collect();
        curve.reverse();
        curve
    }
}
