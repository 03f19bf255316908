//! Lists of pitches, walked by key.
//!
//! A page is read as "the next N after this (key, id)", never as "skip N": rows that are inserted while somebody
//! leafs through a list neither repeat nor hide a row that was there before, and page 500 costs what page 1 costs.
//! Every order has an index that ends in the walk's own columns (migration 9), so nothing is sorted.
//!
//! An order by engagement can change between two pages, because people act; then, and only then, the pitch they
//! acted on may move past the reader.

use super::{
    order::{After, Bind, Order},
    row::{CardRow, card_columns},
};
use crate::{
    clock::Timestamp,
    id::{PitchId, UserId},
    model::{Format, PitchCard, PitchStatus, Sort, Stage},
    store::{Conn, StoreError, conn::with_conn, trend, words::Terms},
};
use sqlx::{Database, QueryBuilder, Row as _, Sqlite};
use std::time::Duration;

/// A pitch is a new release for this long after it was first published.
pub const NEW_WINDOW: Duration = Duration::from_hours(30 * 24);

/// What the caller looks for. The default is everything that is published.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Those of one creator, in this status; without it, everybody's published ones.
    pub own: Option<(UserId, PitchStatus)>,
    /// Of one creator.
    pub creator: Option<UserId>,
    /// Of one genre.
    pub genre: Option<String>,
    /// With these words in title or logline.
    pub terms: Option<Terms>,
    /// Of one format.
    pub format: Option<Format>,
    /// At one stage.
    pub stage: Option<Stage>,
    /// Whose budget may reach this, in whole US dollars.
    pub budget_min: Option<i64>,
    /// Whose budget may stay within this, in whole US dollars.
    pub budget_max: Option<i64>,
    /// Which want money, or do not.
    pub seeking_investment: Option<bool>,
}

/// Which list.
#[derive(Clone, Debug, PartialEq)]
pub enum List {
    /// Chosen by the editors, newest first.
    Featured,
    /// By heat; see [`trend`].
    Trending,
    /// First published within [`NEW_WINDOW`], newest first.
    New,
    /// What a filter finds, in this order.
    Browse(Filter, Sort),
}

/// Some rows of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The rows, in order.
    pub cards: Vec<PitchCard>,
    /// Where to go on; none at the end.
    pub next: Option<After>,
}

/// The next `limit` rows after `after`. A key of another order than the list's finds an arbitrary place, so the
/// caller ties cursors to the list they came from.
pub async fn page(conn: &mut Conn, list: &List, after: Option<&After>, limit: u32) -> Result<Page, StoreError> {
    let (order, now) = (Order::of(list), conn.now());
    let mut rows: Vec<CardRow> =
        with_conn!(conn, |c| walk("", list, now, after, limit).build_query_as().fetch_all(c).await)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| After { key: order.key_of(row), id: row.id });
    Ok(Page { cards: rows.into_iter().map(PitchCard::from).collect(), next })
}

/// How the database means to read such a page, a step a line: for tests, which hold it to its promise of reading an
/// index and sorting nothing.
pub async fn plan(conn: &mut Conn, list: &List, after: Option<&After>, limit: u32) -> Result<Vec<String>, StoreError> {
    let now = conn.now();
    with_conn!(conn, |c| {
        let rows = walk("explain ", list, now, after, limit).build().fetch_all(c).await;
        // The text is the only column on PostgreSQL and the last one on SQLite.
        rows.and_then(|rows| rows.iter().map(|row| row.try_get(row.len() - 1)).collect())
    })
}

/// `limit` rows after skipping `offset`, for clients that count pages. The caller bounds the offset: its cost grows
/// with it.
pub async fn page_at(conn: &mut Conn, list: &List, offset: u32, limit: u32) -> Result<Vec<PitchCard>, StoreError> {
    let now = conn.now();
    let rows: Vec<CardRow> = with_conn!(conn, |c| {
        let mut sql = select("", list, now);
        Order::of(list).push_order(&mut sql);
        sql.push(" limit ").push_bind(i64::from(limit)).push(" offset ").push_bind(i64::from(offset));
        sql.build_query_as().fetch_all(c).await
    })?;
    Ok(rows.into_iter().map(PitchCard::from).collect())
}

/// How many rows the list has.
pub async fn count(conn: &mut Conn, list: &List) -> Result<i64, StoreError> {
    let now = conn.now();
    with_conn!(conn, |c| {
        let mut sql = QueryBuilder::new("select count(*) from pitches p");
        push_conditions(&mut sql, list, now);
        sql.build_query_scalar().fetch_one(c).await
    })
}

