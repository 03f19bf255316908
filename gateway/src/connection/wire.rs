//! The one writer of a socket.
//!
//! Two sources write to a connection: the gateway (shared frames, straight from the logs) and tungstenite (pongs and
//! close replies). A partial write of one followed by bytes of the other would splice two frames into garbage, so
//! neither touches the socket: both hand over whole frames, and the wire writes them in order, as many as it can in
//! one vectored system call, remembering how far it got.
//!
//! What is queued here is bounded by its callers: while [`BATCH_BYTES`] wait, nothing is pulled from the logs, and no
//! further frame is read that tungstenite could answer.

use super::stream::Stream;
use bytes::{Buf, Bytes};
use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    task::{Context, Poll, ready},
};
use tokio::io::ReadBuf;

/// How much may wait on the wire before the connection stops pulling more. One full batch costs one system call;
/// larger ones only hold more memory per slow reader.
pub(crate) const BATCH_BYTES: usize = 64 * 1024;
/// Slices per system call. Linux takes up to 1 024; a batch rarely has more than this.
const SLICES: usize = 32;

/// A socket and the frames on their way into it.
pub(crate) struct Wire {
    stream: Stream,
    /// Whole frames, in order; the front one may be partly written (it is then already advanced).
    queue: VecDeque<Bytes>,
    queued_bytes: usize,
    /// Set while the stream may hold bytes it took and the kernel has not (TLS encrypts into a buffer of its own).
    unflushed: bool,
    /// Set whenever bytes arrived, taken by the connection: any inbound byte counts as alive.
    pub(crate) heard: bool,
    /// Bytes read so far, for the statistics.
    pub(crate) read_bytes: u64,
    /// Bytes written so far, for the statistics.
    pub(crate) written_bytes: u64,
    /// Frames queued so far, for the statistics. Whoever queues several at once adds the others.
    pub(crate) frames: u64,
}

impl Wire {
    pub(crate) fn new(stream: Stream) -> Self {
        Self {
            stream,
            queue: VecDeque::new(),
            queued_bytes: 0,
            unflushed: false,
            heard: false,
            read_bytes: 0,
            written_bytes: 0,
            frames: 0,
        }
    }

    /// Whether the peer only listens, so that what it takes is all that shows it alive.
    pub(crate) fn is_one_way(&self) -> bool {
        matches!(self.stream, Stream::Events(_))
    }

    /// Queues whole frames.
    pub(crate) fn push(&mut self, mut frames: Bytes) {
        if let Stream::Events(events) = &mut self.stream {
            frames = events.rendering.render(&frames);
            if frames.is_empty() {
                return; // a frame that means something to a WebSocket only
            }
        }
        self.queued_bytes += frames.len();
        self.frames += 1;
        self.queue.push_back(frames);
    }

    /// Whether the stream has taken everything that was handed over.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Slices and bytes that wait.
    pub(crate) fn queued(&self) -> (usize, usize) {
        (self.queue.len(), self.queued_bytes)
    }

    /// Whether a full batch waits already.
    pub(crate) fn is_full(&self) -> bool {
        self.queued_bytes >= BATCH_BYTES
    }

    /// Writes until everything is written (`Ready`) or the socket takes no more (`Pending`).
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.queue.is_empty() && !self.unflushed {
            return Poll::Ready(Ok(()));
        }
        while !self.queue.is_empty() {
            let written = ready!(self.poll_write_once(cx))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
            self.unflushed = true;
        }
        if self.queue.capacity() > SLICES {
            self.queue = VecDeque::new(); // a burst must not pin its queue for the life of the connection
        }
        ready!(self.stream.poll_flush(cx))?;
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }

    fn poll_write_once(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if let [only] = self.queue.as_slices().0
            && self.queue.len() == 1
        {
            return self.stream.poll_write_vectored(cx, &[IoSlice::new(only)]);
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        let count = self.queue.iter().zip(&mut slices).map(|(frame, slice)| *slice = IoSlice::new(frame)).count();
        self.stream.poll_write_vectored(cx, &slices[..count])
    }

    fn advance(&mut self, mut written: usize) {
        self.queued_bytes -= written;
        self.written_bytes += written as u64;
        while written > 0 {
            let front = self.queue.front_mut().expect("the socket took no more than it was given");
            let taken = front.len().min(written);
            front.advance(taken);
            written -= taken;
            if front.is_empty() {
                self.queue.pop_front();
            }
        }
    }

    /// Reads once; 0 is the end of the stream.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(self.stream.poll_read(cx, &mut buffer))?;
        let count = buffer.filled().len();
        self.heard |= count > 0;
        self.read_bytes += count as u64;
        Poll::Ready(Ok(count))
    }

    /// Reads and forgets: after our close frame only the peer's end of the stream is of interest. `Ready` at the end.
    pub(crate) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0_u8; 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(self.stream.poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
    }

    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(cx)
    }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
