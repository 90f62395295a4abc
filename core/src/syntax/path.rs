//! The forms of a request path: RFC 3986 sections 2.1, 3.3 and 5.2.4.
//!
//! A proxy that matches one form and an upstream that serves another is how rules are got around.
//! So a condition is judged once per form, and this module makes the forms.

use alloc::vec::Vec;
use core::fmt;

pub use forms::Forms;
use percent::{LookAlikes, decode};
use segments::{is_dots, is_slash, merge_slashes, remove_dots};

/// How `%2F` and `%5C` in a path are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EncodedSlash {
    /// As a slash and as data, each in forms of its own. The default: some upstreams decode before
    /// they split into segments and some after. In a configured path it is a slash.
    #[default]
    Decode,
    /// As data inside of a segment and never as a slash, for upstreams whose identifiers hold
    /// slashes.
    Keep,
    /// Not at all: the path is an error.
    Reject,
}

/// Why a path cannot be normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// A `%` without two hexadecimal digits after it (RFC 3986 section 2.1).
    InvalidEscape,
    /// `%00`, or the byte itself: some upstreams end the path there (RFC 3986 section 7.3).
    EncodedNul,
    /// `%2F` or `%5C` where [`EncodedSlash::Reject`] is in force.
    EncodedSlash,
    /// More than 8 KiB of a path that has more than one form: to read it in all of them is work that a
    /// client must not be able to ask for (RFC 9110 section 4.1 asks for 8000 bytes of a whole URI).
    TooLong,
    /// A `?` or `#` in a configured path (RFC 3986 section 3.3), which therefore matches nothing.
    Query,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidEscape => "a % in a path is followed by two hexadecimal digits",
            Self::EncodedNul => "a path has no NUL character",
            Self::EncodedSlash => "an encoded slash in a path is refused",
            Self::TooLong => {
                "a path with escapes, dot segments or empty segments has at most 8 KiB"
            }
            Self::Query => "a path to match has no ? or #: queries are not part of it",
        })
    }
}

impl core::error::Error for PathError {}

/// Cuts `path` at its query or fragment, the first `?` or `#` (RFC 3986 section 3.3).
pub fn without_query(path: &[u8]) -> &[u8] {
    path.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default()
}

/// Whether `path`, already without its query, is its own and only form.
///
/// True when it has no `%`, no backslash, no NUL, no empty segment but a last one, and no segment
/// `.` or `..` (RFC 3986 section 3.3). `/.well-known` is ordinary. One scan for nearly all paths.
pub fn is_ordinary(path: &[u8]) -> bool {
    let mut before = 0;
    let mut may_have_dots = path.first() == Some(&b'.');
    for &byte in path {
        match byte {
            b'%' | b'\\' | 0 => return false,
            b'/' if before == b'/' => return false,
            b'.' if before == b'/' => may_have_dots = true,
            _ => {}
        }
        before = byte;
    }
    !(may_have_dots && path.split(is_slash).any(is_dots))
}

/// A configured path that is to be equal to a form, normalised as [`Forms::compute`] does it:
/// decoded, its slashes merged and its dot segments removed then.
pub fn normalise_exact(path: &[u8], slash: EncodedSlash) -> Result<Vec<u8>, PathError> {
    let decoded = decode_configured(path, slash)?;
    let mut normalised = Vec::with_capacity(decoded.len());
    remove_dots(&decoded, &mut normalised);
    Ok(normalised)
}

/// A configured path that forms are to begin with.
///
/// Like [`normalise_exact`], but what follows the last slash may be half a segment and keeps its
/// dots: `/.` also begins `/.git`.
pub fn normalise_prefix(path: &[u8], slash: EncodedSlash) -> Result<Vec<u8>, PathError> {
    let decoded = decode_configured(path, slash)?;
    let complete =
        decoded.iter().rposition(|byte| *byte == b'/').map_or(0, |last| last.saturating_add(1));
    let (segments, rest) = decoded.split_at_checked(complete).unwrap_or((&decoded, &[]));
    let mut normalised = Vec::with_capacity(decoded.len());
    remove_dots(segments, &mut normalised);
    normalised.extend(rest);
    Ok(normalised)
}

/// A configured path that forms are to end with: decoded, slashes merged, and its dots kept, for
/// what they would remove is not part of it.
pub fn normalise_suffix(path: &[u8], slash: EncodedSlash) -> Result<Vec<u8>, PathError> {
    decode_configured(path, slash)
}

/// A configured path, decoded and its slashes merged.
fn decode_configured(path: &[u8], slash: EncodedSlash) -> Result<Vec<u8>, PathError> {
    if without_query(path).len() != path.len() {
        return Err(PathError::Query);
    }
    let mut decoded = Vec::new();
    decode(path, LookAlikes::of(path, slash)?, &mut decoded)?;
    merge_slashes(&mut decoded);
    Ok(decoded)
}

mod forms;
mod percent;
mod segments;
#[cfg(test)]
mod tests;
