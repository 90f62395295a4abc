//! `when`: the requests that a filter, or a rule of one, is for.

#[cfg(feature = "explain")]
mod explain;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use regex_automata::meta::Regex;
use serde::Deserialize;

use crate::arrival::{Arrival, Looks};
use crate::config::{Load, OneOrMany, Pointer, Refusal};
use crate::fields::FieldName;
use crate::host::{Host, Section};
use crate::pattern;
use crate::syntax::field;
use crate::syntax::host::HostPattern;
use crate::syntax::path::{self, PathError};

/// The JSON form of [`When`]: every condition given must hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(
        rename = "when",
        description = "Which requests it is for: every condition given must hold."
    )
)]
#[serde(deny_unknown_fields)]
pub(crate) struct WhenFields {
    /// Any of these hosts: `example.com`, `*.example.com`, `api.*`; ports are not compared.
    pub hosts: Option<Vec<String>>,
    /// The path without its query, one condition or a list of which any must hold.
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<crate::config::schema::OneOrMany<PathFields>>")
    )]
    pub(crate) path: Option<OneOrMany<PathFields>>,
    /// Any of these methods, in upper case as they are sent (RFC 9110 section 9.1).
    pub methods: Option<Vec<String>>,
    /// Request fields, all of these.
    pub headers: Option<Vec<HeaderFields>>,
    /// And not this.
    #[cfg_attr(feature = "schema", schemars(extend("minProperties" = 1)))]
    pub not: Option<Box<WhenFields>>,
}

/// One condition on the path.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "path"))]
#[serde(rename_all = "snake_case")]
pub(crate) enum PathFields {
    /// Equal to this.
    Exact(#[cfg_attr(feature = "schema", schemars(length(min = 1)))] String),
    /// Starts with this.
    Prefix(#[cfg_attr(feature = "schema", schemars(length(min = 1)))] String),
    /// Ends with this.
    Suffix(#[cfg_attr(feature = "schema", schemars(length(min = 1)))] String),
    /// Matched somewhere by this regular expression; `^` and `$` anchor it.
    Regex(#[cfg_attr(feature = "schema", schemars(length(min = 1)))] String),
}

/// One condition on a request field; without any but the name: the field is present.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "field", extend("not" = {"anyOf": [
        {"required": ["exact", "prefix"]},
        {"required": ["exact", "present"]},
        {"required": ["exact", "absent"]},
        {"required": ["prefix", "present"]},
        {"required": ["prefix", "absent"]},
        {"required": ["present", "absent"]},
    ]}))
)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeaderFields {
    /// The field, in any case.
    pub name: String,
    /// Any of its values is equal to this.
    pub exact: Option<String>,
    /// Any of its values starts with this.
    pub prefix: Option<String>,
    /// `true`: there is a value; `false`: there is none.
    pub present: Option<bool>,
    /// `true`: there is no value; `false`: there is one.
    pub absent: Option<bool>,
}

/// A compiled condition.
#[derive(Debug)]
#[cfg_attr(feature = "explain", derive(Clone))]
pub(crate) struct When {
    hosts: Box<[HostPattern]>,
    methods: Box<[Box<[u8]>]>,
    headers: Box<[HeaderMatch]>,
    paths: Option<Box<[PathMatch]>>,
    not: Option<Box<When>>,
    looks: Looks,
}

#[derive(Debug)]
#[cfg_attr(feature = "explain", derive(Clone))]
pub(crate) enum PathMatch {
    Exact(Box<[u8]>),
    Prefix(Box<[u8]>),
    Suffix(Box<[u8]>),
    Regex(Box<Regex>),
}

#[derive(Debug)]
#[cfg_attr(feature = "explain", derive(Clone))]
struct HeaderMatch {
    name: FieldName,
    value: ValueMatch,
}

#[derive(Debug)]
#[cfg_attr(feature = "explain", derive(Clone))]
enum ValueMatch {
    Present,
    Absent,
    Exact(Box<[u8]>),
    Prefix(Box<[u8]>),
}

impl When {
    pub(crate) fn compile(fields: WhenFields, at: &Pointer<'_>, load: &mut Load) -> Option<Self> {
        let hosts = hosts(fields.hosts, &at.key("hosts"), load);
        let methods = upper_case_methods(fields.methods, &at.key("methods"), load);
        let headers = load.each_given(fields.headers, &at.key("headers"), HeaderMatch::compile);
        let paths = match fields.path {
            None => Some(None),
            Some(paths) => {
                paths.compile_each(&at.key("path"), load, PathMatch::compile_rooted).map(Some)
            }
        };
        let not = match fields.not {
            None => Some(None),
            Some(not) => Self::compile_not(*not, &at.key("not"), load).map(Some),
        };
        let parts = Self::of(hosts?, methods?, paths?);
        let (headers, not) = (headers?, not?);
        let looks = not.as_ref().map_or(parts.looks, |not| parts.looks.or(not.looks));
        Some(Self { headers, not, looks, ..parts })
    }

