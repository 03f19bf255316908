//! The four demo accounts. They exist in development only, where everybody may read the password.

use shared::model::{Portal, Portals};

/// The password of all of them.
pub const PASSWORD: &str = "Demo-2026-reel";

/// One account.
#[derive(Clone, Copy, Debug)]
pub struct DemoAccount {
    /// Its address.
    pub email: &'static str,
    /// Its handle.
    pub username: &'static str,
    /// The name others see.
    pub name: &'static str,
    /// The door it usually takes.
    pub portal: Portal,
    /// Whether it may take every door.
    pub everywhere: bool,
}

impl DemoAccount {
    /// Every door it may take.
    pub fn portals(&self) -> Portals {
        if self.everywhere { Portals::of(Portal::ALL) } else { Portals::of([self.portal]) }
    }
}

/// A creator, an investor, a production company, and somebody who is all three.
pub const ACCOUNTS: [DemoAccount; 4] = [
    DemoAccount {
        email: "creator@demo.pitchey.test",
        username: "demo-creator",
        name: "Alex Rivera",
        portal: Portal::Creator,
        everywhere: false,
    },
    DemoAccount {
        email: "investor@demo.pitchey.test",
        username: "demo-investor",
        name: "Sarah Lindqvist",
        portal: Portal::Investor,
        everywhere: false,
    },
    DemoAccount {
        email: "production@demo.pitchey.test",
        username: "demo-production",
        name: "Northlight Pictures",
        portal: Portal::Production,
        everywhere: false,
    },
    DemoAccount {
        email: "studio@demo.pitchey.test",
        username: "demo-studio",
        name: "Marlow Okafor",
        portal: Portal::Creator,
        everywhere: true,
    },
];
