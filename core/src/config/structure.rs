//! A `google.protobuf.Struct`: what a proxy-wasm module gets for one, where the dynamic module gets
//! JSON text.

use prost::Message;
use prost_types::value::Kind;
use prost_types::{Struct, Value};

use super::json::Json;

/// Reads the wire form of a Struct that is not empty. Its first byte, a line feed, begins no other
/// document than a JSON text with white space in front, so ask for JSON first.
pub(super) fn read(document: &[u8]) -> Option<Json> {
    Struct::decode(document).ok().filter(|object| !object.fields.is_empty()).and_then(object)
}

fn object(object: Struct) -> Option<Json> {
    let members = object.fields.into_iter().map(|(key, member)| Some((key, value(member)?)));
    members.collect::<Option<_>>().map(Json::Object)
}

/// `None` for a value of no kind, which no JSON stands for.
fn value(of: Value) -> Option<Json> {
    Some(match of.kind? {
        Kind::NullValue(_) => Json::Null,
        Kind::NumberValue(number) => Json::Float(number),
        Kind::StringValue(text) => Json::String(text),
        Kind::BoolValue(truth) => Json::Bool(truth),
        Kind::StructValue(inner) => object(inner)?,
        Kind::ListValue(list) => {
            Json::List(list.values.into_iter().map(value).collect::<Option<_>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{Json, read};
    use alloc::string::ToString;
    use alloc::vec;

    #[test]
    fn the_wire_form_of_a_struct() {
        let wire = b"\nl\n\x07filters\x12a2_\n]*[\nY\n\x0erequire_header\x12G*E\n\x11\n\x06header\x12\x07\x1a\x05allow\
            \n\x0f\n\x05exact\x12\x06\x1a\x04true\n\x1f\n\x04deny\x12\x17*\x15\n\x13\n\x06status\x12\t\x11\0\0\0\0\0 z@";
        let text = |text: &str| Json::String(text.to_string());
        let member = |key: &str, value| (key.to_string(), value);
        let deny = Json::Object(vec![member("status", Json::Float(418.0))]);
        let fields = vec![
            member("deny", deny),
            member("exact", text("true")),
            member("header", text("allow")),
        ];
        let filter = Json::Object(vec![member("require_header", Json::Object(fields))]);
        let expected = Json::Object(vec![member("filters", Json::List(vec![filter]))]);
        assert!(read(wire) == Some(expected));
    }

    #[test]
    fn what_is_none() {
        assert!(read(b"").is_none());
        assert!(read(b"\n").is_none());
        assert!(read(b"\n\x05hello").is_none());
        assert!(read(br#"{"filters": []}"#).is_none());
    }
}
