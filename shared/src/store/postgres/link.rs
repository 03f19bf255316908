//! The executor that queries run on: sqlx's connection, except that it decides about statement names.
//!
//! Whether a statement is prepared under a name is a property of a query in sqlx (`persistent`). Here it is one of the
//! way to the database (`manner.rs`), and no query should have to know it.

use futures_util::{future::BoxFuture, stream::BoxStream};
use sqlx::{
    Either, Execute, Executor, PgConnection, Postgres, SqlStr,
    error::BoxDynError,
    postgres::{PgArguments, PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};

/// A connection for one statement.
#[derive(Debug)]
pub(in crate::store) struct Link<'c> {
    conn: &'c mut PgConnection,
    named: bool,
}

impl<'c> Link<'c> {
    pub(in crate::store) fn new(conn: &'c mut PgConnection, named: bool) -> Self {
        Self { conn, named }
    }
}

/// A query whose statement gets a name only if both it and the link want one.
struct Linked<E> {
    query: E,
    named: bool,
}

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for Linked<E> {
    fn sql(self) -> SqlStr {
        self.query.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.query.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        self.query.take_arguments()
    }

    fn persistent(&self) -> bool {
        self.named && self.query.persistent()
    }
}

impl<'c> Executor<'c> for Link<'c> {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        self.conn.fetch_many(Linked { query, named: self.named })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        self.conn.fetch_optional(Linked { query, named: self.named })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        self.conn.prepare_with(sql, parameters)
    }
}
