//! Accounts and sessions (R-001… …R-130). One session system: an opaque token, in a cookie for browsers, as
//! `Authorization: Bearer` for programs. No JWT is minted or accepted anywhere.

pub mod account;
pub mod change_password;
mod handle;
pub mod login;
pub mod logout;
pub mod portal;
pub mod register;
pub mod session;
pub mod sessions;
pub mod verification;

use crate::http::rate_limit::Policy;

/// Passwords one address may have checked in a minute, whatever the accounts: each costs tens of milliseconds of a core.
/// `LOGIN_RATE_PER_IP`, because a whole company may share an address.
pub(super) const fn login_from_address(per_minute: u32) -> Policy {
    Policy::new("login-address", per_minute, 60)
}
/// Password attempts on one account from one address: enough for people, useless for guessing, and nobody can lock
/// somebody else out.
pub(super) const LOGIN: Policy = Policy::new("login", 5, 60);
/// The same within seconds.
pub(super) const LOGIN_BURST: Policy = Policy::new("login-burst", 3, 10);
/// Registrations from one address.
pub(super) const REGISTER: Policy = Policy::new("register", 20, 3_600);
/// Registrations of one e-mail address by one client, and so mails to it.
pub(super) const REGISTER_MAIL: Policy = Policy::new("register-mail", 3, 43_200);
/// The same by all clients together: four of them can use it up, one cannot.
pub(super) const REGISTER_MAIL_CAP: Policy = Policy::new("register-mail-cap", 12, 43_200);
/// Further mails to one e-mail address that one client asked for. Apart from those above, and only charged where
/// something waits to be proven, so that it shows nowhere.
pub(super) const RESEND: Policy = Policy::new("resend", 3, 43_200);
/// The same by all clients together.
pub(super) const RESEND_CAP: Policy = Policy::new("resend-cap", 12, 43_200);
/// Guesses at a verification link from one address.
pub(super) const VERIFY: Policy = Policy::new("verify", 30, 3_600);
/// Changes of one user's password.
pub(super) const CHANGE_PASSWORD: Policy = Policy::new("change-password", 5, 600);
