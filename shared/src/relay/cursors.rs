//! Back: device cursors from the engine to the store, and the removal of what every device has read.

use super::Relay;
use crate::{
    engine::AckEntry,
    ops::OpsError,
    store::{
        StoreError,
        inbox::{self, Ack, TrimLimits},
    },
};

/// Cursors in one transaction.
const BATCH: usize = 1_000;
/// Inboxes in one step of trimming; small, so that no lock is held for long.
const TRIM_USERS: u32 = 100;

impl Relay {
    /// Writes the cursors that the store does not have yet; returns how many. They stay in the engine until the write
    /// has committed.
    pub async fn flush_acks(&self) -> Result<usize, OpsError> {
        let mut total = 0;
        loop {
            let acks = self.engine.mailbox.unflushed(BATCH).await?;
            if acks.is_empty() {
                return Ok(total);
            }
            match self.write(&acks).await {
                // One of the users is no more. Who it is only the attempt says.
                Err(StoreError::ForeignKeyViolation) => self.write_one_by_one(&acks).await?,
                outcome => outcome?,
            }
            self.engine.mailbox.flushed(&acks).await?;
            total += acks.len();
            if acks.len() < BATCH {
                return Ok(total);
            }
        }
    }

    async fn write(&self, acks: &[AckEntry]) -> Result<(), StoreError> {
        let ack = |ack: &AckEntry| Ack { user: ack.user, device: ack.device.clone(), seq: ack.seq };
        let acks: Vec<_> = acks.iter().map(ack).collect();
        self.store.tx("inbox.flush", async |tx| inbox::flush(tx, &acks).await).await
    }

    async fn write_one_by_one(&self, acks: &[AckEntry]) -> Result<(), StoreError> {
        for ack in acks {
            match self.write(std::slice::from_ref(ack)).await {
                Err(StoreError::ForeignKeyViolation) => {}
                outcome => outcome?,
            }
        }
        Ok(())
    }

    /// Removes what is read by every live device, too much or too old, a few inboxes at a time; returns how many
    /// entries.
    pub async fn trim(&self) -> Result<u64, OpsError> {
        let (mut after, mut removed) = (None, 0);
        loop {
            let step = async |tx: &mut _| inbox::trim(tx, after, TRIM_USERS, TrimLimits::default()).await;
            let trimmed = self.store.tx("inbox.trim", step).await?;
            removed += trimmed.removed;
            match trimmed.next {
                Some(next) => after = Some(next),
                None => return Ok(removed),
            }
        }
    }
}
