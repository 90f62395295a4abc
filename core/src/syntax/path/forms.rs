//! What the upstreams of this world may make of one path.

use alloc::vec::Vec;
use core::{iter, mem};

use super::percent::{LookAlikes, decode};
use super::segments::{has_dots_or_empty, merge_slashes, remove_dots};
use super::{EncodedSlash, PathError, is_ordinary, without_query};

/// The distinct forms of one path, in buffers that keep their capacity from path to path.
///
/// ```
/// use pintle_core::syntax::path::{EncodedSlash, Forms};
///
/// let mut forms = Forms::default();
/// forms.compute(b"/%61/../b?q=/c", EncodedSlash::Decode)?;
/// assert!(forms.iter().eq([&b"/%61/../b"[..], b"/a/../b", b"/b"]));
/// # Ok::<(), pintle_core::syntax::path::PathError>(())
/// ```
#[derive(Debug, Default)]
pub struct Forms {
    raw: Vec<u8>,
    others: Texts,
    /// The text that steps are taken on, what they make of it, a copy to make it from, and that
    /// decoded.
    text: Vec<u8>,
    stepped: Vec<u8>,
    spare: Vec<u8>,
    decoded: Vec<u8>,
}

/// What an upstream may do with the segments of a path besides decoding them.
#[derive(Clone, Copy)]
enum Step {
    /// Slashes in a row become one, as in nginx (`merge_slashes`) and Go (`path.Clean`).
    Merge,
    /// Dot segments are removed (RFC 3986 section 5.2.4), as in the URL parsers of clients and
    /// servers.
    RemoveDots,
}

/// What upstreams do of it, in either order. To do one of them again changes nothing: a merged text
/// without its dot segments is merged, and merging makes no dot segment.
const PIPELINES: [&[Step]; 5] = [
    &[],
    &[Step::Merge],
    &[Step::RemoveDots],
    &[Step::RemoveDots, Step::Merge],
    &[Step::Merge, Step::RemoveDots],
];

/// The longest path, without its query, that is read in more than one form: see
/// [`PathError::TooLong`].
const LONGEST_BYTES: usize = 8 * 1024;

/// What a buffer may keep from path to path, in bytes: one odd path must not hold its memory for
/// ever.
const KEPT_BYTES: usize = 64 * 1024;

impl Forms {
    /// Replaces the forms by those of `path`, whose query is left out: what the upstreams of this
    /// world may serve when they are sent `path`.
    ///
    /// A client chooses a path that they read differently, and nobody knows how the upstream reads
    /// it; it may be two, a front that changes the path and the application behind. To judge only
    /// the path as it came and the one on which all of it is done would leave those in between:
    /// `/%70rivate/../x`, decoded and no more, begins with `/private`, as does
    /// `/a/../private/%2e%2e/x` without its dot segments but not decoded; the path on which all is
    /// done is `/x` both times. So there is a form for each choice among these, besides the path as
    /// it came:
    ///
    /// - Three characters look like a slash: `\`, `%5C` and `%2F`. Each is one or is none, in every
    ///   combination. All are slashes to Windows and to what decodes first; of a URL parser (WHATWG,
    ///   Envoy's `normalize_path`) only `\` is one, of nginx and of Go's `path.Clean` only `%2F`,
    ///   of a router that splits at `/` and decodes the segments none. `/x\y/../private` is
    ///   `/x/private` to one and `/private` to the other. A path without them pays nothing for this.
    /// - Dot segments are removed, slashes in a row merged, both in either order, or neither.
    /// - That is done on the path as it is, on the decoded one, or on the path as it is and it is
    ///   decoded after: `/x/../%70rivate/%2e%2e/y` is `/private/../y` where a front removes the
    ///   literal dot segments and the application decodes.
    /// - What was no slash then may become one after all when the segments are taken apart:
    ///   `/x%2Fy/%2e%2e/private%2Fz` is `/private%2Fz` to a URL parser and `/private/z` to what
    ///   decodes its result.
    ///
    /// Decoded is: every escape, once (RFC 3986 section 2.4), but for control characters and `%25`,
    /// which stay escaped in upper case (section 6.2.2.1), as do `%2F` and `%5C` that are no slash.
    /// Section 6.2.2.2 would decode unreserved characters only. More is decoded here because an
    /// upstream that takes `%40` for `@` must not be a way around a rule on `@`. Before it is
    /// decoded only a literal `.` or `..` is a dot segment and an escaped slash is none.
    ///
    /// `slash` narrows the choice: `%2F` and `%5C` are never slashes under [`EncodedSlash::Keep`] and
    /// an error under [`EncodedSlash::Reject`]. A `\` as it stands is both under each.
    ///
    /// After an error the path as it came is the only form.
    pub fn compute(&mut self, path: &[u8], slash: EncodedSlash) -> Result<(), PathError> {
        let raw = without_query(path);
        self.others.clear();
        for buffer in self.buffers() {
            buffer.clear();
            if buffer.capacity() > KEPT_BYTES {
                buffer.shrink_to(KEPT_BYTES);
            }
        }
        self.raw.extend_from_slice(raw);
        if is_ordinary(raw) {
            return Ok(());
        }
        if raw.len() > LONGEST_BYTES {
            return Err(PathError::TooLong);
        }
        let done = self.compute_others(slash);
        if done.is_err() {
            self.others.clear();
        }
        done
    }

