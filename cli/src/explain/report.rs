//! What is told of a request: what both formats are made of, secrets left out already.
//!
//! docs/explain.md describes the JSON form. A member is always there, `null` or an empty list where
//! there is nothing to say.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// The version of the JSON form: a reader that knows it knows each member below.
pub(super) const VERSION: u8 = 1;

/// What becomes of a request, and why.
#[derive(Serialize)]
pub struct Explanation {
    pub(super) version: u8,
    /// What the configuration was found in.
    pub(super) within: String,
    pub(super) request: Request,
    /// In their order.
    pub(super) filters: Vec<Filter>,
    /// `None`: nothing reaches it.
    pub(super) upstream: Option<Upstream>,
    /// `None`: that depends on what a service answers that was not told.
    pub(super) client: Option<Client>,
}

/// What the client sends.
#[derive(Serialize)]
pub(super) struct Request {
    /// Pseudo-headers first.
    pub(super) fields: Vec<Field>,
    /// Fields that were removed before the first filter.
    pub(super) stripped: Vec<String>,
}

/// A field line.
#[derive(Serialize)]
pub(super) struct Field {
    pub(super) name: String,
    /// `None`: a secret. Of a URI all but its query.
    pub(super) value: Option<String>,
    /// The length of the value.
    pub(super) bytes: usize,
    /// The length of the query that is not shown.
    pub(super) query_bytes: Option<usize>,
}

/// The value.
impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.value, self.query_bytes) {
            (None, _) => write!(f, "<{} bytes>", self.bytes),
            (Some(value), None) => f.write_str(value),
            (Some(value), Some(bytes)) => write!(f, "{value}?<{bytes} bytes>"),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Filter {
    pub(super) name: String,
    pub(super) kind: &'static str,
    /// Its place in the configuration; empty for the document of a plug-in.
    pub(super) pointer: String,
    pub(super) mode: &'static str,
    /// `None`: it has none, or the chain has not come to it.
    pub(super) when: Option<When>,
    /// `None`: it has no work with requests.
    pub(super) request: Option<OfRequest>,
    /// `None`: it has no work with responses, or none has come.
    pub(super) response: Option<OfResponse>,
}

/// What a filter does with the request.
#[derive(Serialize)]
pub(super) struct OfRequest {
    pub(super) verdict: Verdict,
    /// Of a denial, and of one that is observed: its name in metrics.
    pub(super) slug: Option<String>,
    /// Of a denial that is carried out: what the client gets.
    pub(super) status: Option<u16>,
    /// Why.
    pub(super) reason: Option<String>,
    pub(super) rules: Vec<Rule>,
    pub(super) callouts: Vec<Callout>,
    pub(super) edits: Vec<Edit>,
    pub(super) notes: Vec<Note>,
    pub(super) log: Vec<LogLine>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// The request goes on as it is.
    Allowed,
    /// It goes on, changed.
    Edited,
    /// It goes on with a token.
    Exchanged,
    /// It is answered.
    Denied,
    /// `mode: observe`: it goes on, though it would have been answered or changed.
    Observed,
    /// It waits for a callout whose end was not told.
    Waits,
    /// The filter is not for it.
    Skipped,
    /// An earlier filter has answered it, or holds it.
    NotReached,
}

/// What a filter does with the response.
#[derive(Serialize)]
pub(super) struct OfResponse {
    /// Whether the filter is for it.
    pub(super) applies: bool,
    pub(super) edits: Vec<Edit>,
    /// Whether it gives it other content.
    pub(super) replaces_content: bool,
    /// Whether that is carried out.
    pub(super) carried_out: bool,
    /// Why it does nothing, where it says so.
    pub(super) reason: Option<String>,
    pub(super) log: Vec<LogLine>,
}

/// A `when`, judged.
#[derive(Serialize)]
pub(super) struct When {
    pub(super) pointer: String,
    /// `None`: the path is not valid.
    pub(super) holds: Option<bool>,
    /// Why the path is not valid.
    pub(super) invalid: Option<String>,
    /// For how many forms of the path it was judged.
    pub(super) judged: usize,
    /// Some of them, the one that decides last.
    pub(super) forms: Vec<Form>,
}

/// A `when`, judged for one form of the path.
#[derive(Serialize)]
pub(super) struct Form {
    /// `None`: no condition is on the path.
    pub(super) path: Option<String>,
    pub(super) holds: Option<bool>,
    pub(super) conditions: Vec<Condition>,
}

#[derive(Serialize)]
pub(super) struct Condition {
    pub(super) pointer: String,
    pub(super) holds: Option<bool>,
    /// As the configuration has it; `None` for a `not`, and where that cannot be told.
    pub(super) wanted: Option<Value>,
    /// What the request has.
    pub(super) found: Vec<Field>,
    /// Those of a `not`.
    pub(super) conditions: Vec<Condition>,
}

/// A rule of `basic_auth`.
#[derive(Serialize)]
pub(super) struct Rule {
    pub(super) pointer: String,
    /// `None`: the path is not valid.
    pub(super) applies: Option<bool>,
    /// Whether the request passes it; `None` where the rule is not for it.
    pub(super) passes: Option<bool>,
    /// Why it does not.
    pub(super) slug: Option<String>,
    pub(super) when: Option<When>,
}

#[derive(Serialize)]
pub(super) struct Callout {
    pub(super) cluster: String,
    /// Pseudo-headers first. Values of others are not shown.
    pub(super) fields: Vec<Field>,
    pub(super) content_bytes: usize,
    pub(super) timeout_ms: u32,
    /// How it ends, as the command line has it; `None`: not told.
    pub(super) end: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Edit {
    pub(super) change: &'static str,
    pub(super) name: String,
    /// `None`: removed.
    pub(super) field: Option<Field>,
    pub(super) carried_out: bool,
}

#[derive(Serialize)]
pub(super) struct Note {
    pub(super) key: String,
    pub(super) value: String,
}

#[derive(Serialize)]
pub(super) struct LogLine {
    pub(super) level: &'static str,
    pub(super) message: String,
}

#[derive(Serialize)]
pub(super) struct Upstream {
    /// Pseudo-headers first.
    pub(super) fields: Vec<Field>,
}

#[derive(Serialize)]
pub(super) struct Client {
    pub(super) status: u16,
    /// The filter that answers; `None`: the upstream.
    pub(super) answered_by: Option<String>,
    /// Response-code details in the access log.
    pub(super) details: String,
    pub(super) fields: Vec<Field>,
    pub(super) content: Content,
}

#[derive(Serialize)]
pub(super) struct Content {
    /// Its length.
    pub(super) bytes: usize,
    pub(super) text: String,
    /// Whether the text is its start alone.
    pub(super) cut: bool,
}
