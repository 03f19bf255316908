//! Out: from committed rows to the mailbox, per user in order and without gaps.
//!
//! The mailbox takes exactly the entry after its head. What it has already is skipped there; if it is behind what we
//! bring (it lost entries, with the engine or part of it), it says where it stands and we go back to that point.

use super::Relay;
use crate::{
    engine::{Appended, EngineError, MailboxEntry},
    id::UserId,
    ops::{self, OpsError, PAGE_ENTRIES},
    store::{
        StoreError,
        inbox::{self, Outgoing},
    },
};

/// Rows in one query, of however many users.
const BATCH: u32 = 256;
/// Steps back within one hand-over; more than two mean that somebody else keeps emptying the mailbox.
const STEPS_BACK: u32 = 8;
/// So many inboxes one after the other that cannot be handed over mean that it is not their fault: the pass ends.
const REFUSALS: u32 = 16;

/// What a round brought.
#[derive(Debug, Default)]
pub(super) struct Round {
    entries: usize,
    /// Why the first of the inboxes that are still pending could not be handed over.
    pub(super) refused: Option<OpsError>,
    /// How many of them came one after the other.
    in_a_row: u32,
    /// The next inbox would fare no better.
    hopeless: bool,
}

/// Why an inbox could not be handed over.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Relay {
    /// Hands over everything that is pending; returns how many entries. Bounded in memory by one batch. An error may
    /// be about some inboxes only: all others are handed over then.
    pub async fn deliver(&self) -> Result<usize, OpsError> {
        let Round { entries, refused, .. } = self.deliver_what_can_be().await?;
        refused.map_or(Ok(entries), Err)
    }

    /// The same, telling apart what some inboxes refuse from what stops all of them.
    pub(super) async fn deliver_what_can_be(&self) -> Result<Round, OpsError> {
        let mut entries = 0;
        loop {
            let round = self.round().await?;
            entries += round.entries;
            if round.entries == 0 {
                return Ok(Round { entries, ..round });
            }
        }
    }

    /// Once through all pending inboxes, in the order of their users.
    async fn round(&self) -> Result<Round, OpsError> {
        let (mut after, mut round) = (None, Round::default());
        loop {
            let rows = self.store.read("relay.outgoing", async |c| inbox::outgoing(c, after, BATCH).await).await?;
            after = rows.last().map(|last| last.user_id);
            let positions = self.hand_over_each(&rows, &mut round).await;
            // What was handed over is marked, also if others failed.
            if !positions.is_empty() {
                let mark = async |tx: &mut _| inbox::mark_relayed(tx, &positions).await;
                self.store.tx("relay.mark", mark).await?;
            }
            if round.hopeless
                && let Some(error) = round.refused
            {
                return Err(error);
            }
            if rows.len() < BATCH as usize {
                return Ok(round);
            }
        }
    }

    /// Says up to where the mailboxes have what could be handed over; an inbox that cannot be keeps no other one waiting.
    async fn hand_over_each(&self, rows: &[Outgoing], round: &mut Round) -> Vec<(UserId, u64)> {
        let mut positions = Vec::new();
        for of_one_user in rows.chunk_by(|a, b| a.user_id == b.user_id) {
            match self.hand_over(of_one_user).await {
                Ok(position) => {
                    positions.push(position);
                    round.entries += of_one_user.len();
                    round.in_a_row = 0;
                }
                Err(refusal) => round.note(refusal),
            }
            if round.hopeless {
                break;
            }
        }
        positions
    }

    /// Hands over one user's rows, and says up to where the mailbox has them.
    async fn hand_over(&self, rows: &[Outgoing]) -> Result<(UserId, u64), Refusal> {
        let (user, last) = rows.last().map(|row| (row.user_id, row.entry.seq)).expect("chunks are not empty");
        let entries: Vec<_> = rows.iter().map(|row| ops::frame(&row.entry)).collect();
        let up_to = match self.engine.mailbox.append(user, &entries).await? {
            Appended::UpTo(head) if head <= last => head,
            Appended::UpTo(head) => self.check_ahead(user, head, &entries).await?,
            Appended::Gap { head } => self.go_back(user, head, last).await?,
        };
        let now = self.store.clock().now();
        for row in rows {
            self.metrics.relayed(now.since(row.entry.created_at));
        }
        Ok((user, up_to.min(last)))
    }

    /// The mailbox was behind: from its head on, read again and hand over, up to `last`.
    async fn go_back(&self, user: UserId, mut head: u64, last: u64) -> Result<u64, Refusal> {
        let mut steps_back = 0;
        while head < last {
            let entries = self.page(user, head).await?;
            match entries.first() {
                None => break,
                // What it would need next was trimmed: it can never be continued, only begun anew.
                Some(first) if first.seq > head + 1 => self.engine.mailbox.forget(user).await?,
                Some(_) => {}
            }
            match self.engine.mailbox.append(user, &entries).await? {
                Appended::UpTo(reached) => head = reached,
                Appended::Gap { head: behind } if steps_back < STEPS_BACK => {
                    head = behind;
                    steps_back += 1;
                }
                Appended::Gap { .. } => break,
            }
        }
        Ok(head)
    }

    /// The mailbox claims more than we brought. Another relay may be ahead of us; but if the store never gave out that
    /// number (it was restored from a backup), the mailbox is of another past and begins anew.
    async fn check_ahead(&self, user: UserId, head: u64, entries: &[MailboxEntry]) -> Result<u64, Refusal> {
        let bounds = self.store.read("inbox.bounds", async |c| inbox::bounds(c, user).await).await?;
        if head <= bounds.head {
            return Ok(head);
        }
        tracing::warn!(%user, mailbox = head, store = bounds.head, "a mailbox was ahead of the store and was forgotten");
        self.engine.mailbox.forget(user).await?;
        match self.engine.mailbox.append(user, entries).await? {
            Appended::UpTo(head) | Appended::Gap { head } => Ok(head),
        }
    }

    async fn page(&self, user: UserId, after: u64) -> Result<Vec<MailboxEntry>, StoreError> {
        let (limit, bytes) = ops::page_bounds(PAGE_ENTRIES);
        let page = self.store.read("inbox.page", async |c| inbox::page(c, user, after, limit, bytes).await).await?;
        Ok(page.iter().map(ops::frame).collect())
    }
}

impl Round {
    fn note(&mut self, refusal: Refusal) {
        self.in_a_row += 1;
        // Without the store nothing can be handed over at all.
        let storeless = matches!(&refusal, Refusal::Store(error) if error.is_transient());
        self.hopeless = storeless || self.in_a_row == REFUSALS;
        self.refused.get_or_insert(refusal.into());
    }
}

impl From<Refusal> for OpsError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Engine(error) => error.into(),
            Refusal::Store(error) => error.into(),
        }
    }
}
