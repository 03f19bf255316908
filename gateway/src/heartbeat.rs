//! Liveness: who is silent, who is late, whose session ran out. One task for all connections, no timer per connection.
//!
//! Once a second it looks at every connection's last second of inbound bytes. That is a scan, not a timing wheel: a
//! wheel must be touched whenever a deadline moves, which is with every frame; the scan reads three integers per
//! connection and second instead (see `loadtest/README.md` for what 10 000 idle connections cost).
//!
//! If the scan itself ran late the process was stalled, and the clients' bytes may be waiting in the sockets: it then
//! pings, and for a while closes nobody for silence.

use crate::{connection::outbox::Outbox, node::Node, revalidate, shed};
use shared::{clock::Timestamp, id::SessionId, protocol::CloseReason};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval},
};

const TICK: Duration = Duration::from_secs(1);
/// How long a socket may take nothing while something waits to be written.
const STALL_SECONDS: u32 = 30;

/// How long after a late scan silence is forgiven.
const MERCY_SECONDS: u32 = 15;

/// What a scan does to one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Leave,
    Ping,
    Close(CloseReason),
}

/// Runs until the node has ended: a draining socket still needs its deadline.
pub(crate) async fn run(node: Arc<Node>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut last, mut merciful_until) = (Instant::now(), 0);
    let mut asking: Option<JoinHandle<()>> = None;
    loop {
        tokio::select! {
            biased;
            // At the hard stop somebody may still be here.
            () = node.ended.cancelled() => return node.registry.for_each(|outbox| outbox.abort()),
            _ = ticks.tick() => {}
        }
        let late = last.elapsed() > 3 * TICK;
        last = Instant::now();
        let second = u32::try_from(node.now_ms() / 1_000 + 1).unwrap_or(u32::MAX);
        node.second.store(second, Ordering::Relaxed);
        shed::tick(&node, second);
        if late {
            merciful_until = second + MERCY_SECONDS;
        }
        let expired = scan(&node, second, node.ops.clock().now(), second < merciful_until);
        // In its own time, because the next scan must not wait for the store; and one at a time, because a store in
        // trouble must not be asked by more and more tasks. Who is still expired is found by every scan.
        if !expired.is_empty() && asking.as_ref().is_none_or(JoinHandle::is_finished) {
            let node = Arc::clone(&node);
            asking =
                Some(node.lifecycle.tracker().clone().spawn(async move { revalidate::expired(&node, expired).await }));
        }
    }
}

/// Looks at every connection; returns the sessions whose known end has come.
fn scan(node: &Node, second: u32, now: Timestamp, merciful: bool) -> Vec<SessionId> {
    let seconds = |duration: Duration| u32::try_from(duration.as_secs().max(1)).unwrap_or(u32::MAX);
    let (heartbeat, dead_after) = (seconds(node.config.heartbeat), seconds(node.config.dead_after));
    let (mut expired, mut slow) = (Vec::new(), 0);
    node.registry.for_each(|outbox| {
        slow += u32::from(outbox.stalled_since.load(Ordering::Relaxed) != 0);
        if has_ended(outbox, now) {
            expired.extend(outbox.session()); // it stays until the store has answered, and must be alive meanwhile
        }
        match judge(outbox, second, heartbeat, dead_after) {
            Verdict::Leave => {}
            Verdict::Ping => outbox.ping(),
            Verdict::Close(CloseReason::HeartbeatTimeout) if merciful => outbox.ping(),
            Verdict::Close(reason) => outbox.close(reason, 0),
        }
    });
    node.slow.store(slow, Ordering::Relaxed);
    expired
}

/// Whether the known end of the connection's session has come.
fn has_ended(outbox: &Outbox, now: Timestamp) -> bool {
    outbox.expires_at.load(Ordering::Relaxed) <= now.as_micros()
}

fn judge(outbox: &Outbox, second: u32, heartbeat: u32, dead_after: u32) -> Verdict {
    let silent = second.saturating_sub(outbox.heard_at.load(Ordering::Relaxed));
    let stalled_since = outbox.stalled_since.load(Ordering::Relaxed);
    if second >= outbox.authenticate_by.load(Ordering::Relaxed) {
        Verdict::Close(CloseReason::AuthTimeout)
    } else if silent >= dead_after {
        Verdict::Close(CloseReason::HeartbeatTimeout)
    } else if stalled_since != 0 && second.saturating_sub(stalled_since) >= STALL_SECONDS {
        Verdict::Close(CloseReason::SlowConsumer)
    } else if silent > 0 && silent.is_multiple_of(heartbeat - phase(outbox.number, heartbeat)) {
        Verdict::Ping
    } else {
        Verdict::Leave
    }
}

