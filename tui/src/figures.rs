//! Numbers as people read them, and text from elsewhere made harmless. Screen and `--once` share it, so that the same
//! number never looks different in two places.

use shared::{clock::Timestamp, protocol::admin::Unit};
use std::{fmt::Write as _, time::Duration};

/// A count with separators: `48,213`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A rate in at most five characters: `0`, `0.4`, `18.2k`, `211k`.
pub(crate) fn rate(value: f64) -> String {
    match value {
        v if !v.is_finite() || v < 0.0 => "?".into(),
        v if v < 0.05 => "0".into(),
        v if v < 99.95 => format!("{v:.1}"),
        v if v < 999.5 => format!("{v:.0}"),
        v if v < 99_950.0 => format!("{:.1}k", v / 1e3),
        v if v < 999_500.0 => format!("{:.0}k", v / 1e3),
        v if v < 99.95e6 => format!("{:.1}M", v / 1e6),
        v => format!("{:.0}M", v / 1e6),
    }
}

/// A share as percent: `0.42%`, `95%`.
pub(crate) fn percent(share: f64) -> String {
    match share * 100.0 {
        p if !p.is_finite() => "?".into(),
        p if p < 0.005 => "0%".into(),
        p if p < 9.995 => format!("{p:.2}%"),
        p => format!("{p:.0}%"),
    }
}

/// Bytes in binary units: `812K`, `1.9G`.
#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
pub(crate) fn bytes(number: u64) -> String {
    let mut value = number as f64;
    for unit in ["B", "K", "M", "G", "T"] {
        if value < 1_000.0 {
            let digits = usize::from(value < 10.0 && unit != "B");
            return format!("{value:.digits$}{unit}");
        }
        value /= 1_024.0;
    }
    format!("{value:.0}P")
}

/// A duration in its two largest units: `41s`, `2h13m`, `6d04h`.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match () {
        () if minutes == 0 => format!("{seconds}s"),
        () if hours == 0 => format!("{minutes}m{:02}s", seconds % 60),
        () if days == 0 => format!("{hours}h{:02}m", minutes % 60),
        () => format!("{days}d{:02}h", hours % 24),
    }
}

/// Microseconds as milliseconds: `0.4ms`, `84ms`.
#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
pub(crate) fn millis(us: u64) -> String {
    let ms = us as f64 / 1e3;
    if ms < 9.95 { format!("{ms:.1}ms") } else { format!("{ms:.0}ms") }
}

/// Text from elsewhere without anything a terminal would obey: control characters and the ones that turn the reading
/// direction are written out. ratatui drops control characters by itself; a pipe does not.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hostile(c) {
            write!(out, "\\u{{{:x}}}", u32::from(c)).expect("a string takes any text");
        } else {
            out.push(c);
        }
    }
    out
}

/// Whether a terminal would obey this character instead of showing it.
pub(crate) fn is_hostile(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A duration in milliseconds, as [`millis`].
pub(crate) fn latency(time: Duration) -> String {
    millis(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

/// A number in the unit it counts.
pub(crate) fn measure(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Count => count(whole(value)),
        Unit::PerSecond => format!("{}/s", rate(value)),
        Unit::Bytes => bytes(whole(value)),
        Unit::BytesPerSecond => format!("{}/s", bytes(whole(value))),
        Unit::Millis => millis(whole(value * 1e3)),
        Unit::Seconds => span(Duration::from_secs(whole(value))),
        Unit::Share => percent(value),
        Unit::Cores => format!("{value:.2}"),
    }
}

/// A count that came as a number with digits; nothing below zero.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded and bounded first")]
pub(crate) fn whole(value: f64) -> u64 {
    value.round().max(0.0) as u64
}

/// Time of the day: `12:04:31Z`.
pub(crate) fn clock(at: Timestamp) -> String {
    at.to_string().get(11..19).map(|time| format!("{time}Z")).unwrap_or_default()
}

/// Date and time of the day: `2026-11-22 12:04:31Z`.
pub(crate) fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{} {}", text.get(..10).unwrap_or_default(), clock(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_keep_their_order_of_magnitude() {
        assert_eq!([0, 999, 1_000, 48_213, 1_000_000].map(count), ["0", "999", "1,000", "48,213", "1,000,000"]);
        assert_eq!(
            [0.0, 0.42, 99.96, 999.6, 18_200.0, 211_000.0, 1.5e6, f64::NAN, -1.0].map(rate),
            ["0", "0.4", "100", "1.0k", "18.2k", "211k", "1.5M", "?", "?"]
        );
        assert_eq!([0.0, 0.0042, 0.95, 1.0].map(percent), ["0%", "0.42%", "95%", "100%"]);
        assert_eq!([0, 999, 1_024, 2_040_109_466].map(bytes), ["0B", "999B", "1.0K", "1.9G"]);
        assert_eq!([5, 125, 8_000, 532_800].map(|s| span(Duration::from_secs(s))), ["5s", "2m05s", "2h13m", "6d04h"]);
        assert_eq!([400, 84_000].map(millis), ["0.4ms", "84ms"]);
    }

    #[test]
    fn nothing_a_terminal_would_obey_survives() {
        assert_eq!(plain("a\u{1b}[31mb\r\n\u{202e}c"), "a\\u{1b}[31mb\\u{d}\\u{a}\\u{202e}c");
        assert_eq!(plain("김민준 · é"), "김민준 · é");
    }
}
