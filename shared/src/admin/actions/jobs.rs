//! Jobs of this node: what every console is told about while they run, and for a while after.

use crate::{
    clock::Timestamp,
    protocol::admin::{Job, JobState},
};
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};
use uuid::Uuid;

/// Jobs remembered; the oldest that is over goes when one more begins. The audit log has all of them.
const MOST_JOBS: usize = 500;

/// See the module.
#[derive(Debug, Default)]
pub(in crate::admin) struct Jobs(Mutex<Board>);

#[derive(Debug, Default)]
struct Board {
    /// Each with the number of its last change.
    jobs: VecDeque<(u64, Job)>,
    changes: u64,
}

impl Jobs {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A job begins.
    pub(super) fn put(&self, job: Job) {
        let mut board = self.board();
        board.changes += 1;
        let change = board.changes;
        board.jobs.push_back((change, job));
        if board.jobs.len() > MOST_JOBS {
            let over = board.jobs.iter().position(|(_, job)| job.state != JobState::Running).unwrap_or(0);
            board.jobs.remove(over);
        }
    }

    /// A job goes on.
    pub(super) fn change(&self, id: Uuid, change: impl FnOnce(&mut Job)) {
        let mut board = self.board();
        board.changes += 1;
        let number = board.changes;
        if let Some((changed, job)) = board.jobs.iter_mut().find(|(_, job)| job.id == id) {
            *changed = number;
            change(job);
        }
    }

    /// A job is over; `Err` says what went wrong. What it has become.
    pub(super) fn end(&self, id: Uuid, at: Timestamp, outcome: Result<(), String>) -> Option<Job> {
        self.change(id, |job| {
            job.ended_at = Some(at);
            job.state = if outcome.is_ok() { JobState::Done } else { JobState::Failed };
            if let Err(problem) = outcome {
                job.note = problem;
            }
        });
        self.get(id)
    }

    /// One job.
    pub(super) fn get(&self, id: Uuid) -> Option<Job> {
        self.board().jobs.iter().find(|(_, job)| job.id == id).map(|(_, job)| job.clone())
    }

    /// The number of the last change, for [`Jobs::since`].
    pub(in crate::admin) fn changes(&self) -> u64 {
        self.board().changes
    }

    /// The jobs that have changed since, oldest first, and the number of the last change.
    pub(in crate::admin) fn since(&self, change: u64) -> (Vec<Job>, u64) {
        let board = self.board();
        let jobs = board.jobs.iter().filter(|(changed, _)| *changed > change).map(|(_, job)| job.clone());
        (jobs.collect(), board.changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::admin::{Action, Role};

    fn job() -> Job {
        Job {
            id: Uuid::now_v7(),
            action: Action::Undrain { node: "gw-1".into() },
            reason: String::new(),
            operator: "amy".into(),
            role: Role::Admin,
            node: "gw-1".into(),
            state: JobState::Running,
            matched: 1,
            done: 0,
            failed: 0,
            started_at: Timestamp::default(),
            ended_at: None,
            note: String::new(),
        }
    }

    #[test]
    fn consoles_hear_of_each_change_once() {
        let jobs = Jobs::default();
        let (first, second) = (job(), job());
        let ids = (first.id, second.id);
        jobs.put(first);
        jobs.put(second);
        let (told, seen) = jobs.since(0);
        assert_eq!(told.len(), 2);
        jobs.change(ids.0, |job| job.done = 1);
        let ended = jobs.end(ids.0, Timestamp::from_micros(5), Err("no".into())).unwrap();
        assert_eq!((ended.state, ended.note.as_str(), ended.done), (JobState::Failed, "no", 1));
        let (told, seen) = jobs.since(seen);
        assert_eq!(told.iter().map(|job| job.id).collect::<Vec<_>>(), [ids.0]);
        assert!(jobs.since(seen).0.is_empty());
    }

    #[test]
    fn the_board_is_bounded_and_gives_up_what_is_over_first() {
        let jobs = Jobs::default();
        let running = job();
        let id = running.id;
        jobs.put(running);
        for _ in 0..MOST_JOBS * 2 {
            let over = Job { state: JobState::Done, ..job() };
            jobs.put(over);
        }
        assert_eq!(jobs.since(0).0.len(), MOST_JOBS);
        assert!(jobs.get(id).is_some());
    }
}
