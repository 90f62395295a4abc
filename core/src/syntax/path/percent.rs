//! Percent-decoding: RFC 3986 sections 2.1 and 2.4.

use alloc::vec::Vec;

use super::{EncodedSlash, PathError};

/// Percent-decodes `path` into `out` (RFC 3986 section 2.1). What it writes decodes to itself.
pub(super) fn decode(path: &[u8], slash: EncodedSlash, out: &mut Vec<u8>) -> Result<(), PathError> {
    out.clear();
    out.reserve(path.len());
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            0 => return Err(PathError::EncodedNul),
            b'\\' => out.push(b'/'),
            b'%' => {
                let Some((escape, after)) = rest.split_first_chunk::<2>() else {
                    return Err(PathError::InvalidEscape);
                };
                rest = after;
                decode_escape(*escape, slash, out)?;
            }
            _ => out.push(byte),
        }
    }
    Ok(())
}

fn decode_escape(
    [high, low]: [u8; 2],
    slash: EncodedSlash,
    out: &mut Vec<u8>,
) -> Result<(), PathError> {
    let (Some(upper), Some(lower)) = (hex(high), hex(low)) else {
        return Err(PathError::InvalidEscape);
    };
    let byte = upper << 4 | lower;
    let stays = match byte {
        0 => return Err(PathError::EncodedNul),
        b'/' | b'\\' => match slash {
            EncodedSlash::Reject => return Err(PathError::EncodedSlash),
            EncodedSlash::Keep => true,
            EncodedSlash::Decode => false,
        },
        _ => byte == b'%' || byte.is_ascii_control(),
    };
    if stays {
        out.extend([b'%', high.to_ascii_uppercase(), low.to_ascii_uppercase()]);
    } else {
        out.push(if byte == b'\\' { b'/' } else { byte });
    }
    Ok(())
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit & 0x0f),
        b'a'..=b'f' | b'A'..=b'F' => Some((digit & 0x0f).wrapping_add(9)),
        _ => None,
    }
}
