//! Where the service's answer has the token, and what it says where it has none.

use alloc::string::String;
use core::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::callout::CalloutAnswer;
use crate::config::{Load, Pointer, Refusal};
use crate::fields::{FieldName, FieldValue};
use crate::syntax::json_pointer::JsonPointer;
use crate::syntax::{field, json};

/// Where an answer of status 200 has the token: `"body"`, `{"json": "/data/token"}` or
/// `{"header": "x-token"}`.
#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "token"))]
#[serde(rename_all = "snake_case")]
pub(crate) enum TokenFields {
    /// The content is the token, white space around it aside.
    Body,
    /// A string in the content, which is JSON: the place as a JSON pointer (RFC 6901).
    Json(
        #[cfg_attr(feature = "schema", schemars(extend("pattern" = "^(/([^~]|~[01])*)?$")))] String,
    ),
    /// A response field, which stands there once.
    Header(String),
}

impl TokenFields {
    pub(crate) fn compile(self, at: &Pointer<'_>, load: &mut Load) -> Option<TokenPlace> {
        match self {
            Self::Body => Some(TokenPlace::Body),
            Self::Json(pointer) => match JsonPointer::parse(&pointer) {
                Ok(pointer) => Some(TokenPlace::Json(pointer)),
                Err(error) => {
                    load.refuse(&at.key("json"), Refusal::malformed(error));
                    None
                }
            },
            Self::Header(name) => load
                .expect(
                    &at.key("header"),
                    FieldName::parse(&name),
                    "the name of a response field (RFC 9110 section 5.1)",
                )
                .map(TokenPlace::Header),
        }
    }
}

/// Where an answer of status 200 has the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TokenPlace {
    /// The content, white space around it aside.
    Body,
    /// A string in the content, which is JSON.
    Json(JsonPointer),
    /// A response field.
    Header(FieldName),
    /// `access_token` of RFC 8693 section 2.2.1.
    Grant,
}

impl TokenPlace {
    /// All that decides what is read, in two parts.
    pub(crate) fn fingerprint_parts(&self, part: &mut dyn FnMut(&[u8])) {
        let (kind, place): (&[u8], &[u8]) = match self {
            Self::Body => (b"body", b""),
            Self::Json(pointer) => (b"json", pointer.as_str().as_bytes()),
            Self::Header(name) => (b"header", name.as_bytes()),
            Self::Grant => (b"grant", b""),
        };
        part(kind);
        part(place);
    }
}

/// What an answer comes to.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Read {
    /// A token, which is a field value.
    Token {
        token: Bytes,
        /// How long it is good from when it was asked for, in seconds, where the answer says so.
        expires_in_s: Option<u64>,
    },
    /// Neither a token nor a refusal: why, for the log, with nothing of the answer in it.
    Unusable(&'static str),
    /// An error of RFC 6749 section 5.2.
    Refused(GrantError),
}

/// Whom an error of the token endpoint is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GrantError {
    /// The caller's token: `invalid_request` (RFC 8693 section 2.2.2: the subject token is not valid or
    /// not acceptable), `invalid_grant`, `invalid_token`. 401.
    Caller,
    /// What the caller may have with it: `invalid_scope`, `invalid_target`. 403.
    Forbidden,
    /// Us: `invalid_client`, `unauthorized_client`, `unsupported_grant_type`, and every code that is not
    /// known. No fault of the caller, who stays logged in. The name is for the log.
    Ourselves(&'static str),
}

