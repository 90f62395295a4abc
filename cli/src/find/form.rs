//! The forms in which a configuration is given: text, bytes, a Struct.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pintle_core::config::PLUGIN_KEYS;

use super::{Outline, Unreadable};
use crate::place::Position;
use crate::tree::{self, Node, Scalar, Syntax};

/// A document, and where its parts stand.
pub(super) struct Form {
    pub(super) document: String,
    pub(super) outline: Outline,
    /// Where it is no JSON.
    pub(super) broken_at: Option<Position>,
}

/// Keys of documents in Pintle's own form.
const OWN_KEYS: [&str; 3] = ["filters", "paths", "deny"];

/// Whether it is a document that Pintle reads, right or wrong.
pub(super) fn reads_like_pintle(node: &Node<'_>) -> bool {
    let members = node.members();
    node.is_object() && (members.is_empty() || is_pintles(node))
}

/// Whether it has a key that tells that it is one.
pub(super) fn is_pintles(node: &Node<'_>) -> bool {
    let is_known = |key: &str| OWN_KEYS.contains(&key) || PLUGIN_KEYS.contains(&key);
    node.is_object() && node.members().iter().any(|member| is_known(&member.key))
}

impl Form {
    /// No configuration at all.
    pub(super) fn nothing(at: Position) -> Self {
        Self { document: String::new(), outline: Outline::only(at), broken_at: None }
    }

    /// A value that becomes JSON on its way to the filter.
    pub(super) fn of_value(node: &Node<'_>) -> Self {
        Self { document: node.to_json(), outline: Outline::of(node), broken_at: None }
    }

    /// Text that the filter gets as it is.
    pub(super) fn of_text(scalar: &Scalar<'_>) -> Self {
        let text = scalar.as_text();
        let at = text.position(0);
        let (outline, broken_at) = match tree::read(&text, Syntax::Json) {
            Ok(nodes) => (nodes.first().map_or_else(|| Outline::only(at), Outline::of), None),
            Err(Unreadable { line, column, .. }) => {
                (Outline::only(at), Some(Position { line, column }))
            }
        };
        Self { document: scalar.text.clone(), outline, broken_at }
    }

    /// What an `Any` has in it, by its `@type`.
    ///
    /// `structures`: whether the host makes JSON of an `xds.type.v3.TypedStruct` too.
    pub(super) fn of_any(any: &Node<'_>, structures: bool) -> Result<Self, Unreadable> {
        let kind = any.get("@type").and_then(Node::text).unwrap_or_default();
        let name = kind.rsplit('/').next().unwrap_or_default();
        let value = any.get("value");
        match (name, value) {
            ("google.protobuf.StringValue", Some(value)) => match value.scalar() {
                Some(scalar) => Ok(Self::of_text(scalar)),
                None => Err(wrong(value, "text, as a StringValue has it")),
            },
            ("google.protobuf.BytesValue", Some(value)) => Self::of_bytes(value),
            ("google.protobuf.Struct", Some(value)) => Ok(Self::of_value(value)),
            ("xds.type.v3.TypedStruct" | "udpa.type.v1.TypedStruct", Some(value)) if structures => {
                Ok(Self::of_value(value))
            }
            (
                "google.protobuf.StringValue"
                | "google.protobuf.BytesValue"
                | "google.protobuf.Struct"
                | "google.protobuf.Empty",
                _,
            ) => Ok(Self::nothing(any.at)),
            _ => Err(wrong(any, "an `@type` of google.protobuf.StringValue, BytesValue or Struct")),
        }
    }

    fn of_bytes(value: &Node<'_>) -> Result<Self, Unreadable> {
        let text = value.text().unwrap_or_default();
        let bytes = STANDARD.decode(text).ok();
        let document = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let document = document.ok_or_else(|| wrong(value, "the base64 of JSON"))?;
        Ok(Self { document, ..Self::nothing(value.at) })
    }
}

fn wrong(node: &Node<'_>, expected: &str) -> Unreadable {
    Unreadable::at(
        node.at,
        format!("a configuration in a form that no filter reads; expected {expected}"),
    )
}
