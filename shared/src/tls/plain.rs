//! Plain HTTP on a TLS port: usually a person who typed `http://`. They get a sentence instead of a torn connection.

use std::io;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 32\r\n\
                        connection: close\r\n\r\nthis port speaks TLS: use https\n";

/// Most bytes of such a request that are read before the connection is closed.
const MOST_BYTES: u64 = 64 * 1024;

/// Whether a connection that begins with this byte is HTTP: methods are upper case, a TLS handshake begins with 22.
pub(super) const fn is_http(first: u8) -> bool {
    first.is_ascii_uppercase()
}

/// Answers and ends. What the client still sends is read and forgotten, within the caller's deadline: closing a socket
/// with unread bytes would reset it, and the reset can overtake the answer.
pub(super) async fn refuse(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(ANSWER).await?;
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(MOST_BYTES), &mut tokio::io::sink()).await.map(|_| ())
}