/// Reads an answer of status 200, and with [`TokenPlace::Grant`] one of 400 to 499; any other has no
/// token.
///
/// The token is at least one byte and at most `max_token_bytes`, never cut, and a field value (RFC
/// 9110 section 5.5).
///
/// - [`TokenPlace::Body`]: the content, at most 64 KiB longer than `max_token_bytes`, without the SP, HTAB,
///   CR and LF around the token.
/// - [`TokenPlace::Json`]: the content is JSON, not longer either, in which no object has a name twice. The string stands as it is, nothing is trimmed.
/// - [`TokenPlace::Header`]: the field stands there exactly once.
/// - [`TokenPlace::Grant`]: JSON as above, an object with all of what RFC 8693 section 2.2.1 requires.
///   `token_type` is `Bearer` or `N_A` in any case (a token of another type, such as `DPoP`, comes with a
///   proof that only its owner can make); `access_token` of a `Bearer` is a `b64token` ([`is_b64token`]);
///   `issued_token_type` is there, and is not that of a refresh token, which nobody but the
///   authorization server may see (RFC 6749 section 10.4). `expires_in` is there too, though RFC
///   8693 only recommends it: without it nobody knows when a token ends. It is a whole number of seconds
///   from 0 on, and not a string.
///
/// An answer of 400 to 499 to a grant that is an error by RFC 6749 section 5.2 is [`Read::Refused`], and
/// its code decides, whatever the status. Any other is [`Read::Unusable`], 401 and 403 included: a
/// token endpoint says what it thinks of the caller's token in a code, so a bare 401 or 403 is about
/// ourselves, or comes from something that stands before the endpoint.
pub(crate) fn read(answer: &CalloutAnswer<'_>, place: &TokenPlace, max_token_bytes: usize) -> Read {
    let read = match (answer.status, place) {
        (200, TokenPlace::Body) => {
            bounded(answer, max_token_bytes).and_then(|body| token(trim(body), max_token_bytes))
        }
        (200, TokenPlace::Json(pointer)) => document(answer, max_token_bytes)
            .and_then(|json| from_json(&json, pointer, max_token_bytes)),
        (200, TokenPlace::Header(name)) => from_header(answer, name, max_token_bytes),
        (200, TokenPlace::Grant) => {
            document(answer, max_token_bytes).and_then(|json| from_grant(&json, max_token_bytes))
        }
        (400..=499, TokenPlace::Grant) => {
            document(answer, max_token_bytes).and_then(|json| refusal(&json)).map(Read::Refused)
        }
        _ => Err("a status that comes with no token"),
    };
    read.unwrap_or_else(Read::Unusable)
}

/// Whether `bytes` is what the `Bearer` scheme may carry (`b64token`, RFC 6750 section 2.1): letters,
/// digits, `-`, `.`, `_`, `~`, `+` and `/`, then perhaps `=`. There is no comma and no space in it.
pub(crate) fn is_b64token(bytes: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
    let padding = bytes.iter().position(|byte| !plain(byte)).unwrap_or(bytes.len());
    bytes
        .split_at_checked(padding)
        .is_some_and(|(text, rest)| !text.is_empty() && rest.iter().all(|&byte| byte == b'='))
}

/// How much longer than its token a document may be, in bytes: names, other claims, a refresh token,
/// and a bound on what parsing it costs.
const AROUND_TOKEN_BYTES: usize = 64 * 1024;

/// RFC 8693 section 3.
pub(super) const REFRESH_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:refresh_token";

type Reason = &'static str;

fn token(token: &[u8], max_bytes: usize) -> Result<Read, Reason> {
    if token.is_empty() {
        return Err("an empty token");
    }
    if token.len() > max_bytes {
        return Err("a token of more than `max_token_bytes`");
    }
    FieldValue::new(token).ok_or("a token that is no field value")?;
    Ok(Read::Token { token: Bytes::copy_from_slice(token), expires_in_s: None })
}

fn trim(mut text: &[u8]) -> &[u8] {
    while let Some((b' ' | b'\t' | b'\r' | b'\n', rest)) = text.split_first() {
        text = rest;
    }
    while let Some((b' ' | b'\t' | b'\r' | b'\n', rest)) = text.split_last() {
        text = rest;
    }
    text
}

/// The content, unless a host may have cut it.
fn bounded<'a>(answer: &CalloutAnswer<'a>, max_token_bytes: usize) -> Result<&'a [u8], Reason> {
    if answer.body.len() > max_token_bytes.saturating_add(AROUND_TOKEN_BYTES) {
        return Err("content of more than `max_token_bytes` and 64 KiB");
    }
    Ok(answer.body)
}

