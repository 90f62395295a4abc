//! JSON (RFC 8259) into the tree. serde_json reads it; each value is lent from the text, and so tells
//! its place.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::scalar::Style;
use super::{MAX_DEPTH, Member, Node, Scalar, Value};
use crate::find::Unreadable;
use crate::place::Text;

/// Why a text is no JSON.
pub(super) struct JsonError {
    pub(super) unreadable: Unreadable,
    /// It would be no better as YAML.
    pub(super) is_final: bool,
}

/// Reads one document.
pub(super) fn read(text: &Text) -> Result<Node<'_>, JsonError> {
    let raw: &RawValue = serde_json::from_str(text.content()).map_err(|error| {
        let at = text.position(text.offset_of_byte(error.line(), error.column()));
        // Of a syntax error serde_json quotes nothing.
        let reason = error.to_string();
        let reason = reason.rsplit_once(" at line ").map_or(reason.as_str(), |(reason, _)| reason);
        JsonError {
            unreadable: Unreadable::new(at, format!("not JSON: {reason}")),
            is_final: false,
        }
    })?;
    node(raw, text, 0)
}

fn node<'t>(raw: &'t RawValue, text: &'t Text, depth: usize) -> Result<Node<'t>, JsonError> {
    let start = offset(raw, text);
    let at = text.position(start);
    let source = raw.get();
    let broken = |_| JsonError {
        unreadable: Unreadable::new(at, "not JSON: a character that is none".to_owned()),
        is_final: true,
    };
    let value = match source.as_bytes().first() {
        Some(b'{' | b'[') if depth >= MAX_DEPTH => {
            let reason = format!("nested more than {MAX_DEPTH} levels deep");
            return Err(JsonError { unreadable: Unreadable::new(at, reason), is_final: true });
        }
        Some(b'{') => {
            let Members(members) = serde_json::from_str(source).map_err(broken)?;
            let members = members.into_iter().map(|(key, value)| {
                Ok(Member {
                    key: serde_json::from_str(key.get()).map_err(broken)?,
                    at: text.position(offset(key, text)),
                    value: node(value, text, depth + 1)?,
                })
            });
            Value::Object(members.collect::<Result<_, _>>()?)
        }
        Some(b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(source).map_err(broken)?;
            let elements = elements.into_iter().map(|element| node(element, text, depth + 1));
            Value::List(elements.collect::<Result<_, _>>()?)
        }
        Some(b'"') => Value::String(Scalar {
            text: serde_json::from_str(source).map_err(broken)?,
            outer: text,
            start,
            style: Style::DoubleQuoted,
        }),
        Some(b't') => Value::Bool(true),
        Some(b'f') => Value::Bool(false),
        Some(b'n') | None => Value::Null,
        Some(_) => Value::Number(source.to_owned()),
    };
    Ok(Node { at, value })
}

/// Where a value that was lent from the text begins in it, in bytes.
fn offset(raw: &RawValue, text: &Text) -> usize {
    (raw.get().as_ptr() as usize).saturating_sub(text.content().as_ptr() as usize)
}

struct Members<'t>(Vec<(&'t RawValue, &'t RawValue)>);

impl<'t> Deserialize<'t> for Members<'t> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'t> Visitor<'t> for InOrder {
            type Value = Members<'t>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Members<'t>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}
