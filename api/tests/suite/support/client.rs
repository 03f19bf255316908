//! An HTTP/1.1 client small enough to misbehave: a request is bytes, an answer is what came back. It keeps cookies as
//! a browser does, and opens a connection per request.

use serde_json::Value;
use std::{collections::BTreeMap, fmt::Write as _, net::SocketAddr, sync::Mutex, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// Longest a test waits for anything. Generous: the machine is shared.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A client with a cookie jar.
#[derive(Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    jar: Mutex<BTreeMap<String, String>>,
    bearer: Option<String>,
}

/// A request in the making.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Call {
    pub(crate) fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: Vec::new(), body: None }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Reads an answer off the wire.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or_else(|| {
            panic!("no complete answer in {:?}", String::from_utf8_lossy(bytes));
        });
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap()).map(|(name, value)| (name.into(), value.into()));
        Self { status, headers: headers.collect(), body: bytes[end + 4..].to_vec() }
    }

    /// A header's value; several lines are joined as HTTP says.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let values: Vec<_> = self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| &**value).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// `data` of a success.
    #[track_caller]
    pub(crate) fn data(&self) -> Value {
        let body = self.json();
        assert_eq!(body["success"], true, "{} {body}", self.status);
        body["data"].clone()
    }

    /// `401 UNAUTHORIZED`, for refusals in the envelope.
    #[track_caller]
    pub(crate) fn refusal(&self) -> String {
        let body = self.json();
        assert_eq!(body["success"], false, "{} {body}", self.status);
        assert!(body["meta"]["requestId"].is_string() && body["error"]["message"].is_string(), "{body}");
        format!("{} {}", self.status, body["error"]["code"].as_str().unwrap())
    }

    /// The names of the fields a validation error complains about.
    #[track_caller]
    pub(crate) fn fields(&self) -> Vec<String> {
        assert_eq!(self.refusal(), "400 VALIDATION_ERROR", "{}", self.text());
        let details = self.json()["error"]["details"].as_array().cloned().unwrap_or_default();
        details.iter().map(|detail| detail["field"].as_str().unwrap().to_owned()).collect()
    }
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, jar: Mutex::default(), bearer: None }
    }

    /// With a token in `Authorization`.
    pub(crate) fn with_bearer(address: SocketAddr, token: impl Into<String>) -> Self {
        Self { bearer: Some(token.into()), ..Self::new(address) }
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        self.jar.lock().unwrap().get(name).cloned()
    }

    pub(crate) fn set_cookie(&self, name: &str, value: &str) {
        self.jar.lock().unwrap().insert(name.into(), value.into());
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Call::new("GET", path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Call::new("POST", path).json(body)).await
    }

    pub(crate) async fn send(&self, call: Call) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let bytes = self.bytes(&call);
        // A refused upload may close the connection while we still write.
        let _ = stream.write_all(&bytes).await;
        let answer = Answer::parse(&read_to_end(&mut stream).await);
        self.keep_cookies(&answer);
        answer
    }

    /// The request as it goes over the wire.
    pub(crate) fn bytes(&self, call: &Call) -> Vec<u8> {
        let mut head =
            format!("{} {} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", call.method, call.path, self.address);
        let mut line = |name: &str, value: &str| write!(head, "{name}: {value}\r\n").unwrap();
        let jar = self.jar.lock().unwrap();
        if !jar.is_empty() {
            let pairs: Vec<_> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
            line("cookie", &pairs.join("; "));
        }
        if let Some(token) = &self.bearer {
            line("authorization", &format!("Bearer {token}"));
        }
        call.headers.iter().for_each(|(name, value)| line(name, value));
        let chunked = call.headers.iter().any(|(name, _)| name == "transfer-encoding");
        if let Some(body) = call.body.as_ref().filter(|_| !chunked) {
            line("content-length", &body.len().to_string());
        }
        let mut bytes = format!("{head}\r\n").into_bytes();
        bytes.extend_from_slice(call.body.as_deref().unwrap_or_default());
        bytes
    }

    fn keep_cookies(&self, answer: &Answer) {
        let mut jar = self.jar.lock().unwrap();
        for (_, line) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if line.contains("Max-Age=0") {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

/// Everything until the server closes.
pub(crate) async fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the server answers and closes");
    // A reset after the answer is the end, too.
    read.map_or_else(|_| bytes.clone(), |_| bytes.clone())
}
