//! The statuses that the filter is for.

use alloc::string::String;
#[cfg(feature = "schema")]
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, de};

use crate::config::{Load, Pointer};

/// A set of statuses from 400 to 599.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Statuses([u128; 2]);

impl Statuses {
    /// All of them.
    pub(crate) const ALL: Self = Self([u128::MAX, (1 << 72) - 1]);

    const NONE: Self = Self([0; 2]);

    /// From `first` to `last`, both of them in it.
    pub(crate) fn range(first: u16, last: u16) -> Self {
        let mut range = Self::NONE;
        (first..=last).for_each(|status| range.add(status));
        range
    }

    pub(crate) fn have(&self, status: u16) -> bool {
        place(status).is_some_and(|(word, bit)| self.0.get(word).is_some_and(|w| w & bit != 0))
    }

    fn add(&mut self, status: u16) {
        if let Some((word, bit)) = place(status)
            && let Some(word) = self.0.get_mut(word)
        {
            *word |= bit;
        }
    }

    fn or(self, other: Self) -> Self {
        let ([a, b], [c, d]) = (self.0, other.0);
        Self([a | c, b | d])
    }
}

/// The word, and the bit in it.
fn place(status: u16) -> Option<(usize, u128)> {
    let number = status.checked_sub(400).filter(|number| *number < 200)?;
    Some((usize::from(number >> 7), 1_u128.wrapping_shl(u32::from(number & 127))))
}

/// `404`, `"500-599"`, or a list of these.
pub(super) struct StatusesFields {
    listed: bool,
    parts: Vec<StatusPart>,
}

enum StatusPart {
    One(u64),
    Text(String),
}

impl StatusesFields {
    pub(super) fn compile(self, at: &Pointer<'_>, load: &mut Load) -> Option<Statuses> {
        let Self { listed, parts } = self;
        let compile = |part: StatusPart, at: &Pointer<'_>, load: &mut Load| {
            let expected = "a status, or a range such as `500-599`, from 400 to 599";
            load.expect(at, part.statuses(), expected)
        };
        let parts: Vec<Statuses> = if listed {
            load.each(parts, at, compile)?
        } else {
            let parts = parts.into_iter().map(|part| compile(part, at, load));
            parts.collect::<Option<_>>()?
        };
        Some(parts.into_iter().fold(Statuses::NONE, Statuses::or))
    }
}

impl StatusPart {
    fn statuses(self) -> Option<Statuses> {
        let (first, last) = match &self {
            Self::One(status) => {
                let status = u16::try_from(*status).ok()?;
                (status, status)
            }
            Self::Text(text) => match text.split_once('-') {
                Some((first, last)) => (number(first)?, number(last)?),
                None => (number(text)?, number(text)?),
            },
        };
        let fits = 400 <= first && first <= last && last <= 599;
        fits.then(|| Statuses::range(first, last))
    }
}

/// Three digits, blanks around them aside.
fn number(text: &str) -> Option<u16> {
    three_digits(text.trim_ascii())
}

pub(crate) fn three_digits(text: &str) -> Option<u16> {
    let three = text.len() == 3 && text.bytes().all(|digit| digit.is_ascii_digit());
    if three { text.parse().ok() } else { None }
}

impl<'de> Deserialize<'de> for StatusesFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrList;
        impl<'de> Visitor<'de> for OneOrList {
            type Value = StatusesFields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a status, a range such as `500-599`, or a list of these")
            }
            fn visit_u64<E: de::Error>(self, status: u64) -> Result<Self::Value, E> {
                Ok(StatusesFields { listed: false, parts: Vec::from([StatusPart::One(status)]) })
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                let part = StatusPart::Text(text.into());
                Ok(StatusesFields { listed: false, parts: Vec::from([part]) })
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = list.next_element()? {
                    parts.push(part);
                }
                Ok(StatusesFields { listed: true, parts })
            }
        }
        deserializer.deserialize_any(OneOrList)
    }
}

impl<'de> Deserialize<'de> for StatusPart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrText;
        impl Visitor<'_> for NumberOrText {
            type Value = StatusPart;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a status, or a range such as `500-599`")
            }
            fn visit_u64<E: de::Error>(self, status: u64) -> Result<StatusPart, E> {
                Ok(StatusPart::One(status))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<StatusPart, E> {
                Ok(StatusPart::Text(text.into()))
            }
        }
        deserializer.deserialize_any(NumberOrText)
    }
}

/// One status, or a range of them.
#[cfg(feature = "schema")]
#[derive(schemars::JsonSchema)]
#[schemars(rename = "problem_status")]
#[serde(untagged)]
#[expect(dead_code, reason = "read by the schema alone")]
pub(super) enum StatusesSchema {
    /// A status.
    One(#[schemars(range(min = 400, max = 599))] u16),
    /// A status, or a range with both of its ends.
    Range(#[schemars(regex(pattern = r"^ *[45][0-9]{2} *(- *[45][0-9]{2} *)?$"))] String),
}
