//! One link: connect, listen, and when it breaks say why, wait, and try again, for ever.
//!
//! A link that goes silent without closing (half-open, a stopped process) is broken too: ticks come every second.

use super::{Common, backoff::Backoff, discover::Source};
use crate::model::{Event, What};
use anyhow::{Context as _, anyhow, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use shared::protocol::admin::{Message as Said, OPERATOR_HEADER, Request as Asked, Subscribe, TokenFile, VERSION};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::{
    net::TcpStream,
    sync::watch,
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
/// Largest message taken: a list has at most 200 KiB, a day of history of one node some 500.
const MESSAGE_BYTES: usize = 4 << 20;

type Socket = WebSocketStream<TcpStream>;

/// Keeps a link to `source` until nobody listens any more.
pub(super) async fn run(source: Source, mut common: Common) {
    let mut backoff = Backoff::default();
    let (events, again) = (common.events.clone(), Arc::clone(&common.again));
    let tell = |what| events.send(Event { link: source.name.clone(), what });
    loop {
        if tell(What::Connecting).await.is_err() {
            return;
        }
        let problem = match listen(&source, &mut common, &mut backoff).await {
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
async fn listen(source: &Source, common: &mut Common, backoff: &mut Backoff) -> anyhow::Result<()> {
    let file = source.resolve()?;
    let connecting = Box::pin(connect(&file, &common.operator));
    let socket = timeout(CONNECT, connecting).await.map_err(|_| anyhow!("no answer from {}", file.address))??;
    let mut talk = Talk { socket, views: None, asked: BTreeSet::new() };
    loop {
        let said = tokio::select! {
            said = timeout(SILENCE, hear(&mut talk.socket)) => {
                said.map_err(|_| anyhow!("silent for {SILENCE:?}"))??
            }
            changed = common.wanted.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
                talk.ask(&mut common.wanted).await?;
                continue;
            }
        };
        match &said {
            Said::Hello(hello) if hello.proto != VERSION => {
                let update = if hello.proto > VERSION { "update this console" } else { "update the platform" };
                bail!("it speaks version {} of the admin protocol, this console {VERSION}: {update}", hello.proto)
            }
            Said::Hello(hello) => {
                backoff.reset();
                talk.views = Some(hello.views.clone());
                talk.ask(&mut common.wanted).await?;
            }
            _ if talk.views.is_none() => bail!("{} did not say hello: is it Pitchey?", file.address),
            _ => {}
        }
        if common.events.send(Event::said(&source.name, said)).await.is_err() {
            return Ok(());
        }
    }
}

/// An open link, and what was asked through it.
struct Talk {
    socket: Socket,
    /// The views the process answers; none before its hello.
    views: Option<Vec<String>>,
    asked: BTreeSet<u32>,
}

impl Talk {
    /// Makes the subscriptions those that are wanted. What the process does not answer is not asked.
    async fn ask(&mut self, wanted: &mut watch::Receiver<Vec<Subscribe>>) -> anyhow::Result<()> {
        let Some(views) = &self.views else { return Ok(()) };
        let wanted = wanted.borrow_and_update().clone();
        let answered = |wish: &&Subscribe| views.iter().any(|view| view == wish.query.view.name());
        let wanted: Vec<_> = wanted.iter().filter(answered).cloned().collect();
        let ids: BTreeSet<u32> = wanted.iter().map(|wish| wish.id).collect();
        let gone = self.asked.difference(&ids).map(|id| Asked::Unsubscribe { id: *id });
        let new = wanted.into_iter().filter(|wish| !self.asked.contains(&wish.id)).map(Asked::Subscribe);
        for request in gone.chain(new).collect::<Vec<_>>() {
            let text = serde_json::to_string(&request)?;
            let sending = self.socket.send(Message::text(text));
            timeout(CONNECT, sending).await.map_err(|_| anyhow!("it takes nothing"))?.context("the link broke")?;
        }
        self.asked = ids;
        Ok(())
    }
}

async fn connect(file: &TokenFile, operator: &str) -> anyhow::Result<Socket> {
    let address = file.address;
    let stream = TcpStream::connect(address).await.with_context(|| format!("failed to connect to {address}"))?;
    let mut request = format!("ws://{address}/admin/stream").into_client_request()?;
    let mut bearer = HeaderValue::try_from(format!("Bearer {}", file.token)).context("the token is not one")?;
    bearer.set_sensitive(true);
    request.headers_mut().insert(header::AUTHORIZATION, bearer);
    if let Ok(operator) = HeaderValue::try_from(operator) {
        request.headers_mut().insert(OPERATOR_HEADER, operator);
    }
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
