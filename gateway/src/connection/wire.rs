//! The one writer of a socket.
//!
//! Two sources write to a connection: the gateway (shared frames, straight from the logs) and tungstenite (pongs and
//! close replies). A partial write of one followed by bytes of the other would splice two frames into garbage, so
//! neither touches the socket: both hand over whole frames, and the wire writes them in order, as many as it can in
//! one vectored system call, remembering how far it got.
//!
//! What is queued here is bounded by its callers: the gateway pulls from the logs only while less than
//! [`BATCH_BYTES`] wait, and tungstenite's own frames are refused beyond [`CONTROL_BYTES`] (it then keeps the latest
//! pong and drops older ones, as the RFC allows).

use super::stream::Stream;
use bytes::{Buf, Bytes};
use std::{
    collections::VecDeque,
    io::{self, IoSlice, Read, Write},
    task::{Context, Poll, ready},
};
use tokio::io::ReadBuf;

/// How much may wait on the wire before the connection stops pulling more. One full batch costs one system call;
/// larger ones only hold more memory per slow reader.
pub(crate) const BATCH_BYTES: usize = 64 * 1024;
/// How much of tungstenite's own frames may wait.
const CONTROL_BYTES: usize = 4 * 1024;
/// Slices per system call. Linux takes up to 1 024; a batch rarely has more than this.
const SLICES: usize = 32;

/// A socket and the frames on their way into it.
pub(crate) struct Wire {
    stream: Stream,
    /// Whole frames, in order; the front one may be partly written (it is then already advanced).
    queue: VecDeque<Bytes>,
    queued_bytes: usize,
    fresh: bool,
    /// Set whenever bytes arrived, taken by the connection: any inbound byte counts as alive.
    pub(crate) heard: bool,
    /// Bytes read so far, for the statistics.
    pub(crate) read_bytes: u64,
    /// Bytes written so far, for the statistics.
    pub(crate) written_bytes: u64,
}

impl Wire {
    pub(crate) fn new(stream: Stream) -> Self {
        Self {
            stream,
            queue: VecDeque::new(),
            queued_bytes: 0,
            fresh: false,
            heard: false,
            read_bytes: 0,
            written_bytes: 0,
        }
    }

    /// Queues whole frames.
    pub(crate) fn push(&mut self, frames: Bytes) {
        self.queued_bytes += frames.len();
        self.queue.push_back(frames);
        self.fresh = true;
    }

    /// Whether something was queued since the last write was tried.
    pub(crate) fn has_fresh(&self) -> bool {
        self.fresh
    }

    /// Whether everything handed over has reached the kernel.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether a full batch waits already.
    pub(crate) fn is_full(&self) -> bool {
        self.queued_bytes >= BATCH_BYTES
    }

    /// Writes until everything is written (`Ready`) or the socket takes no more (`Pending`).
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.fresh = false;
        if self.queue.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while !self.queue.is_empty() {
            let written = ready!(self.poll_write_once(cx))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        if self.queue.capacity() > SLICES {
            self.queue = VecDeque::new(); // a burst must not pin its queue for the life of the connection
        }
        self.stream.poll_flush(cx)
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

    /// The wire as tungstenite wants it: blocking calls that answer `WouldBlock`.
    pub(crate) fn io<'a, 'b>(&'a mut self, cx: &'a mut Context<'b>) -> WireIo<'a, 'b> {
        WireIo { wire: self, cx }
    }
}

/// See [`Wire::io`].
pub(crate) struct WireIo<'a, 'b> {
    wire: &'a mut Wire,
    cx: &'a mut Context<'b>,
}

impl Read for WireIo<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        match self.wire.stream.poll_read(self.cx, &mut buffer) {
            Poll::Ready(result) => {
                result?;
                let count = buffer.filled().len();
                self.wire.heard |= count > 0;
                self.wire.read_bytes += count as u64;
                Ok(count)
            }
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for WireIo<'_, '_> {
    /// Takes everything or nothing: tungstenite's buffer holds whole frames, and so does what is queued here.
    fn write(&mut self, frames: &[u8]) -> io::Result<usize> {
        if self.wire.queued_bytes > BATCH_BYTES + CONTROL_BYTES {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.wire.push(Bytes::copy_from_slice(frames));
        Ok(frames.len())
    }

    /// The connection writes when its turn comes; tungstenite need not wait for that.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame;
    use futures_util::task::noop_waker;
    use proptest::prelude::*;
    use tokio::{
        io::AsyncReadExt,
        net::{TcpListener, TcpStream},
    };

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, server) = tokio::join!(client, listener.accept());
        (client.unwrap(), server.unwrap().0)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_write_cut_at_any_byte_never_splices_two_frames(lens in prop::collection::vec(0_usize..200, 1..40), cuts in prop::collection::vec(1_usize..97, 0..60)) {
            // The socket is played by hand: `advance` is told how much it took.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let (_client, server) = runtime.block_on(pair());
            let mut wire = Wire::new(Stream::Plain(server));
            let (mut expected, mut got) = (Vec::new(), Vec::new());
            let mut cuts = cuts.into_iter().chain(std::iter::repeat(1_000));
            for (n, len) in lens.iter().enumerate() {
                let bytes = frame::text(&"x".repeat(*len));
                expected.extend_from_slice(&bytes);
                let mut cx = Context::from_waker(futures_util::task::noop_waker_ref());
                if n % 3 == 0 {
                    wire.io(&mut cx).write_all(&bytes).unwrap();
                } else {
                    wire.push(bytes);
                }
                let cut = cuts.next().unwrap().min(wire.queued_bytes);
                take(&mut wire, cut, &mut got);
            }
            let rest = wire.queued_bytes;
            take(&mut wire, rest, &mut got);
            prop_assert!(wire.is_empty());
            prop_assert_eq!(got, expected);
        }
    }

    fn take(wire: &mut Wire, count: usize, into: &mut Vec<u8>) {
        let all: Vec<u8> = wire.queue.iter().flat_map(|frame| frame.iter().copied()).collect();
        into.extend_from_slice(&all[..count]);
        wire.advance(count);
    }

    #[tokio::test]
    async fn a_reader_that_stops_stops_the_writer_and_gets_everything_once_it_reads_again() {
        let (mut client, server) = pair().await;
        let mut wire = Wire::new(Stream::Plain(server));
        let block = Bytes::from(vec![7_u8; 1 << 20]);
        let total = 16 << 20;
        for _ in 0..16 {
            wire.push(block.clone());
        }
        let waker = noop_waker();
        assert!(wire.poll_write(&mut Context::from_waker(&waker)).is_pending(), "16 MiB fit no socket buffer");
        let reader = async {
            let mut count = 0;
            let mut buffer = vec![0; 1 << 16];
            while count < total {
                count += client.read(&mut buffer).await.unwrap();
            }
        };
        let writer = std::future::poll_fn(|cx| wire.poll_write(cx));
        let ((), result) = tokio::join!(reader, writer);
        result.unwrap();
        assert!(wire.is_empty());
    }
}
