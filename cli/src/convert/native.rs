//! Pintle's own form, as far as the documents of other plug-ins become it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

/// A document.
#[derive(Serialize)]
pub(super) struct Native {
    pub(super) filters: Vec<Filter>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Filter {
    BasicAuth(BasicAuth),
    TokenExchange(TokenExchange),
    ProblemJson(ProblemJson),
}

#[derive(Serialize)]
pub(super) struct BasicAuth {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) realm: Option<String>,
    pub(super) rules: Vec<Rule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mode: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Rule {
    pub(super) when: When,
    pub(super) credentials: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct TokenExchange {
    pub(super) cluster: String,
    pub(super) authority: String,
    pub(super) path: &'static str,
    pub(super) headers: [NamedValue; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) timeout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cache: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mode: Option<String>,
}

#[derive(Serialize)]
pub(super) struct NamedValue {
    pub(super) name: &'static str,
    pub(super) value: &'static str,
}

#[derive(Clone, Serialize)]
pub(super) struct ProblemJson {
    #[serde(skip_serializing_if = "When::is_empty")]
    pub(super) when: When,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) statuses: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) types: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<String>,
    pub(super) trace_id: TraceId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mode: Option<String>,
}

#[derive(Clone, Copy, Serialize)]
pub(super) struct TraceId {
    pub(super) traceparent: &'static str,
    pub(super) default: &'static str,
}

#[derive(Clone, Default, Serialize)]
pub(super) struct When {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) hosts: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<Path>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) methods: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) headers: Vec<Field>,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Path {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Regex(String),
}

#[derive(Clone, Serialize)]
pub(super) struct Field {
    pub(super) name: &'static str,
    #[serde(flatten)]
    pub(super) value: FieldValue,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FieldValue {
    Exact(String),
    Prefix(String),
}

impl Native {
    /// Of these types nothing fails to be JSON.
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl When {
    fn is_empty(&self) -> bool {
        let Self { hosts, path, methods, headers } = self;
        hosts.is_empty() && path.is_none() && methods.is_empty() && headers.is_empty()
    }
}
