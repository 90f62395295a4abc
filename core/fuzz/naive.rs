//! The forms of a path, once more and as simply as can be: what the real ones are held against.

use pintle_core::syntax::path::EncodedSlash;

/// Every escape decoded that is to be, backslashes as slashes; `None` for what no filter judges.
pub fn decode(path: &[u8], slash: EncodedSlash) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < path.len() {
        let byte = if path[at] == b'%' { hex(path.get(at + 1..at + 3)?)? } else { path[at] };
        let escaped = path[at] == b'%';
        at += if escaped { 3 } else { 1 };
        let is_slash = byte == b'/' || byte == b'\\';
        if byte == 0 || (escaped && is_slash && slash == EncodedSlash::Reject) {
            return None;
        }
        let stays =
            byte == b'%' || byte.is_ascii_control() || (is_slash && slash == EncodedSlash::Keep);
        if escaped && stays {
            decoded.extend(format!("%{byte:02X}").into_bytes());
        } else {
            decoded.push(if byte == b'\\' { b'/' } else { byte });
        }
    }
    Some(decoded)
}

/// For a path that begins with a slash.
pub fn dots_first(path: &[u8]) -> Vec<u8> {
    merge(&remove_dots(path))
}

/// For a path that begins with a slash.
pub fn merged_first(path: &[u8]) -> Vec<u8> {
    remove_dots(&merge(path))
}

/// The value of two hexadecimal digits.
pub fn hex(digits: &[u8]) -> Option<u8> {
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn remove_dots(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut ends_with_slash = false;
    for segment in path.split(|byte| *byte == b'/').skip(1) {
        ends_with_slash = true;
        match segment {
            b"." => {}
            b".." => drop(kept.pop()),
            _ => {
                kept.push(segment);
                ends_with_slash = false;
            }
        }
    }
    let mut path: Vec<u8> = kept.iter().flat_map(|segment| [b"/", *segment].concat()).collect();
    if ends_with_slash {
        path.push(b'/');
    }
    path
}

fn merge(path: &[u8]) -> Vec<u8> {
    let mut merged: Vec<u8> = Vec::new();
    for byte in path {
        if *byte != b'/' || merged.last() != Some(&b'/') {
            merged.push(*byte);
        }
    }
    merged
}
