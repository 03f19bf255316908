//! What the terminal says about itself: how many colours it can, and whether it draws block characters.

use clap::{Args, ValueEnum};

/// How many colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Palette {
    /// Bold, dim and reverse only.
    Mono,
    /// The terminal's own sixteen.
    Ansi,
    /// 256.
    Full,
    /// As many as there are.
    True,
}

/// The variables that say so.
#[derive(Clone, Debug, Args)]
pub(super) struct Terminal {
    #[arg(long, hide = true, env = "NO_COLOR", default_value = "")]
    no_color: String,
    #[arg(long, hide = true, env = "COLORTERM", default_value = "")]
    colorterm: String,
    #[arg(long, hide = true, env = "TERM", default_value = "")]
    term: String,
    #[arg(long, hide = true, env = "LC_ALL", default_value = "")]
    lc_all: String,
    #[arg(long, hide = true, env = "LC_CTYPE", default_value = "")]
    lc_ctype: String,
    #[arg(long, hide = true, env = "LANG", default_value = "")]
    lang: String,
}

impl Terminal {
    /// What the terminal can do. `NO_COLOR` counts when it is not empty.
    pub(super) fn palette(&self) -> Palette {
        match () {
            () if !self.no_color.is_empty() || self.term == "dumb" => Palette::Mono,
            () if matches!(self.colorterm.as_str(), "truecolor" | "24bit") => Palette::True,
            () if !self.colorterm.is_empty() || self.term.contains("256color") => Palette::Full,
            () => Palette::Ansi,
        }
    }

    /// Whether block characters can be drawn: not by a terminal whose locale is not UTF-8.
    pub(super) fn unicode(&self) -> bool {
        let locale = [&self.lc_all, &self.lc_ctype, &self.lang].into_iter().find(|text| !text.is_empty());
        // Without any locale most terminals of today still draw UTF-8; a locale that names another set does not.
        locale.is_none_or(|text| {
            let text = text.to_ascii_uppercase();
            text.contains("UTF-8") || text.contains("UTF8") || !text.contains('.') && text != "C" && text != "POSIX"
        })
    }
}
