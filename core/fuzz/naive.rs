//! The forms of a path, once more and as simply as can be: what the real ones are held against.

use pintle_core::syntax::path::EncodedSlash;

/// Which of the characters that look like a slash are one.
#[derive(Clone, Copy)]
pub struct Slashes {
    pub backslash: bool,
    pub encoded_backslash: bool,
    pub encoded_slash: bool,
}

impl Slashes {
    /// As many as may be.
    pub fn most(slash: EncodedSlash) -> Self {
        let encoded = slash != EncodedSlash::Keep;
        Self { backslash: true, encoded_backslash: encoded, encoded_slash: encoded }
    }

    /// Any choice among those.
    fn choices(self) -> impl Iterator<Item = Self> {
        (0..8).map(move |choice| Self {
            backslash: self.backslash && choice & 1 == 0,
            encoded_backslash: self.encoded_backslash && choice & 2 == 0,
            encoded_slash: self.encoded_slash && choice & 4 == 0,
        })
    }
}

/// Every escape decoded that is to be; `None` for what is no path.
pub fn decode(path: &[u8], slashes: Slashes) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < path.len() {
        let escaped = path[at] == b'%';
        let byte = if escaped { hex(path.get(at + 1..at + 3)?)? } else { path[at] };
        at += if escaped { 3 } else { 1 };
        let turns = match byte {
            0 => return None,
            b'\\' if !escaped => slashes.backslash,
            b'\\' => slashes.encoded_backslash,
            b'/' => slashes.encoded_slash,
            _ => false,
        };
        let stays = byte.is_ascii_control() || matches!(byte, b'%' | b'/' | b'\\');
        if turns {
            decoded.push(b'/');
        } else if escaped && stays {
            decoded.extend(format!("%{byte:02X}").into_bytes());
        } else {
            decoded.push(byte);
        }
    }
    Some(decoded)
}

/// The path as it came, and what upstreams make of it, however they take what looks like a slash:
/// decoded or not, its dot segments removed or its slashes merged, both in either order or neither,
/// and decoded after. Some may be the same. `None` for what no filter judges.
pub fn forms(path: &[u8], slash: EncodedSlash) -> Option<Vec<Vec<u8>>> {
    let most = Slashes::most(slash);
    decode(path, most)?;
    if slash == EncodedSlash::Reject && has_encoded_slash(path) {
        return None;
    }
    let mut forms = vec![path.to_vec()];
    for slashes in most.choices() {
        let raw = if slashes.backslash { turn_backslashes(path) } else { path.to_vec() };
        for text in [raw, decode(path, slashes)?] {
            for form in resolved(&text) {
                forms.extend([decode(&form, slashes)?, decode(&form, most)?, form]);
            }
        }
    }
    Some(forms)
}

fn has_encoded_slash(path: &[u8]) -> bool {
    path.windows(3)
        .any(|escape| escape[0] == b'%' && matches!(hex(&escape[1..]), Some(b'/' | b'\\')))
}

/// The two forms on which everything is done.
pub fn normalised(decoded: &[u8]) -> [Vec<u8>; 2] {
    [merge(&remove_dots(decoded)), remove_dots(&merge(decoded))]
}

fn turn_backslashes(path: &[u8]) -> Vec<u8> {
    path.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect()
}

fn resolved(text: &[u8]) -> Vec<Vec<u8>> {
    let [dots_first, merged_first] = normalised(text);
    vec![text.to_vec(), merge(text), remove_dots(text), dots_first, merged_first]
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
