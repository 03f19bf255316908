//! The mails around registration.

use super::Mail;

impl Mail {
    /// Proves an address: whoever follows the link can read its mail. `base` is the configured public address, never a
    /// request's `Host`.
    pub fn verification(base: &str, to: &str, name: &str, token: &str) -> Self {
        Self {
            to: to.to_owned(),
            subject: "Verify your e-mail address".into(),
            text: format!(
                "Hello {},\n\nplease confirm that this is your address:\n\n\
                 {base}/api/auth/verify-email?token={token}\n\n\
                 The link works once, for 24 hours. If you did not register at Pitchey, ignore this mail.",
                one_line(name)
            ),
        }
    }

    /// Tells the owner of an account that somebody registered with their address; the one who did learns nothing.
    pub fn already_registered(base: &str, to: &str, name: &str) -> Self {
        Self {
            to: to.to_owned(),
            subject: "You have a Pitchey account already".into(),
            text: format!(
                "Hello {},\n\nsomebody, probably you, registered at Pitchey with this address. You have an account \
                 already: sign in at {base}/\n\nIf it was not you, there is nothing to do.",
                one_line(name)
            ),
        }
    }
}

fn one_line(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ")
}
