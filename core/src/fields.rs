//! Names and values of fields, checked once when they are made (RFC 9110 section 5).

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;

use crate::syntax::field;

/// The name of a field: a lower-case token, or one of the pseudo-headers below.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldName(Cow<'static, [u8]>);

impl FieldName {
    /// `:method`, to read only.
    pub const METHOD: &'static Self = &Self::known(b":method");
    /// `:path`, to read only.
    pub const PATH: &'static Self = &Self::known(b":path");
    /// `:authority`, to read only; what HTTP/1.1 calls `host`.
    pub const AUTHORITY: &'static Self = &Self::known(b":authority");
    /// `:scheme`, to read only.
    pub const SCHEME: &'static Self = &Self::known(b":scheme");
    /// `:status`, to read only.
    pub const STATUS: &'static Self = &Self::known(b":status");
    /// `authorization` (RFC 9110 section 11.6.2).
    pub const AUTHORIZATION: &'static Self = &Self::known(b"authorization");
    /// `www-authenticate` (RFC 9110 section 11.6.1).
    pub const WWW_AUTHENTICATE: &'static Self = &Self::known(b"www-authenticate");
    /// `content-type` (RFC 9110 section 8.3).
    pub const CONTENT_TYPE: &'static Self = &Self::known(b"content-type");
    /// `accept` (RFC 9110 section 12.5.1).
    pub const ACCEPT: &'static Self = &Self::known(b"accept");
    /// `content-length` (RFC 9110 section 8.6), to read and to remove only.
    pub(crate) const CONTENT_LENGTH: &'static Self = &Self::known(b"content-length");
    /// `content-encoding` (RFC 9110 section 8.4).
    pub const CONTENT_ENCODING: &'static Self = &Self::known(b"content-encoding");
    /// `traceparent` (W3C Trace Context section 3.2).
    pub const TRACEPARENT: &'static Self = &Self::known(b"traceparent");
    /// What holds for one content alone: `content-encoding`, validators (RFC 9110 section 8.8), and
    /// digests of it (RFC 1864, RFC 3230, RFC 9530).
    pub(crate) const OF_CONTENT: [&'static Self; 7] = [
        Self::CONTENT_ENCODING,
        &Self::known(b"etag"),
        &Self::known(b"last-modified"),
        &Self::known(b"content-md5"),
        &Self::known(b"digest"),
        &Self::known(b"content-digest"),
        &Self::known(b"repr-digest"),
    ];
    /// `x-request-id`, by which Envoy names a request.
    pub const X_REQUEST_ID: &'static Self = &Self::known(b"x-request-id");

    pub(crate) const STATUS_BYTES: &'static [u8] = b":status";

    const fn known(name: &'static [u8]) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// Lower-cases `name`; `None` unless it is a token (RFC 9110 section 5.6.2), which no
    /// pseudo-header is.
    ///
    /// ```
    /// use pintle_core::FieldName;
    /// assert_eq!(FieldName::parse("X-User").unwrap().as_bytes(), b"x-user");
    /// assert!(FieldName::parse(":path").is_none());
    /// ```
    pub fn parse(name: &str) -> Option<Self> {
        field::is_token(name.as_bytes())
            .then(|| Self(Cow::Owned(name.to_ascii_lowercase().into_bytes())))
    }

    /// Like [`FieldName::parse`], and takes the pseudo-headers that a request or a response has.
    /// `host` is `:authority`, under which Envoy has it in every version of HTTP.
    pub fn parse_readable(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("host") {
            return Some(Self::AUTHORITY.clone());
        }
        let pseudo = [Self::METHOD, Self::PATH, Self::AUTHORITY, Self::SCHEME, Self::STATUS];
        let lower = name.to_ascii_lowercase();
        pseudo
            .into_iter()
            .find(|p| p.as_bytes() == lower.as_bytes())
            .cloned()
            .or_else(|| Self::parse(name))
    }

    /// The name, in lower case.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is a pseudo-header (RFC 9113 section 8.3).
    pub fn is_pseudo(&self) -> bool {
        self.0.first() == Some(&b':')
    }

    /// Whether a filter may never write it: message framing and routing belong to the proxy
    /// (`host`, `content-length`, and the hop-by-hop fields of RFC 9110 section 7.6.1).
    pub fn belongs_to_proxy(&self) -> bool {
        const NAMES: [&[u8]; 9] = [
            b"connection",
            b"content-length",
            b"host",
            b"keep-alive",
            b"proxy-connection",
            b"te",
            b"trailer",
            b"transfer-encoding",
            b"upgrade",
        ];
        self.is_pseudo() || NAMES.contains(&self.as_bytes())
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(core::str::from_utf8(&self.0).unwrap_or_default())
    }
}

impl fmt::Debug for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FieldName({self})")
    }
}

/// A field value that may be written: not empty, no control character but HTAB, no white space at
/// its ends (RFC 9110 section 5.5). Neither host checks what a filter writes, and a CR LF in a
/// value splits the response.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FieldValue<'a>(&'a [u8]);

impl<'a> FieldValue<'a> {
    /// `None` where `value` may not be written as it is.
    pub fn new(value: &'a [u8]) -> Option<Self> {
        field::is_value(value).then_some(Self(value))
    }

    /// Bytes that [`FieldValue::new`] has let pass before.
    pub(crate) const fn seen_before(value: &'a [u8]) -> Self {
        Self(value)
    }

    /// The bytes of the value.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }
}

impl fmt::Debug for FieldValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FieldValue({} bytes)", self.0.len())
    }
}

/// A [`FieldValue`] of one's own.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct FieldText(Vec<u8>);

impl FieldText {
    /// `None` where `value` may not be written.
    pub(crate) fn new(value: impl Into<Vec<u8>>) -> Option<Self> {
        let value = value.into();
        field::is_value(&value).then_some(Self(value))
    }

    pub(crate) fn value(&self) -> FieldValue<'_> {
        FieldValue(&self.0)
    }
}

impl fmt::Debug for FieldText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value().fmt(f)
    }
}

/// A field line that is ready to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Field {
    name: FieldName,
    value: FieldText,
}

impl Field {
    /// `None` where `value` may not be written.
    pub fn new(name: FieldName, value: impl Into<Vec<u8>>) -> Option<Self> {
        FieldText::new(value).map(|value| Self { name, value })
    }

    /// The name.
    pub fn name(&self) -> &FieldName {
        &self.name
    }

    /// The value.
    pub fn value(&self) -> FieldValue<'_> {
        self.value.value()
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Field({}, {:?})", self.name, self.value)
    }
}
