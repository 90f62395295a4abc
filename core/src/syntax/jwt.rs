//! JSON Web Tokens (RFC 7519), as far as their end of life.

use core::fmt;

use ::base64::Engine;
use ::base64::alphabet::URL_SAFE;
use ::base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;

use super::json;

/// When a token ends by its own account: its `exp` claim (RFC 7519 section 4.1.4), in milliseconds
/// since the start of 1970, fractions of one dropped. An `exp` before 1970 is 0, one past all time is
/// `u64::MAX`.
///
/// `None` where the token is not a JWT in the compact form (RFC 7515 section 7.1): three parts of
/// base64url with dots between, the second of which is a JSON object; and where it has no `exp`. An
/// encrypted one (five parts) does not say.
///
/// No signature is checked, and nobody may be let in for what this says: it is good for forgetting a
/// token in time. For the same reason base64url with padding or with spare bits is taken.
///
/// ```
/// use pintle_core::syntax::jwt;
///
/// // {"exp":1300819380}
/// assert_eq!(jwt::expires_at_ms(b"e30.eyJleHAiOjEzMDA4MTkzODB9."), Ok(Some(1_300_819_380_000)));
/// assert_eq!(jwt::expires_at_ms(b"opaque"), Ok(None));
/// ```
pub fn expires_at_ms(token: &[u8]) -> Result<Option<u64>, Malformed> {
    let Some(claims) = claims(token) else { return Ok(None) };
    // With its white space (RFC 8259 section 2): what does not begin an object is no claims set.
    if claims.trim_ascii_start().first() != Some(&b'{') {
        return Ok(None);
    }
    let claims = json::read(&claims).map_err(|_| Malformed)?;
    match claims.get("exp") {
        None => Ok(None),
        Some(Value::Number(seconds)) => match (seconds.as_u64(), seconds.as_f64()) {
            (Some(seconds), _) => Ok(Some(seconds.saturating_mul(1_000))),
            // The cast saturates at both ends.
            (None, Some(seconds)) => Ok(Some((seconds * 1_000.0) as u64)),
            (None, None) => Err(Malformed),
        },
        Some(_) => Err(Malformed),
    }
}

/// A JWT whose claims are not JSON with distinct names (RFC 7519 section 4), or whose `exp` is not a
/// number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JWT that does not say when it ends")
    }
}

impl core::error::Error for Malformed {}

/// The second of three parts, decoded; nothing more is known of it.
fn claims(token: &[u8]) -> Option<alloc::vec::Vec<u8>> {
    let mut parts = token.split(|&byte| byte == b'.');
    let (header, claims, signature) = (parts.next()?, parts.next()?, parts.next()?);
    let plain = |part: &[u8]| part.iter().copied().all(is_base64url);
    if parts.next().is_some() || header.is_empty() || !plain(header) || !plain(signature) {
        return None;
    }
    ENGINE.decode(claims).ok()
}

/// RFC 4648 section 5, and its padding.
fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'=')
}

const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

#[cfg(test)]
mod tests;
