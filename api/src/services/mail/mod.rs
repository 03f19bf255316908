//! Mail leaves the process here. In this release every mail becomes a file in `$DATA_DIR/mail/`, which is how a
//! developer reads it; providers come behind the same call.
//!
//! Texts are plain and short; the one thing in them that came from a user is the name of an account, and only in mails
//! to that account. Mail is sent after the commit that asks for it, in a task of its own, so that an answer never tells
//! by its timing whether a mail went out.

mod verification;

use shared::{clock::Timestamp, config::DataDir};
use std::{io, path::PathBuf};
use uuid::Uuid;

/// One mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The address; already checked.
    pub to: String,
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
}

/// Why a mail did not leave.
#[derive(Debug, thiserror::Error)]
#[error("failed to write the mail {path}")]
pub struct MailError {
    path: PathBuf,
    source: io::Error,
}

/// Sends mail. A cheap clone.
#[derive(Clone, Debug)]
pub struct Mailer {
    folder: PathBuf,
}

impl Mailer {
    /// Files in the data folder's `mail/`, each only readable by its owner: they hold links that open accounts.
    pub fn files(data_dir: &DataDir) -> Self {
        Self { folder: data_dir.0.join("mail") }
    }

    /// Sends one mail; the file's name begins with the time, so that the newest is last.
    pub async fn send(&self, mail: &Mail, now: Timestamp) -> Result<(), MailError> {
        let path = self.folder.join(format!("{}-{}.eml", now.as_millis(), Uuid::now_v7().simple()));
        let text = render(mail, now);
        let written = async {
            tokio::fs::create_dir_all(&self.folder).await?;
            let mut options = tokio::fs::OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(&path).await?;
            tokio::io::AsyncWriteExt::write_all(&mut file, text.as_bytes()).await?;
            tokio::io::AsyncWriteExt::flush(&mut file).await
        };
        written.await.map_err(|source| MailError { path, source })
    }
}

/// As a message any mail program opens. Header values lose their line breaks: nobody adds headers of their own.
fn render(mail: &Mail, now: Timestamp) -> String {
    let line = |text: &str| text.replace(['\r', '\n'], " ");
    format!(
        "From: Pitchey <team@pitchey.com>\nTo: {}\nSubject: {}\nX-Date: {now}\nMIME-Version: 1.0\n\
         Content-Type: text/plain; charset=utf-8\n\n{}\n",
        line(&mail.to),
        line(&mail.subject),
        mail.text
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_mail_is_a_private_file_in_the_data_folder() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let mailer = Mailer::files(&DataDir(folder.path().into()));
        let mail = Mail::verification("http://h", "a@example.org\nBcc: all@example.org", "t0");
        mailer.send(&mail, Timestamp::from_micros(5_000)).await.unwrap();
        let entry = std::fs::read_dir(folder.path().join("mail")).unwrap().next().unwrap().unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(entry.path()).unwrap();
        let (head, body) = text.split_once("\n\n").unwrap();
        assert!(head.contains("To: a@example.org Bcc: all@example.org\n"), "no header of their own: {head}");
        assert!(body.contains("http://h/api/auth/verify-email?token=t0"), "{body}");
    }
}
