//! What routes need beside store and engine: one file or folder each, with its contract at the top.

pub mod health;
mod mail;
mod passwords;

pub use health::Health;
pub use mail::{Mail, MailError, Mailer};
pub use passwords::{Passwords, Verdict as PasswordVerdict, policy};