    /// Hosts, methods and paths alone; an empty list of the first two is no condition.
    pub(crate) fn of(
        hosts: Box<[HostPattern]>,
        methods: Box<[Box<[u8]>]>,
        paths: Option<Box<[PathMatch]>>,
    ) -> Self {
        let looks =
            Looks { method: !methods.is_empty(), host: !hosts.is_empty(), path: paths.is_some() };
        Self { hosts, methods, headers: Box::default(), paths, not: None, looks }
    }

    fn compile_not(fields: WhenFields, at: &Pointer<'_>, load: &mut Load) -> Option<Box<Self>> {
        let empty = fields.hosts.is_none()
            && fields.path.is_none()
            && fields.methods.is_none()
            && fields.headers.is_none()
            && fields.not.is_none();
        let some = (!empty).then_some(());
        load.expect(at, some, "at least one condition, since `not` of none applies to no request")?;
        Self::compile(fields, at, load).map(Box::new)
    }

    pub(crate) fn looks(&self) -> Looks {
        self.looks
    }

    /// Takes the conditions on the path out, where an index answers for them: all of them are
    /// exact or prefixes.
    pub(crate) fn take_indexable_paths(&mut self) -> Option<Box<[PathMatch]>> {
        let indexable =
            |path: &PathMatch| matches!(path, PathMatch::Exact(_) | PathMatch::Prefix(_));
        self.paths.take_if(|paths| paths.iter().all(indexable))
    }

    /// Whether the filter applies: judged whole, `not` included, once per form of the path. Fails
    /// where the path has to be judged and is invalid.
    pub(crate) fn judge<H: Host>(&self, host: &H, arrival: &Arrival) -> Result<bool, PathError> {
        if !self.looks.path {
            return self.holds(host, arrival, b"", None);
        }
        let mut paths = arrival.paths();
        loop {
            match paths.next() {
                None => return Ok(false),
                Some(path) if self.holds(host, arrival, path, arrival.path_error())? => {
                    return Ok(true);
                }
                Some(_) => {}
            }
        }
    }

    /// Like [`When::judge`]; an invalid path is judged as it came.
    pub(crate) fn judge_as_it_came<H: Host>(&self, host: &H, arrival: &Arrival) -> bool {
        let holds = |path| self.holds(host, arrival, path, None) == Ok(true);
        if self.looks.path { arrival.paths().any(holds) } else { holds(b"") }
    }

    /// For one form of the path. Conditions on it come last, so that an invalid path matters only
    /// where the others hold.
    pub(crate) fn holds<H: Host>(
        &self,
        host: &H,
        arrival: &Arrival,
        path: &[u8],
        path_error: Option<PathError>,
    ) -> Result<bool, PathError> {
        let others = (self.hosts.is_empty()
            || self.hosts.iter().any(|h| h.matches(arrival.host())))
            && (self.methods.is_empty() || self.methods.iter().any(|m| **m == *arrival.method()))
            && self.headers.iter().all(|header| header.holds(host));
        if !others {
            return Ok(false);
        }
        let path_holds = match (&self.paths, path_error) {
            (None, _) => Ok(true),
            (Some(_), Some(error)) => Err(error),
            (Some(paths), None) => Ok(paths.iter().any(|p| p.matches(path))),
        };
        if path_holds == Ok(false) {
            return path_holds;
        }
        match &self.not {
            // What `not` rules out whatever the path is needs no valid one.
            Some(not) => match not.holds(host, arrival, path, path_error) {
                Ok(true) => Ok(false),
                Ok(false) => path_holds,
                Err(error) => Err(error),
            },
            None => path_holds,
        }
    }
}

/// Patterns of hosts; none of them is no condition.
pub(crate) fn hosts(
    hosts: Option<Vec<String>>,
    at: &Pointer<'_>,
    load: &mut Load,
) -> Option<Box<[HostPattern]>> {
    load.each_given(hosts, at, |text, at, load| {
        HostPattern::parse(&text).map_err(|error| load.refuse(at, Refusal::malformed(error))).ok()
    })
}

/// Methods; none of them is no condition.
pub(crate) fn methods(
    methods: Option<Vec<String>>,
    at: &Pointer<'_>,
    load: &mut Load,
) -> Option<Box<[Box<[u8]>]>> {
    load.each_given(methods, at, |text, at, load| {
        let method =
            field::is_method(text.as_bytes()).then(|| text.into_bytes().into_boxed_slice());
        load.expect(at, method, "a method (RFC 9110 section 9.1)")
    })
}

