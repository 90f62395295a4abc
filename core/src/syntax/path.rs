//! The forms of a request path: RFC 3986 sections 2.1, 3.3 and 5.2.4.
//!
//! A proxy that matches one form and an upstream that serves another is how rules are got around.
//! So a condition is judged once per form, and this module makes the forms.

use alloc::vec::Vec;
use core::{fmt, iter, mem};

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

/// How many forms of a path there are besides the one that came: four of the text as it came, and
/// five of the decoded text.
const MOST_OTHERS: usize = 9;

/// The distinct forms of one path, in buffers that keep their capacity from path to path.
///
/// ```
/// use pintle_core::syntax::path::{EncodedSlash, Forms};
///
/// let mut forms = Forms::default();
/// forms.compute(b"/%61/../b?q=/c", EncodedSlash::Decode)?;
/// assert!(forms.iter().eq([&b"/%61/../b"[..], b"/b", b"/a/../b"]));
/// # Ok::<(), pintle_core::syntax::path::PathError>(())
/// ```
#[derive(Debug, Default)]
pub struct Forms {
    raw: Vec<u8>,
    /// The first `count` of them are forms.
    others: [Vec<u8>; MOST_OTHERS],
    count: usize,
    /// The path as it came, but for its backslashes.
    slashed: Vec<u8>,
    decoded: Vec<u8>,
    merged: Vec<u8>,
}

impl Forms {
    /// Replaces the forms by those of `path`, whose query is left out: what the upstreams of this
    /// world may serve when they are sent `path`.
    ///
    /// Some decode it and some do not; some remove dot segments, some merge slashes, some do both in
    /// either order and some do neither. A client chooses a path for which these differ, and nobody
    /// knows which the upstream does. To judge only the path as it came and the one on which all of
    /// it is done would leave the upstreams in between: `/%70rivate/../x`, decoded and no more,
    /// begins with `/private`, as does `/a/../private/%2e%2e/x` without its dot segments but not
    /// decoded, and `//private/%2e%2e/x` merged and no more; the path on which all is done is `/x`
    /// each time. So the forms are
    ///
    /// | | as it came | decoded |
    /// |---|---|---|
    /// | nothing more | the first form | yes |
    /// | slashes in a row merged | yes | yes |
    /// | dot segments removed | yes | yes |
    /// | dot segments removed, then slashes merged | yes | normalised |
    /// | slashes merged, then dot segments removed | yes | normalised |
    ///
    /// Decoded is: every escape, once (RFC 3986 section 2.4), but for control characters and `%25`,
    /// which stay escaped in upper case (section 6.2.2.1), and for `%2F` and `%5C`, which `slash`
    /// decides on. Section 6.2.2.2 would decode unreserved characters only. More is decoded here
    /// because an upstream that takes `%40` for `@` must not be a way around a rule on `@`.
    ///
    /// Where the text is not decoded only a literal `.` or `..` is a dot segment (section 5.2.4) and
    /// an escaped slash is none. The backslash is a slash in every form but the first. To turn the
    /// backslashes alone gives no form of its own: a configured path holds neither a backslash nor
    /// slashes in a row, so what that text begins with, ends with or is, the merged text does too,
    /// and what it does not, the first form does not either.
    ///
    /// After an error the path as it came is the only form.
    pub fn compute(&mut self, path: &[u8], slash: EncodedSlash) -> Result<(), PathError> {
        let raw = without_query(path);
        refill(&mut self.raw, raw);
        self.count = 0;
        if is_ordinary(raw) { Ok(()) } else { self.compute_others(slash) }
    }

    fn compute_others(&mut self, slash: EncodedSlash) -> Result<(), PathError> {
        let mut decoded = mem::take(&mut self.decoded);
        let result = decode(&self.raw, slash, &mut decoded);
        if result.is_ok() {
            let mut slashed = mem::take(&mut self.slashed);
            refill(&mut slashed, &self.raw);
            turn_backslashes(&mut slashed);
            self.add_resolved(&slashed);
            if decoded != self.raw {
                self.add(|form| refill(form, &decoded));
            }
            if decoded != slashed {
                self.add_resolved(&decoded);
            }
            self.slashed = slashed;
        }
        self.decoded = decoded;
        result
    }

    /// Adds what `text` becomes without slashes in a row, dot segments and both.
    fn add_resolved(&mut self, text: &[u8]) {
        let has_dots = text.split(is_slash).any(is_dots);
        let mut merged = mem::take(&mut self.merged);
        refill(&mut merged, text);
        merge_slashes(&mut merged);
        self.add(|form| refill(form, &merged));
        if !has_dots {
            self.add(|form| refill(form, text));
        } else {
            self.add(|form| remove_dots(text, form));
            self.add(|form| {
                remove_dots(text, form);
                merge_slashes(form);
            });
            self.add(|form| remove_dots(&merged, form));
        }
        self.merged = merged;
    }

    /// Adds what `write` writes, unless it is a form already.
    fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        // There is always a next one, for that is how many there are.
        if let Some((forms, [next, ..])) = self.others.split_at_mut_checked(self.count) {
            write(next);
            if *next != self.raw && !forms.contains(next) {
                self.count = self.count.saturating_add(1);
            }
        }
    }

    /// The path as it came, without its query.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// One to ten forms, all different, the path as it came first.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        iter::once(self.raw()).chain(self.others.iter().take(self.count).map(Vec::as_slice))
    }
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
    out.reserve(path.len());
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

fn turn_backslashes(path: &mut [u8]) {
    path.iter_mut().filter(|byte| **byte == b'\\').for_each(|byte| *byte = b'/');
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
