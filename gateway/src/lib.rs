//! Pitchey's WebSocket gateway: connections, heartbeats, presence, fan-out, resume.
//!
//! # The life of a connection
//!
//! ```text
//!  GET /ws ─▶ upgrade ───▶ Connection (one task) ─▶ hello ─▶ auth | cookie ─▶ ready ─▶ … ─▶ bye, close
//!              limits,       owns the socket         ▲                          │
//!              origin,                               │                          ▼
//!              cookie          registry, presence ───┴── standing        hub: topics, logs
//!                                                                               ▲
//!                       engine (other nodes, relay) ──▶ pump: batches, encoded ─┘
//! ```
//!
//! * An event arrives at the node once ([`pump`]), is encoded once into its topic's log ([`log`]), and every connection
//!   in the topic is woken; each reads the log through its own cursor and writes what is new in one system call.
//! * Nothing is queued per connection but flags and a few ephemeral frames; a slow reader costs its cursor.
//! * Whoever cannot have a WebSocket has the same connection as an event stream ([`events`]): a pipe into the body of an
//!   HTTP response instead of a socket, frames rendered as events on their way into it.
//! * The gateway knows no business rule: who may enter where, and what a message is, is asked of `shared::ops`.
//!
//! Who closes slow clients? `connection/outbound.rs`. Who notices the silent ones? `heartbeat.rs`. Who answers a
//! command? `connection/inbound.rs` judges, `connection/jobs.rs` carries out. Who decides what a client may do next?
//! `session.rs`, without a socket.

// A command's future holds those of the operation, the batch, the store and the driver below it.
#![recursion_limit = "256"]

mod after_loss;
mod bucket;
mod closed;
mod connection;
mod drain;
mod events;
mod fill;
mod filling;
mod frame;
mod handshake;
mod heartbeat;
mod hub;
mod inspect;
mod keeper;
mod listener;
mod log;
mod node;
mod occupancy;
mod pump;
mod registry;
mod revalidate;
mod session;
mod shed;
mod slots;
mod standing;
mod topic;
mod upgrade;

pub use connection::event_stream::{Carrier, EventStream};
pub use events::PATH as EVENTS;
pub use listener::PROTOCOLS;

use bytes::Bytes;
use handshake::Refused;
use http::{HeaderValue, Request, Response, Version, header};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use node::Node;
use shared::{
    config::{GatewayConfig, HttpConfig},
    engine::EngineError,
    lifecycle::Lifecycle,
    metrics::Metrics,
    ops::Ops,
    tls::Tls,
};
use std::{net::IpAddr, sync::Arc};
use tokio::net::{TcpListener, TcpStream};

/// The answer to a request for an event stream: the stream, or a few words why not.
pub type EventBody = Either<Full<Bytes>, EventStream>;

/// One gateway. A cheap clone: every clone is the same node.
#[derive(Clone)]
pub struct Gateway(Arc<Node>);

/// What a gateway is made of.
pub struct Parts {
    /// Heartbeats and limits.
    pub config: GatewayConfig,
    /// Whose pages may open a socket.
    pub http: HttpConfig,
    /// The session cookie's name.
    pub cookie: String,
    /// Rules, store, engine, clock.
    pub ops: Ops,
    /// Where it counts.
    pub metrics: Metrics,
    /// When it ends.
    pub lifecycle: Lifecycle,
}

impl Gateway {
    /// Attaches to the engine and starts the node's tasks on the lifecycle's tracker.
    pub async fn start(parts: Parts) -> Result<Self, EngineError> {
        let Parts { config, http, cookie, ops, metrics, lifecycle } = parts;
        let broker = ops.engine().broker.clone();
        let attachment = broker.attach().await?;
        let hub = Arc::new(hub::Hub::new(broker, attachment.node));
        let node = Arc::new(Node::new(config, cookie, http, ops, hub, metrics, lifecycle));
        let tracker = node.lifecycle.tracker();
        tracker.spawn(pump::run(Arc::clone(&node), attachment.deliveries));
        tracker.spawn(heartbeat::run(Arc::clone(&node)));
        tracker.spawn(keeper::run(Arc::clone(&node)));
        tracker.spawn(revalidate::run(Arc::clone(&node)));
        tracker.spawn(drain::run(Arc::clone(&node)));
        Ok(Self(node))
    }

    /// Answers an upgrade request from `address` and runs the connection on the tracker. The connection's stream is
    /// taken from the request, so it must come from hyper with upgrades enabled.
    pub async fn upgrade(&self, request: Request<Incoming>, address: IpAddr) -> Response<Full<Bytes>> {
        let (node, version) = (&self.0, request.version());
        let response = match upgrade::admit(node, &request, address).await {
            Ok((response, entrance)) => {
                node.lifecycle.tracker().spawn(entrance.adopt(hyper::upgrade::on(request)));
                response
            }
            Err(refused) => self.refuse(refused, address, version),
        };
        response.map(|text| Full::new(Bytes::from_static(text.as_bytes())))
    }

    /// Answers a request for an event stream ([`EVENTS`]) from `address`; the connection behind it runs on the tracker
    /// and ends when the body is dropped. Whoever serves the request must heed the `carrier`.
    pub async fn events<B>(&self, request: &Request<B>, address: IpAddr, carrier: Carrier) -> Response<EventBody> {
        match events::admit(&self.0, request, address, carrier).await {
            Ok(response) => response.map(Either::Right),
            Err(refused) => {
                let response = self.refuse(refused, address, request.version());
                response.map(|text| Either::Left(Full::new(Bytes::from_static(text.as_bytes()))))
            }
        }
    }

    fn refuse(&self, refused: Refused, address: IpAddr, version: Version) -> Response<&'static str> {
        let mut response = refused.note(&self.0, address).response();
        if version <= Version::HTTP_11 {
            // Whoever hammers at the door does so with a new connection each time, which is counted and limited.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// Serves a plain socket that begins with an upgrade for `/ws`, without an HTTP server; gives back any other one
    /// untouched. Waits for the first bytes for as long as its caller does, and may be dropped meanwhile.
    pub async fn take(&self, stream: TcpStream, peer: IpAddr) -> Option<TcpStream> {
        upgrade::take(&self.0, stream, peer).await
    }

    /// How many sockets are open.
    pub fn connections(&self) -> usize {
        self.0.registry.len()
    }

    /// The operations it carries out.
    pub fn ops(&self) -> &Ops {
        &self.0.ops
    }

    /// This gateway as the admin listener wants it.
    pub fn inspector(&self) -> Arc<dyn shared::admin::Sockets> {
        Arc::new(inspect::Inspector::new(Arc::clone(&self.0)))
    }

    /// How many topics the node follows.
    pub fn topics(&self) -> usize {
        self.0.hub.len()
    }

    /// Whether nothing of any connection is left; topics are given up within a second of that.
    pub fn is_empty(&self) -> bool {
        self.0.registry.nothing_left()
    }

    /// Moves the memory ceiling (`MEMORY_CEILING`) of a running node, in bytes; it takes effect within a second.
    pub fn set_memory_ceiling(&self, bytes: u64) {
        self.0.shedding.set_ceiling(bytes);
    }

    /// Serves `/ws`, `/events` and `/health/*` on a listener of its own until the soft stop; with `tls`, over TLS only.
    pub async fn serve(&self, listener: TcpListener, tls: Option<Tls>) {
        listener::serve(self.clone(), listener, tls).await;
    }

    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.0
    }
}
