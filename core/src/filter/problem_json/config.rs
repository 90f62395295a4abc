//! The configuration of `problem_json`.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
#[cfg(feature = "schema")]
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::Value;

use super::detail::{Detail, InvalidUtf8};
use super::{Instance, Parts, ProblemJson, Title, Trace};
use crate::config::{Load, Pointer, Refusal};
use crate::problem::{self, status_type};

/// The fields of `problem_json` in the configuration.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ProblemJsonFields {
    /// The responses that become problems, by status: `404`, `"500-599"`, or a list of these; from 400
    /// to 599. Default: all of them.
    #[cfg_attr(
        feature = "schema",
        schemars(
            with = "Option<crate::config::schema::OneOrMany<StatusesSchema>>",
            extend("default" = "400-599")
        )
    )]
    statuses: Option<StatusesFields>,
    /// The member `type`, a URI, by status (`"404"`) or class (`"4xx"`, `"5xx"`); what is not named
    /// keeps its default, the section of the RFC that defines the status or its class.
    /// `about:blank`: always that.
    #[cfg_attr(feature = "schema", schemars(with = "Option<TypesSchema>"))]
    types: Option<TypesFields>,
    /// The member `title`. `status_phrase`: the registered name of the status, such as `Not Found`, or
    /// of its class. Default: `service mesh returned an error`, and with `about:blank` the phrase.
    #[cfg_attr(
        feature = "schema",
        schemars(extend("default" = "service mesh returned an error"))
    )]
    title: Option<String>,
    /// The member `detail`. `body`: the content of the response; `none`: no such member; any other
    /// text: that.
    #[cfg_attr(feature = "schema", schemars(extend("default" = "body")))]
    detail: Option<String>,
    /// What becomes of a `detail` that is not UTF-8.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = "replace")))]
    invalid_utf8: InvalidUtf8Fields,
    /// The most content that `detail` has, in bytes; what is beyond it is cut and marked. Default
    /// 65536: far more than an error says.
    #[cfg_attr(
        feature = "schema",
        schemars(range(min = 1, max = 1_048_576), extend("default" = 65536))
    )]
    max_body_bytes: Option<usize>,
    /// The member `instance`.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = "path")))]
    instance: InstanceFields,
    /// Whether `instance` lacks the query.
    #[serde(default)]
    strip_query: bool,
    /// The member `trace_id`: from `traceparent`, else `x-request-id`, else a constant.
    #[serde(default)]
    trace_id: TraceFields,
    /// Further members, the same every time.
    members: Option<BTreeMap<String, Value>>,
}

/// Where `trace_id` comes from.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "problem_trace_id"))]
#[serde(deny_unknown_fields)]
struct TraceFields {
    /// What of `traceparent` (W3C Trace Context section 3.2) it is.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = "trace_id")))]
    traceparent: TraceparentFields,
    /// What it is where the request has neither `traceparent` nor `x-request-id`. Without it there is
    /// no such member then.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    default: Option<String>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "problem_traceparent")
)]
#[serde(rename_all = "snake_case")]
enum TraceparentFields {
    /// The trace id that it has; where it is malformed, it does not count.
    #[default]
    TraceId,
    /// The whole field, as it came.
    Whole,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "problem_invalid_utf8")
)]
#[serde(rename_all = "snake_case")]
enum InvalidUtf8Fields {
    /// U+FFFD in the place of what is not.
    #[default]
    Replace,
    /// There is no such member.
    Omit,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "problem_instance"))]
#[serde(rename_all = "snake_case")]
enum InstanceFields {
    /// The path of the request as it came.
    #[default]
    Path,
    /// There is no such member.
    None,
}

/// The most content that `detail` has by default, in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 64 * 1024;

/// What is held in memory for one response at most, in bytes.
const LARGEST_MAX_BODY_BYTES: usize = 1024 * 1024;

/// Members that a problem has of its own.
const OWN_MEMBERS: [&str; 6] = ["type", "title", "status", "instance", "trace_id", "detail"];