/// The query of a page. One row more than asked for tells whether there is a next page.
fn walk<DB>(explain: &str, list: &List, now: Timestamp, after: Option<&After>, limit: u32) -> QueryBuilder<DB>
where
    DB: Database,
    String: Bind<DB>,
    bool: Bind<DB>,
    i64: Bind<DB>,
    f64: Bind<DB>,
    Timestamp: Bind<DB>,
    UserId: Bind<DB>,
    PitchId: Bind<DB>,
{
    let (order, mut sql) = (Order::of(list), select(explain, list, now));
    if let Some(after) = after {
        order.push_after(&mut sql, after);
    }
    order.push_order(&mut sql);
    sql.push(" limit ").push_bind(i64::from(limit) + 1);
    sql
}

fn select<DB>(explain: &str, list: &List, now: Timestamp) -> QueryBuilder<DB>
where
    DB: Database,
    String: Bind<DB>,
    bool: Bind<DB>,
    i64: Bind<DB>,
    f64: Bind<DB>,
    Timestamp: Bind<DB>,
    UserId: Bind<DB>,
{
    let mut sql = QueryBuilder::new(explain);
    if !explain.is_empty() && DB::NAME == Sqlite::NAME {
        sql.push("query plan ");
    }
    sql.push(concat!("select ", card_columns!(), " from pitches p join users u on u.id = p.creator_id"));
    push_conditions(&mut sql, list, now);
    sql
}

fn push_conditions<DB>(sql: &mut QueryBuilder<DB>, list: &List, now: Timestamp)
where
    DB: Database,
    String: Bind<DB>,
    bool: Bind<DB>,
    i64: Bind<DB>,
    f64: Bind<DB>,
    Timestamp: Bind<DB>,
    UserId: Bind<DB>,
{
    // Statuses are written out, not bound: the planner then knows how many rows have them.
    match list {
        List::Featured => _ = sql.push(" where p.status = 'published' and p.featured"),
        List::Trending => {
            sql.push(" where p.status = 'published' and p.trend_score >= ").push_bind(trend::floor(now));
        }
        List::New => {
            sql.push(" where p.status = 'published' and p.published_at >= ").push_bind(now - NEW_WINDOW);
        }
        List::Browse(filter, _) => push_filter(sql, filter),
    }
}

fn push_filter<DB>(sql: &mut QueryBuilder<DB>, filter: &Filter)
where
    DB: Database,
    String: Bind<DB>,
    bool: Bind<DB>,
    i64: Bind<DB>,
    UserId: Bind<DB>,
{
    match filter.own {
        Some((owner, status)) => {
            sql.push(" where p.creator_id = ").push_bind(owner);
            sql.push(" and p.status = ").push_bind(status.as_str().to_owned())
        }
        None => sql.push(" where p.status = 'published'"),
    };
    if let Some(creator) = filter.creator {
        sql.push(" and p.creator_id = ").push_bind(creator);
    }
    let texts = [
        (" and p.genre = ", filter.genre.clone()),
        (" and p.format = ", filter.format.map(|format| format.as_str().to_owned())),
        (" and p.stage = ", filter.stage.map(|stage| stage.as_str().to_owned())),
    ];
    for (condition, value) in texts {
        if let Some(value) = value {
            sql.push(condition).push_bind(value);
        }
    }
    if let Some(seeking) = filter.seeking_investment {
        sql.push(" and p.seeking_investment = ").push_bind(seeking);
    }
    // Two ranges that overlap. A pitch that names one bound is taken at it; one without a budget is in no range.
    if let Some(least) = filter.budget_min {
        sql.push(" and coalesce(p.budget_max, p.budget_min) >= ").push_bind(least);
    }
    if let Some(most) = filter.budget_max {
        sql.push(" and coalesce(p.budget_min, p.budget_max) <= ").push_bind(most);
    }
    if let Some(terms) = &filter.terms {
        push_terms(sql, terms);
    }
}

fn push_terms<DB>(sql: &mut QueryBuilder<DB>, terms: &Terms)
where
    DB: Database,
    String: Bind<DB>,
{
    if terms.is_empty() {
        sql.push(" and 1 = 0");
    }
    for (from, to) in terms.ranges() {
        sql.push(" and p.id in (select w.pitch_id from pitch_words w where w.word >= ").push_bind(from);
        sql.push(" and w.word < ").push_bind(to).push(")");
    }
}
