//! The life of a process: signals → soft stop → hard stop → exit code.
//!
//! One value owns all the tools of an orderly end, so that they cannot disagree: a *soft* token ("take nothing
//! new, finish what you have"), a *hard* token ("drop everything now") and the tracker of every spawned task.
//! The first SIGINT or SIGTERM is soft; the second one, or the deadline, is hard. The shape follows
//! matrix-authentication-service's `lifecycle.rs`.
//!
//! Behind a balancer, *leaving* comes before soft: for a moment the process goes on as before but says that it is not
//! ready, so that the balancer sends new work elsewhere before the door is closed.

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The signals that end a process, caught from the moment this is made: before anybody is told that it is up, or one
/// that comes early would still kill it.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Catches them from now on.
    pub fn catch() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Handles of a process's end. A cheap clone: every clone sees the same tokens and tasks.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    leaving: CancellationToken,
    soft: CancellationToken,
    hard: CancellationToken,
    failed: Arc<AtomicBool>,
    tracker: TaskTracker,
}

impl Lifecycle {
    /// A life that nothing ends until [`Lifecycle::stop`] or [`Lifecycle::run`].
    pub fn new() -> Self {
        let hard = CancellationToken::new();
        // The soft token is the hard one's child: whoever waits for soft also wakes on hard.
        let soft = hard.child_token();
        Self { leaving: soft.child_token(), soft, hard, failed: Arc::default(), tracker: TaskTracker::new() }
    }

    /// Cancelled when the process should take nothing new and finish what it has.
    pub fn soft(&self) -> &CancellationToken {
        &self.soft
    }

    /// Cancelled when the process must end now.
    pub fn hard(&self) -> &CancellationToken {
        &self.hard
    }

    /// Where every task is spawned, so that the end waits for it.
    pub fn tracker(&self) -> &TaskTracker {
        &self.tracker
    }

    /// Begins the soft stop.
    pub fn stop(&self) {
        self.soft.cancel();
    }

    /// Begins the soft stop of a process that cannot go on. However cleanly it ends, its exit code says that something
    /// was wrong, so that whoever watches over it starts another.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
        self.stop();
    }

    /// True once the process was told to stop: it is not ready for new work, though it may still take some.
    pub fn leaving(&self) -> bool {
        self.leaving.is_cancelled()
    }

    /// True once the soft stop has begun.
    pub fn stopping(&self) -> bool {
        self.soft.is_cancelled()
    }

    /// Waits for the first signal (or [`Lifecycle::stop`]); goes on for `delay` without being ready; then waits for
    /// every tracked task, at most `grace`. A second signal ends the wait at once. Success means that everything ended
    /// by itself, and not because of a [`Lifecycle::fail`].
    pub async fn run(&self, mut signals: Signals, delay: Duration, grace: Duration) -> ExitCode {
        tokio::select! {
            () = signals.next() => tracing::info!("asked to end: draining, ask again to end at once"),
            () = self.soft.cancelled() => {}
        }
        self.leaving.cancel();
        let end = async {
            tokio::select! {
                () = self.soft.cancelled() => {}
                () = tokio::time::sleep(delay) => {}
            }
            self.stop();
            self.tracker.close();
            tokio::time::timeout(grace, self.tracker.wait()).await.is_ok()
        };
        let clean = tokio::select! {
            biased;
            clean = end => {
                if !clean {
                    tracing::warn!(tasks = self.tracker.len(), "drain took too long");
                }
                clean
            }
            () = signals.next() => false,
        };
        self.hard.cancel();
        match (clean, self.failed.load(Ordering::Relaxed)) {
            (true, false) => ExitCode::SUCCESS,
            (true, true) => ExitCode::FAILURE,
            (false, _) => ExitCode::from(130),
        }
    }

    /// Soft, then hard after `grace`; waits for every task. For tests and for hosts without signals.
    pub async fn shutdown(&self, grace: Duration) {
        self.stop();
        self.tracker.close();
        if tokio::time::timeout(grace, self.tracker.wait()).await.is_err() {
            self.hard.cancel();
            self.tracker.wait().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn shutdown_waits_for_tasks_that_obey_the_soft_token() {
        let life = Lifecycle::new();
        let soft = life.soft().clone();
        let task = life.tracker().spawn(async move { soft.cancelled().await });
        life.shutdown(Duration::from_secs(5)).await;
        assert!(task.is_finished() && !life.hard().is_cancelled());
    }

    #[tokio::test]
    async fn a_process_that_cannot_go_on_says_so_by_its_exit_code() {
        let (fine, failed) = (Lifecycle::new(), Lifecycle::new());
        fine.stop();
        failed.fail();
        let end = async |life: Lifecycle| {
            life.run(Signals::catch().expect("signals"), Duration::ZERO, Duration::from_secs(5)).await
        };
        assert_eq!((end(fine).await, end(failed).await), (ExitCode::SUCCESS, ExitCode::FAILURE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ignores_the_soft_token_gets_the_hard_one() {
        let life = Lifecycle::new();
        let hard = life.hard().clone();
        life.tracker().spawn(async move { hard.cancelled().await });
        life.shutdown(Duration::from_secs(5)).await;
        assert!(life.hard().is_cancelled());
    }
}
