//! The member `type` of a problem.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
#[cfg(feature = "schema")]
use alloc::string::ToString;
use core::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de};

use super::statuses::three_digits;
use crate::config::{Load, Pointer, Refusal};
use crate::problem::status_type;

/// The member `type` of each status.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Types {
    statuses: BTreeMap<u16, Box<str>>,
    /// Of the classes 4xx and 5xx.
    classes: [Option<Box<str>>; 2],
    /// Of all that is named nowhere else.
    otherwise: Option<Box<str>>,
}

impl Types {
    /// The default, but for these statuses.
    pub(crate) fn with(statuses: BTreeMap<u16, Box<str>>) -> Self {
        Self { statuses, ..Self::default() }
    }

    /// Whether all of them are `about:blank`.
    pub(super) fn are_blank(&self) -> bool {
        self.otherwise.is_some()
    }

    pub(super) fn of(&self, status: u16) -> &str {
        let [client, server] = &self.classes;
        let class = if status < 500 { client } else { server };
        let named = self.statuses.get(&status).or(class.as_ref()).or(self.otherwise.as_ref());
        named.map_or(status_type(status), |uri| uri)
    }
}

/// A URI (RFC 3986), or what a mistake for one is told by.
pub(crate) fn uri(text: &str) -> Option<Box<str>> {
    let fits = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
    (!text.is_empty() && text.bytes().all(fits)).then(|| text.into())
}

pub(crate) const A_URI: &str = "a URI reference (RFC 3986)";

/// `about:blank`, or a table.
pub(super) enum TypesFields {
    Blank(String),
    Table(BTreeMap<String, String>),
}

impl TypesFields {
    pub(super) fn compile(self, at: &Pointer<'_>, load: &mut Load) -> Option<Types> {
        const BLANK: &str = "about:blank";

        let table = match self {
            Self::Blank(text) => {
                let blank = (text == BLANK).then(|| text.into());
                let otherwise = load.expect(at, blank, "`about:blank`, or an object")?;
                return Some(Types { otherwise: Some(otherwise), ..Types::default() });
            }
            Self::Table(table) => table,
        };
        let (mut types, mut fits) = (Types::default(), Some(()));
        for (key, text) in table {
            let at = at.key(&key);
            let [client, server] = &mut types.classes;
            let Some(uri) = load.expect(&at, uri(&text), A_URI) else {
                fits = None;
                continue;
            };
            match (key.as_str(), three_digits(&key)) {
                ("4xx", _) => *client = Some(uri),
                ("5xx", _) => *server = Some(uri),
                (_, Some(status @ 400..=599)) => {
                    types.statuses.insert(status, uri);
                }
                _ => {
                    let expected = "a status from 400 to 599, `4xx` or `5xx`";
                    load.refuse(&at, Refusal::Unacceptable { expected });
                    fits = None;
                }
            }
        }
        fits.map(|()| types)
    }
}

impl<'de> Deserialize<'de> for TypesFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BlankOrTable;
        impl<'de> Visitor<'de> for BlankOrTable {
            type Value = TypesFields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`about:blank`, or an object with a URI for each status")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<TypesFields, E> {
                Ok(TypesFields::Blank(text.into()))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TypesFields, A::Error> {
                let mut table = BTreeMap::new();
                while let Some((key, uri)) = map.next_entry()? {
                    table.insert(key, uri);
                }
                Ok(TypesFields::Table(table))
            }
        }
        deserializer.deserialize_any(BlankOrTable)
    }
}

/// The member `type`.
#[cfg(feature = "schema")]
#[derive(schemars::JsonSchema)]
#[schemars(rename = "problem_types")]
#[serde(untagged)]
#[expect(dead_code, reason = "read by the schema alone")]
pub(super) enum TypesSchema {
    /// `about:blank`.
    Blank(#[schemars(regex(pattern = "^about:blank$"))] String),
    /// A URI for each status or class.
    Table(BTreeMap<String, String>),
}
