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

/// The path as it came, and what upstreams make of it: decoded or not, its dot segments removed or
/// its slashes merged, both in either order or neither. Some may be the same.
pub fn forms(path: &[u8], slash: EncodedSlash) -> Option<Vec<Vec<u8>>> {
    let decoded = decode(path, slash)?;
    let slashed = turn_backslashes(path);
    let mut forms = vec![path.to_vec()];
    forms.extend(resolved(&slashed));
    forms.push(decoded.clone());
    forms.extend(resolved(&decoded));
    Some(forms)
}

/// The two forms on which everything is done.
pub fn normalised(decoded: &[u8]) -> [Vec<u8>; 2] {
    [merge(&remove_dots(decoded)), remove_dots(&merge(decoded))]
}

pub fn turn_backslashes(path: &[u8]) -> Vec<u8> {
    path.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect()
}

fn resolved(text: &[u8]) -> Vec<Vec<u8>> {
    let [dots_first, merged_first] = normalised(text);
    vec![merge(text), remove_dots(text), dots_first, merged_first]
}

/// The value of two hexadecimal digits.
pub fn hex(digits: &[u8]) -> Option<u8> {
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn remove_dots(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    let mut ends_with_slash = false;
    for (i, segment) in path.split(|byte| *byte == b'/').enumerate() {
        ends_with_slash = matches!(segment, b"." | b"..");
        match (i, segment) {
            // Nothing before the slash that the path begins with.
            (0, b"") | (_, b".") => {}
            (_, b"..") => drop(kept.pop()),
            (0, first) => kept.push(first.to_vec()),
            (_, segment) => kept.push([b"/", segment].concat()),
        }
    }
    let mut path = kept.concat();
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
