//! What one HTTP connection is doing, as far as its deadlines and its place must know.
//!
//! Answers are whole when their handler ends: who has not read one by the end of the silence is cut off. An event
//! stream is open for as long as its body lives. It counts as a socket, with the gateway's limits, so its connection
//! gives its place among the HTTP connections back; a connection without a place takes nothing new once one of its
//! streams is over, or it could stay for ever and never be counted.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};
use tokio_util::sync::CancellationToken;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    asked: AtomicU64,
    open: AtomicUsize,
    /// Cancelled when the first event stream begins.
    pub(crate) streaming: CancellationToken,
    /// Cancelled when the first event stream is over.
    pub(crate) streamed: CancellationToken,
    /// Cancelled when an event stream is over and its client does not even take the end of it.
    pub(crate) stuck: CancellationToken,
}

impl Activity {
    /// A request came; it is open until the guard is dropped.
    pub(crate) fn request(self: &Arc<Self>) -> Open {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.opened()
    }

    /// An event stream begins; it is open until the guard is dropped.
    pub(crate) fn stream(self: &Arc<Self>) -> Streaming {
        self.streaming.cancel();
        Streaming(self.opened())
    }

    fn opened(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(self))
    }

    /// Requests so far.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Whether a request or a stream is open.
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed) > 0
    }
}

/// An open request.
pub(crate) struct Open(Arc<Activity>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An open event stream.
pub(crate) struct Streaming(Open);

impl Drop for Streaming {
    fn drop(&mut self) {
        self.0.0.streamed.cancel();
    }
}
