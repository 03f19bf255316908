//! The mailboxes of many processes: a list of frames and where it ends, for each user; cursors in one line for all.
//!
//! Appending and delivering are one script, so a position and its delivery cannot disagree, and who subscribed before
//! reading the head hears everything after it. Memory is bounded by time (an idle mailbox's frames go after an hour, its
//! place is remembered for a day) and by Redis' own `maxmemory`: an evicted mailbox is a missing one.

use super::{AckEntry, Appended, CURSORS, Look, MailboxEntry, PLACES, Place, WINDOW_BYTES, WINDOW_ENTRIES};
use crate::{
    clock::Timestamp,
    engine::{
        EngineError, Topic,
        redis::{Link, Reply, Script},
    },
    id::UserId,
};
use bytes::Bytes;
use fred::types::Value;
use futures_util::future::try_join_all;

/// Bytes of frames in one script and one message: far below what Redis keeps for a subscriber that is slow for a moment.
const APPEND_BYTES: usize = 256 * 1024;
/// The length of a user's id as text; what follows in a cursor's owner is the device.
const USER: usize = 36;

macro_rules! mailbox_script {
    ($($name:ident = $($file:literal)+;)+) => {$(
        static $name: Script = Script::new(concat!($(include_str!(concat!("../scripts/", $file))),+));
    )+};
}

mailbox_script! {
    APPEND = "prelude.lua" "mailbox.lua" "mailbox_append.lua";
    READ = "prelude.lua" "mailbox.lua" "mailbox_read.lua";
    HEAD = "prelude.lua" "mailbox.lua" "mailbox_head.lua";
    OPEN = "prelude.lua" "mailbox.lua" "mailbox_open.lua";
    LOOK = "prelude.lua" "mailbox.lua" "mailbox_look.lua";
    MOVE = "mailbox_move.lua";
    FORGET = "mailbox_forget.lua";
    ACK = "cursors.lua" "cursor_ack.lua";
    CURSOR = "cursor_get.lua";
    OLDEST = "cursor_oldest.lua";
    CONFIRM = "cursors.lua" "cursor_confirm.lua";
}

/// See [`super::Mailbox`]. A cheap clone.
#[derive(Clone, Debug)]
pub struct RedisMailbox(Link);

impl RedisMailbox {
    pub(in crate::engine) fn new(link: Link) -> Self {
        Self(link)
    }

    pub(super) async fn append(&self, user: UserId, entries: &[MailboxEntry]) -> Result<Appended, EngineError> {
        let mut rest = entries;
        loop {
            let (share, more) = rest.split_at(share(rest));
            let appended = self.append_share(user, share).await?;
            match (appended, share.last()) {
                (Appended::UpTo(head), Some(last)) if head >= last.seq && !more.is_empty() => rest = more,
                // The first share was taken: what stopped a later one is a hole among the entries, or another past.
                (Appended::Gap { head }, _) if rest.len() < entries.len() => return Ok(Appended::UpTo(head)),
                _ => return Ok(appended),
            }
        }
    }

    async fn append_share(&self, user: UserId, entries: &[MailboxEntry]) -> Result<Appended, EngineError> {
        let link = &self.0;
        let [most, most_bytes] = [WINDOW_ENTRIES, WINDOW_BYTES].map(|most| i64::try_from(most).expect("it is small"));
        let channel = link.keys().channel(&Topic::Inbox(user));
        let mut args = vec![channel.into(), link.publish_command(), most.into(), most_bytes.into()];
        for entry in entries {
            args.extend([entry.seq.to_string().into(), Value::Bytes(entry.frame.clone())]);
        }
        let mut reply = self.run_on("append to a mailbox", &APPEND, user, args).await?;
        let (taken, head) = (reply.number()? == 1, reply.parsed()?);
        Ok(if taken { Appended::UpTo(head) } else { Appended::Gap { head } })
    }

    pub(super) async fn open(&self, user: UserId, head: u64, device: &str, place: Place) -> Result<(), EngineError> {
        let [acked, noted] = [place.acked.to_string(), place.noted.as_micros().to_string()];
        let most = i64::try_from(PLACES).expect("it is small");
        let args = vec![head.to_string().into(), device.into(), acked.into(), noted.into(), most.into()];
        self.run_on("open a mailbox", &OPEN, user, args).await.map(drop)
    }

    pub(super) async fn look(&self, user: UserId, device: &str) -> Result<Option<Look>, EngineError> {
        let mut reply = self.run_on("look at a mailbox", &LOOK, user, vec![device.into()]).await?;
        let Some(head) = reply.parsed_or_nil()? else { return Ok(None) };
        let base = reply.parsed()?;
        let acked = if reply.is_empty() { None } else { Some(reply.parsed()?) };
        let place = match acked {
            Some(acked) => Some(Place { acked, noted: Timestamp::from_micros(reply.parsed()?) }),
            None => None,
        };
        Ok(Some(Look { base, head, place }))
    }

