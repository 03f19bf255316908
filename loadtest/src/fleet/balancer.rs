//! What stands in front of a fleet in life: a balancer that asks every process whether it is ready, sends new
//! connections to one of those that are, and to another one when nobody takes them. No sticky sessions.

use super::service::Service;
use crate::{numbers::random_below, target::Target};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::sleep;

/// How often each process is asked.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A balancer over processes of one role. A cheap clone.
#[derive(Clone, Debug)]
pub(crate) struct Balancer(Arc<[Member]>);

#[derive(Debug)]
struct Member {
    service: Service,
    target: Target,
    ready: AtomicBool,
}

impl Balancer {
    pub(crate) fn new(services: &[Service]) -> Self {
        let member = |service: &Service| Member {
            service: service.clone(),
            target: service.target(),
            ready: AtomicBool::new(true),
        };
        Self(services.iter().map(member).collect())
    }

    /// Asks everybody again and again.
    pub(crate) async fn watch(self) {
        loop {
            for member in self.0.iter() {
                member.ready.store(member.service.is_ready().await, Relaxed);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn target(&self, number: usize) -> &Target {
        &self.0[number].target
    }

    /// One that is ready, whichever; any one if none is.
    pub(crate) fn pick(&self) -> usize {
        let ready: Vec<usize> = (0..self.len()).filter(|&number| self.0[number].ready.load(Relaxed)).collect();
        if ready.is_empty() { random_below(self.len()) } else { ready[random_below(ready.len())] }
    }

    /// Nobody took a connection there: not again before it says that it is ready.
    pub(crate) fn refused(&self, number: usize) {
        self.0[number].ready.store(false, Relaxed);
    }
}
