//! Credentials as configurations hold them: in clear, in base64, or a line of a htpasswd file.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::base64;

/// A user and what is known of the password.
///
/// It cannot be compared: that is to be done in constant time, over what it is made into.
#[cfg_attr(test, derive(PartialEq, Eq))]
pub struct StoredCredential {
    /// The user-id (RFC 7617 section 2), which has no colon and may be empty.
    pub user: String,
    /// The password, or a digest of it.
    pub password: StoredPassword,
}

/// A password, or a digest of it. Shows neither in `Debug`.
#[cfg_attr(test, derive(PartialEq, Eq))]
pub enum StoredPassword {
    /// The password itself.
    Plain(String),
    /// The SHA-1 of the password, unsalted: what `htpasswd -s` writes (RFC 2307 section 5.3, `{SHA}`).
    Sha1([u8; 20]),
}

/// Reads a credential: `user:password`, the base64 (RFC 4648 section 4) of that when there is no
/// colon in it, or `user:{SHA}digest`.
///
/// A password that looks like a hash of another kind is refused, in base64 too: taken for a
/// password, what was to be kept from those who read the file would be what lets them in.
///
/// `plain_sha` is for the documents of an older plug-in, which knew no hashes: every password,
/// `{SHA}` and all, is what it says.
///
/// ```
/// use pintle_core::syntax::password_hash::{CredentialError, StoredPassword, parse_credential};
///
/// let stored = parse_credential("ok:test", false)?;
/// assert!(stored.user == "ok" && matches!(stored.password, StoredPassword::Plain(text) if text == "test"));
/// assert!(matches!(parse_credential("ok:$2y$05$abc", false), Err(CredentialError::UnsupportedHash)));
/// # Ok::<(), CredentialError>(())
/// ```
pub fn parse_credential(text: &str, plain_sha: bool) -> Result<StoredCredential, CredentialError> {
    let decoded;
    let pair = match text.split_once(':') {
        Some(pair) => pair,
        None => {
            decoded = decode(text)?;
            decoded.split_once(':').ok_or(CredentialError::NoColon)?
        }
    };
    let (user, password) = pair;
    if [user, password].iter().any(|part| part.bytes().any(|byte| byte.is_ascii_control())) {
        return Err(CredentialError::ControlCharacter);
    }
    let password =
        if plain_sha { StoredPassword::Plain(password.into()) } else { parse_password(password)? };
    Ok(StoredCredential { user: user.into(), password })
}

/// Why a text is not a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialError {
    /// It is base64, of something without a colon.
    NoColon,
    /// It has no colon and is not base64 (RFC 4648 section 4) either.
    NotBase64,
    /// It is base64, of something that is not UTF-8 (RFC 7617 section 2.1).
    NotUtf8,
    /// The password looks like a hash that is not supported.
    UnsupportedHash,
    /// What follows `{SHA}` is not the base64 of 20 bytes.
    InvalidShaDigest,
    /// The user or the password has a control character, which no request can (RFC 7617 section 2).
    ControlCharacter,
}

impl fmt::Display for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoColon => "the decoded credential has no colon between user and password",
            Self::NotBase64 => "a credential without a colon is base64",
            Self::NotUtf8 => "the decoded credential is not UTF-8",
            Self::UnsupportedHash => "of password hashes only {SHA} is supported",
            Self::InvalidShaDigest => "{SHA} is followed by the base64 of 20 bytes",
            Self::ControlCharacter => {
                "a credential has no control characters, line breaks included"
            }
        })
    }
}

impl core::error::Error for CredentialError {}

impl fmt::Debug for StoredCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredCredential({} bytes, {:?})", self.user.len(), self.password)
    }
}

impl fmt::Debug for StoredPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(password) => write!(f, "Plain({} bytes)", password.len()),
            Self::Sha1(digest) => write!(f, "Sha1({} bytes)", digest.len()),
        }
    }
}

fn decode(text: &str) -> Result<String, CredentialError> {
    let mut bytes = Vec::new();
    base64::decode_into(text.as_bytes(), &mut bytes).map_err(|_| CredentialError::NotBase64)?;
    String::from_utf8(bytes).map_err(|_| CredentialError::NotUtf8)
}

fn parse_password(text: &str) -> Result<StoredPassword, CredentialError> {
    match hash_scheme(text) {
        None => Ok(StoredPassword::Plain(text.into())),
        Some(("{", scheme, digest)) if scheme.eq_ignore_ascii_case("SHA") => {
            let mut bytes = Vec::new();
            base64::decode_into(digest.as_bytes(), &mut bytes)
                .map_err(|_| CredentialError::InvalidShaDigest)?;
            let digest = bytes.try_into().map_err(|_| CredentialError::InvalidShaDigest)?;
            Ok(StoredPassword::Sha1(digest))
        }
        Some(_) => Err(CredentialError::UnsupportedHash),
    }
}

/// The bracket, the scheme and the rest of what looks like a hash: `$id$...` as crypt(3) has it, or
/// `{SCHEME}...` (RFC 2307 section 5.3), in any case.
fn hash_scheme(text: &str) -> Option<(&'static str, &str, &str)> {
    let (open, close) = if text.starts_with('$') { ("$", '$') } else { ("{", '}') };
    let (scheme, rest) = text.strip_prefix(open)?.split_once(close)?;
    // `-`, `.`, `_`, `,` and `=` as in {BLF-CRYPT}, {SHA512.HEX}, $pbkdf2-sha256$, $md5,rounds=5$.
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"-._,=".contains(&byte);
    (!scheme.is_empty() && scheme.bytes().all(is_scheme)).then_some((open, scheme, rest))
}

#[cfg(test)]
mod tests;