fn document(answer: &CalloutAnswer<'_>, max_token_bytes: usize) -> Result<Value, Reason> {
    let body = bounded(answer, max_token_bytes)?;
    json::read(body).map_err(|_| "no JSON, or JSON with a name twice")
}

fn from_json(document: &Value, pointer: &JsonPointer, max: usize) -> Result<Read, Reason> {
    match pointer.look_up(document) {
        Some(Value::String(text)) => token(text.as_bytes(), max),
        Some(_) => Err("a token that is no string"),
        None => Err("no token where it should be in the document"),
    }
}

fn from_header(answer: &CalloutAnswer<'_>, name: &FieldName, max: usize) -> Result<Read, Reason> {
    let mut lines = answer.values(name.as_bytes());
    match (lines.next(), lines.next()) {
        (Some(line), None) => token(field::trim(line), max),
        (None, _) => Err("no field with the token"),
        (Some(_), Some(_)) => Err("several fields with a token"),
    }
}

fn from_grant(document: &Value, max: usize) -> Result<Read, Reason> {
    let Value::Object(answer) = document else { return Err("a document that is no object") };
    let access_token = text(answer, "access_token").ok_or("no `access_token`")?;
    match text(answer, "issued_token_type") {
        None | Some("") => return Err("no `issued_token_type`"),
        Some(REFRESH_TOKEN_TYPE) => return Err("an `issued_token_type` of refresh tokens"),
        Some(_) => {}
    }
    let bearer = match text(answer, "token_type").ok_or("no `token_type`")? {
        name if name.eq_ignore_ascii_case("bearer") => true,
        name if name.eq_ignore_ascii_case("n_a") => false,
        _ => return Err("a `token_type` that is neither `Bearer` nor `N_A`"),
    };
    let expires_in = match answer.get("expires_in") {
        None => return Err("no `expires_in`"),
        Some(seconds) => Some(seconds.as_u64().ok_or("an `expires_in` that is no whole number")?),
    };
    if bearer && !access_token.is_empty() && !is_b64token(access_token.as_bytes()) {
        return Err("an `access_token` that the `Bearer` scheme cannot carry");
    }
    Ok(match token(access_token.as_bytes(), max)? {
        Read::Token { token, .. } => Read::Token { token, expires_in_s: expires_in },
        read => read,
    })
}

/// RFC 6749 section 5.2, with `invalid_target` of RFC 8693 section 2.2.2 and `invalid_token` of RFC 6750
/// section 3.1, which some servers answer with.
fn refusal(document: &Value) -> Result<GrantError, Reason> {
    let Value::Object(answer) = document else { return Err("a document that is no object") };
    Ok(match text(answer, "error").ok_or("a refusal without an `error`")? {
        "" => return Err("a refusal without an `error`"),
        "invalid_request" | "invalid_grant" | "invalid_token" => GrantError::Caller,
        "invalid_scope" | "invalid_target" => GrantError::Forbidden,
        "invalid_client" => GrantError::Ourselves("invalid_client"),
        "unauthorized_client" => GrantError::Ourselves("unauthorized_client"),
        "unsupported_grant_type" => GrantError::Ourselves("unsupported_grant_type"),
        _ => GrantError::Ourselves("an error code that is not known"),
    })
}

fn text<'v>(object: &'v Map<String, Value>, name: &str) -> Option<&'v str> {
    object.get(name).and_then(Value::as_str)
}

/// The token is a secret, so only its length is shown.
impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token { token, expires_in_s } => {
                write!(f, "Token({} bytes, expires in {expires_in_s:?} s)", token.len())
            }
            Self::Unusable(reason) => write!(f, "Unusable({reason})"),
            Self::Refused(error) => write!(f, "Refused({error:?})"),
        }
    }
}

#[cfg(test)]
mod tests;
