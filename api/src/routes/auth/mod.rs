//! Accounts and sessions (R-001… …R-130). One session system: an opaque token, in a cookie for browsers, as
//! `Authorization: Bearer` for programs. No JWT is minted or accepted anywhere.

pub mod account;
pub mod change_password;
pub mod login;
pub mod logout;
pub mod portal;
pub mod register;
pub mod session;
pub mod sessions;
pub mod verification;

use crate::http::rate_limit::Policy;

/// Password attempts on one account from one address: enough for people, useless for guessing, and nobody can lock
/// somebody else out.
pub(super) const LOGIN: Policy = Policy::new("login", 5, 60);
/// The same within seconds.
pub(super) const LOGIN_BURST: Policy = Policy::new("login-burst", 3, 10);
/// Accounts made from one address.
pub(super) const REGISTER: Policy = Policy::new("register", 20, 3_600);
/// Mails to one address.
pub(super) const MAIL: Policy = Policy::new("mail", 3, 3_600);
/// Guesses at a verification link from one address.
pub(super) const VERIFY: Policy = Policy::new("verify", 30, 3_600);
/// Changes of one user's password.
pub(super) const CHANGE_PASSWORD: Policy = Policy::new("change-password", 5, 600);
