//! The last connections of a listener that closes: those that the kernel has accepted for us already. Closing would
//! reset them, though their clients may have sent their requests.

use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};

/// At most this many: a storm must not keep a listener open that should close.
const MOST: usize = 4_096;

/// Takes them, and closes the listener at the end.
pub fn last_of(listener: TcpListener) -> impl Iterator<Item = (TcpStream, SocketAddr)> {
    // tokio's own accept answers by what it last heard of the socket; the kernel knows better.
    let listener = listener.into_std().ok();
    let accept = move || {
        let (stream, peer) = listener.as_ref()?.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        Some((TcpStream::from_std(stream).ok()?, peer))
    };
    std::iter::from_fn(accept).take(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_was_accepted_by_the_kernel_is_taken_and_then_the_door_is_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let clients: Vec<_> = (0..3).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
        let taken: Vec<_> = last_of(listener).map(|(_, peer)| peer).collect();
        assert_eq!(taken, clients.iter().map(|client| client.local_addr().unwrap()).collect::<Vec<_>>());
        assert!(std::net::TcpStream::connect(address).is_err());
    }
}
