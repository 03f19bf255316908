//! The few lines of RESP that the kit itself needs to look at a server or order it about. Deliberately not the engine's
//! client: what that one does wrong must not hide here.

use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

/// Longest wait for an answer. A stopped server gives none.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nothing is there.
    Nil,
    /// A status or a value.
    Text(String),
    /// A number.
    Number(i64),
    /// Several.
    List(Vec<Reply>),
    /// A refusal.
    Error(String),
}

impl Reply {
    /// The text, or nothing if it is none.
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            _ => "",
        }
    }

    /// The answers in a list; none if it is no list.
    pub fn list(&self) -> &[Self] {
        match self {
            Self::List(list) => list,
            _ => &[],
        }
    }
}

/// A connection to one server.
#[derive(Debug)]
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    /// Connects, and authenticates if there is a user and password.
    pub async fn open(addr: SocketAddr, user: Option<(&str, &str)>) -> io::Result<Self> {
        let stream = timeout(PATIENCE, TcpStream::connect(addr)).await.map_err(|_| io::ErrorKind::TimedOut)??;
        let mut this = Self(BufReader::new(stream));
        if let Some((name, password)) = user {
            match this.call(&["AUTH", name, password]).await? {
                Reply::Error(error) => return Err(io::Error::other(error)),
                _ => return Ok(this),
            }
        }
        Ok(this)
    }

    /// Sends a command and waits for its answer.
    pub async fn call(&mut self, command: &[&str]) -> io::Result<Reply> {
        let words = command.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
        let bytes: String = std::iter::once(format!("*{}\r\n", command.len())).chain(words).collect();
        let exchange = async {
            self.0.get_mut().write_all(bytes.as_bytes()).await?;
            self.reply().await
        };
        timeout(PATIENCE, exchange).await.map_err(|_| io::ErrorKind::TimedOut)?
    }

    async fn reply(&mut self) -> io::Result<Reply> {
        let mut line = String::new();
        if self.0.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (kind, rest) = line.trim_end().split_at_checked(1).ok_or_else(garbled)?;
        let number = || rest.parse::<i64>().map_err(|_| garbled());
        match kind {
            "+" => Ok(Reply::Text(rest.to_owned())),
            "-" => Ok(Reply::Error(rest.to_owned())),
            ":" => Ok(Reply::Number(number()?)),
            "$" => match usize::try_from(number()?) {
                Ok(length) => {
                    let mut value = vec![0; length + 2];
                    self.0.read_exact(&mut value).await?;
                    Ok(Reply::Text(String::from_utf8_lossy(&value[..length]).into_owned()))
                }
                Err(_) => Ok(Reply::Nil),
            },
            "*" => {
                let mut list = Vec::new();
                for _ in 0..number()? {
                    list.push(Box::pin(self.reply()).await?);
                }
                Ok(Reply::List(list))
            }
            _ => Err(garbled()),
        }
    }
}

fn garbled() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "this is not RESP2")
}
