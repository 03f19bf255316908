//! Hashing and checking passwords, off the async threads and never more at once than there are cores.
//!
//! New hashes are argon2id with OWASP's parameters (19 MiB, two passes, one lane). bcrypt hashes of imported users
//! verify, and are replaced at the next login, because bcrypt reads no more than 72 bytes. An unknown user is checked
//! against a hash nobody's password has, so that the answer takes as long as for a known one.

pub mod policy;

use crate::http::ApiError;
use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher as _, PasswordVerifier as _, Version};
use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

/// OWASP's minimum: 19 MiB, 2 passes, 1 lane. Tens of milliseconds of one core.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Longest wait for a core to hash on. Whoever waits longer gets 503 with `Retry-After`; the queue behind it is bounded
/// by the connections and the login limits.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

static ARGON2: LazyLock<Argon2<'static>> = LazyLock::new(|| {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("OWASP's parameters are legal");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
});

/// A hash of a password nobody has, in today's parameters.
static NOBODY: LazyLock<String> = LazyLock::new(|| {
    hash_now(shared::secret::Token::generate().expose()).expect("the operating system has randomness and memory")
});

/// What checking a password found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is not the password, or there is no such user.
    Wrong,
    /// It is.
    Right {
        /// The hash that should replace the stored one, if that is an old form.
        rehash: Option<String>,
    },
}

/// Why nothing could be checked; an answer of 500.
#[derive(Debug, thiserror::Error)]
#[error("failed to hash a password: {0}")]
struct HashError(String);

/// Hashes and checks. A cheap clone: every clone shares the permits.
#[derive(Clone, Debug)]
pub struct Passwords(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    permits: Arc<Semaphore>,
    computed: AtomicU64,
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new()
    }
}

impl Passwords {
    /// One permit per core: each hash keeps a core busy and takes 19 MiB.
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self(Arc::new(Shared { permits: Arc::new(Semaphore::new(cores)), computed: AtomicU64::new(0) }))
    }

    /// How many passwords were hashed or checked so far: what shows that two refusals cost the same.
    pub fn computed(&self) -> u64 {
        self.0.computed.load(Ordering::Relaxed)
    }

    /// The hash of a new password.
    pub async fn hash(&self, password: String) -> Result<String, ApiError> {
        self.off_thread(move || hash_now(&password)).await
    }

    /// Whether this is the password of `hash`; `None` stands for a user who does not exist and takes as long.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<Verdict, ApiError> {
        self.off_thread(move || match hash {
            Some(hash) => verify_now(&password, &hash),
            None => verify_now(&password, &NOBODY).map(|_| Verdict::Wrong),
        })
        .await
    }

    async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let permit = match timeout(LONGEST_WAIT, self.0.permits.clone().acquire_owned()).await {
            Ok(permit) => permit.expect("the semaphore is never closed"),
            Err(waited) => return Err(ApiError::unavailable(waited)),
        };
        self.0.computed.fetch_add(1, Ordering::Relaxed);
        let task = spawn_blocking(move || {
            let outcome = work();
            // Held until the core is free again, also when the request is gone.
            drop(permit);
            outcome
        });
        task.await.map_err(ApiError::internal)?.map_err(ApiError::internal)
    }
}

fn hash_now(password: &str) -> Result<String, HashError> {
    let hash = ARGON2.hash_password(password.as_bytes()).map_err(|error| HashError(error.to_string()))?;
    Ok(hash.to_string())
}

fn verify_now(password: &str, hash: &str) -> Result<Verdict, HashError> {
    if ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| hash.starts_with(prefix)) {
        let right = bcrypt::verify(password, hash).map_err(|error| HashError(error.to_string()))?;
        return Ok(if right { Verdict::Right { rehash: Some(hash_now(password)?) } } else { Verdict::Wrong });
    }
    // Accounts without a password hold a text that is no hash: nothing opens them, and it takes as long.
    let Ok(parsed) = PasswordHash::new(hash) else { return verify_now(password, &NOBODY).map(|_| Verdict::Wrong) };
    if ARGON2.verify_password(password.as_bytes(), &parsed).is_err() {
        return Ok(Verdict::Wrong);
    }
    let today = format!("m={MEMORY_KIB},t={PASSES},p={LANES}");
    let rehash = if hash.contains(&today) { None } else { Some(hash_now(password)?) };
    Ok(Verdict::Right { rehash })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_opens_its_own_hash_and_no_other() {
        let passwords = Passwords::new();
        let hash = passwords.hash("correct horse".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let verify = async |password: &str, hash: Option<&str>| {
            passwords.verify(password.into(), hash.map(Into::into)).await.unwrap()
        };
        assert_eq!(verify("correct horse", Some(&hash)).await, Verdict::Right { rehash: None });
        assert_eq!(verify("correct horsf", Some(&hash)).await, Verdict::Wrong);
        assert_eq!(verify("correct horse", None).await, Verdict::Wrong);
        assert_eq!(verify("correct horse", Some("!no-password-opens-this-account")).await, Verdict::Wrong);
    }

    #[tokio::test]
    async fn imported_bcrypt_hashes_verify_and_are_replaced() {
        let imported = bcrypt::hash("correct horse", 4).unwrap();
        let Verdict::Right { rehash: Some(hash) } =
            Passwords::new().verify("correct horse".into(), Some(imported.clone())).await.unwrap()
        else {
            panic!("the imported hash should verify and be replaced")
        };
        assert!(hash.starts_with("$argon2id$"));
        assert_eq!(Passwords::new().verify("wrong".into(), Some(imported)).await.unwrap(), Verdict::Wrong);
    }

    #[tokio::test]
    async fn the_73rd_byte_of_a_password_matters() {
        let long = "x".repeat(72);
        let hash = Passwords::new().hash(format!("{long}a")).await.unwrap();
        assert_eq!(Passwords::new().verify(format!("{long}b"), Some(hash)).await.unwrap(), Verdict::Wrong);
    }
}
