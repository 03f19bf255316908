//! An event stream's transport: a pipe between the connection, which writes frames as to any socket, and the body of an
//! HTTP response, which the server sends at its client's pace.
//!
//! The pipe holds [`PIPE_BYTES`]; when it is full the connection's socket "takes nothing", and all that holds for slow
//! readers holds here. The end has two sides. The connection is over first when the server says goodbye: the body then
//! ends behind it, and if the server does not get rid of the body, because its client takes nothing, the connection
//! that carries it must be closed ([`Carrier::stuck`]). The body is dropped first when the client leaves: the
//! connection reads the end of the pipe.

use super::rendering::Rendering;
use bytes::Bytes;
use hyper::body::{Body, Frame};
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead as _, DuplexStream, ReadBuf, duplex};
use tokio_util::sync::{CancellationToken, DropGuard};

/// What may wait between the connection and the HTTP server. Enough for an ordinary batch; more would only hide a slow
/// reader.
const PIPE_BYTES: usize = 16 * 1024;
/// Largest piece of the body.
const CHUNK_BYTES: usize = 4 * 1024;

/// What the HTTP server that carries a stream must know.
#[derive(Clone, Debug, Default)]
pub struct Carrier {
    /// Cancelled when the stream is over while the server still holds its body: nobody takes it, close the connection.
    pub stuck: CancellationToken,
    /// Cancelled when the server has let go of the body.
    pub done: CancellationToken,
}

/// The connection's end.
pub(crate) struct EventPipe {
    pub(super) pipe: DuplexStream,
    pub(super) rendering: Rendering,
    carrier: Carrier,
}

/// The response's body.
#[derive(Debug)]
pub struct EventStream {
    pipe: DuplexStream,
    _done: DropGuard,
}

/// Both ends.
pub(crate) fn event_stream(rendering: Rendering, carrier: Carrier) -> (EventPipe, EventStream) {
    let (ours, theirs) = duplex(PIPE_BYTES);
    let body = EventStream { pipe: theirs, _done: carrier.done.clone().drop_guard() };
    (EventPipe { pipe: ours, rendering, carrier }, body)
}

impl Drop for EventPipe {
    fn drop(&mut self) {
        if !self.carrier.done.is_cancelled() {
            self.carrier.stuck.cancel();
        }
    }
}

impl Body for EventStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut chunk = [0; CHUNK_BYTES];
        let mut buffer = ReadBuf::new(&mut chunk);
        let read = ready!(Pin::new(&mut self.pipe).poll_read(cx, &mut buffer));
        let events = Some(buffer.filled()).filter(|events| read.is_ok() && !events.is_empty());
        Poll::Ready(events.map(|events| Ok(Frame::data(Bytes::copy_from_slice(events)))))
    }
}