impl ProblemJsonFields {
    pub(super) fn compile(self, at: &Pointer<'_>, load: &mut Load) -> Option<ProblemJson> {
        let statuses = match self.statuses {
            None => Some(Statuses::ALL),
            Some(statuses) => statuses.compile(&at.key("statuses"), load),
        };
        let types = match self.types {
            None => Some(Types::default()),
            Some(types) => types.compile(&at.key("types"), load),
        };
        let max = self.max_body_bytes.unwrap_or(MAX_BODY_BYTES);
        let max = (1..=LARGEST_MAX_BODY_BYTES).contains(&max).then_some(max);
        let max = load.expect(&at.key("max_body_bytes"), max, "1 to 1048576 bytes");
        let otherwise = self.trace_id.default.map(|text| {
            let text = (!text.is_empty()).then_some(text);
            load.expect(&at.key("trace_id").key("default"), text, "text that is not empty")
        });
        let members = members(self.members, &at.key("members"), load);
        let types = types?;
        let parts = Parts {
            statuses: statuses?,
            urls: None,
            title: match self.title {
                // RFC 9457 section 4.2.1.
                None if types.are_blank() => Title::StatusPhrase,
                None => Title::Literal(problem::TITLE.into()),
                Some(title) if title == "status_phrase" => Title::StatusPhrase,
                Some(title) => Title::Literal(title.into()),
            },
            detail: match self.detail.as_deref() {
                None | Some("body") => Detail::Body(match self.invalid_utf8 {
                    InvalidUtf8Fields::Replace => InvalidUtf8::Replace,
                    InvalidUtf8Fields::Omit => InvalidUtf8::Omit,
                }),
                Some("none") => Detail::None,
                Some(text) => Detail::Literal(text.into()),
            },
            instance: match (self.instance, self.strip_query) {
                (InstanceFields::None, _) => Instance::None,
                (InstanceFields::Path, false) => Instance::Path,
                (InstanceFields::Path, true) => Instance::PathWithoutQuery,
            },
            trace: Trace {
                whole: self.trace_id.traceparent == TraceparentFields::Whole,
                otherwise: match otherwise {
                    None => None,
                    Some(text) => Some(text?.into()),
                },
            },
            members: members?,
            max_body_bytes: max?,
            types,
        };
        Some(parts.build())
    }
}

/// A list of fixed members, written as they stand in each problem.
fn members(
    members: Option<BTreeMap<String, Value>>,
    at: &Pointer<'_>,
    load: &mut Load,
) -> Option<Box<[u8]>> {
    let mut json = Vec::new();
    let mut fits = Some(());
    for (name, value) in members.into_iter().flatten() {
        if OWN_MEMBERS.contains(&name.as_str()) {
            let expected = "a member that no field of the filter is for";
            load.refuse(&at.key(&name), Refusal::Unacceptable { expected });
            fits = None;
        }
        problem::member(&mut json, &name, &value);
    }
    fits.map(|()| json.into())
}

/// A set of statuses from 400 to 599.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Statuses([u128; 2]);

impl Statuses {
    /// All of them.
    pub(crate) const ALL: Self = Self([u128::MAX, (1 << 72) - 1]);

    const NONE: Self = Self([0; 2]);

    /// From `first` to `last`, both of them in it.
    pub(crate) fn range(first: u16, last: u16) -> Self {
        let mut range = Self::NONE;
        (first..=last).for_each(|status| range.add(status));
        range
    }

    pub(crate) fn have(&self, status: u16) -> bool {
        place(status).is_some_and(|(word, bit)| self.0.get(word).is_some_and(|w| w & bit != 0))
    }

    fn add(&mut self, status: u16) {
        if let Some((word, bit)) = place(status)
            && let Some(word) = self.0.get_mut(word)
        {
            *word |= bit;
        }
    }

    fn or(self, other: Self) -> Self {
        let ([a, b], [c, d]) = (self.0, other.0);
        Self([a | c, b | d])
    }
}

/// The word, and the bit in it.
fn place(status: u16) -> Option<(usize, u128)> {
    let number = status.checked_sub(400).filter(|number| *number < 200)?;
    Some((usize::from(number >> 7), 1_u128.wrapping_shl(u32::from(number & 127))))
}

/// `404`, `"500-599"`, or a list of these.
struct StatusesFields {
    listed: bool,
    parts: Vec<StatusPart>,
}

