//! What the kernel is told about a connection.

use std::{io, time::Duration};
use tokio::net::TcpStream;

/// Gives a connection up when what was written to it has not been taken for this long: for streams whose client never
/// says anything, so that only the kernel can know that it is gone. Elsewhere than on Linux the system's own patience
/// holds, which is many minutes.
pub fn give_up_after(stream: &TcpStream, silence: Duration) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    return socket2::SockRef::from(stream).set_tcp_user_timeout(Some(silence));
    #[cfg(not(target_os = "linux"))]
    Ok(_ = (stream, silence))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn the_kernel_is_told_how_long_to_wait_for_an_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        give_up_after(&stream, Duration::from_secs(75)).unwrap();
        let told = socket2::SockRef::from(&stream).tcp_user_timeout().unwrap();
        assert_eq!(told, Some(Duration::from_secs(75)));
    }
}
