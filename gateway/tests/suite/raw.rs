//! A client that need not behave: its own bytes over a real socket, at its own pace, from an address of its choice.

use shared::testkit::socket::within;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

/// First bytes of frames.
pub(crate) const TEXT: u8 = 0x81;
pub(crate) const CONTINUATION: u8 = 0x00;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8a;

/// A well-formed upgrade with extra header lines.
pub(crate) fn upgrade_request(extra: &str) -> String {
    format!(
        "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{extra}\r\n"
    )
}

/// A handshake with extra header lines; returns what the server says until it closes its half.
pub(crate) async fn raw_upgrade(addr: SocketAddr, extra: &str) -> String {
    let mut raw = Raw::connect(addr).await;
    raw.write(upgrade_request(extra).as_bytes()).await;
    raw.read_all().await
}

/// The same, up to the end of the answer's head.
pub(crate) async fn raw_head(addr: SocketAddr, extra: &str) -> String {
    let mut raw = Raw::connect(addr).await;
    raw.write(upgrade_request(extra).as_bytes()).await;
    raw.until("\r\n\r\n").await
}

/// A client's frame, masked with zeros, which is a mask. `first` holds the opcode and the FIN bit.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short @ 0..=125), _) => bytes.push(0x80 + short),
        (_, Ok(medium)) => {
            bytes.push(0x80 + 126);
            bytes.extend(medium.to_be_bytes());
        }
        _ => {
            bytes.push(0x80 + 127);
            bytes.extend((payload.len() as u64).to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

/// The client.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    heard: Vec<u8>,
}

impl Raw {
    pub(crate) async fn connect(addr: SocketAddr) -> Self {
        Self::over(TcpStream::connect(addr).await.unwrap())
    }

    /// From this address of the loopback network.
    pub(crate) async fn connect_from(from: Ipv4Addr, addr: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((from, 0))).unwrap();
        Self::over(within(socket.connect(addr)).await.unwrap())
    }

    /// With as little room for what it does not read as the kernel allows.
    pub(crate) async fn connect_narrow(addr: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        Self::over(socket.connect(addr).await.unwrap())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self { stream, heard: Vec::new() }
    }

    /// Upgrades, and reads the greeting.
    pub(crate) async fn upgraded(mut self) -> Self {
        self.write(upgrade_request("").as_bytes()).await;
        self.until(r#""type":"hello""#).await;
        self
    }

    /// Upgrades, and acts for whom the token belongs to.
    pub(crate) async fn ready(self, token: &str) -> Self {
        let mut this = self.upgraded().await;
        this.write(&frame(TEXT, format!(r#"{{"type":"auth","token":"{token}"}}"#).as_bytes())).await;
        this.until(r#""type":"ready""#).await;
        this
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        within(self.stream.write_all(bytes)).await.expect("the server takes it");
    }

    /// Writes without minding whether the server still listens; false when it does not.
    pub(crate) async fn try_write(&mut self, bytes: &[u8]) -> bool {
        within(self.stream.write_all(bytes)).await.is_ok()
    }

    /// Reads until this has come; everything up to then is heard and gone.
    pub(crate) async fn until(&mut self, text: &str) -> String {
        while !contains(&self.heard, text) {
            let mut buffer = [0; 4_096];
            let count = within(self.stream.read(&mut buffer)).await.expect("the server is there");
            assert!(count > 0, "closed before {text}: {}", String::from_utf8_lossy(&self.heard));
            self.heard.extend(&buffer[..count]);
        }
        String::from_utf8_lossy(&std::mem::take(&mut self.heard)).into_owned()
    }

    /// Reads to the end; a reset is an end too.
    pub(crate) async fn read_all(&mut self) -> String {
        let mut bytes = std::mem::take(&mut self.heard);
        let _end_or_reset = within(self.stream.read_to_end(&mut bytes)).await;
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn contains(heard: &[u8], text: &str) -> bool {
    heard.windows(text.len()).any(|window| window == text.as_bytes())
}
