//! This library's own replies as problems, where a filter is asked for that form.

use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;

use super::{Head, MEDIA_TYPE, TITLE, TraceId, finish, status_type, without_query};
use crate::fields::FieldName;
use crate::host::{Host, Section};
use crate::syntax::media_type;

/// The form of the replies of a filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "deny_format"))]
#[serde(rename_all = "snake_case")]
pub enum DenyFormat {
    /// As the filter words them: most are text.
    #[default]
    Text,
    /// Problem details (RFC 9457), except to a gRPC request.
    ProblemJson,
    /// Problem details to a client whose `accept` names `application/problem+json`,
    /// `application/json` or `application/*` with no less weight than text, and text to others.
    Accept,
}

/// How replies are worded.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "deny_form"))]
#[serde(deny_unknown_fields)]
pub(crate) struct DenyFields {
    /// The form of the replies. Default of the document: `text`; of a filter: that of the document.
    pub(crate) format: Option<DenyFormat>,
}

/// What a client is to get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// A problem, unless it is one already.
    pub(crate) problem: bool,
    /// Another client may get something else (RFC 9110 section 12.5.5).
    pub(crate) varies: bool,
}

impl DenyFormat {
    /// What the client of a request is to get.
    pub(crate) fn wanted<H: Host>(self, host: &H) -> Wanted {
        if self == Self::Text || is_grpc(host) {
            return Wanted::default();
        }
        let varies = self == Self::Accept;
        Wanted { problem: !varies || prefers_problems(host), varies }
    }
}

/// The content of an own reply as a problem. `instance` is the path without the query, which may
/// hold secrets.
pub(crate) fn denied<H: Host>(status: u16, text: &[u8], host: &H) -> Vec<u8> {
    let values = |name| host.values(Section::Request, name);
    let trace_id = TraceId { whole: false, otherwise: None };
    let path = values(FieldName::PATH).next();
    let head = Head {
        problem_type: status_type(status),
        title: TITLE,
        status,
        instance: path.map(without_query),
        trace_id: trace_id.choose(values(FieldName::TRACEPARENT), values(FieldName::X_REQUEST_ID)),
    };
    let detail = String::from_utf8_lossy(text);
    let detail = (!detail.is_empty()).then_some(&*detail);
    finish(head.begin(), detail, &[])
}

fn is_grpc<H: Host>(host: &H) -> bool {
    let mut types = host.values(Section::Request, FieldName::CONTENT_TYPE);
    types.any(media_type::is_grpc)
}

/// Whether `accept` (RFC 9110 section 12.5.1) names JSON, and no text with a greater weight. `*/*` is
/// what clients send that do not care, so it names nothing.
fn prefers_problems<H: Host>(host: &H) -> bool {
    /// The more special first.
    const JSON: [&str; 3] = [MEDIA_TYPE, "application/json", "application/*"];
    const TEXT: [&str; 2] = ["text/plain", "text/*"];

    let weight = |ranges: &[&str]| {
        let named = ranges.iter().find_map(|range| {
            let values = host.values(Section::Request, FieldName::ACCEPT);
            let mut given = values.flat_map(|value| value.split(|byte| *byte == b','));
            given.find(|given| media_type::is(given, range)).map(media_type::weight)
        });
        named.unwrap_or(0)
    };
    let json = weight(&JSON);
    json > 0 && json >= weight(&TEXT)
}