    pub(super) async fn forget(&self, user: UserId) -> Result<(), EngineError> {
        self.run_on("forget a mailbox", &FORGET, user, Vec::new()).await.map(drop)
    }

    pub(super) async fn read(
        &self,
        user: UserId,
        after: u64,
        limit: usize,
    ) -> Result<Option<Vec<MailboxEntry>>, EngineError> {
        let limit = i64::try_from(limit.min(WINDOW_ENTRIES)).expect("it is small");
        let args = vec![after.to_string().into(), limit.into()];
        let mut reply = self.run_on("read a mailbox", &READ, user, args).await?;
        if reply.number()? == 0 {
            return Ok(None);
        }
        let mut entries = Vec::new();
        while !reply.is_empty() {
            let seq = after + 1 + entries.len() as u64;
            // Not the network's buffer, which a small part would keep alive as a whole.
            entries.push(MailboxEntry { seq, frame: Bytes::copy_from_slice(&reply.bytes()?) });
        }
        Ok(Some(entries))
    }

    pub(super) async fn head(&self, user: UserId) -> Result<Option<u64>, EngineError> {
        self.run_on("read a mailbox's head", &HEAD, user, Vec::new()).await?.parsed_or_nil()
    }

    pub(super) async fn ack(&self, user: UserId, device: &str, seq: u64) -> Result<(), EngineError> {
        let most = i64::try_from(CURSORS).expect("it is small");
        let args = vec![owner(user, device).into(), seq.to_string().into(), most.into()];
        self.run_cursors("note an ack", &ACK, args).await.map(drop)
    }

    pub(super) async fn cursor(&self, user: UserId, device: &str) -> Result<Option<u64>, EngineError> {
        self.run_cursors("read a cursor", &CURSOR, vec![owner(user, device).into()]).await?.parsed_or_nil()
    }

    pub(super) async fn unflushed(&self, max: usize) -> Result<Vec<AckEntry>, EngineError> {
        const WHAT: &str = "take cursors out";
        let max = i64::try_from(max.min(CURSORS)).expect("it is small");
        let mut reply = self.run_cursors(WHAT, &OLDEST, vec![max.into()]).await?;
        let mut acks = Vec::new();
        for _ in 0..reply.number()? {
            let (owner, seq) = (reply.parsed::<String>()?, reply.parsed()?);
            let parts = owner.split_at_checked(USER).and_then(|(user, device)| Some((user.parse().ok()?, device)));
            let (user, device) = parts.ok_or(EngineError::Unavailable { what: WHAT })?;
            acks.push(AckEntry { user, device: device.to_owned(), seq });
        }
        Ok(acks)
    }

    pub(super) async fn flushed(&self, acks: &[AckEntry]) -> Result<(), EngineError> {
        if acks.is_empty() {
            return Ok(());
        }
        // The places move first: whoever reads both meanwhile finds the ack in one of them.
        let moves = acks.iter().map(|AckEntry { user, device, seq }| {
            let args = vec![device.as_str().into(), seq.to_string().into()];
            self.run_on("move a device's place", &MOVE, *user, args)
        });
        try_join_all(moves).await?;
        let arg = |ack: &AckEntry| [owner(ack.user, &ack.device).into(), ack.seq.to_string().into()];
        let args = acks.iter().flat_map(arg).collect();
        self.run_cursors("confirm that cursors are stored", &CONFIRM, args).await.map(drop)
    }

    async fn run_on(
        &self,
        what: &'static str,
        script: &Script,
        user: UserId,
        args: Vec<Value>,
    ) -> Result<Reply, EngineError> {
        self.0.run(what, script, self.0.keys().mailbox(user), args).await
    }

    async fn run_cursors(&self, what: &'static str, script: &Script, args: Vec<Value>) -> Result<Reply, EngineError> {
        self.0.run(what, script, self.0.keys().cursors(), args).await
    }
}

fn owner(user: UserId, device: &str) -> String {
    format!("{user}{device}")
}

/// How many of the entries go in one step: as many as its bytes allow, and at least one.
fn share(entries: &[MailboxEntry]) -> usize {
    let mut bytes = 0;
    let fits = entries.iter().take(WINDOW_ENTRIES).take_while(|entry| {
        bytes += entry.frame.len();
        bytes <= APPEND_BYTES
    });
    fits.count().max(1).min(entries.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_bounded_in_entries_and_bytes_but_never_empty() {
        let entries = |count, size| vec![MailboxEntry { seq: 1, frame: vec![b'x'; size].into() }; count];
        assert_eq!(share(&entries(100, 10)), WINDOW_ENTRIES);
        assert_eq!(share(&entries(100, APPEND_BYTES / 4)), 4);
        assert_eq!(share(&entries(2, 2 * APPEND_BYTES)), 1);
        assert_eq!(share(&[]), 0);
    }

    #[test]
    fn an_owner_is_a_user_and_whatever_the_device_is_called() {
        let user = UserId::new();
        assert_eq!(owner(user, "").len(), USER);
    }
}
