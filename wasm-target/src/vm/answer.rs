//! How a callout has ended, read from the host.

use pintle_core::{CalloutAnswer, Outcome};
use proxy_wasm::types::{BufferType, MapType};

use crate::abi;
use crate::arena::Event;
use crate::pairs::Pairs;

/// The most content that is read, in bytes. Of more than that one byte more than that is read, which
/// tells that it is too long to whoever takes at most so much.
const MAX_BODY_BYTES: usize = 128 * 1024;

/// A field line.
pub(super) type Line<'e> = (&'e [u8], &'e [u8]);

/// Reads an answer that has so many fields and bytes of content. The host lends both in the callback
/// for it only. `lines` is memory for the fields.
pub(super) fn read<'a, 'e: 'a>(
    event: &'e Event,
    fields: u32,
    body_bytes: usize,
    lines: &'a mut Vec<Line<'e>>,
) -> Outcome<'a> {
    // Without an answer there are no fields. The host has a status for it too, but keeps that on.
    if fields == 0 {
        return Outcome::Failed;
    }
    match (head(event, lines), body(event, body_bytes)) {
        (Some(status), Some(body)) => {
            Outcome::Answer(CalloutAnswer { status, fields: lines, body })
        }
        _ => Outcome::Failed,
    }
}

/// The status; the fields go to `lines`.
fn head<'e>(event: &'e Event, lines: &mut Vec<Line<'e>>) -> Option<u16> {
    let pairs = abi::header_map_pairs(event, MapType::HttpCallResponseHeaders).ok()?;
    let pairs = Pairs::parse(pairs).ok()?;
    let mut statuses = pairs.values(b":status");
    let status = status(statuses.next()?)?;
    if statuses.next().is_some() {
        return None;
    }
    lines.extend(pairs.iter().filter(|(name, _)| !name.starts_with(b":")));
    Some(status)
}

/// RFC 9110, section 15: three digits, the first of which is 1 to 5. Others are as good as none.
pub(super) fn status(value: &[u8]) -> Option<u16> {
    let digits: &[u8; 3] = value.try_into().ok()?;
    let status = std::str::from_utf8(digits).ok()?;
    status.parse().ok().filter(|status| (100..600).contains(status))
}

/// The content; `None` where the host does not lend as much as it should.
fn body(event: &Event, bytes: usize) -> Option<&[u8]> {
    if bytes == 0 {
        return Some(&[]);
    }
    let bytes = bytes.min(MAX_BODY_BYTES.saturating_add(1));
    let body = abi::buffer_bytes(event, BufferType::HttpCallResponseBody, 0, bytes).ok()?;
    (body.len() == bytes).then_some(body)
}

#[cfg(test)]
mod tests {
    use super::status;

    #[test]
    fn statuses() {
        for (text, expected) in [("200", Some(200)), ("599", Some(599)), ("100", Some(100))] {
            assert_eq!(status(text.as_bytes()), expected);
        }
        for odd in ["", "20", "2000", "+20", "099", "600", " 20", "2 0", "20\u{660}"] {
            assert_eq!(status(odd.as_bytes()), None, "{odd:?}");
        }
    }
}
