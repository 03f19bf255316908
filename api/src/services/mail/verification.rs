//! The mails around registration.

use super::Mail;

impl Mail {
    /// Proves an address: whoever follows the link can read its mail. `base` is the configured public address, never a
    /// request's `Host`. Nothing in it came from whoever registered: the address may be a stranger's, and the text
    /// would reach them in our name.
    pub fn verification(base: &str, to: &str, token: &str) -> Self {
        Self {
            to: to.to_owned(),
            subject: "Verify your e-mail address".into(),
            text: format!(
                "Hello,\n\nsomebody, probably you, registered at Pitchey with this address. To finish, open this link and \
                 enter the password you chose:\n\n\
                 {base}/api/auth/verify-email?token={token}\n\n\
                 The link works once, for 24 hours. If you did not register at Pitchey, ignore this mail: without you \
                 nothing happens.",
            ),
        }
    }

    /// Tells the owner of an account that somebody registered with their address; the one who did learns nothing.
    /// `name` is the account's, not the one that was typed in.
    pub fn already_registered(base: &str, to: &str, name: &str) -> Self {
        Self {
            to: to.to_owned(),
            subject: "You have a Pitchey account already".into(),
            text: format!(
                "Hello {},\n\nsomebody, probably you, registered at Pitchey with this address. You have an account \
                 already, with the password it always had: sign in at {base}/\n\n\
                 If it was not you, there is nothing to do.",
                one_line(name)
            ),
        }
    }
}

fn one_line(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ")
}
