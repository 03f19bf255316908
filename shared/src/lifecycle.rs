//! The life of a process: signals → soft stop → hard stop → exit code.
//!
//! One value owns all three tools of an orderly end, so that they cannot disagree: a *soft* token ("take nothing
//! new, finish what you have"), a *hard* token ("drop everything now") and the tracker of every spawned task.
//! The first SIGINT or SIGTERM is soft; the second one, or the deadline, is hard. The shape follows
//! matrix-authentication-service's `lifecycle.rs`.

use std::{process::ExitCode, time::Duration};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Handles of a process's end. A cheap clone: every clone sees the same tokens and tasks.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    soft: CancellationToken,
    hard: CancellationToken,
    tracker: TaskTracker,
}

impl Lifecycle {
    /// A life that nothing ends until [`Lifecycle::stop`] or [`Lifecycle::run`].
    pub fn new() -> Self {
        let hard = CancellationToken::new();
        // The soft token is the hard one's child: whoever waits for soft also wakes on hard.
        Self { soft: hard.child_token(), hard, tracker: TaskTracker::new() }
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

    /// True once the soft stop has begun.
    pub fn stopping(&self) -> bool {
        self.soft.is_cancelled()
    }

    /// Waits for the first signal (or [`Lifecycle::stop`]), then for every tracked task, at most `grace`; a second
    /// signal ends the wait at once. Success means that everything ended by itself.
    pub async fn run(&self, grace: Duration) -> std::io::Result<ExitCode> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = interrupt.recv() => tracing::info!("interrupted: draining, again to exit at once"),
            _ = terminate.recv() => tracing::info!("asked to terminate: draining"),
            () = self.soft.cancelled() => {}
        }
        self.stop();
        self.tracker.close();
        let clean = tokio::select! {
            biased;
            () = self.tracker.wait() => true,
            _ = interrupt.recv() => false,
            _ = terminate.recv() => false,
            () = tokio::time::sleep(grace) => {
                tracing::warn!(tasks = self.tracker.len(), "drain took too long");
                false
            }
        };
        self.hard.cancel();
        Ok(if clean { ExitCode::SUCCESS } else { ExitCode::from(130) })
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

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ignores_the_soft_token_gets_the_hard_one() {
        let life = Lifecycle::new();
        let hard = life.hard().clone();
        life.tracker().spawn(async move { hard.cancelled().await });
        life.shutdown(Duration::from_secs(5)).await;
        assert!(life.hard().is_cancelled());
    }
}
