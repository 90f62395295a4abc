//! The forms in which a configuration is given: text, bytes, a Struct.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pintle_core::config::{KINDS, PLUGIN_KEYS};

use super::{Outline, Unreadable};
use crate::chain;
use crate::place::{Position, Text};
use crate::tree::{self, Member, Node, Scalar, Syntax};

/// A document, and where its parts stand.
pub(super) struct Form {
    pub(super) document: String,
    /// Why it never comes to a filter.
    pub(super) unread: Option<Unreadable>,
    pub(super) outline: Outline,
    /// Where it is no JSON.
    pub(super) broken_at: Option<Position>,
}

/// Whether a file as a whole is a document for Pintle, right or wrong. Envoy's own `filters` have names and
/// types.
pub(super) fn is_meant_for_pintle(node: &Node<'_>) -> bool {
    let is_envoys =
        |filter: &Node<'_>| filter.get("name").is_some() || filter.get("@type").is_some();
    let filters = node.get("filters");
    let is_meant = filters.is_some_and(|filters| !filters.elements().iter().any(is_envoys));
    node.is_empty() || is_pintles(node) || is_meant
}

/// Whether it has what the documents of no other filter have: a field of a plug-in that Pintle replaces, or
/// `filters` as a list in which one object at least has a kind of filter for a member; of several members one
/// other than `headers`, which is a word of others, too.
pub(super) fn is_pintles(node: &Node<'_>) -> bool {
    let filters = node.get("filters").map(Node::elements).unwrap_or_default();
    let is_kind = |member: &Member<'_>| KINDS.contains(&member.key.as_str());
    let is_known = |filter: &Node<'_>| match filter.members() {
        [only] => is_kind(only),
        several => several.iter().any(|member| is_kind(member) && member.key != "headers"),
    };
    filters.iter().any(is_known) || chain::plugin(node).is_some()
}

/// Whether what stands where an `Any` belongs is Pintle's: the document itself, text of it, or an `Any` with it
/// of a type that no filter reads.
pub(super) fn is_meant(node: &Node<'_>) -> bool {
    let value = node.get("value");
    is_pintles(node) || value.is_some_and(is_pintles) || node.text().is_some_and(has_marker)
}

/// Whether a text that is neither YAML nor JSON, or not yet, has a field of a plug-in's document, or `filters` and
/// a kind of filter.
pub(super) fn has_marker(text: &str) -> bool {
    let is_of_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let is_key = |(at, key): (usize, &str)| {
        let before = text.get(..at).unwrap_or_default();
        let after = text.get(at + key.len()..).unwrap_or_default();
        let after = after.trim_start_matches(['\\', '"', '\'']).trim_start();
        !before.ends_with(is_of_word) && after.starts_with(':')
    };
    let has = |key: &str| text.match_indices(key).any(is_key);
    PLUGIN_KEYS.into_iter().any(|(key, _)| has(key))
        || (has("filters") && KINDS.iter().any(|kind| has(kind)))
}

impl Form {
    /// No configuration at all.
    pub(super) fn nothing(at: Position) -> Self {
        Self::with(String::new(), Outline::only(at))
    }

    /// A value that becomes JSON on its way to the filter.
    pub(super) fn of_value(node: &Node<'_>) -> Self {
        Self::with(node.to_json(), Outline::of(node))
    }

    /// What cannot be read.
    pub(super) fn unreadable(error: Unreadable) -> Self {
        Self { unread: Some(error.clone()), ..Self::nothing(error.at()) }
    }

    /// Text that the filter gets as it is.
    pub(super) fn of_text(scalar: &Scalar<'_>) -> Self {
        let text = scalar.as_text();
        let at = text.position(0);
        let (outline, broken_at) = match tree::read(&text, Syntax::Json) {
            Ok(nodes) => (nodes.first().map_or_else(|| Outline::only(at), Outline::of), None),
            Err(error) => (Outline::only(at), Some(error.at())),
        };
        Self { broken_at, ..Self::with(scalar.text.clone(), outline) }
    }

    /// What an `Any` has in it, by its `@type`, for what `host` runs.
    pub(super) fn of_any(any: &Node<'_>, host: Host) -> Self {
        let kind = any.get("@type").and_then(Node::text).unwrap_or_default();
        let name = kind.rsplit('/').next().unwrap_or_default();
        let value = any.get("value");
        let is_module = host == Host::Module;
        match (name, value) {
            ("google.protobuf.StringValue", Some(value)) => match value.scalar() {
                Some(scalar) => Self::of_text(scalar),
                None => Self::unreadable(wrong(value, "text, as a StringValue has it")),
            },
            ("google.protobuf.BytesValue", Some(value)) => Self::of_bytes(value),
            // Its wire form, which a wasm module gets, has no bytes.
            ("google.protobuf.Struct", Some(value)) if !is_module && value.is_empty() => {
                Self::nothing(value.at)
            }
            ("google.protobuf.Struct", None) if is_module => {
                Self::with("{}".to_owned(), Outline::only(any.at))
            }
            ("google.protobuf.Struct", Some(value)) => Self::of_value(value),
            ("xds.type.v3.TypedStruct" | "udpa.type.v1.TypedStruct", Some(value)) if is_module => {
                Self::of_value(value)
            }
            (
                "google.protobuf.StringValue"
                | "google.protobuf.BytesValue"
                | "google.protobuf.Struct"
                | "google.protobuf.Empty",
                _,
            ) => Self::nothing(any.at),
            _ => Self::unreadable(wrong(
                any,
                "an `@type` of google.protobuf.StringValue, BytesValue or Struct",
            )),
        }
    }

    fn of_bytes(value: &Node<'_>) -> Self {
        let text = value.text().unwrap_or_default();
        let bytes = STANDARD.decode(text).ok();
        match bytes.and_then(|bytes| String::from_utf8(bytes).ok()) {
            Some(document) => Self::with(document, Outline::only(value.at)),
            None => Self::unreadable(wrong(value, "the base64 of JSON")),
        }
    }

    /// Whether it is Pintle's by what is in it.
    pub(super) fn is_pintles(&self) -> bool {
        match tree::read(&Text::of_file(&self.document), Syntax::Any) {
            Ok(nodes) => nodes.iter().any(is_pintles),
            Err(_) => has_marker(&self.document),
        }
    }

    fn with(document: String, outline: Outline) -> Self {
        Self { document, unread: None, outline, broken_at: None }
    }
}

/// What hands a configuration to a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Host {
    Wasm,
    /// Makes JSON of every structure.
    Module,
}

fn wrong(node: &Node<'_>, expected: &str) -> Unreadable {
    Unreadable::new(
        node.at,
        format!("a configuration in a form that no filter reads; expected {expected}"),
    )
}
