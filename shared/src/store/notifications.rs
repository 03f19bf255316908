//! The feed of each user. Only rows are written here; the inbox events that go with them are `ops::notifications`' work,
//! in the same transaction and under the same lock (`inbox::lock`), which is what makes versions and counts agree.

use super::{
    StoreError,
    conn::{Conn, Tx, execute, with_conn},
};
use crate::{
    clock::Timestamp,
    id::{NotificationId, UserId},
    model::{NewNotification, Notification},
};
use sqlx::{FromRow, QueryBuilder};
use std::collections::{BTreeMap, HashMap};

/// The place of a notification in its feed: newest first.
pub type NotificationCursor = (Timestamp, NotificationId);

/// Longest title and body in the schema, in characters.
const TITLE_CHARS: usize = 200;
const BODY_CHARS: usize = 2_000;

#[derive(FromRow)]
struct Row {
    id: NotificationId,
    kind: String,
    title: String,
    body: String,
    read: bool,
    read_at: Option<Timestamp>,
    #[sqlx(try_from = "i64")]
    version: u64,
    created_at: Timestamp,
}

#[derive(FromRow)]
struct MetadataRow {
    notification_id: NotificationId,
    key: String,
    value: String,
}

impl Row {
    fn with(self, metadata: BTreeMap<String, String>) -> Notification {
        Notification {
            id: self.id,
            kind: self.kind,
            title: self.title,
            body: self.body,
            metadata,
            read: self.read,
            read_at: self.read_at,
            version: self.version,
            created_at: self.created_at,
        }
    }
}

/// Puts a notification into its feed. `version` is the inbox position that the caller is about to give to its event.
pub async fn insert(tx: &mut Tx, new: NewNotification, version: u64) -> Result<Notification, StoreError> {
    let notification = Notification {
        id: NotificationId::new(),
        kind: new.kind.to_owned(),
        title: cut(new.title, TITLE_CHARS),
        body: cut(new.body, BODY_CHARS),
        metadata: new.metadata,
        read: false,
        read_at: None,
        version,
        created_at: tx.now(),
    };
    execute!(
        tx,
        sqlx::query(
            "insert into notifications (id, user_id, kind, title, body, read, version, created_at)
             values ($1, $2, $3, $4, $5, false, $6, $7)",
        )
        .bind(notification.id)
        .bind(new.user)
        .bind(&notification.kind)
        .bind(&notification.title)
        .bind(&notification.body)
        .bind(version.cast_signed())
        .bind(notification.created_at)
    )?;
    if !notification.metadata.is_empty() {
        insert_metadata(tx, &notification).await?;
    }
    Ok(notification)
}

async fn insert_metadata(tx: &mut Tx, notification: &Notification) -> Result<(), StoreError> {
    with_conn!(tx, |c| {
        let mut query = QueryBuilder::new("insert into notification_metadata (notification_id, key, value) ");
        query.push_values(&notification.metadata, |mut row, (key, value)| {
            row.push_bind(notification.id).push_bind(key).push_bind(value);
        });
        query.build().execute(c).await.map(drop)
    })
}

/// Marks those of `ids` that are the user's and unread; returns which. Running it again changes nothing.
pub async fn mark_read(
    tx: &mut Tx,
    user: UserId,
    ids: &[NotificationId],
    version: u64,
) -> Result<Vec<NotificationId>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let now = tx.now();
    with_conn!(tx, |c| {
        let mut query = QueryBuilder::new("update notifications set read = true, read_at = ");
        query.push_bind(now);
        query.push(", version = ").push_bind(version.cast_signed());
        query.push(" where not read and user_id = ").push_bind(user);
        query.push(" and id in (");
        let mut list = query.separated(", ");
        for id in ids {
            list.push_bind(*id);
        }
        query.push(") returning id");
        query.build_query_scalar().fetch_all(c).await
    })
}

/// Marks everything unread of the user; returns which.
pub async fn mark_all_read(tx: &mut Tx, user: UserId, version: u64) -> Result<Vec<NotificationId>, StoreError> {
    let now = tx.now();
    with_conn!(tx, |c| {
        sqlx::query_scalar(
            "update notifications set read = true, read_at = $2, version = $3 where not read and user_id = $1 returning id",
        )
        .bind(user)
        .bind(now)
        .bind(version.cast_signed())
        .fetch_all(c)
        .await
    })
}

/// How many the user has not read.
pub async fn unread_count(conn: &mut Conn, user: UserId) -> Result<u64, StoreError> {
    let count: i64 = with_conn!(conn, |c| {
        sqlx::query_scalar("select count(*) from notifications where not read and user_id = $1")
            .bind(user)
            .fetch_one(c)
            .await
    })?;
    Ok(count.unsigned_abs())
}

/// At most `limit` notifications of the user after `after`, newest first.
pub async fn list(
    conn: &mut Conn,
    user: UserId,
    unread_only: bool,
    after: Option<NotificationCursor>,
    limit: u32,
) -> Result<Vec<Notification>, StoreError> {
    let rows: Vec<Row> = with_conn!(conn, |c| {
        let mut query = QueryBuilder::new(
            "select id, kind, title, body, read, read_at, version, created_at from notifications where user_id = ",
        );
        query.push_bind(user);
        if unread_only {
            query.push(" and not read");
        }
        if let Some((created_at, id)) = after {
            query.push(" and (created_at, id) < (").push_bind(created_at);
            query.push(", ").push_bind(id).push(")");
        }
        query.push(" order by created_at desc, id desc limit ").push_bind(i64::from(limit));
        query.build_query_as().fetch_all(c).await
    })?;
    let mut metadata = metadata(conn, &rows).await?;
    let complete = |row: Row| {
        let metadata = metadata.remove(&row.id).unwrap_or_default();
        row.with(metadata)
    };
    Ok(rows.into_iter().map(complete).collect())
}

/// One query for a whole page: the table is normalised, so nobody scans JSON.
async fn metadata(
    conn: &mut Conn,
    rows: &[Row],
) -> Result<HashMap<NotificationId, BTreeMap<String, String>>, StoreError> {
    let mut metadata: HashMap<_, BTreeMap<_, _>> = HashMap::new();
    if rows.is_empty() {
        return Ok(metadata);
    }
    let found: Vec<MetadataRow> = with_conn!(conn, |c| {
        let mut query = QueryBuilder::new(
            "select notification_id, key, value from notification_metadata where notification_id in (",
        );
        let mut list = query.separated(", ");
        for row in rows {
            list.push_bind(row.id);
        }
        query.push(")");
        query.build_query_as().fetch_all(c).await
    })?;
    for row in found {
        metadata.entry(row.notification_id).or_default().insert(row.key, row.value);
    }
    Ok(metadata)
}

/// Text made of other people's names and titles must not fail a business change for its length.
fn cut(mut text: String, chars: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(chars) {
        text.truncate(end);
    }
    text
}
