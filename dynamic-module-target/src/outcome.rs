//! How a callout ended, from Envoy's terms to the core's.

use std::borrow::Cow;

use envoy_proxy_dynamic_modules_rust_sdk::CalloutOutcome;
use pintle_core::{CalloutAnswer, Outcome};

/// Lends the outcome to `work`. An answer without one status that can be read is a failure.
pub(crate) fn lend<R>(outcome: CalloutOutcome<'_>, work: impl FnOnce(Outcome<'_>) -> R) -> R {
    let CalloutOutcome::Success(response) = outcome else { return work(Outcome::Failed) };
    let all = response.headers();
    let (mut statuses, mut fields) = (Vec::new(), Vec::with_capacity(all.len()));
    for (name, value) in all {
        match name.as_slice() {
            b":status" => statuses.push(value.as_slice()),
            name => fields.push((name, value.as_slice())),
        }
    }
    let status = match *statuses.as_slice() {
        [status] => parse(status),
        _ => None,
    };
    let Some(status) = status else { return work(Outcome::Failed) };
    let mut chunks = response.body_chunks();
    let body = match chunks.len() {
        0 | 1 => Cow::Borrowed(chunks.next().map_or(&b""[..], |chunk| chunk.as_slice())),
        _ => Cow::Owned(chunks.flat_map(|chunk| chunk.as_slice()).copied().collect()),
    };
    work(Outcome::Answer(CalloutAnswer { status, fields: &fields, body: &body }))
}

/// Three digits (RFC 9110 section 15).
fn parse(status: &[u8]) -> Option<u16> {
    match status {
        [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9'] => str::from_utf8(status).ok()?.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_status_is_three_digits() {
        assert_eq!(
            [b"200", b"503", b"999"].map(|status| parse(status)),
            [Some(200), Some(503), Some(999)]
        );
        for status in [&b""[..], b"20", b"2000", b"+20", b"2 0", b"099", b"abc", b"2\xff0"] {
            assert_eq!(parse(status), None, "{status:?}");
        }
    }
}