/// How many seconds before the end of the heartbeat a connection is pinged: connections that came together (after a
/// deploy, after a stall) are pinged over a tenth of it, not in one second.
fn phase(number: u64, heartbeat: u32) -> u32 {
    u32::try_from(number % u64::from(heartbeat / 10).max(1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(second: u32, change: impl FnOnce(&Outbox)) -> Verdict {
        let outbox = Outbox::new(3, 10, u32::MAX); // in phase: pinged at the very end
        change(&outbox);
        judge(&outbox, second, 30, 75)
    }

    #[test]
    fn silence_is_pinged_after_a_heartbeat_and_closed_after_two_and_a_half() {
        assert_eq!(verdict(39, |_| {}), Verdict::Leave);
        assert_eq!(verdict(40, |_| {}), Verdict::Ping);
        assert_eq!(verdict(41, |_| {}), Verdict::Leave);
        assert_eq!(verdict(70, |_| {}), Verdict::Ping);
        assert_eq!(verdict(85, |_| {}), Verdict::Close(CloseReason::HeartbeatTimeout));
        assert_eq!(verdict(85, |outbox| outbox.heard_at.store(84, Ordering::Relaxed)), Verdict::Leave);
    }

    #[test]
    fn an_idle_socket_that_answers_its_pings_lives_for_hours() {
        for number in 0..3 {
            let outbox = Outbox::new(number, 1, u32::MAX);
            let mut pings = 0;
            for second in 1..6 * 3_600 {
                match judge(&outbox, second, 30, 75) {
                    Verdict::Leave => {}
                    Verdict::Ping => {
                        pings += 1;
                        outbox.heard_at.store(second, Ordering::Relaxed); // the pong
                    }
                    verdict @ Verdict::Close(_) => panic!("{verdict:?} at {second}"),
                }
            }
            assert!((700..=800).contains(&pings), "{pings} in six hours");
        }
    }

    #[test]
    fn connections_that_fell_silent_together_are_pinged_one_after_the_other_within_the_heartbeat() {
        let pinged_at = |number| {
            let outbox = Outbox::new(number, 10, u32::MAX);
            (11..=40).filter(|second| judge(&outbox, *second, 30, 75) == Verdict::Ping).collect()
        };
        let seconds: Vec<Vec<u32>> = (0..300).map(pinged_at).collect();
        for second in 38..=40 {
            assert_eq!(seconds.iter().filter(|pings| **pings == [second]).count(), 100, "at {second}");
        }
        assert_eq!(phase(7, 1), 0);
    }

    #[test]
    fn a_session_whose_end_is_being_looked_up_hides_neither_silence_nor_a_stuck_socket() {
        let ended = |outbox: &Outbox| outbox.expires_at.store(1_000, Ordering::Relaxed);
        assert_eq!(verdict(40, ended), Verdict::Ping);
        assert_eq!(verdict(85, ended), Verdict::Close(CloseReason::HeartbeatTimeout));
        let stuck = |outbox: &Outbox| {
            ended(outbox);
            outbox.stalled_since.store(5, Ordering::Relaxed);
        };
        assert_eq!(verdict(35, stuck), Verdict::Close(CloseReason::SlowConsumer));
        let outbox = Outbox::new(3, 10, u32::MAX);
        assert!(!has_ended(&outbox, Timestamp::from_micros(i64::MAX - 1)));
        ended(&outbox);
        assert!(has_ended(&outbox, Timestamp::from_micros(1_000)));
    }

    #[test]
    fn a_late_login_and_a_stuck_socket_are_closed_with_their_own_codes() {
        let late = |outbox: &Outbox| outbox.authenticate_by.store(20, Ordering::Relaxed);
        assert_eq!(verdict(20, late), Verdict::Close(CloseReason::AuthTimeout));
        let stuck = |outbox: &Outbox| outbox.stalled_since.store(5, Ordering::Relaxed);
        assert_eq!(verdict(35, stuck), Verdict::Close(CloseReason::SlowConsumer));
    }
}
