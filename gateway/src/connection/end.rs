//! How a connection ends: `bye`, the close frame, and a little patience.
//!
//! The close frame must be the last thing the client reads, so it is written behind what is already queued; then our
//! half is shut and what the client still sends is read and forgotten until it shuts its half: closing a socket with
//! unread bytes would reset it, and the reset can overtake the close frame.

use super::wire::Wire;
use crate::frame;
use shared::protocol::CloseReason;
use std::{future::poll_fn, time::Duration};
use tokio::time::timeout;

/// How long the client may take to read its goodbye.
const FLUSH: Duration = Duration::from_secs(5);
/// How long it may take to close its half.
const LINGER: Duration = Duration::from_secs(2);

/// `bye` is the protocol's own word, if the connection speaks it.
pub(super) async fn say_goodbye(mut wire: Wire, reason: CloseReason, bye: Option<String>) {
    match reason {
        CloseReason::Gone => return,
        CloseReason::Normal => {} // tungstenite has queued the answer to the client's close frame
        reason => {
            if let Some(bye) = bye {
                wire.push(frame::text(&bye));
            }
            wire.push(frame::close(reason));
        }
    }
    let flushed = timeout(FLUSH, async {
        poll_fn(|cx| wire.poll_write(cx)).await?;
        poll_fn(|cx| wire.poll_shutdown(cx)).await
    });
    if matches!(flushed.await, Ok(Ok(()))) {
        // Whether the client closes or the time runs out, the socket goes.
        let _closed_or_late = timeout(LINGER, poll_fn(|cx| wire.poll_discard(cx))).await;
    }
}
