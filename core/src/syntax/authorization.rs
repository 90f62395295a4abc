//! The `Basic` scheme: RFC 9110 section 11 and RFC 7617.

use alloc::vec::Vec;
use core::fmt;

use super::{base64, field};

/// A user-id and a password (RFC 7617 section 2), in the buffer they were decoded into.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Credential<'a> {
    /// All of it, `user:password`.
    pub whole: &'a [u8],
    /// What is before the first colon; may be empty.
    pub user: &'a [u8],
    /// What is after it; may be empty and may hold further colons.
    pub password: &'a [u8],
}

impl fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({} + {} bytes)", self.user.len(), self.password.len())
    }
}

/// Why a field value is not one `Basic` credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BasicError {
    /// Of another scheme, or of none.
    OtherScheme,
    /// Of this scheme, but not what RFC 7617 section 2 lets it be.
    Malformed,
    /// There is a comma in it: several field lines that somebody joined (RFC 9110 section 5.3).
    Repeated,
}

impl fmt::Display for BasicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherScheme => "not of the Basic scheme",
            Self::Malformed => "not a well-formed Basic credential",
            Self::Repeated => "more than one credential",
        })
    }
}

impl core::error::Error for BasicError {}

/// Reads the value of an `authorization` field (RFC 9110 section 11.6.2) as `Basic` (RFC 7617).
///
/// The scheme is taken in any case, followed by one or more spaces (RFC 9110 section 11.4) and
/// strict base64. Neither part may hold a control character (RFC 7617 section 2). White space around
/// the value is not part of it (RFC 9110 section 5.5).
///
/// A comma is never part of a `Basic` value; Envoy joins repeated lines with one, and the upstream
/// may use another of them than was checked here, so it is [`BasicError::Repeated`].
///
/// ```
/// use pintle_core::syntax::authorization::basic;
///
/// let mut decoded = Vec::new();
/// let credential = basic(b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", &mut decoded)?;
/// assert_eq!((credential.user, credential.password), (&b"Aladdin"[..], &b"open sesame"[..]));
/// # Ok::<(), pintle_core::syntax::authorization::BasicError>(())
/// ```
pub fn basic<'b>(value: &[u8], decoded: &'b mut Vec<u8>) -> Result<Credential<'b>, BasicError> {
    decoded.clear();
    let value = field::trim(value);
    let token = match basic_token(value) {
        Err(BasicError::OtherScheme) => return Err(BasicError::OtherScheme),
        _ if value.contains(&b',') => return Err(BasicError::Repeated),
        token => token?,
    };
    base64::decode_into(token, decoded).map_err(|_| BasicError::Malformed)?;
    if decoded.iter().any(u8::is_ascii_control) {
        return Err(BasicError::Malformed);
    }
    let mut parts = decoded.splitn(2, |&byte| byte == b':');
    match (parts.next(), parts.next()) {
        (Some(user), Some(password)) => Ok(Credential { whole: decoded, user, password }),
        _ => Err(BasicError::Malformed),
    }
}

/// The value of a `www-authenticate` field: `Basic` with this realm (RFC 7617 sections 2 and 2.1).
///
/// The realm is always a `quoted-string` (RFC 9110 section 5.6.4, and 11.5 which asks for it).
pub fn challenge(realm: &str) -> Result<Vec<u8>, RealmError> {
    let mut value = Vec::from(*b"Basic realm=\"");
    for byte in realm.bytes() {
        match byte {
            0..b' ' | 0x7f => return Err(RealmError::ControlCharacter),
            0x80.. => return Err(RealmError::NotAscii),
            b'"' | b'\\' => value.extend([b'\\', byte]),
            _ => value.push(byte),
        }
    }
    value.extend(b"\", charset=\"UTF-8\"");
    Ok(value)
}

/// Why a text cannot be the realm of a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RealmError {
    /// It has a control character (RFC 9110 section 5.6.4).
    ControlCharacter,
    /// It has a character for which clients do not agree on an encoding (RFC 9110 section 5.5).
    NotAscii,
}

impl fmt::Display for RealmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ControlCharacter => "a realm has no control characters",
            Self::NotAscii => "a realm is ASCII only",
        })
    }
}

impl core::error::Error for RealmError {}

/// What follows the scheme `Basic` and its spaces, not looked into any further.
#[inline]
pub fn basic_token(value: &[u8]) -> Result<&[u8], BasicError> {
    let Some((scheme, rest)) = value.split_first_chunk::<5>() else {
        return Err(BasicError::OtherScheme);
    };
    if !scheme.eq_ignore_ascii_case(b"basic")
        || rest.first().is_some_and(|&byte| field::is_tchar(byte))
    {
        return Err(BasicError::OtherScheme);
    }
    let Some((b' ', mut token)) = rest.split_first() else {
        return Err(BasicError::Malformed);
    };
    while let Some((b' ', after)) = token.split_first() {
        token = after;
    }
    if token.is_empty() { Err(BasicError::Malformed) } else { Ok(token) }
}

#[cfg(test)]
mod tests;
