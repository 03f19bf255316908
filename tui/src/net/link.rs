//! One link: connect, listen, and when it breaks say why, wait, and try again, for ever.
//!
//! A link that goes silent without closing (half-open, a stopped process) is broken too: ticks come every second.

use super::{backoff::Backoff, discover::Source};
use crate::model::{Event, What};
use anyhow::{Context as _, anyhow, bail};
use futures_util::StreamExt as _;
use shared::protocol::admin::{Message as Said, TokenFile, VERSION};
use std::{sync::Arc, time::Duration};
use tokio::{
    net::TcpStream,
    sync::{Notify, mpsc},
    time::{sleep, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        self, Message,
        client::IntoClientRequest as _,
        http::{HeaderValue, StatusCode, header},
        protocol::WebSocketConfig,
    },
};

/// Longest time to connect and shake hands.
const CONNECT: Duration = Duration::from_secs(3);
/// Longest silence on an open link; the view has looked stale for a second by then.
const SILENCE: Duration = Duration::from_secs(3);
/// Largest message taken: a tick of a busy process is some tens of KiB.
const MESSAGE_BYTES: usize = 4 << 20;

type Socket = WebSocketStream<TcpStream>;

/// Keeps a link to `source` until nobody listens any more.
pub(super) async fn run(source: Source, events: mpsc::Sender<Event>, again: Arc<Notify>) {
    let mut backoff = Backoff::default();
    let tell = |what| events.send(Event { node: source.name.clone(), what });
    loop {
        if tell(What::Connecting).await.is_err() {
            return;
        }
        let problem = match listen(&source, &events, &mut backoff).await {
            Ok(()) => return,
            Err(problem) => problem,
        };
        let retry_in = backoff.next();
        if tell(What::Down { why: format!("{problem:#}"), retry_in }).await.is_err() {
            return;
        }
        tokio::select! {
            () = sleep(retry_in) => {}
            () = again.notified() => {}
        }
    }
}

/// Listens until the link breaks, which is an error, or until nobody wants to know, which is not.
async fn listen(source: &Source, events: &mpsc::Sender<Event>, backoff: &mut Backoff) -> anyhow::Result<()> {
    let file = source.resolve()?;
    let connecting = Box::pin(connect(&file));
    let mut socket = timeout(CONNECT, connecting).await.map_err(|_| anyhow!("no answer from {}", file.address))??;
    let mut name = None;
    loop {
        let said = timeout(SILENCE, hear(&mut socket)).await.map_err(|_| anyhow!("silent for {SILENCE:?}"))??;
        let what = match said {
            Said::Hello(hello) if hello.proto > VERSION => {
                bail!("it speaks version {} of the admin protocol, this console {VERSION}: update it", hello.proto)
            }
            Said::Hello(hello) => {
                name = Some(hello.node.name.clone());
                backoff.reset();
                What::Hello(hello)
            }
            _ if name.is_none() => bail!("{} did not say hello: is it Pitchey?", file.address),
            // The others of its cluster have links of their own.
            Said::Tick(tick) if Some(&tick.node) == name.as_ref() => What::Tick(tick),
            Said::Lost { count } => What::Lost(count),
            _ => continue,
        };
        if events.send(Event { node: source.name.clone(), what }).await.is_err() {
            return Ok(());
        }
    }
}

async fn connect(file: &TokenFile) -> anyhow::Result<Socket> {
    let address = file.address;
    let stream = TcpStream::connect(address).await.with_context(|| format!("failed to connect to {address}"))?;
    let mut request = format!("ws://{address}/admin/stream").into_client_request()?;
    let mut bearer = HeaderValue::try_from(format!("Bearer {}", file.token)).context("the token is not one")?;
    bearer.set_sensitive(true);
    request.headers_mut().insert(header::AUTHORIZATION, bearer);
    let config = WebSocketConfig::default()
        .read_buffer_size(16 * 1024)
        .max_message_size(Some(MESSAGE_BYTES))
        .max_frame_size(Some(MESSAGE_BYTES));
    match client_async_with_config(request, stream, Some(config)).await {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(answer)) if answer.status() == StatusCode::UNAUTHORIZED => {
            bail!("{address} refused the token (401): it belongs to another start of the process")
        }
        Err(tungstenite::Error::Http(answer)) => bail!("{address} answered {}", answer.status()),
        Err(error) => Err(anyhow!("{address} does not speak WebSocket: {error}")),
    }
}

async fn hear(socket: &mut Socket) -> anyhow::Result<Said> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                return serde_json::from_str(&text).map_err(|error| anyhow!("it sent what is no message: {error}"));
            }
            Some(Ok(Message::Close(Some(frame)))) => bail!("it closed the link: {} {}", frame.code, frame.reason),
            // A ping's pong leaves with the next poll.
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(anyhow!("the link broke: {error}")),
            None => bail!("it closed the link"),
        }
    }
}
