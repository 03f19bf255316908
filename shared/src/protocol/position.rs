//! Positions in a room: `"<epoch>:<seq>"`.
//!
//! An epoch names one unbroken life of a room's history; when the history is lost (a flushed engine, a failover
//! that forgot writes) the next life gets another epoch, and positions of the old one answer `recovered:false`
//! instead of silently matching other events. The idea is Centrifugo's.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{fmt, str::FromStr};

/// One life of a room's history, at most eight characters of `[0-9a-z]`, kept inline.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// Largest number an epoch is made from: eight base-36 digits.
    const MAX: u64 = 36_u64.pow(8) - 1;

    /// An epoch from any number, such as random bits.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits % (Self::MAX + 1))
    }

    /// A random epoch: two lives of one room share it once in 2.8 × 10¹² times.
    pub fn random() -> Self {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).expect("the operating system has randomness");
        Self::from_bits(u64::from_le_bytes(bytes))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [b'0'; 8];
        let (mut rest, mut start) = (self.0, digits.len());
        loop {
            start -= 1;
            digits[start] = b"0123456789abcdefghijklmnopqrstuvwxyz"[usize::try_from(rest % 36).unwrap_or(0)];
            rest /= 36;
            if rest == 0 {
                break;
            }
        }
        f.write_str(std::str::from_utf8(&digits[start..]).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Epoch {
    type Err = BadPosition;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let canonical = !text.is_empty()
            && text.len() <= 8
            && text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
            && (text == "0" || !text.starts_with('0'));
        if canonical { u64::from_str_radix(text, 36).map(Self).map_err(|_| BadPosition) } else { Err(BadPosition) }
    }
}

/// Where a reader is in a room. `seq` counts events from 1; 0 is "before the first".
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// Which life of the history.
    pub epoch: Epoch,
    /// The last event seen.
    pub seq: u64,
}

/// The text is not `<epoch>:<seq>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a position has the form <epoch>:<seq>")]
pub struct BadPosition;

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch, self.seq)
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Position {
    type Err = BadPosition;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (epoch, seq) = text.split_once(':').ok_or(BadPosition)?;
        Ok(Self { epoch: epoch.parse()?, seq: parse_seq(seq).ok_or(BadPosition)? })
    }
}

/// Reads a decimal sequence number: digits only, no sign, no leading zeros.
pub fn parse_seq(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn positions_survive_their_text(bits: u64, seq: u64) {
            let position = Position { epoch: Epoch::from_bits(bits), seq };
            prop_assert_eq!(position.to_string().parse::<Position>(), Ok(position));
        }

        #[test]
        fn any_text_is_read_or_refused_without_panic(text in ".{0,40}") {
            let _ = text.parse::<Position>();
        }
    }

    #[test]
    fn only_the_canonical_text_is_a_position() {
        for bad in
            ["", ":", "k3", "k3:", ":1", "K3:1", "k3:-1", "k3:+1", "k3:01", "0k:1", "k3:1:2", "123456789:1", "k3: 1"]
        {
            assert!(bad.parse::<Position>().is_err(), "{bad:?}");
        }
    }
}
