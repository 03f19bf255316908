//! The yardstick: what one gets from tokio-tungstenite in an afternoon. A broadcast channel, one task per
//! connection, small buffers, one flush per message. Every text frame goes to everybody, the sender included.
//!
//! Kept plain on purpose: it is what the gateway's fan-out is compared with, side by side in one run. It answers
//! `{"type":"ping"}` so that `ping` can measure it too, and knows nothing else.

use crate::cli::BaselineArgs;
use futures_util::{SinkExt as _, StreamExt as _};
use shared::lifecycle::Lifecycle;
use std::{io::Read as _, net::Ipv4Addr, time::Duration};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{
        broadcast::{self, error::RecvError},
        oneshot,
    },
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, accept_async_with_config,
    tungstenite::{self, Message, Utf8Bytes, protocol::WebSocketConfig},
};

/// Messages a slow connection may be behind before it misses some; tokio's broadcast drops the oldest.
const BACKLOG: usize = 1_024;
/// Connections waiting to be accepted.
const ACCEPT_BACKLOG: u32 = 4_096;

/// Serves until standard input ends, unless told to stay. Prints `listening <address>` first.
pub(crate) async fn run(args: &BaselineArgs, life: &Lifecycle) -> anyhow::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, args.port).into())?;
    let listener = socket.listen(ACCEPT_BACKLOG)?;
    println!("listening {}", listener.local_addr()?);
    tokio::select! {
        () = serve(&listener, life) => {}
        () = end_of_input(), if !args.stay => {}
    }
    Ok(())
}

/// Accepts for ever.
pub(crate) async fn serve(listener: &TcpListener, life: &Lifecycle) {
    let (everybody, _) = broadcast::channel(BACKLOG);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (everybody, soft) = (everybody.clone(), life.soft().clone());
                life.tracker().spawn(async move {
                    tokio::select! {
                        // How a client left does not matter to a yardstick.
                        _ = connection(stream, everybody) => {}
                        () = soft.cancelled() => {}
                    }
                });
            }
            // Out of descriptors, most likely: give others time to leave.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn connection(stream: TcpStream, everybody: broadcast::Sender<Utf8Bytes>) -> Result<(), tungstenite::Error> {
    stream.set_nodelay(true)?;
    let config = WebSocketConfig::default().read_buffer_size(1_024).write_buffer_size(1_024);
    let Ok(shaken) = timeout(Duration::from_secs(5), Box::pin(accept_async_with_config(stream, Some(config)))).await
    else {
        return Ok(());
    };
    let (mut ws, mut inbox) = (shaken?, everybody.subscribe());
    loop {
        tokio::select! {
            frame = ws.next() => match frame {
                Some(Ok(Message::Text(text))) => publish_or_answer(&mut ws, &everybody, text).await?,
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
                None => return Ok(()),
            },
            message = inbox.recv() => match message {
                Ok(text) => ws.send(Message::Text(text)).await?,
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(()),
            },
        }
    }
}

async fn publish_or_answer(
    ws: &mut WebSocketStream<TcpStream>,
    everybody: &broadcast::Sender<Utf8Bytes>,
    text: Utf8Bytes,
) -> Result<(), tungstenite::Error> {
    if let Some(rest) = text.strip_prefix(r#"{"type":"ping""#) {
        return ws.send(Message::text(format!(r#"{{"type":"pong"{rest}"#))).await;
    }
    // Fails only without receivers, and we are one.
    let _ = everybody.send(text);
    Ok(())
}

/// A plain thread reads: it costs nothing while it waits, and nobody waits for it when the process ends.
async fn end_of_input() {
    let (ended, wait) = oneshot::channel();
    std::thread::spawn(move || {
        let (mut input, mut sink) = (std::io::stdin().lock(), [0; 64]);
        while matches!(input.read(&mut sink), Ok(1..)) {}
        // Nobody waits any more if the process ends for another reason.
        let _ = ended.send(());
    });
    let _ = wait.await;
}
