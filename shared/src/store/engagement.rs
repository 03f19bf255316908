//! What people do with pitches: looks, likes, lists. Each moves a counter and the heat of the pitch ([`trend`]) in the
//! transaction that writes it down, by addition, so that two at once both count.

use super::{
    StoreError, Tx,
    conn::{execute, with_conn},
    trend::{self, Engagement},
};
use crate::{
    clock::Timestamp,
    id::{PitchId, UserId},
};
use uuid::Uuid;

/// Somebody looked at a pitch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct View {
    /// What was looked at.
    pub pitch: PitchId,
    /// By whom.
    pub viewer: UserId,
    /// When.
    pub at: Timestamp,
}

/// Counts looks: one a day (UTC) from each user, none by the creator, none at what is not published (any more).
/// Returns how many counted. Sorted, so that two batches lock pitches in the same order.
pub async fn record_views(tx: &mut Tx, mut views: Vec<View>) -> Result<u64, StoreError> {
    views.sort();
    let mut counted = 0;
    for view in views {
        if first_of_the_day(tx, view).await? {
            count_view(tx, view).await?;
            counted += 1;
        }
    }
    Ok(counted)
}

async fn first_of_the_day(tx: &mut Tx, view: View) -> Result<bool, StoreError> {
    let day = i32::try_from(view.at.as_millis().div_euclid(86_400_000)).unwrap_or(i32::MAX);
    // From the tables, not from the arguments: pitch and viewer may be gone by now.
    let done = execute!(
        tx,
        sqlx::query(
            "insert into pitch_views (id, pitch_id, viewer_id, viewed_at, day)
             select $1, p.id, u.id, $4, $5 from pitches p, users u
             where p.id = $2 and u.id = $3 and p.status = 'published' and p.creator_id <> u.id
             on conflict (pitch_id, viewer_id, day) do nothing",
        )
        .bind(Uuid::now_v7())
        .bind(view.pitch)
        .bind(view.viewer)
        .bind(view.at)
        .bind(day)
    )?;
    Ok(done > 0)
}

async fn count_view(tx: &mut Tx, view: View) -> Result<(), StoreError> {
    execute!(
        tx,
        sqlx::query("update pitches set view_count = view_count + 1, trend_score = trend_score + $2 where id = $1")
            .bind(view.pitch)
            .bind(Engagement::View.share(view.at))
    )?;
    Ok(())
}

/// Adds the heat of something that is written down elsewhere, such as a request for an NDA.
pub async fn heat_up(tx: &mut Tx, pitch: PitchId, what: Engagement) -> Result<(), StoreError> {
    let share = what.share(tx.now());
    execute!(
        tx,
        sqlx::query("update pitches set trend_score = trend_score + $2 where id = $1").bind(pitch).bind(share)
    )?;
    Ok(())
}

/// A mark that a user can put on a pitch and take off again: the texts of its four statements.
struct Mark {
    what: Engagement,
    insert: &'static str,
    count_up: &'static str,
    delete: &'static str,
    count_down: &'static str,
}

macro_rules! mark {
    ($what:ident, $table:literal, $counter:literal) => {
        Mark {
            what: Engagement::$what,
            insert: concat!(
                "insert into ",
                $table,
                " (pitch_id, user_id, created_at)
                 select p.id, $2, $3 from pitches p where p.id = $1 and p.status = 'published'
                 on conflict (pitch_id, user_id) do nothing"
            ),
            count_up: concat!(
                "update pitches set ",
                $counter,
                " = ",
                $counter,
                " + 1, trend_score = trend_score + $2 where id = $1"
            ),
            delete: concat!("delete from ", $table, " where pitch_id = $1 and user_id = $2 returning created_at"),
            count_down: concat!(
                "update pitches set ",
                $counter,
                " = case when ",
                $counter,
                " > 0 then ",
                $counter,
                " - 1 else 0 end,
                        trend_score = case when trend_score > $2 then trend_score - $2 else 0 end
                 where id = $1"
            ),
        }
    };
}

const LIKE: Mark = mark!(Like, "pitch_likes", "like_count");
const SAVE: Mark = mark!(Save, "pitch_saves", "save_count");

/// The user likes the pitch from now on. Whether that is new; it is not if the pitch is not published.
pub async fn like(tx: &mut Tx, pitch: PitchId, user: UserId) -> Result<bool, StoreError> {
    put(tx, &LIKE, pitch, user).await
}

/// Takes a like back, and the heat it gave: liking on and off moves nothing.
pub async fn unlike(tx: &mut Tx, pitch: PitchId, user: UserId) -> Result<bool, StoreError> {
    take(tx, &LIKE, pitch, user).await
}

/// The user keeps the pitch on their list from now on. Whether that is new.
pub async fn save(tx: &mut Tx, pitch: PitchId, user: UserId) -> Result<bool, StoreError> {
    put(tx, &SAVE, pitch, user).await
}

/// Takes the pitch off the user's list.
pub async fn unsave(tx: &mut Tx, pitch: PitchId, user: UserId) -> Result<bool, StoreError> {
    take(tx, &SAVE, pitch, user).await
}

async fn put(tx: &mut Tx, mark: &Mark, pitch: PitchId, user: UserId) -> Result<bool, StoreError> {
    let now = tx.now();
    let done = execute!(tx, sqlx::query(mark.insert).bind(pitch).bind(user).bind(now))?;
    if done == 0 {
        return Ok(false);
    }
    let share = mark.what.share(now);
    execute!(tx, sqlx::query(mark.count_up).bind(pitch).bind(share))?;
    Ok(true)
}

async fn take(tx: &mut Tx, mark: &Mark, pitch: PitchId, user: UserId) -> Result<bool, StoreError> {
    let since: Option<Timestamp> =
        with_conn!(tx, |c| sqlx::query_scalar(mark.delete).bind(pitch).bind(user).fetch_optional(c).await)?;
    let Some(since) = since else { return Ok(false) };
    let share = mark.what.share(since);
    execute!(tx, sqlx::query(mark.count_down).bind(pitch).bind(share))?;
    Ok(true)
}

/// The heat of so many looks, likes and lists, all at one time; for data that is brought in from elsewhere.
pub fn heat_of(views: i64, likes: i64, saves: i64, at: Timestamp) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    let share = |what: trend::Engagement, times: i64| what.share(at) * times as f64;
    share(Engagement::View, views) + share(Engagement::Like, likes) + share(Engagement::Save, saves)
}
