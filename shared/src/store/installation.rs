//! The installation's own secrets: made by whichever process needs one first, the same for all of them ever after.

use super::{
    StoreError,
    conn::{Tx, execute, with_conn},
};
use crate::secret::{Token, TokenHash};

/// The 32 random bytes of this name.
pub async fn secret(tx: &mut Tx, name: &str) -> Result<TokenHash, StoreError> {
    let now = tx.now();
    // The hash of 256 random bits is 256 random bits.
    let fresh = Token::generate().hash();
    execute!(
        tx,
        sqlx::query(
            "insert into installation_secrets (name, secret, created_at) values ($1, $2, $3) on conflict do nothing"
        )
        .bind(name)
        .bind(fresh)
        .bind(now)
    )?;
    with_conn!(tx, |c| {
        sqlx::query_scalar("select secret from installation_secrets where name = $1").bind(name).fetch_one(c).await
    })
}
