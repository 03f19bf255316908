//! All processes added up, and the curves of the sum.

use super::{Freshness, Node, Series, rates::Minute};
use shared::protocol::admin::{CloseCount, NamedCount};

/// Everything added up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cluster {
    /// Sockets open.
    pub(crate) sockets: u64,
    /// Those that are signed in.
    pub(crate) authenticated: u64,
    /// Most sockets all processes take.
    pub(crate) socket_limit: u64,
    /// Per second.
    pub(crate) opened: f64,
    /// Per second.
    pub(crate) closed: f64,
    /// Per second.
    pub(crate) frames_in: f64,
    /// Per second.
    pub(crate) frames_out: f64,
    /// Per second.
    pub(crate) requests: f64,
    /// Requests being handled now.
    pub(crate) in_flight: u64,
    /// REST over the last minute.
    pub(crate) minute: Minute,
    /// Errors since the processes began, most frequent first.
    pub(crate) errors: Vec<NamedCount>,
    /// Closed sockets by code since the processes began, most frequent first.
    pub(crate) closes: Vec<CloseCount>,
    /// False until one process has told enough for rates.
    pub(crate) has_rates: bool,
}

impl Cluster {
    pub(super) fn of<'a>(nodes: impl Iterator<Item = &'a Node>) -> Self {
        let mut sum = Self::default();
        for node in nodes {
            sum.add(node);
        }
        sum.errors.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
        sum.closes.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.code.cmp(&b.code)));
        sum
    }

    fn add(&mut self, node: &Node) {
        self.socket_limit += node.hello().map_or(0, |hello| hello.node.socket_limit);
        self.minute.add(&node.minute());
        if let Some(tick) = node.tick() {
            self.sockets += tick.stats.sockets.open();
            self.authenticated += tick.stats.sockets.authenticated;
            self.in_flight += tick.stats.http.in_flight;
            for error in &tick.stats.errors {
                match self.errors.iter_mut().find(|known| known.name == error.name) {
                    Some(known) => known.count += error.count,
                    None => self.errors.push(error.clone()),
                }
            }
            for close in &tick.stats.sockets.closed {
                match self.closes.iter_mut().find(|known| known.code == close.code) {
                    Some(known) => known.count += close.count,
                    None => self.closes.push(close.clone()),
                }
            }
        }
        if let Some(rates) = node.rates() {
            self.has_rates = true;
            self.opened += rates.opened;
            self.closed += rates.closed;
            self.frames_in += rates.frames_in;
            self.frames_out += rates.frames_out;
            self.requests += rates.requests;
        }
    }
}

/// The curves of the sum.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// Sockets open.
    pub(crate) sockets: Series,
    /// Frames in, per second.
    pub(crate) frames_in: Series,
    /// Frames out, per second.
    pub(crate) frames_out: Series,
    /// REST answers per second.
    pub(crate) requests: Series,
    /// 5xx share over the minute before each point.
    pub(crate) errors: Series,
    /// 95th percentile in milliseconds over the minute before each point.
    pub(crate) p95: Series,
}

impl History {
    pub(super) fn push(&mut self, freshness: Freshness, now: &Cluster) {
        let live = freshness == Freshness::Live;
        let rate = |value: f64| (live && now.has_rates).then_some(value);
        let sockets = f64::from(u32::try_from(now.sockets).unwrap_or(u32::MAX));
        self.sockets.push(live.then_some(sockets));
        self.frames_in.push(rate(now.frames_in));
        self.frames_out.push(rate(now.frames_out));
        self.requests.push(rate(now.requests));
        self.errors.push(rate(now.minute.error_share()));
        let p95 = now.minute.p95().map(|time| time.as_secs_f64() * 1e3);
        self.p95.push(p95.filter(|_| live));
    }
}
