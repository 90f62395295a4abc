//! The forms of a request path: RFC 3986 sections 2.1, 3.3 and 5.2.4.
//!
//! A proxy that matches one form and an upstream that serves another is how rules are got around.
//! So a condition is judged once per form, and this module makes the forms.

use alloc::vec::Vec;
use core::{fmt, iter};

use percent::decode;

/// How `%2F` and `%5C` in a path are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EncodedSlash {
    /// As a slash. The default: most upstreams decode before they split into segments.
    #[default]
    Decode,
    /// As data inside of a segment, for upstreams whose identifiers hold slashes.
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
    /// A `?` or `#` in a configured path (RFC 3986 section 3.3), which therefore matches nothing.
    Query,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidEscape => "a % in a path is followed by two hexadecimal digits",
            Self::EncodedNul => "a path has no NUL character",
            Self::EncodedSlash => "an encoded slash in a path is refused",
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

/// The distinct forms of one path, in buffers that keep their capacity from path to path.
///
/// ```
/// use pintle_core::syntax::path::{EncodedSlash, Forms};
///
/// let mut forms = Forms::default();
/// forms.compute(b"/%61//../b?q=/c", EncodedSlash::Decode)?;
/// assert!(forms.iter().eq([&b"/%61//../b"[..], b"/a/b", b"/b"]));
/// # Ok::<(), pintle_core::syntax::path::PathError>(())
/// ```
#[derive(Debug, Default)]
pub struct Forms {
    raw: Vec<u8>,
    decoded: Vec<u8>,
    dots_first: Vec<u8>,
    merged_first: Vec<u8>,
    /// Whether `dots_first` is a form of its own.
    has_dots_first: bool,
    /// Whether `merged_first` is.
    has_merged_first: bool,
}

impl Forms {
    /// Replaces the forms by those of `path`, whose query is left out.
    ///
    /// They are: the path as it came; the normalised path, its dot segments removed first and its
    /// slashes merged then; and the same with the slashes merged first. A client chooses which of
    /// them differ, and nobody knows which the upstream uses.
    ///
    /// Normalised is: every escape decoded, once (RFC 3986 section 2.4), but for control characters
    /// and `%25`, which stay escaped in upper case (section 6.2.2.1), and for `%2F` and `%5C`, which
    /// `slash` decides on; the backslash as a slash; dot segments removed (section 5.2.4); slashes
    /// in a row merged. Section 6.2.2.2 would decode unreserved characters only. More is decoded
    /// here because an upstream that takes `%40` for `@` must not be a way around a rule on `@`.
    ///
    /// After an error the path as it came is the only form.
    pub fn compute(&mut self, path: &[u8], slash: EncodedSlash) -> Result<(), PathError> {
        let raw = without_query(path);
        refill(&mut self.raw, raw);
        self.has_dots_first = false;
        self.has_merged_first = false;
        if is_ordinary(raw) {
            return Ok(());
        }
        decode(raw, slash, &mut self.decoded)?;
        remove_dots(&self.decoded, &mut self.dots_first);
        merge_slashes(&mut self.dots_first);
        merge_slashes(&mut self.decoded);
        remove_dots(&self.decoded, &mut self.merged_first);
        self.has_dots_first = self.dots_first != self.raw;
        self.has_merged_first =
            self.merged_first != self.raw && self.merged_first != self.dots_first;
        Ok(())
    }

    /// The path as it came, without its query.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// One to three forms, all different, the path as it came first.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        iter::once(self.raw())
            .chain(self.has_dots_first.then_some(self.dots_first.as_slice()))
            .chain(self.has_merged_first.then_some(self.merged_first.as_slice()))
    }
}

/// A configured path that is to be equal to a form, normalised as [`Forms::compute`] does it, its
/// slashes merged first.
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
    decode(path, slash, &mut decoded)?;
    merge_slashes(&mut decoded);
    Ok(decoded)
}

/// Copies `path` into `out` without its dot segments (RFC 3986 section 5.2.4).
///
/// `..` at the root stays at the root. A path that does not begin with a slash, which only `*` does
/// in HTTP, keeps its first segment, and begins with a slash when that is a dot segment.
fn remove_dots(path: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.reserve(path.len().saturating_add(1));
    let mut segments = path.split(is_slash).peekable();
    if let Some(first) = segments.next_if(|first| !is_dots(first)) {
        out.extend(first);
    }
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        if segment == b".." {
            out.truncate(out.iter().rposition(|byte| *byte == b'/').unwrap_or(0));
        } else if segment != b"." {
            out.push(b'/');
            out.extend(segment);
            continue;
        }
        if is_last {
            out.push(b'/');
        }
    }
}

fn merge_slashes(path: &mut Vec<u8>) {
    path.dedup_by(|next, before| *next == b'/' && *before == b'/');
}

fn refill(buffer: &mut Vec<u8>, bytes: &[u8]) {
    buffer.clear();
    buffer.extend_from_slice(bytes);
}

fn is_slash(byte: &u8) -> bool {
    *byte == b'/'
}

fn is_dots(segment: &[u8]) -> bool {
    matches!(segment, b"." | b"..")
}

mod percent;
#[cfg(test)]
mod tests;
