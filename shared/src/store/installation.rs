//! The installation's own secrets: made by whichever process needs one first, the same for all of them ever after.

use super::{
    StoreError,
    conn::{Tx, execute, with_conn},
};
use crate::secret::{Token, TokenHash};

/// Whether this unit of work is the first of the installation to take the name. Another process that asks at the same
/// time waits until this one is over, and is only the first if this one is undone.
pub async fn first(tx: &mut Tx, name: &str) -> Result<bool, StoreError> {
    make(tx, name).await
}

/// The 32 random bytes of this name.
pub async fn secret(tx: &mut Tx, name: &str) -> Result<TokenHash, StoreError> {
    make(tx, name).await?;
    with_conn!(tx, |c| {
        sqlx::query_scalar("select secret from installation_secrets where name = $1").bind(name).fetch_one(c).await
    })
}

/// Makes the secret unless there is one; whether it did.
async fn make(tx: &mut Tx, name: &str) -> Result<bool, StoreError> {
    let now = tx.now();
    // The hash of 256 random bits is 256 random bits.
    let fresh = Token::generate().hash();
    let made = execute!(
        tx,
        sqlx::query(
            "insert into installation_secrets (name, secret, created_at) values ($1, $2, $3) on conflict do nothing"
        )
        .bind(name)
        .bind(fresh)
        .bind(now)
    )?;
    Ok(made > 0)
}
