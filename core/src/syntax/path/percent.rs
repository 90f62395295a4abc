//! Percent-decoding: RFC 3986 sections 2.1 and 2.4.

use alloc::vec::Vec;
use core::iter;

use super::{EncodedSlash, PathError};

/// Percent-decodes `path` into `out` (RFC 3986 section 2.1), `slashes` taken for slashes and the
/// other look-alikes for data: a backslash stays, `%5C` and `%2F` stay escaped in upper case. What
/// it writes decodes to itself.
pub(super) fn decode(path: &[u8], slashes: LookAlikes, out: &mut Vec<u8>) -> Result<(), PathError> {
    out.clear();
    out.reserve(path.len());
    for unit in units(path) {
        let unit = unit?;
        if slashes.intersects(unit.look_alike()) {
            out.push(b'/');
            continue;
        }
        match unit {
            Unit::Escape(byte, [high, low]) if stays_escaped(byte) => {
                out.extend([b'%', high.to_ascii_uppercase(), low.to_ascii_uppercase()]);
            }
            Unit::Byte(byte) | Unit::Escape(byte, _) => out.push(byte),
        }
    }
    Ok(())
}

/// A set of the characters that look like a slash and are one for some upstreams only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LookAlikes(u8);

impl LookAlikes {
    const NONE: Self = Self(0);
    pub(super) const BACKSLASH: Self = Self(1);
    const ENCODED_BACKSLASH: Self = Self(2);
    const ENCODED_SLASH: Self = Self(4);
    const ALL: u8 = 7;

    /// Those in `path` that may be slashes; fails for what [`PathError`] names.
    pub(super) fn of(path: &[u8], slash: EncodedSlash) -> Result<Self, PathError> {
        let mut found = Self::NONE;
        for unit in units(path) {
            let look_alike = unit?.look_alike();
            let is_raw = matches!(look_alike, Self::NONE | Self::BACKSLASH);
            match slash {
                EncodedSlash::Reject if !is_raw => return Err(PathError::EncodedSlash),
                EncodedSlash::Keep if !is_raw => {}
                _ => found = Self(found.0 | look_alike.0),
            }
        }
        Ok(found)
    }

    /// Every set of none to all of these, all of them first.
    pub(super) fn subsets(self) -> impl Iterator<Item = Self> {
        (0..=Self::ALL).rev().filter(move |set| set & !self.0 == 0).map(Self)
    }

    pub(super) fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// A character as it stands, or an escape: its byte and its digits.
enum Unit {
    Byte(u8),
    Escape(u8, [u8; 2]),
}

impl Unit {
    fn look_alike(&self) -> LookAlikes {
        match self {
            Self::Byte(b'\\') => LookAlikes::BACKSLASH,
            Self::Escape(b'\\', _) => LookAlikes::ENCODED_BACKSLASH,
            Self::Escape(b'/', _) => LookAlikes::ENCODED_SLASH,
            Self::Byte(_) | Self::Escape(..) => LookAlikes::NONE,
        }
    }
}

/// The characters and escapes of `path`, up to the first that is invalid.
fn units(path: &[u8]) -> impl Iterator<Item = Result<Unit, PathError>> {
    let mut rest = path;
    iter::from_fn(move || {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        Some(match byte {
            0 => Err(PathError::EncodedNul),
            b'%' => escape(&mut rest),
            _ => Ok(Unit::Byte(byte)),
        })
    })
}

fn escape(rest: &mut &[u8]) -> Result<Unit, PathError> {
    let (&digits, after) = rest.split_first_chunk::<2>().ok_or(PathError::InvalidEscape)?;
    *rest = after;
    let [Some(upper), Some(lower)] = digits.map(hex) else {
        return Err(PathError::InvalidEscape);
    };
    match upper << 4 | lower {
        0 => Err(PathError::EncodedNul),
        byte => Ok(Unit::Escape(byte, digits)),
    }
}

/// Whether an escape of `byte` that is no slash stays one: decoded, a `%` would be decoded twice, and
/// the others would be what they were escaped not to be.
fn stays_escaped(byte: u8) -> bool {
    matches!(byte, b'%' | b'/' | b'\\') || byte.is_ascii_control()
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit & 0x0f),
        b'a'..=b'f' | b'A'..=b'F' => Some((digit & 0x0f).wrapping_add(9)),
        _ => None,
    }
}