enum StatusPart {
    One(u64),
    Text(String),
}

impl StatusesFields {
    fn compile(self, at: &Pointer<'_>, load: &mut Load) -> Option<Statuses> {
        let Self { listed, parts } = self;
        let compile = |part: StatusPart, at: &Pointer<'_>, load: &mut Load| {
            let expected = "a status, or a range such as `500-599`, from 400 to 599";
            load.expect(at, part.statuses(), expected)
        };
        let parts: Vec<Statuses> = if listed {
            load.each(parts, at, compile)?
        } else {
            let parts = parts.into_iter().map(|part| compile(part, at, load));
            parts.collect::<Option<_>>()?
        };
        Some(parts.into_iter().fold(Statuses::NONE, Statuses::or))
    }
}

impl StatusPart {
    fn statuses(self) -> Option<Statuses> {
        let (first, last) = match &self {
            Self::One(status) => {
                let status = u16::try_from(*status).ok()?;
                (status, status)
            }
            Self::Text(text) => match text.split_once('-') {
                Some((first, last)) => (number(first)?, number(last)?),
                None => (number(text)?, number(text)?),
            },
        };
        let fits = 400 <= first && first <= last && last <= 599;
        fits.then(|| Statuses::range(first, last))
    }
}

/// Three digits, blanks around them aside.
fn number(text: &str) -> Option<u16> {
    three_digits(text.trim_ascii())
}

pub(crate) fn three_digits(text: &str) -> Option<u16> {
    let three = text.len() == 3 && text.bytes().all(|digit| digit.is_ascii_digit());
    if three { text.parse().ok() } else { None }
}

impl<'de> Deserialize<'de> for StatusesFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrList;
        impl<'de> Visitor<'de> for OneOrList {
            type Value = StatusesFields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a status, a range such as `500-599`, or a list of these")
            }
            fn visit_u64<E: de::Error>(self, status: u64) -> Result<Self::Value, E> {
                Ok(StatusesFields { listed: false, parts: Vec::from([StatusPart::One(status)]) })
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                let part = StatusPart::Text(text.into());
                Ok(StatusesFields { listed: false, parts: Vec::from([part]) })
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = list.next_element()? {
                    parts.push(part);
                }
                Ok(StatusesFields { listed: true, parts })
            }
        }
        deserializer.deserialize_any(OneOrList)
    }
}

impl<'de> Deserialize<'de> for StatusPart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrText;
        impl Visitor<'_> for NumberOrText {
            type Value = StatusPart;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a status, or a range such as `500-599`")
            }
            fn visit_u64<E: de::Error>(self, status: u64) -> Result<StatusPart, E> {
                Ok(StatusPart::One(status))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<StatusPart, E> {
                Ok(StatusPart::Text(text.into()))
            }
        }
        deserializer.deserialize_any(NumberOrText)
    }
}

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
    fn are_blank(&self) -> bool {
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
enum TypesFields {
    Blank(String),
    Table(BTreeMap<String, String>),
}

impl TypesFields {
    fn compile(self, at: &Pointer<'_>, load: &mut Load) -> Option<Types> {
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

/// One status, or a range of them.
#[cfg(feature = "schema")]
#[derive(schemars::JsonSchema)]
#[schemars(rename = "problem_status")]
#[serde(untagged)]
#[expect(dead_code, reason = "read by the schema alone")]
enum StatusesSchema {
    /// A status.
    One(#[schemars(range(min = 400, max = 599))] u16),
    /// A status, or a range with both of its ends.
    Range(#[schemars(regex(pattern = r"^ *[45][0-9]{2} *(- *[45][0-9]{2} *)?$"))] String),
}

/// The member `type`.
#[cfg(feature = "schema")]
#[derive(schemars::JsonSchema)]
#[schemars(rename = "problem_types")]
#[serde(untagged)]
#[expect(dead_code, reason = "read by the schema alone")]
enum TypesSchema {
    /// `about:blank`.
    Blank(#[schemars(regex(pattern = "^about:blank$"))] String),
    /// A URI for each status or class.
    Table(BTreeMap<String, String>),
}
