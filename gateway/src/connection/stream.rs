//! Where a connection's bytes come from: a plain socket, or whatever an HTTP server handed over.
//!
//! An upgraded connection is unwrapped to its socket where that is possible, so that a write is one system call on the
//! socket and no dispatch through a boxed stream stands in between.

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
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
    /// A stream an HTTP server wrapped (TLS, HTTP/2).
    Wrapped(Box<TokioIo<Upgraded>>),
}

impl Stream {
    /// Unwraps an upgraded connection; the bytes are what the client sent right behind its request.
    pub(crate) fn from_upgraded(upgraded: Upgraded) -> (Self, Bytes) {
        match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(parts) => (Self::Plain(parts.io.into_inner()), parts.read_buf),
            Err(upgraded) => (Self::Wrapped(Box::new(TokioIo::new(upgraded))), Bytes::new()),
        }
    }

    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Wrapped(stream) => Pin::new(stream.as_mut()).poll_read(cx, buffer),
        }
    }

    pub(crate) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Wrapped(stream) => Pin::new(stream.as_mut()).poll_write_vectored(cx, slices),
        }
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())), // a socket has no buffer of its own
            Self::Wrapped(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Wrapped(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}
