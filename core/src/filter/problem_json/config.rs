//! The configuration of `problem_json`.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;
use serde_json::Value;

use super::detail::{Detail, InvalidUtf8};
use super::statuses::{Statuses, StatusesFields};
use super::types::{Types, TypesFields};
use super::{Instance, Parts, ProblemJson, Title, Trace};
use crate::config::{Load, Pointer, Refusal};
use crate::problem;

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
            with = "Option<crate::config::schema::OneOrMany<super::statuses::StatusesSchema>>",
            extend("default" = "400-599")
        )
    )]
    statuses: Option<StatusesFields>,
    /// The member `type`, a URI, by status (`"404"`) or class (`"4xx"`, `"5xx"`); what is not named
    /// keeps its default, the section of the RFC that defines the status or its class.
    /// `about:blank`: always that.
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::types::TypesSchema>"))]
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
