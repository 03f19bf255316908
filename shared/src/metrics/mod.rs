//! Every number a process counts, by name, in one place.
//!
//! [`Metrics`] is a cheap clone that `main` makes and passes down; each method below says what it counts. Readers take
//! [`Metrics::stats`], plain data that the console draws and [`text`] renders for Prometheus: what one shows the other
//! has too. Labels come from closed sets (route templates, close codes, stable error codes), never from clients.
//!
//! Gauges are moved by guards ([`Request`], [`Socket`]) whose drop puts them back, so a cancelled future or a panic
//! cannot make them drift. Pools count for themselves, in the store.

mod instrument;
pub mod text;

use crate::protocol::{
    CloseReason,
    admin::{CloseCount, HttpStats, NamedCount, RelayStats, RouteStats, SocketStats, Stats},
};
pub(crate) use instrument::Histogram;
use instrument::{Counter, Family, Gauge};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// The numbers of one process. A cheap clone: every clone counts into the same place.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    in_flight: Gauge,
    abandoned: Counter,
    routes: Family<(&'static str, &'static str), Route>,
    errors: Family<&'static str, Counter>,
    authenticated: Gauge,
    anonymous: Gauge,
    accepted: Counter,
    refused: Family<&'static str, Counter>,
    closed: [Counter; CloseReason::ALL.len()],
    frames_in: Counter,
    frames_out: Counter,
    bytes_in: Counter,
    bytes_out: Counter,
    delivered: [Counter; 3],
    ephemeral_dropped: Counter,
    relayed: Counter,
    relay_failures: Counter,
    relay_lag: Histogram,
}

#[derive(Debug, Default)]
struct Route {
    by_class: [Counter; 5],
    limited: Counter,
    durations: Histogram,
}

/// The three delivery classes of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Durable, per user.
    Inbox,
    /// Recoverable, per room.
    Event,
    /// Typing, presence: latest wins.
    Ephemeral,
}

/// The label that takes what found no place in a family, and methods HTTP does not name.
const OTHER: &str = "other";

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All zero.
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            in_flight: Gauge::default(),
            abandoned: Counter::default(),
            routes: Family::new((OTHER, OTHER)),
            errors: Family::new(OTHER),
            authenticated: Gauge::default(),
            anonymous: Gauge::default(),
            accepted: Counter::default(),
            refused: Family::new(OTHER),
            closed: std::array::from_fn(|_| Counter::default()),
            frames_in: Counter::default(),
            frames_out: Counter::default(),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            delivered: std::array::from_fn(|_| Counter::default()),
            ephemeral_dropped: Counter::default(),
            relayed: Counter::default(),
            relay_failures: Counter::default(),
            relay_lag: Histogram::default(),
        }))
    }

    /// A REST request arrived: in flight until the guard is finished or dropped.
    pub fn request(&self) -> Request {
        self.0.in_flight.up();
        Request { metrics: self.clone(), since: Instant::now(), finished: false }
    }

    /// Something failed, under its stable code (`INTERNAL_ERROR`, `store_unavailable`, …).
    pub fn error(&self, code: &'static str) {
        self.0.errors.with(code).add(1);
    }

    /// An upgrade became a socket: open and anonymous until the guard says otherwise.
    pub fn socket(&self) -> Socket {
        self.0.accepted.add(1);
        self.0.anonymous.up();
        Socket { metrics: self.clone(), authenticated: false, reason: CloseReason::Gone }
    }

    /// An upgrade was refused, for one of the gateway's reasons (`origin`, `limit`, `overload`, …), or a connection never
    /// finished its TLS handshake (`tls`).
    pub fn refused(&self, reason: &'static str) {
        self.0.refused.with(reason).add(1);
    }

    /// A frame came from a client, with this much payload.
    pub fn frame_in(&self, bytes: usize) {
        self.0.frames_in.add(1);
        self.0.bytes_in.add(bytes as u64);
    }

    /// A frame was written to a client, with this much payload.
    pub fn frame_out(&self, bytes: usize) {
        self.0.frames_out.add(1);
        self.0.bytes_out.add(bytes as u64);
    }

    /// An entry, an event or an ephemeral frame was put into `outboxes` clients' outboxes.
    pub fn delivered(&self, class: Delivery, outboxes: u64) {
        self.0.delivered[class as usize].add(outboxes);
    }

    /// Ephemeral frames were replaced by newer ones or found no room.
    pub fn ephemeral_dropped(&self, frames: u64) {
        self.0.ephemeral_dropped.add(frames);
    }

    /// An inbox row reached the engine, this long after its commit.
    pub fn relayed(&self, lag: Duration) {
        self.0.relayed.add(1);
        self.0.relay_lag.observe(lag);
    }

    /// A round of the relay failed and will be repeated.
    pub fn relay_failed(&self) {
        self.0.relay_failures.add(1);
    }

    /// Sockets open now, authenticated or not.
    pub fn open_sockets(&self) -> u64 {
        self.0.authenticated.get() + self.0.anonymous.get()
    }

    /// REST requests being handled now.
    pub fn requests_in_flight(&self) -> u64 {
        self.0.in_flight.get()
    }

    /// Everything, at this moment (each number exact, the set of them not one instant).
    pub fn stats(&self) -> Stats {
        Stats {
            http: self.http_stats(),
            sockets: self.socket_stats(),
            relay: RelayStats {
                delivered: self.0.relayed.get(),
                failures: self.0.relay_failures.get(),
                lag: self.0.relay_lag.get(),
            },
            errors: self.0.errors.map(named),
        }
    }

    fn http_stats(&self) -> HttpStats {
        let routes = self.0.routes.map(|(method, route), cell| RouteStats {
            method: method.to_owned(),
            route: route.to_owned(),
            by_class: std::array::from_fn(|class| cell.by_class[class].get()),
            limited: cell.limited.get(),
            durations: cell.durations.get(),
        });
        HttpStats::of(self.0.in_flight.get(), self.0.abandoned.get(), routes)
    }

    fn socket_stats(&self) -> SocketStats {
        let inner = &self.0;
        let closed = CloseReason::ALL.into_iter().zip(&inner.closed).map(|(reason, counter)| CloseCount {
            code: reason.code(),
            reason: reason.text().to_owned(),
            count: counter.get(),
        });
        SocketStats {
            authenticated: inner.authenticated.get(),
            anonymous: inner.anonymous.get(),
            accepted: inner.accepted.get(),
            refused: inner.refused.map(named),
            closed: closed.filter(|close| close.count > 0).collect(),
            frames_in: inner.frames_in.get(),
            frames_out: inner.frames_out.get(),
            bytes_in: inner.bytes_in.get(),
            bytes_out: inner.bytes_out.get(),
            inbox_deliveries: inner.delivered[Delivery::Inbox as usize].get(),
            event_deliveries: inner.delivered[Delivery::Event as usize].get(),
            ephemeral_deliveries: inner.delivered[Delivery::Ephemeral as usize].get(),
            ephemeral_dropped: inner.ephemeral_dropped.get(),
        }
    }
}

