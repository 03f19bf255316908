//! What must never happen, counted by name with the first case of each, so that a miss says where to look.

use std::collections::BTreeMap;

/// Broken promises.
#[derive(Debug, Default)]
pub(super) struct Breaches(BTreeMap<&'static str, (u64, String)>);

impl Breaches {
    /// Once more.
    pub(super) fn note(&mut self, what: &'static str, example: String) {
        self.0.entry(what).or_insert((0, example)).0 += 1;
    }

    /// So many at once.
    pub(super) fn count(&mut self, what: &'static str, count: u64) {
        if count > 0 {
            self.0.entry(what).or_default().0 += count;
        }
    }

    /// Takes over what another one has.
    pub(super) fn add(&mut self, other: Self) {
        for (what, (count, example)) in other.0 {
            let entry = self.0.entry(what).or_insert((0, example));
            entry.0 += count;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A line each.
    pub(super) fn lines(&self) -> Vec<String> {
        let line = |(what, (count, example)): (&&str, &(u64, String))| {
            if example.is_empty() {
                format!("{count} × {what}")
            } else {
                format!("{count} × {what} (such as {example})")
            }
        };
        self.0.iter().map(line).collect()
    }
}
