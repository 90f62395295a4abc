//! JSON (RFC 8259) from outside: one meaning or none.

use core::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Reads one JSON text.
///
/// A name that stands twice in one object is refused: RFC 8259 section 4 leaves open which of the
/// two counts, RFC 6749 section 3.2 forbids it. A number that no 64-bit float reaches (`1e400`),
/// more than 127 levels of nesting and half a surrogate pair are refused too.
///
/// ```
/// use pintle_core::syntax::json;
///
/// assert_eq!(json::read(br#"{"a": [1]}"#).unwrap()["a"][0], 1);
/// assert!(json::read(br#"{"a": 1, "a": 2}"#).is_err());
/// ```
pub fn read(text: &[u8]) -> Result<Value, Malformed> {
    serde_json::from_slice(text).map(|Unambiguous(value)| value).map_err(|_| Malformed)
}

/// The text is not JSON, or not JSON of one meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not JSON with distinct names")
    }
}

impl core::error::Error for Malformed {}

struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Distinct).map(Self)
    }
}

struct Distinct;

impl<'de> Visitor<'de> for Distinct {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = alloc::vec::Vec::new();
        while let Some(Unambiguous(element)) = elements.next_element()? {
            list.push(element);
        }
        Ok(Value::Array(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Unambiguous(member))) = members.next_entry()? {
            if object.insert(name, member).is_some() {
                return Err(A::Error::custom("a name that stands twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};

    use super::*;

    #[test]
    fn reads_what_serde_json_reads() {
        for text in [
            "null",
            "true",
            "\"a\\u00e9\\ud83d\\ude00\"",
            "-0",
            "18446744073709551615",
            "-9223372036854775808",
            "1e300",
            "0.5",
            "[]",
            "{}",
            r#" {"a": {"b": [1, {"a": null}]}, "b": ""} "#,
        ] {
            let expected: Value = serde_json::from_str(text).unwrap();
            assert_eq!(read(text.as_bytes()).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn refuses_what_has_no_one_meaning() {
        for text in [
            "",
            " ",
            "{",
            "nul",
            "1 2",
            "{}x",
            "01",
            "1e400",
            "-1e400",
            "NaN",
            "'a'",
            "[1,]",
            "\"\\ud800\"",
            "\"a\nb\"",
            "\u{feff}{}",
            r#"{"a": 1, "a": 1}"#,
            r#"{"a": 1, "\u0061": 1}"#,
            r#"[{"b": {"a": 1, "c": 2, "a": 3}}]"#,
        ] {
            assert_eq!(read(text.as_bytes()), Err(Malformed), "{text}");
        }
        assert_eq!(read(b"\"\xff\""), Err(Malformed));
        assert!(!Malformed.to_string().is_empty());
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
        assert!(read(nested(127).as_bytes()).is_ok());
        assert!(read(nested(128).as_bytes()).is_err());
        assert!(read("[".repeat(1 << 20).as_bytes()).is_err());
        let objects: String = "{\"a\":".repeat(1 << 18);
        assert!(read(objects.as_bytes()).is_err());
    }
}