fn named(name: &str, counter: &Counter) -> NamedCount {
    NamedCount { name: name.to_owned(), count: counter.get() }
}

/// A REST request under way. Dropped without [`Request::finish`] it counts as abandoned: the client left, or the
/// handler panicked.
#[derive(Debug)]
pub struct Request {
    metrics: Metrics,
    since: Instant,
    finished: bool,
}

impl Request {
    /// How long it has been under way.
    pub fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }

    /// The answer's head is ready. `route` is the template that matched, `status` the HTTP status.
    pub fn finish(mut self, method: &str, route: &'static str, status: u16) {
        self.finished = true;
        let cell = self.metrics.0.routes.with((known(method), route));
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        cell.by_class[class].add(1);
        cell.limited.add(u64::from(status == 429));
        cell.durations.observe(self.since.elapsed());
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.metrics.0.in_flight.down();
        if !self.finished {
            self.metrics.0.abandoned.add(1);
        }
    }
}

/// The methods HTTP names; a client may invent others.
fn known(method: &str) -> &'static str {
    const METHODS: [&str; 8] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT"];
    METHODS.into_iter().find(|known| *known == method).unwrap_or(OTHER)
}

/// An open socket. Its drop counts the close; without [`Socket::close`] as [`CloseReason::Gone`].
#[derive(Debug)]
pub struct Socket {
    metrics: Metrics,
    authenticated: bool,
    reason: CloseReason,
}

impl Socket {
    /// It proved who it is; once is enough.
    pub fn authenticated(&mut self) {
        if !std::mem::replace(&mut self.authenticated, true) {
            self.metrics.0.authenticated.up();
            self.metrics.0.anonymous.down();
        }
    }

    /// Why it would have ended by now.
    pub fn reason(&self) -> CloseReason {
        self.reason
    }

    /// Why it ends; the last reason counts.
    pub fn close(&mut self, reason: CloseReason) {
        self.reason = reason;
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let inner = &self.metrics.0;
        if self.authenticated {
            inner.authenticated.down();
        } else {
            inner.anonymous.down();
        }
        let at = CloseReason::ALL.iter().position(|reason| *reason == self.reason).expect("ALL has every reason");
        inner.closed[at].add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_in_flight_until_it_is_answered_or_dropped() {
        let metrics = Metrics::new();
        let (first, second) = (metrics.request(), metrics.request());
        assert_eq!(metrics.requests_in_flight(), 2);
        first.finish("GET", "/api/pitches/{id}", 404);
        drop(second);
        let stats = metrics.stats().http;
        assert_eq!((stats.in_flight, stats.abandoned, stats.by_class), (0, 1, [0, 0, 0, 1, 0]));
        assert_eq!((stats.routes[0].route.as_str(), stats.durations.count()), ("/api/pitches/{id}", 1));
    }

    #[test]
    fn methods_a_client_invents_share_one_series() {
        let metrics = Metrics::new();
        for method in ["BREW", "WHEN", "GET"] {
            metrics.request().finish(method, "/", 200);
        }
        let methods: Vec<_> = metrics.stats().http.routes.into_iter().map(|route| route.method).collect();
        assert_eq!(methods, ["GET", "other"]);
    }

    #[test]
    fn a_socket_moves_the_gauges_and_counts_its_end_once() {
        let metrics = Metrics::new();
        let mut signed_in = metrics.socket();
        let vanished = metrics.socket();
        signed_in.authenticated();
        signed_in.authenticated();
        let open = metrics.stats().sockets;
        assert_eq!((open.accepted, open.authenticated, open.anonymous), (2, 1, 1));
        signed_in.close(CloseReason::SlowConsumer);
        drop((signed_in, vanished));
        let closed = metrics.stats().sockets;
        assert_eq!((closed.open(), closed.closed_with(4408), closed.closed_with(1006)), (0, 1, 1));
        assert_eq!(closed.closed_total(), 2);
    }

    #[test]
    fn clones_count_into_the_same_place() {
        let metrics = Metrics::new();
        metrics.clone().frame_in(10);
        metrics.delivered(Delivery::Event, 3);
        metrics.relayed(Duration::from_millis(4));
        let stats = metrics.stats();
        assert_eq!((stats.sockets.frames_in, stats.sockets.bytes_in, stats.sockets.event_deliveries), (1, 10, 3));
        assert_eq!((stats.relay.delivered, stats.relay.lag.sum_us), (1, 4_000));
    }
}
