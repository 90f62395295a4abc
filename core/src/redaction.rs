//! Which fields hold secrets.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

use crate::fields::FieldName;

/// How much of a field's value a log may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secrecy {
    /// All of it.
    Open,
    /// Its length alone.
    Secret,
    /// A URI, whose user and query may be secrets.
    Uri,
}

/// The fields whose values stay out of the log: those every list has, and those of a configuration.
#[derive(Debug)]
pub(crate) struct Redaction {
    names: Vec<FieldName>,
    patterns: Box<[NamePattern]>,
}

impl Redaction {
    pub(crate) fn new(patterns: Vec<NamePattern>) -> Self {
        Self { names: Vec::new(), patterns: patterns.into() }
    }

    pub(crate) fn learn(&mut self, secrets: &[FieldName]) {
        self.names = secrets.to_vec();
    }

    #[cfg(feature = "explain")]
    pub(crate) fn patterns(&self) -> &[NamePattern] {
        &self.patterns
    }

    pub(crate) fn of(&self, name: &[u8]) -> Secrecy {
        let secret = is_secret(name)
            || self.names.iter().any(|secret| secret.as_bytes() == name)
            || self.patterns.iter().any(|pattern| pattern.matches(name));
        if secret {
            Secrecy::Secret
        } else if is_uri(name) {
            Secrecy::Uri
        } else {
            Secrecy::Open
        }
    }
}

/// Whether a field is secret by its name alone.
pub(crate) fn is_secret(name: &[u8]) -> bool {
    let begins = |(at, first): (usize, &u8)| {
        let rest = name.get(at..).unwrap_or_default();
        secret_parts(*first).iter().any(|part| rest.starts_with(part))
    };
    let is_key = name.ends_with(b"-key") || name.ends_with(b"_key");
    (is_key || name.iter().enumerate().any(begins)) && name != HARMLESS
}

/// Whether a field holds a URI, whose user and query may be secrets.
pub(crate) fn is_uri(name: &[u8]) -> bool {
    URIS.contains(&name)
}

/// Where the user stands in a URI without a query (RFC 3986 section 3.2.1), a password with it; also in one
/// without a scheme.
pub(crate) fn user(uri: &[u8]) -> Option<Range<usize>> {
    let start = match uri {
        [b'/', b'/', ..] => 2,
        _ => uri.windows(3).position(|window| window == b"://")?.checked_add(3)?,
    };
    let authority = uri.get(start..)?.split(|byte| *byte == b'/').next()?;
    let length = authority.iter().rposition(|byte| *byte == b'@')?;
    Some(start..start.checked_add(length)?)
}

/// What names of secret fields have in them, by its first letter: so each letter of a name is compared
/// with few of them. Rather some field too many than a secret in a log.
fn secret_parts(first: u8) -> &'static [&'static [u8]] {
    match first {
        b'a' => &[
            b"access-key",
            b"access_key",
            b"api-key",
            b"api_key",
            b"apikey",
            b"auth-key",
            b"auth_key",
            b"authorization",
        ],
        b'c' => &[b"cookie", b"credential"],
        b'd' => &[b"dpop"],
        b'j' => &[b"jwt"],
        b'p' => &[b"passphrase", b"passwd", b"password"],
        b's' => &[b"secret", b"session", b"signature"],
        b't' => &[b"token"],
        _ => &[],
    }
}

/// The one field among those that many responses have whose value is never more than `true`.
const HARMLESS: &[u8] = b"access-control-allow-credentials";

const URIS: [&[u8]; 4] = [b":path", b"location", b"referer", b"x-envoy-original-path"];

/// A field name, or its start or end.
#[derive(Debug)]
#[cfg_attr(feature = "explain", derive(Clone))]
pub(crate) struct NamePattern {
    text: Box<[u8]>,
    open_start: bool,
    open_end: bool,
    name: Option<FieldName>,
}

impl NamePattern {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (open_start, rest) = text.strip_prefix('*').map_or((false, text), |rest| (true, rest));
        let (open_end, name) = rest.strip_suffix('*').map_or((false, rest), |rest| (true, rest));
        if name.is_empty() {
            return open_start.then(|| Self {
                text: Box::default(),
                open_start,
                open_end,
                name: None,
            });
        }
        let name =
            FieldName::parse_readable(name).filter(|name| !name.as_bytes().contains(&b'*'))?;
        let text = name.as_bytes().into();
        let name = (!open_start && !open_end).then_some(name);
        Some(Self { text, open_start, open_end, name })
    }

    /// The one field that it stands for, where there is no `*` in it.
    pub(crate) fn name(&self) -> Option<&FieldName> {
        self.name.as_ref()
    }

    fn matches(&self, name: &[u8]) -> bool {
        match (self.open_start, self.open_end) {
            (false, false) => *name == *self.text,
            (true, false) => name.ends_with(&self.text),
            (false, true) => name.starts_with(&self.text),
            (true, true) => {
                self.text.is_empty()
                    || name.windows(self.text.len()).any(|window| *window == *self.text)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{is_secret, user};

    #[test]
    fn users_of_uris() {
        for (uri, expected) in [
            ("https://u:p@h/a", Some("u:p")),
            ("https://u:p@x@h", Some("u:p@x")),
            ("//u@h/", Some("u")),
            ("/a?to=", None),
            ("/to/https://u@h/", Some("u")),
            ("https://h/a@b", None),
            ("https://", None),
            ("//", None),
            ("mailto:a@b", None),
            ("", None),
        ] {
            let found = user(uri.as_bytes()).map(|range| &uri[range]);
            assert_eq!(found, expected, "{uri}");
        }
    }

    #[test]
    fn secrets_by_name() {
        for name in [
            "authorization",
            "proxy-authorization",
            "x-forwarded-authorization",
            "x-serverless-authorization",
            "cookie",
            "set-cookie",
            "x-user-cookie",
            "apikey",
            "x-apikey",
            "x-api-key",
            "api_key",
            "x-auth-key",
            "x-access-key",
            "x-session-id",
            "dpop",
            "x-amz-credential",
            "x-hub-signature-256",
            "x-passwd",
            "x-token",
            "x-jwt-assertion",
            "ocp-apim-subscription-key",
            "x-functions-key",
            "private_key",
            "x-api-key-id",
            "passphrase",
        ] {
            assert!(is_secret(name.as_bytes()), "{name}");
        }
        for name in [
            "",
            "host",
            "accept",
            "user-agent",
            "content-type",
            "www-authenticate",
            "access-control-allow-credentials",
            "access-control-allow-headers",
            "x-forwarded-client-cert",
            "x-request-id",
            "traceparent",
            "x-auth-user",
            "api",
            "x-keyboard",
            "monkey",
        ] {
            assert!(!is_secret(name.as_bytes()), "{name}");
        }
    }
}
