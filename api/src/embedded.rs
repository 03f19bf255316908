//! The gateway inside this process: the one file of the api that knows it. In the distributed mode the gateway is a
//! process of its own, and nothing here runs.

use crate::{activity::Activity, app::App, http::Body};
use ::http::{Request, Response};
pub use gateway::EVENTS;
use gateway::{Carrier, Gateway, Parts};
use http_body_util::{BodyExt as _, Either};
use hyper::body::Incoming;
use shared::engine::EngineError;
use std::{io, net::IpAddr, sync::Arc};
use tokio::net::TcpStream;

/// The gateway of this process. A cheap clone.
#[derive(Clone)]
pub struct Sockets(Gateway);

impl std::fmt::Debug for Sockets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Sockets").field(&self.0.connections()).finish()
    }
}

/// Starts the gateway's tasks; from now on `/ws` is answered.
pub async fn start(app: &App) -> Result<(), EngineError> {
    let parts = Parts {
        config: app.config.gateway.clone(),
        http: app.config.http.clone(),
        cookie: app.config.session.cookie.clone(),
        ops: app.ops.clone(),
        metrics: app.metrics.clone(),
        lifecycle: app.lifecycle.clone(),
    };
    let sockets = Sockets(Gateway::start(parts).await?);
    app.sockets.set(sockets).expect("a process starts one gateway");
    Ok(())
}

impl Sockets {
    /// Answers an upgrade; the connection goes on as a task of the lifecycle's tracker.
    pub async fn upgrade(&self, request: Request<Incoming>, address: IpAddr) -> Response<Body> {
        self.0.upgrade(request, address).await.map(boxed)
    }

    /// Answers a request for an event stream. The stream goes on as the answer's body: as long as the HTTP server holds
    /// that, the connection the request came on is a carrier.
    pub async fn events(&self, request: &Request<Incoming>, address: IpAddr) -> Response<Body> {
        let activity = request.extensions().get::<Arc<Activity>>().cloned().unwrap_or_default();
        let carrier = Carrier { stuck: activity.stuck.clone(), ..Carrier::default() };
        let response = self.0.events(request, address, carrier).await;
        let streaming = matches!(response.body(), Either::Right(_)).then(|| activity.stream());
        response.map(|body| {
            let body = body.map_frame(move |frame| {
                let _held_as_long_as_the_body = &streaming;
                frame
            });
            body.map_err(io::Error::other).boxed_unsync()
        })
    }

    /// The gateway as the admin listener wants it.
    pub fn inspector(&self) -> Arc<dyn shared::admin::Sockets> {
        self.0.inspector()
    }

    /// Serves a socket that begins with an upgrade for `/ws`, past the whole pipeline; gives back any other.
    pub async fn take(&self, stream: TcpStream, peer: IpAddr) -> Option<TcpStream> {
        self.0.take(stream, peer).await
    }

    /// How many sockets are open.
    pub fn connections(&self) -> usize {
        self.0.connections()
    }
}

fn boxed(body: http_body_util::Full<bytes::Bytes>) -> Body {
    body.map_err(|never| match never {}).boxed_unsync()
}
