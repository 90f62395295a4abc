//! Dot segments and slashes in a row: RFC 3986 sections 3.3 and 5.2.4.

use alloc::vec::Vec;

/// Copies `path` into `out` without its dot segments (RFC 3986 section 5.2.4).
///
/// `..` at the root stays at the root. A path that does not begin with a slash, which only `*` does
/// in HTTP, keeps its first segment, and begins with a slash when that is a dot segment.
pub(super) fn remove_dots(path: &[u8], out: &mut Vec<u8>) {
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

pub(super) fn merge_slashes(path: &mut Vec<u8>) {
    path.dedup_by(|next, before| *next == b'/' && *before == b'/');
}

/// Whether there is a dot segment, or an empty one that is neither the first nor the last.
pub(super) fn has_dots_or_empty(path: &[u8]) -> bool {
    path.split(is_slash).any(is_dots) || path.windows(2).any(|pair| pair == b"//")
}

pub(super) fn is_slash(byte: &u8) -> bool {
    *byte == b'/'
}

pub(super) fn is_dots(segment: &[u8]) -> bool {
    matches!(segment, b"." | b"..")
}
