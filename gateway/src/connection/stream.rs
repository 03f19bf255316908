//! Where a connection's bytes come from: a plain socket, TLS, whatever an HTTP server handed over, or the pipe into the
//! body of an HTTP response.
//!
//! An upgraded connection is unwrapped to its socket or its TLS session where that is possible, so that a write goes
//! there directly, and neither a boxed stream nor what the HTTP server kept around it stands in between or in memory.

use super::event_stream::EventPipe;
use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::{rt::TokioIo, server::conn::auto};
use shared::tls;
use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// A connection's transport.
pub(crate) enum Stream {
    /// A socket of our own.
    Plain(TcpStream),
    /// The same inside TLS. Boxed: a plain connection should not pay for the session's size.
    Tls(Box<tls::Stream>),
    /// A stream that somebody else wrapped.
    Wrapped(Box<dyn Transport>),
    /// An HTTP response's body, which takes events instead of frames and never brings anything.
    Events(Box<EventPipe>),
}

/// Any stream of bytes in both directions.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Transport for T {}

impl Stream {
    /// Unwraps an upgraded connection; the bytes are what the client sent right behind its request.
    pub(crate) fn from_upgraded(upgraded: Upgraded) -> (Self, Bytes) {
        let upgraded = match unwrap::<TcpStream>(upgraded) {
            Ok((stream, early)) => return (Self::Plain(stream), early),
            Err(upgraded) => upgraded,
        };
        match unwrap::<tls::Stream>(upgraded) {
            Ok((stream, early)) => (Self::Tls(Box::new(stream)), early),
            Err(upgraded) => (Self::Wrapped(Box::new(TokioIo::new(upgraded))), Bytes::new()),
        }
    }

    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buffer),
            Self::Wrapped(stream) => Pin::new(stream.as_mut()).poll_read(cx, buffer),
            Self::Events(events) => Pin::new(&mut events.pipe).poll_read(cx, buffer),
        }
    }

    /// Bytes taken need not have reached the kernel: [`Stream::poll_flush`].
    pub(crate) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write_vectored(cx, slices),
            Self::Wrapped(stream) => Pin::new(stream.as_mut()).poll_write_vectored(cx, slices),
            Self::Events(events) => Pin::new(&mut events.pipe).poll_write_vectored(cx, slices),
        }
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())), // a socket has no buffer of its own
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
            Self::Wrapped(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
            Self::Events(events) => Pin::new(&mut events.pipe).poll_flush(cx),
        }
    }

    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
            Self::Wrapped(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
            Self::Events(events) => Pin::new(&mut events.pipe).poll_shutdown(cx),
        }
    }
}

/// The stream an HTTP server was given, if it is of this kind: hyper's own server (the gateway's listener) hands it back
/// as it was, the one that tells HTTP/1 from HTTP/2 (the api's) with a wrapper around it.
fn unwrap<T>(upgraded: Upgraded) -> Result<(T, Bytes), Upgraded>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match upgraded.downcast::<TokioIo<T>>() {
        Ok(parts) => Ok((parts.io.into_inner(), parts.read_buf)),
        Err(upgraded) => {
            auto::upgrade::downcast::<TokioIo<T>>(upgraded).map(|parts| (parts.io.into_inner(), parts.read_buf))
        }
    }
}
