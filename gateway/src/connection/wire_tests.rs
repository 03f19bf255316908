//! The wire's one rule, whole frames by one writer, through transports that take part of a write: at every byte, at
//! random, and as real sockets do; plain and inside TLS.

use super::*;
use crate::frame;
use proptest::prelude::*;
use shared::{config::HttpConfig, protocol::CloseReason, testkit::tls::Authority, tls::Tls};
use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, DuplexStream, duplex},
    net::{TcpListener, TcpStream},
};

/// How much a [`Cut`] takes before it refuses once, and how much it has taken.
#[derive(Debug, Default)]
struct Plan {
    cuts: VecDeque<usize>,
    taken: usize,
}

/// A transport that takes as many bytes as its plan says, then none until it is asked again, and so on.
struct Cut {
    inner: DuplexStream,
    plan: Arc<Mutex<Plan>>,
}

impl AsyncRead for Cut {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Cut {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        let plan = Arc::clone(&self.plan);
        let mut plan = plan.lock().unwrap();
        let most = plan.cuts.front().copied().unwrap_or(usize::MAX).min(bytes.len());
        if most == 0 {
            plan.cuts.pop_front();
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let written = ready!(Pin::new(&mut self.inner).poll_write(cx, &bytes[..most]))?;
        plan.taken += written;
        if let Some(cut) = plan.cuts.front_mut() {
            *cut -= written;
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// A wire over a [`Cut`], its plan, and the other end.
struct Rig {
    wire: Wire,
    plan: Arc<Mutex<Plan>>,
    client: Box<dyn AsyncRead + Unpin>,
}

impl Rig {
    fn plain() -> Self {
        let (client, inner) = duplex(1 << 20);
        let plan = Arc::default();
        let cut = Cut { inner, plan: Arc::clone(&plan) };
        Self { wire: Wire::new(Stream::Wrapped(Box::new(cut))), plan, client: Box::new(client) }
    }

    async fn tls(authority: &Authority) -> Self {
        let (client, inner) = duplex(1 << 20);
        let plan = Arc::default();
        let cut = Cut { inner, plan: Arc::clone(&plan) };
        let (client, server) = tokio::join!(authority.shake_hands(client), authority.acceptor().accept(cut));
        let stream = Stream::Wrapped(Box::new(server.unwrap()));
        Self { wire: Wire::new(stream), plan, client: Box::new(client.unwrap()) }
    }

    /// Both kinds.
    async fn both() -> [Self; 2] {
        [Self::plain(), Self::tls(&Authority::new()).await]
    }

    fn cut(&self, cuts: impl IntoIterator<Item = usize>) {
        *self.plan.lock().unwrap() = Plan { cuts: cuts.into_iter().collect(), taken: 0 };
    }

    async fn written(&mut self) {
        std::future::poll_fn(|cx| self.wire.poll_write(cx)).await.unwrap();
        assert!(self.wire.is_empty());
    }

    async fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        within(self.client.read_exact(&mut bytes)).await.unwrap();
        bytes
    }
}

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("what was written arrives")
}

/// Hands one frame over; returns its bytes.
fn hand_over(wire: &mut Wire, frame: Bytes) -> Vec<u8> {
    let bytes = frame.to_vec();
    wire.push(frame);
    bytes
}

#[tokio::test]
async fn frames_arrive_whole_and_in_order_wherever_one_write_is_cut() {
    let frames =
        || (0..6).map(|n| frame::text(&"x".repeat(n * 40))).chain([frame::ping(), frame::close(CloseReason::Drain)]);
    for mut rig in Rig::both().await {
        let mut at = 0;
        loop {
            rig.cut([at]);
            let mut expected = Vec::new();
            for frame in frames() {
                expected.extend(hand_over(&mut rig.wire, frame));
            }
            rig.written().await;
            assert_eq!(rig.read(expected.len()).await, expected, "cut at byte {at}");
            let taken = rig.plan.lock().unwrap().taken;
            assert!(taken >= expected.len());
            at += 1;
            if at > taken {
                break; // every byte of what went over the transport has been a cut once
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn writes_cut_at_any_bytes_never_splice_two_frames(
        lens in prop::collection::vec(0_usize..300, 1..60),
        cuts in prop::collection::vec(1_usize..200, 0..80),
        turns in prop::collection::vec(any::<bool>(), 60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for mut rig in Rig::both().await {
                rig.cut(cuts.iter().copied());
                let mut expected = Vec::new();
                for (n, len) in lens.iter().enumerate() {
                    expected.extend(hand_over(&mut rig.wire, frame::text(&"x".repeat(*len))));
                    if turns[n] {
                        let mut cx = Context::from_waker(std::task::Waker::noop());
                        let _ready_or_cut = rig.wire.poll_write(&mut cx);
                    }
                }
                rig.written().await;
                assert_eq!(rig.read(expected.len()).await, expected);
            }
        });
    }
}

/// A real socket between two ends, plain or with TLS on both.
async fn sockets(tls: Option<&Authority>) -> (Box<dyn AsyncRead + Unpin>, Stream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let Some(authority) = tls else {
        let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
        return (Box::new(client.unwrap()), Stream::Plain(server.unwrap().0));
    };
    let mut http = HttpConfig::default();
    authority.configure(&mut http);
    let tls = Tls::load(&http, &[]).unwrap().unwrap();
    let accept = async { tls.accept(listener.accept().await?.0, Duration::from_secs(20)).await };
    let (client, server) = tokio::join!(authority.connect(address, &[]), accept);
    (Box::new(client.unwrap()), Stream::Tls(Box::new(server.unwrap())))
}

#[tokio::test]
async fn a_reader_that_stops_stops_the_writer_and_gets_everything_once_it_reads_again() {
    let authority = Authority::new();
    for tls in [None, Some(&authority)] {
        let (mut client, server) = sockets(tls).await;
        let mut wire = Wire::new(server);
        let block = Bytes::from(vec![7_u8; 1 << 20]);
        let total = 16 << 20;
        for _ in 0..16 {
            wire.push(block.clone());
        }
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(wire.poll_write(&mut cx).is_pending(), "16 MiB fit no socket buffer");
        let reader = async {
            let mut count = 0;
            let mut buffer = vec![0; 1 << 16];
            while count < total {
                let read = client.read(&mut buffer).await.unwrap();
                assert!(read > 0 && buffer[..read].iter().all(|byte| *byte == 7));
                count += read;
            }
        };
        let writer = std::future::poll_fn(|cx| wire.poll_write(cx));
        let ((), result) = within(async { tokio::join!(reader, writer) }).await;
        result.unwrap();
        assert!(wire.is_empty());
    }
}
