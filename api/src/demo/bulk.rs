//! `pitchey-api seed --users N --tokens FILE`: verified users with open sessions, for load tests that must not spend
//! their time on N password hashes. Never in production.

use crate::app::App;
use anyhow::Context as _;
use shared::{
    id::{SessionId, UserId},
    model::{Portal, Portals},
    secret::Token,
    store::{
        StoreError, Tx,
        sessions::{self, NewSession},
        users::{self, NewUser},
    },
};
use std::{fmt::Write as _, path::Path, time::Duration};

/// Users in one transaction: large enough that commits cost nothing, small enough that nobody waits for the writer.
const BATCH: usize = 500;

/// Makes the users and writes their tokens, a line each, readable only by the file's owner.
pub async fn users(app: &App, count: usize, tokens: &Path) -> anyhow::Result<()> {
    // Nobody knows the password: the session is the way in.
    let hash = app.passwords.hash(Token::generate().expose().to_owned()).await?;
    let run = Token::generate().expose()[..8].to_lowercase().replace(['-', '_'], "x");
    let mut lines = String::with_capacity(count * 44);
    let numbers: Vec<usize> = (0..count).collect();
    for batch in numbers.chunks(BATCH) {
        let made = app
            .store
            .tx("seed.users", async |tx| {
                let mut made = Vec::with_capacity(batch.len());
                for number in batch {
                    made.push(one(tx, &run, *number, &hash, app.config.session.ttl).await?);
                }
                Ok(made)
            })
            .await?;
        for token in made {
            writeln!(lines, "{}", token.expose())?;
        }
    }
    write(tokens, &lines).with_context(|| format!("failed to write --tokens {}", tokens.display()))
}

async fn one(tx: &mut Tx, run: &str, number: usize, hash: &str, ttl: Duration) -> Result<Token, StoreError> {
    let (id, token) = (UserId::new(), Token::generate());
    let portal = Portal::ALL[number % Portal::ALL.len()];
    let (email, username) = (format!("load-{run}-{number}@load.pitchey.test"), format!("load-{run}-{number}"));
    let new = NewUser {
        id,
        email: &email,
        username: &username,
        name: &format!("Load {number}"),
        user_type: portal,
        portals: Portals::of([portal]),
        password_hash: hash,
        email_verified: true,
    };
    users::insert(tx, new).await?;
    let session = NewSession {
        id: SessionId::new(),
        user_id: id,
        portal,
        token: token.hash(),
        ip: None,
        user_agent: Some("pitchey-api seed"),
        ttl,
    };
    sessions::insert(tx, session).await?;
    Ok(token)
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}
