//! The bell: a hint that must not be lost between "nothing to do" and "wait".

use super::Fixture;
use futures_util::FutureExt;
use shared::engine::Bell;

/// Whether the bell has something to say right now.
fn rings(bell: &Bell) -> bool {
    bell.wait().now_or_never().is_some()
}

pub(crate) async fn rings_are_coalesced(fixture: Fixture) {
    let bell = fixture.engine.bell.clone();
    for _ in 0..10 {
        fixture.engine.bell.ring();
    }
    bell.wait().await;
    assert!(!rings(&bell));
}

pub(crate) async fn a_ring_while_nobody_waits_is_remembered(fixture: Fixture) {
    let bell = &fixture.engine.bell;
    assert!(!rings(bell));
    bell.ring();
    bell.wait().await;
    let ((), ()) = tokio::join!(bell.wait(), async { bell.ring() });
    assert!(!rings(bell));
}

pub(crate) async fn every_clone_hears_every_ring(fixture: Fixture) {
    let relays = [fixture.engine.bell.clone(), fixture.engine.clone().bell];
    fixture.engine.bell.ring();
    for relay in &relays {
        relay.wait().await;
        assert!(!rings(relay));
    }
}

pub(crate) async fn a_wait_that_is_given_up_loses_no_ring(fixture: Fixture) {
    let bell = &fixture.engine.bell;
    {
        let mut given_up = Box::pin(bell.wait());
        assert!((&mut given_up).now_or_never().is_none());
        bell.ring();
    }
    assert!(rings(bell));
}
