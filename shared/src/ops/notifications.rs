//! The feed: notifications come with an inbox event each, and reading them is one more, seen by all devices.
//!
//! A notification's version is the inbox position of the event that last changed it. The position is taken first,
//! which locks the user's inbox until commit; so changes of one feed happen one after another, versions only grow,
//! every event's `unreadCount` is right at its position, and a hundred concurrent marks are one change and one event.

use super::{Ops, OpsError, events};
use crate::{
    id::{NotificationId, UserId},
    model::{Identity, NewNotification, Notification},
    store::{
        StoreError, Tx, inbox,
        notifications::{self, NotificationCursor},
    },
};

/// Ids in one call.
pub const MAX_IDS: usize = 500;

/// What to mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MarkRead {
    /// These; those of other users, unknown ones and those read before are passed over. At most [`MAX_IDS`].
    Ids(Vec<NotificationId>),
    /// Everything.
    All,
}

/// What a mark changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkedRead {
    /// Which were unread before; empty when nothing changed, and then there is no event either.
    pub ids: Vec<NotificationId>,
    /// How many are still unread.
    pub unread_count: u64,
    /// The version that `ids` have now, if anything changed.
    pub version: Option<u64>,
}

/// A page of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// Newest first.
    pub notifications: Vec<Notification>,
    /// How many the user has not read, on this page or elsewhere.
    pub unread_count: u64,
}

/// Writes notifications and their inbox events into the caller's transaction, so that they commit with the change
/// they tell of. It locks inboxes in the order of the users, and should therefore be called once per transaction and
/// last. Ring the bell after the commit.
pub async fn write(tx: &mut Tx, mut new: Vec<NewNotification>) -> Result<Vec<Notification>, StoreError> {
    new.sort_by_key(|notification| notification.user);
    let mut written = Vec::with_capacity(new.len());
    for notification in new {
        let user = notification.user;
        let version = next_position(tx, user).await?;
        let notification = notifications::insert(tx, notification, version).await?;
        let unread_count = notifications::unread_count(tx, user).await?;
        let payload = events::encode(&events::NotificationCreated { notification: &notification, unread_count });
        inbox::append(tx, &[user], events::NOTIFICATION_CREATED, &payload).await?;
        written.push(notification);
    }
    Ok(written)
}

impl Ops {
    /// Notifies users of something that is no change of the store by itself. A business change calls [`write()`] in its
    /// own transaction instead.
    pub async fn notify(&self, new: Vec<NewNotification>) -> Result<Vec<Notification>, OpsError> {
        let written = self.store().tx("notifications.create", async |tx| write(tx, new).await).await?;
        self.engine().bell.ring();
        Ok(written)
    }

    /// Marks notifications as read, from whatever side; what was read already stays as it is.
    pub async fn mark_read(&self, who: &Identity, which: MarkRead) -> Result<MarkedRead, OpsError> {
        if matches!(&which, MarkRead::Ids(ids) if ids.len() > MAX_IDS) {
            return Err(OpsError::invalid("ids", format!("must be at most {MAX_IDS}")));
        }
        let user = who.user_id;
        let marked = self.store().tx("notifications.mark_read", async |tx| mark(tx, user, &which).await).await?;
        if marked.version.is_some() {
            self.engine().bell.ring();
        }
        Ok(marked)
    }

    /// A page of the user's feed, newest first.
    pub async fn notifications(
        &self,
        who: &Identity,
        unread_only: bool,
        after: Option<NotificationCursor>,
        limit: u32,
    ) -> Result<Feed, OpsError> {
        let user = who.user_id;
        let feed = self.store().read("notifications.list", async |c| {
            Ok(Feed {
                notifications: notifications::list(c, user, unread_only, after, limit).await?,
                unread_count: notifications::unread_count(c, user).await?,
            })
        });
        Ok(feed.await?)
    }
}

/// The position that the next event of this inbox will have; nobody else can take it before we commit.
async fn next_position(tx: &mut Tx, user: UserId) -> Result<u64, StoreError> {
    let locked = inbox::lock(tx, &[user]).await?;
    Ok(locked.first().map_or(0, |(_, head)| *head) + 1)
}

async fn mark(tx: &mut Tx, user: UserId, which: &MarkRead) -> Result<MarkedRead, StoreError> {
    let version = next_position(tx, user).await?;
    let ids = match which {
        MarkRead::Ids(ids) => notifications::mark_read(tx, user, ids, version).await?,
        MarkRead::All => notifications::mark_all_read(tx, user, version).await?,
    };
    let unread_count = notifications::unread_count(tx, user).await?;
    if ids.is_empty() {
        return Ok(MarkedRead { ids, unread_count, version: None });
    }
    let payload = events::encode(&events::NotificationRead {
        ids: &ids[..ids.len().min(events::READ_IDS)],
        all: *which == MarkRead::All,
        version,
        unread_count,
    });
    inbox::append(tx, &[user], events::NOTIFICATION_READ, &payload).await?;
    Ok(MarkedRead { ids, unread_count, version: Some(version) })
}
