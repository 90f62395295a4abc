//! Which fields hold secrets.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::fields::FieldName;

/// How much of a field's value a log may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secrecy {
    /// All of it.
    Open,
    /// Its length alone.
    Secret,
    /// A URI whose query may hold a token.
    Query,
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
            Secrecy::Query
        } else {
            Secrecy::Open
        }
    }
}

/// Whether a field is secret by its name alone.
pub(crate) fn is_secret(name: &[u8]) -> bool {
    SECRET.contains(&name)
        || SECRET_PARTS.iter().any(|part| name.windows(part.len()).any(|window| window == *part))
}

/// Whether a field holds a URI, whose query may hold a token.
pub(crate) fn is_uri(name: &[u8]) -> bool {
    URIS.contains(&name)
}

const SECRET: [&[u8]; 4] = [b"authorization", b"cookie", b"proxy-authorization", b"set-cookie"];
const SECRET_PARTS: [&[u8]; 5] = [b"api-key", b"jwt", b"password", b"secret", b"token"];
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
