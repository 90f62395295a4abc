//! Why a configuration is refused.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::pointer::{Pointer, segment};

/// Every refusal of one configuration: the first structural one of each filter, and all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub(super) Vec<ConfigError>);

impl ConfigErrors {
    /// The refusals, in the order of the document as far as they were found in it.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl core::error::Error for ConfigErrors {}

/// One refusal: where, and why. Its text never holds a value of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    pub(super) pointer: String,
    pub(super) refusal: Refusal,
}

impl ConfigError {
    /// The place as a JSON pointer (RFC 6901); empty for the whole document.
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// What was wrong, and what was expected.
    pub fn refusal(&self) -> &Refusal {
        &self.refusal
    }

    pub(super) fn here(refusal: Refusal) -> Self {
        Self { pointer: String::new(), refusal }
    }

    pub(super) fn in_key(self, key: &str) -> Self {
        Self { pointer: [segment(key), self.pointer].concat(), ..self }
    }

    pub(super) fn in_index(self, index: usize) -> Self {
        Self { pointer: format!("/{index}{}", self.pointer), ..self }
    }

    pub(super) fn below(self, at: &Pointer<'_>) -> Self {
        Self { pointer: [at.render(), self.pointer].concat(), ..self }
    }

    /// Where a field of the outermost object is unknown: names that it could have beside its own.
    pub(super) fn also(self, names: &[&str]) -> Self {
        match self.refusal {
            Refusal::Unknown { expected } if self.pointer.rfind('/') == Some(0) => {
                let expected: Vec<&str> = expected.iter().chain(names).copied().collect();
                Self { refusal: Refusal::Malformed(unknown(&expected)), ..self }
            }
            refusal => Self { refusal, ..self },
        }
    }
}

fn unknown(expected: &[&str]) -> String {
    if expected.is_empty() {
        return "unknown; expected nothing here".to_string();
    }
    format!("unknown; expected `{}`", expected.join("`, `"))
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() { "the document" } else { self.pointer.as_str() };
        write!(f, "{place}: {}", self.refusal)
    }
}

impl core::error::Error for ConfigError {}

/// What was wrong with a part of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no document at all.
    NoConfiguration,
    /// The document is not JSON (RFC 8259).
    Syntax {
        /// From 1.
        line: usize,
        /// From 1, in bytes.
        column: usize,
    },
    /// A value of another JSON type than the one expected.
    WrongType {
        /// The JSON type that was found.
        found: &'static str,
        /// What was expected.
        expected: String,
    },
    /// A field that does not exist here.
    Unknown {
        /// The names of those that do.
        expected: &'static [&'static str],
    },
    /// A word, or the one member of an object, that is none of those that are taken here.
    UnknownVariant {
        /// Those that are.
        expected: &'static [&'static str],
    },
    /// A field that is required.
    Missing(&'static str),
    /// A key that stands twice in one object.
    DuplicateKey,
    /// A filter name that is taken already.
    DuplicateName,
    /// An empty list, which would allow or deny everything by accident.
    EmptyList,
    /// The right type with a content that cannot be taken.
    Unacceptable {
        /// What was expected.
        expected: &'static str,
    },
    /// Content that a grammar refuses; the reason does not quote it.
    Malformed(String),
}

impl Refusal {
    /// A refusal by a grammar, whose error text does not quote its input.
    pub fn malformed(reason: impl fmt::Display) -> Self {
        Self::Malformed(reason.to_string())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConfiguration => f.write_str(
                "no configuration; expected a JSON object such as {\"filters\": [..]} \
                 (docs/migrating.md has the one to add for a plug-in that had none)",
            ),
            Self::Syntax { line, column } => {
                write!(f, "not JSON from line {line}, column {column} on; expected a JSON object")
            }
            Self::WrongType { found, expected } => write!(f, "found {found}; expected {expected}"),
            Self::Unknown { expected } | Self::UnknownVariant { expected } => {
                f.write_str(&unknown(expected))
            }
            Self::Missing(name) => write!(f, "`{name}` is missing"),
            Self::DuplicateKey => f.write_str("stands twice in its object; expected once"),
            Self::DuplicateName => f.write_str("an earlier filter has this name; expected another"),
            Self::EmptyList => f.write_str("an empty list; expected at least one element"),
            Self::Unacceptable { expected } => write!(f, "not acceptable; expected {expected}"),
            Self::Malformed(reason) => f.write_str(reason),
        }
    }
}
