//! The table of promises: what must hold of a run, beside what was seen. Each fault has its row.

use super::{
    board::Board,
    fault::{Fault, Struck},
    rest::{Answered, Ask, percent},
    user::Summary,
    verdict::Breaches,
};
use crate::{
    numbers::{float, rate},
    report::Report,
    tally,
};
use std::{collections::BTreeMap, time::Duration};

/// How long after its return everything that was accepted meanwhile may take to arrive, and a database to be used again.
const CATCH_UP: Duration = Duration::from_secs(5);
/// How soon the users of a killed node are offline to others.
pub(super) const OFFLINE_WITHIN: Duration = Duration::from_secs(30);

/// What a run came to.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) users: usize,
    pub(super) on_nodes: Vec<usize>,
    pub(super) accepted: u64,
    pub(super) talked: Duration,
    /// On the run's clock.
    pub(super) struck_at: Duration,
    pub(super) healed_at: Duration,
    pub(super) struck: Struck,
    /// Those who stayed away after a kill.
    pub(super) dead: Option<Dead>,
    pub(super) survivors_offline: usize,
    /// The longest way of a letter; see [`Board::longest_way`].
    pub(super) longest_way: Duration,
    pub(super) settled: Option<Duration>,
    pub(super) looked: bool,
    pub(super) answers: Vec<Answered>,
    pub(super) summaries: Vec<Summary>,
}

/// The users who did not come back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dead {
    /// How long it took until all of them were offline to others; none if some never were.
    pub(super) offline_after: Option<Duration>,
}

impl Outcome {
    /// Adds every figure and check.
    pub(super) fn conclude(self, fault: Fault, board: &Board, report: &mut Report) {
        self.figures(board, report);
        self.load(report);
        Self::clients(fault, board, report);
        self.rest(fault, report);
        if let Some(Dead { offline_after }) = self.dead {
            let seen = offline_after.map_or("never".to_owned(), |after| format!("{after:.1?}"));
            let within = offline_after.is_some_and(|after| after <= OFFLINE_WITHIN);
            report.check("the dead node's users are offline", format!("within {OFFLINE_WITHIN:?}"), seen, within);
            let seen = self.survivors_offline;
            report.check("who came back is not taken for offline", 0, seen, seen == 0);
        }
        let (wanted, seen) = (format!("within {CATCH_UP:?}"), format!("{:.2?}", self.longest_way));
        report.check("accepted letters arrive, once the fault is over", wanted, seen, self.longest_way <= CATCH_UP);
        self.delivery(report);
    }

    fn figures(&self, board: &Board, report: &mut Report) {
        let sum = |of: fn(&Summary) -> u64| float(self.summaries.iter().map(of).sum());
        report.figure("fault_seconds", self.healed_at.saturating_sub(self.struck_at).as_secs_f64());
        report.figure("reconnects", sum(|summary| summary.connections.saturating_sub(1)));
        report.figure("inbox_entries_repeated_at_their_position", sum(|summary| summary.repeated));
        report.figure("rooms_told_to_reload", sum(|summary| summary.resets));
        report.figure("settled_after_seconds", self.settled.map(|time| time.as_secs_f64()));
        report.latency("accepted", &board.accepted);
        report.latency("letter to inbox", &board.letters);
        report.latency("event to room", &board.events);
        for (what, counts) in [
            ("closes", board.closes.counts()),
            ("refused connections", board.refusals.counts()),
            ("error frames", board.errors.counts()),
        ] {
            report.note(format!("{what}: {}", tally::line(&counts)));
        }
    }

    /// The load the table asks for.
    fn load(&self, report: &mut Report) {
        let nodes: Vec<String> = self.on_nodes.iter().map(ToString::to_string).collect();
        let all = self.on_nodes.iter().sum::<usize>() == self.users && self.on_nodes.iter().all(|on| *on > 0);
        report.check("sockets, on all gateways", self.users, nodes.join(" + "), all);
        let per_second = rate(self.accepted, self.talked);
        report.figure("messages_per_second", per_second);
        let dropped: u64 = self.summaries.iter().map(|summary| summary.dropped).sum();
        report.check("no message given up by its sender", 0, dropped, dropped == 0);
    }

    /// What clients may see of it.
    fn clients(fault: Fault, board: &Board, report: &mut Report) {
        let (closes, refusals, errors) = (board.closes.counts(), board.refusals.counts(), board.errors.counts());
        let only = |counts: &BTreeMap<String, u64>, allowed: &[&str]| {
            counts.keys().all(|kind| allowed.contains(&kind.as_str()))
        };
        let (wanted, allowed): (_, &[&str]) = match fault {
            Fault::KillGateway => ("only on the dead gateway", &["1006"]),
            Fault::RollingRestart => ("only 1012", &["1012"]),
            _ => ("none", &[]),
        };
        report.check("sockets that close", wanted, tally::line(&closes), only(&closes, allowed));
        report.check("connections refused", "none", tally::line(&refusals), refusals.is_empty());
        if fault == Fault::RollingRestart {
            report.check("error frames", "none", tally::line(&errors), errors.is_empty());
        }
    }

    /// What REST may say meanwhile.
    fn rest(&self, fault: Fault, report: &mut Report) {
        for (ask, _) in Ask::ALL {
            let all = self.answers.iter().filter(|answer| answer.ask == ask);
            let (total, failed) =
                all.fold((0, 0), |(total, failed), answer| (total + 1, failed + usize::from(!answer.ok)));
            report.figure(format!("{}_failed_percent", ask.name()), percent(failed, total));
            if total == 0 {
                report.check(format!("{} was asked", ask.name()), "some", 0, false);
            }
        }
        let mut kinds = BTreeMap::new();
        for answer in self.answers.iter().filter(|answer| !answer.ok) {
            *kinds.entry(format!("{}: {}", answer.ask.name(), answer.what)).or_insert(0_u64) += 1;
        }
        let seen = tally::line(&kinds);
        if !matches!(fault, Fault::PostgresRestart | Fault::PostgresTerminateBackends) {
            report.check("REST login, session check and browse fail", "never", seen, kinds.is_empty());
            return;
        }
        let polite = self.answers.iter().all(|answer| answer.ok || answer.polite);
        report.check("REST meanwhile", "503 with Retry-After, never anything else", &seen, polite);
        let last = self.answers.iter().filter(|answer| !answer.ok).map(|answer| answer.at).max();
        let after = last.map_or(Duration::ZERO, |last| last.saturating_sub(self.healed_at));
        report.check("REST is back", format!("within {CATCH_UP:?}"), format!("{after:.1?}"), after <= CATCH_UP);
        if fault == Fault::PostgresTerminateBackends {
            let (most, failed) = (self.struck.ended_backends, self.answers.iter().filter(|answer| !answer.ok).count());
            report.check(
                "REST requests that failed",
                format!("at most {most}, one a connection"),
                failed,
                failed <= most,
            );
        }
    }

    /// What every fault must leave alone: nothing lost, nothing out of order, nothing silently left out.
    fn delivery(self, report: &mut Report) {
        let seen = self.settled.map_or("never".to_owned(), |time| format!("{time:.1?}"));
        report.check("everybody has everything", "in the end", seen, self.settled.is_some());
        report.check("everybody sees their neighbour", "in the end", self.looked, self.looked);
        let mut breaches = Breaches::default();
        for summary in self.summaries {
            breaches.add(summary.breaches);
        }
        let seen = if breaches.is_empty() { "nothing".to_owned() } else { breaches.lines().join("; ") };
        report.check("lost, doubled, reordered or silently left out", "nothing", seen, breaches.is_empty());
    }
}
