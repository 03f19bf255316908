//! Carrying out what was written after `:`.

use super::{App, Effect, Page, Popup, Screen, command::Typed};
use crate::{deed, figures::plain, model::Window, theme::Level};
use shared::{
    clock::Timestamp,
    protocol::admin::{Filter, field},
};
use std::time::Duration;

impl App {
    /// Does it, or says what is wrong.
    pub(super) fn typed(&mut self, typed: Typed) -> Result<Vec<Effect>, String> {
        match typed {
            Typed::Open(page) => self.open(*page)?,
            Typed::At(text) => {
                let clock = self.picture().store.clock(self.now).ok_or("nothing has been heard yet")?;
                let at = moment(&text, clock)?;
                self.go_to(at)?;
            }
            Typed::Live => self.live(),
            Typed::Filter(text) => {
                check(&text, self.page().screen)?;
                self.set_filter(&text);
            }
            Typed::Saved(name) => {
                let text = self.settings().filters.get(&name).cloned();
                let text = text.ok_or_else(|| format!("there is no saved filter {name:?}: {}", self.saved()))?;
                check(&text, self.page().screen)?;
                self.set_filter(&text);
            }
            Typed::Sort(sort) => {
                field(self.page().screen.fields(), &sort.by)
                    .ok_or_else(|| format!("there is no field {:?} here", sort.by))?;
                self.page_mut().sort = Some(sort);
                self.page_mut().rewind();
            }
            Typed::Theme(name) => {
                let theme = self.theme();
                self.theme = if name.is_empty() { theme.next() } else { theme.named(&name)? };
            }
            Typed::Window(text) => {
                let window = Window::ALL.into_iter().find(|window| window.name() == text);
                self.window = window.ok_or("write 1m, 5m, 15m or 24h")?;
            }
            Typed::Context(name) => {
                if !self.settings().contexts.contains_key(&name) {
                    return Err(format!("there is no context {name:?} in the configuration file"));
                }
                return Ok(vec![Effect::Context(name)]);
            }
            Typed::Write(write) => {
                self.write = write;
                self.say(if write { "actions are allowed" } else { "read-only" }, Level::Good);
            }
            Typed::Act(action) => {
                if let Some(why) = self.blocked(&action) {
                    return Err(why);
                }
                let name = plain(&action.target());
                return Ok(self.begin(*action, vec![name]));
            }
            Typed::Snapshot => return Ok(vec![Effect::Snapshot]),
            Typed::Help => self.popups.push(Popup::Help(0)),
            Typed::Quit => return Ok(vec![Effect::Quit(false)]),
        }
        Ok(Vec::new())
    }

    /// Goes to a page: a root as if by its key, others from here.
    fn open(&mut self, page: Page) -> Result<(), String> {
        check(&page.filter, page.screen)?;
        if Screen::ROOTS.contains(&page.screen) {
            let filter = page.filter.clone();
            self.show(page.screen);
            self.set_filter(&filter);
        } else {
            self.pages.push(page);
        }
        Ok(())
    }

    fn saved(&self) -> String {
        let names: Vec<_> = self.settings().filters.keys().map(String::as_str).collect();
        if names.is_empty() { "the configuration file has none".into() } else { names.join(", ") }
    }

    /// Another cluster: everything that was known of the last one goes.
    pub(crate) fn moved(&mut self, place: String) {
        let lists = std::mem::take(&mut self.store.lists).replayed();
        self.store = crate::model::Store::wanting(lists);
        (self.held, self.place, self.one_node) = (None, place, None);
        self.pages = vec![Page::new(Screen::Overview)];
        self.left.clear();
        self.popups.clear();
        self.dirty = true;
    }
}

fn check(filter: &str, screen: Screen) -> Result<(), String> {
    Filter::parse(filter, screen.fields()).map(drop).map_err(|error| plain(&error.to_string()))
}

/// `12:03`, `12:03:30`, `-3m`, `3m ago`: a moment at or before `clock`.
pub(crate) fn moment(text: &str, clock: Timestamp) -> Result<Timestamp, String> {
    let wrong = || format!("{text:?} is no moment: write 12:03, 12:03:30 or -3m");
    let back = text.strip_prefix('-').or_else(|| text.strip_suffix("ago")).map(str::trim);
    if let Some(back) = back {
        return deed::seconds(back).map(|seconds| clock - Duration::from_secs(seconds)).map_err(|_| wrong());
    }
    let full = match text.len() {
        5 => format!("{text}:00"),
        8 => text.to_owned(),
        _ => return Err(wrong()),
    };
    let day = clock.to_string();
    let at = Timestamp::parse(&format!("{}T{full}Z", day.get(..10).unwrap_or_default())).map_err(|_| wrong())?;
    // Just after midnight, 23:59 was yesterday.
    Ok(if at > clock { at - Duration::from_hours(24) } else { at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_people_say_them() {
        let clock = Timestamp::parse("2026-11-22T00:05:00Z").unwrap();
        let at = |text| moment(text, clock).map(|at| at.to_string()[..19].to_owned());
        assert_eq!(at("00:03"), Ok("2026-11-22T00:03:00".into()));
        assert_eq!(at("23:59:30"), Ok("2026-11-21T23:59:30".into()), "yesterday");
        assert_eq!(at("-3m"), Ok("2026-11-22T00:02:00".into()));
        assert_eq!(at("90s ago"), Ok("2026-11-22T00:03:30".into()));
        assert!(at("soon").is_err() && at("25:00").is_err() && at("").is_err() && at("-x").is_err());
    }
}