/// Like [`methods`]. They are case-sensitive, so `get` would be a condition that never holds.
fn upper_case_methods(
    methods: Option<Vec<String>>,
    at: &Pointer<'_>,
    load: &mut Load,
) -> Option<Box<[Box<[u8]>]>> {
    load.each_given(methods, at, |text, at, load| {
        let fits =
            field::is_method(text.as_bytes()) && !text.bytes().any(|b| b.is_ascii_lowercase());
        let method = fits.then(|| text.into_bytes().into_boxed_slice());
        load.expect(at, method, "a method in upper case (RFC 9110 section 9.1)")
    })
}

impl PathMatch {
    /// Like [`PathMatch::compile`]. No path begins without a slash, but for the `*` of `OPTIONS *`,
    /// so what does would be a condition that never holds.
    fn compile_rooted(fields: PathFields, at: &Pointer<'_>, load: &mut Load) -> Option<Self> {
        let compiled = Self::compile(fields, at, load)?;
        let (key, rooted) = match &compiled {
            Self::Exact(text) => ("exact", **text == *b"*" || text.starts_with(b"/")),
            Self::Prefix(text) => ("prefix", text.starts_with(b"/")),
            Self::Suffix(_) | Self::Regex(_) => return Some(compiled),
        };
        load.expect(&at.key(key), rooted.then_some(compiled), "a path that begins with a slash")
    }

    pub(crate) fn compile(fields: PathFields, at: &Pointer<'_>, load: &mut Load) -> Option<Self> {
        let slash = load.encoded_slash;
        let (key, text) = match &fields {
            PathFields::Exact(text) => ("exact", text),
            PathFields::Prefix(text) => ("prefix", text),
            PathFields::Suffix(text) => ("suffix", text),
            PathFields::Regex(text) => ("regex", text),
        };
        let at = &at.key(key);
        load.expect(at, (!text.is_empty()).then_some(()), "text that is not empty")?;
        let text = text.as_bytes();
        let compiled = match &fields {
            PathFields::Exact(_) => {
                path::normalise_exact(text, slash).map(|p| Self::Exact(p.into()))
            }
            PathFields::Prefix(_) => {
                path::normalise_prefix(text, slash).map(|p| Self::Prefix(p.into()))
            }
            PathFields::Suffix(_) => {
                path::normalise_suffix(text, slash).map(|p| Self::Suffix(p.into()))
            }
            PathFields::Regex(text) => {
                return pattern::compile(text, at, load).map(|regex| Self::Regex(Box::new(regex)));
            }
        };
        compiled.map_err(|error| load.refuse(at, Refusal::malformed(error))).ok()
    }

    pub(crate) fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Exact(text) => **text == *path,
            Self::Prefix(text) => path.starts_with(text),
            Self::Suffix(text) => path.ends_with(text),
            Self::Regex(regex) => regex.is_match(path),
        }
    }
}

impl HeaderMatch {
    fn compile(fields: HeaderFields, at: &Pointer<'_>, load: &mut Load) -> Option<Self> {
        let name = FieldName::parse_readable(&fields.name).filter(|name| name != FieldName::PATH);
        let expected = "a field name (RFC 9110 section 5.1); `:path` belongs in `path`";
        let name = load.expect(&at.key("name"), name, expected);
        let conditions = (fields.exact, fields.prefix, fields.present, fields.absent);
        let value = match conditions {
            (None, None, None, None) => Some(ValueMatch::Present),
            (Some(text), None, None, None) => {
                let fits = (text.trim_ascii() == text)
                    .then(|| ValueMatch::Exact(text.into_bytes().into()));
                Some(load.expect(
                    &at.key("exact"),
                    fits,
                    "a value without white space at its ends",
                )?)
            }
            (None, Some(text), None, None) => {
                let fits =
                    (!text.is_empty()).then_some(ValueMatch::Prefix(text.into_bytes().into()));
                Some(load.expect(&at.key("prefix"), fits, "text that is not empty")?)
            }
            (None, None, Some(present), None) => Some(ValueMatch::presence(present)),
            (None, None, None, Some(absent)) => Some(ValueMatch::presence(!absent)),
            _ => None,
        };
        let value = load.expect(at, value, "one of `exact`, `prefix`, `present`, `absent`");
        Some(Self { name: name?, value: value? })
    }

    fn holds<H: Host>(&self, host: &H) -> bool {
        let mut values = host.values(Section::Request, &self.name);
        match &self.value {
            ValueMatch::Present => values.next().is_some(),
            ValueMatch::Absent => values.next().is_none(),
            ValueMatch::Exact(text) => values.any(|value| *value == **text),
            ValueMatch::Prefix(text) => values.any(|value| value.starts_with(text)),
        }
    }
}

impl ValueMatch {
    fn presence(present: bool) -> Self {
        if present { Self::Present } else { Self::Absent }
    }
}
