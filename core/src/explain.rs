//! What a policy does while it judges, for tools that explain it.
//!
//! The chain tells a host that overrides [`Host::explain`](crate::Host::explain) what it does at each
//! step, in the order in which it does it. What is here comes from the same calls that judge requests in
//! a proxy; the artefacts are built without it.
//!
//! Values in here are those of requests and configurations, secrets among them: show them by way of
//! [`Secrets`]. Nothing here has them in its `Debug` output.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::denial::Denial;
use crate::fields::FieldName;
use crate::filter::Phases;
use crate::host::{Edit, Section};
use crate::policy::Mode;
use crate::redaction::{self, Redaction, Secrecy};
use crate::syntax::path::PathError;

/// One thing that the chain does.
#[derive(Debug)]
pub enum Act {
    /// It turns to a filter with a request.
    Request(Turn),
    /// It turns to a filter with a response.
    Response {
        /// The filter, by its place in the chain.
        step: usize,
        /// Whether the filter's `when` held for the request.
        applies: bool,
    },
    /// The filter changes a field, or would.
    Edit(Edited),
    /// The filter gives the response other content, or would.
    Content {
        /// `mode: observe`: it would.
        held_back: bool,
    },
    /// The filter lets the response be, for this reason.
    LeftAlone(&'static str),
}

/// A filter and a request.
#[derive(Debug)]
pub struct Turn {
    /// The filter, by its place in the chain.
    pub step: usize,
    /// Whether the filter is for the request, as the chain has judged it.
    pub applies: Result<bool, PathError>,
    /// Whether the filter has work with requests and none before it has answered this one.
    pub asked: bool,
    /// Its `when`, if it has one.
    pub when: Option<Judgement>,
    /// Its rules, if it has some with a `when` of their own and is asked.
    pub rules: Vec<RuleTurn>,
}

/// A rule of a filter and a request.
#[derive(Debug)]
pub struct RuleTurn {
    /// Its `when`, if it has one.
    pub when: Option<Judgement>,
    /// Whether the rule is for the request.
    pub applies: Result<bool, PathError>,
    /// Why the request does not pass the rule; `None` too where the rule is not for it.
    pub denial: Option<Denial>,
}

/// Whether a `when` holds, and why.
#[derive(Debug)]
pub struct Judgement {
    /// Whether it does; an error where a path had to be judged that is not valid.
    pub verdict: Result<bool, PathError>,
    /// How it was judged for each form of the path, as far as the first for which it holds: that one
    /// last, the path as it came first, of the others some. One alone where no condition is on the
    /// path.
    pub forms: Vec<Form>,
    /// For how many forms of the path it was judged.
    pub judged: usize,
}

/// Whether a `when` holds for one form of the path.
pub struct Form {
    /// That form; `None` where no condition is on the path.
    pub path: Option<Vec<u8>>,
    /// Whether it holds.
    pub verdict: Result<bool, PathError>,
    /// All conditions of the `when`, those behind one that does not hold too.
    pub parts: Vec<Part>,
}

/// One condition of a `when`.
#[derive(Debug)]
pub struct Part {
    /// Its place in the `when`, as a JSON pointer: `/path`, `/headers/0`, `/not/methods`.
    pub pointer: String,
    /// Whether it holds.
    pub holds: Result<bool, PathError>,
    /// What the request has there.
    pub found: Found,
}

/// What a request has where a condition looks.
pub enum Found {
    /// This host, as hosts are compared.
    Host(Vec<u8>),
    /// This method.
    Method(Vec<u8>),
    /// These values of this field.
    Values(FieldName, Vec<Vec<u8>>),
    /// The form of the path that is judged.
    Path,
    /// The conditions of a `not`.
    Not(Vec<Part>),
}

/// A change of a field.
pub struct Edited {
    /// Whose field.
    pub section: Section,
    /// What becomes of it.
    pub change: Change,
    /// The field.
    pub name: FieldName,
    /// The value that it gets; empty where it is removed.
    pub value: Vec<u8>,
    /// `mode: observe`: it is not carried out.
    pub held_back: bool,
}

/// What becomes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It gets one value in place of all there are.
    Set,
    /// It gets one more value.
    Append,
    /// It is removed.
    Remove,
}

/// A filter of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline<'p> {
    /// Its `name`.
    pub name: &'p str,
    /// Its kind; `None` for one that is not among the shipped ones.
    pub kind: Option<&'static str>,
    /// What becomes of its verdict.
    pub mode: Mode,
    /// Which messages it has work with.
    pub phases: Phases,
}

/// Which fields hold secrets: those that `log_headers` does not write, and those that any filter of the
/// policy holds for secret.
#[derive(Debug)]
pub struct Secrets(pub(crate) Redaction);

/// How much of a field's value may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// All of it.
    Whole,
    /// Its length alone.
    Length,
    /// It is a URI: all of it but for its query, of which the length.
    WithoutQuery,
}

impl Secrets {
    /// How much of the value of the field of this name, in lower case, may be shown.
    pub fn of(&self, name: &[u8]) -> Shown {
        match self.0.of(name) {
            Secrecy::Open => Shown::Whole,
            Secrecy::Secret => Shown::Length,
            Secrecy::Uri => Shown::WithoutQuery,
        }
    }
}

impl Act {
    pub(crate) fn edit(section: Section, edit: Edit<'_>, held_back: bool) -> Self {
        let (change, name, value) = match edit {
            Edit::Set(name, value) => (Change::Set, name, value.as_bytes()),
            Edit::Append(name, value) => (Change::Append, name, value.as_bytes()),
            Edit::Remove(name) => (Change::Remove, name, &[][..]),
        };
        let (name, value) = (name.clone(), value.to_vec());
        Self::Edit(Edited { section, change, name, value, held_back })
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Form").field("verdict", &self.verdict).field("parts", &self.parts).finish()
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => write!(f, "Host({} bytes)", host.len()),
            Self::Method(method) => write!(f, "Method({} bytes)", method.len()),
            Self::Values(name, values) => write!(f, "Values({name}, {} of them)", values.len()),
            Self::Path => f.write_str("Path"),
            Self::Not(parts) => f.debug_tuple("Not").field(parts).finish(),
        }
    }
}

impl fmt::Debug for Edited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (change, name, bytes) = (self.change, &self.name, self.value.len());
        write!(f, "{change:?}({name}, {bytes} bytes, held back: {})", self.held_back)
    }
}

/// Where the user stands in a URI without a query (RFC 3986 section 3.2.1), a password with it; also in one
/// without a scheme. A log has its length in its place.
pub fn user_of_uri(uri: &[u8]) -> Option<Range<usize>> {
    redaction::user(uri)
}
