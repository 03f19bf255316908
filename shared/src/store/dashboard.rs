//! The creator's dashboard: all its numbers from one statement.

use super::{Conn, StoreError, conn::with_conn};
use crate::{id::UserId, model::CreatorStats};
use std::time::Duration;

/// How far back a pitch counts as recent.
pub const RECENT: Duration = Duration::from_hours(30 * 24);

/// One user's numbers, at one instant. Sums of `bigint` are `numeric` on PostgreSQL, hence the casts.
pub async fn creator(conn: &mut Conn, user: UserId) -> Result<CreatorStats, StoreError> {
    let recent_since = conn.now() - RECENT;
    with_conn!(conn, |c| {
        sqlx::query_as(
            "with own as (
                 select count(*) as total_pitches,
                        count(*) filter (where status = 'published') as published_pitches,
                        count(*) filter (where created_at >= $2) as recent_pitches,
                        cast(coalesce(sum(view_count), 0) as bigint) as total_views,
                        cast(coalesce(sum(like_count), 0) as bigint) as total_likes
                 from pitches where creator_id = $1
             ), agreements as (
                 select count(*) as total_ndas, count(*) filter (where n.status = 'approved') as approved_ndas
                 from ndas n join pitches p on p.id = n.pitch_id where p.creator_id = $1
             ), followers as (
                 select count(*) as followers_count from follows where following_id = $1
             ), followed as (
                 select count(*) as following_count from follows where follower_id = $1
             )
             select * from own, agreements, followers, followed",
        )
        .bind(user)
        .bind(recent_since)
        .fetch_one(c)
        .await
    })
}