    fn compute_others(&mut self, slash: EncodedSlash) -> Result<(), PathError> {
        let Self { raw, others, text, stepped, spare, decoded } = self;
        let all = LookAlikes::of(raw, slash)?;
        // No form is longer. To remove dot segments swaps two of these, so each has room for any.
        for buffer in [&mut *text, stepped, spare, decoded] {
            buffer.reserve(raw.len());
        }
        for slashes in all.subsets() {
            for decodes_first in [false, true] {
                // To decode the same again changes nothing.
                let afterwards =
                    [(!decodes_first).then_some(slashes), (slashes != all).then_some(all)];
                if decodes_first {
                    decode(raw, slashes, text)?;
                } else {
                    refill(text, raw);
                    if slashes.intersects(LookAlikes::BACKSLASH) {
                        turn_backslashes(text);
                    }
                }
                let most = if has_dots_or_empty(text) { PIPELINES.len() } else { 1 };
                for steps in PIPELINES.iter().take(most) {
                    refill(stepped, text);
                    steps.iter().for_each(|step| step.apply(stepped, spare));
                    others.add(raw, stepped);
                    for slashes in afterwards.into_iter().flatten() {
                        decode(stepped, slashes, decoded)?;
                        others.add(raw, decoded);
                    }
                }
            }
        }
        Ok(())
    }

    fn buffers(&mut self) -> [&mut Vec<u8>; 6] {
        let Self { raw, others, text, stepped, spare, decoded } = self;
        [raw, &mut others.bytes, text, stepped, spare, decoded]
    }

    /// The path as it came, without its query.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// One form or more, all different, the path as it came first. None is longer than that.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        iter::once(self.raw()).chain(self.others.iter())
    }
}

impl Step {
    /// Takes this step on `text`, with `spare` for a copy.
    fn apply(self, text: &mut Vec<u8>, spare: &mut Vec<u8>) {
        match self {
            Self::Merge => merge_slashes(text),
            Self::RemoveDots => {
                remove_dots(text, spare);
                mem::swap(text, spare);
            }
        }
    }
}

/// Texts one after the other, as many as come.
#[derive(Debug, Default)]
struct Texts {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Texts {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Adds `text`, unless it is `raw` or here already.
    fn add(&mut self, raw: &[u8], text: &[u8]) {
        if text != raw && !self.iter().any(|other| other == text) {
            self.bytes.extend_from_slice(text);
            self.ends.push(self.bytes.len());
        }
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends
            .iter()
            .map(move |&end| self.bytes.get(mem::replace(&mut start, end)..end).unwrap_or_default())
    }
}

fn turn_backslashes(path: &mut [u8]) {
    path.iter_mut().filter(|byte| **byte == b'\\').for_each(|byte| *byte = b'/');
}

fn refill(buffer: &mut Vec<u8>, bytes: &[u8]) {
    buffer.clear();
    buffer.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests;
