//! Serde over [`Json`], with errors that know their place and quote no value (serde's own messages
//! quote what they refuse, which may be a secret).

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::error::{ConfigError, Refusal};
use super::json::Json;

/// A part of the document.
#[derive(Clone, Copy)]
pub(super) struct Part<'a>(pub(super) &'a Json);

impl<'de> Deserializer<'de> for Part<'_> {
    type Error = ConfigError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        match self.0 {
            Json::Null => visitor.visit_unit(),
            Json::Bool(value) => visitor.visit_bool(*value),
            Json::Integer(value) => visitor.visit_i64(*value),
            Json::Unsigned(value) => visitor.visit_u64(*value),
            Json::Float(value) => match whole(*value) {
                // A protobuf Struct has no integers: 403 may arrive as 403.0.
                Some(whole) => visitor.visit_u64(whole),
                None => visitor.visit_f64(*value),
            },
            Json::String(value) => visitor.visit_str(value),
            Json::List(elements) => {
                visitor.visit_seq(Elements { elements: elements.iter(), index: 0 })
            }
            Json::Object(members) => {
                for (i, (key, _)) in members.iter().enumerate() {
                    if members.iter().skip(i).skip(1).any(|(other, _)| other == key) {
                        return Err(ConfigError::here(Refusal::DuplicateKey).in_key(key));
                    }
                }
                visitor.visit_map(Members { members: members.iter(), value: None })
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        visitor.visit_some(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ConfigError> {
        match self.0 {
            Json::Object(_) => self.deserialize_any(visitor),
            // Derived visitors would take a list for the fields in their order.
            other => Err(ConfigError::here(Refusal::WrongType {
                found: other.type_name(),
                expected: format!("an object with fields of: {}", fields.join(", ")),
            })),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ConfigError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ConfigError> {
        match self.0 {
            Json::String(name) => visitor.visit_enum(Variant { name, content: None }),
            Json::Object(members) => match members.as_slice() {
                [(name, content)] => visitor.visit_enum(Variant { name, content: Some(content) }),
                _ => Err(ConfigError::here(Refusal::Malformed(format!(
                    "an object with one member was expected, one of: {}",
                    variants.join(", ")
                )))),
            },
            other => Err(ConfigError::here(Refusal::WrongType {
                found: other.type_name(),
                expected: format!("one of: {}", variants.join(", ")),
            })),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

fn whole(value: f64) -> Option<u64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let fits = (0.0..=EXACT).contains(&value);
    // The range was checked, so the cast is exact for a whole number.
    let cast = value as u64;
    (fits && cast as f64 == value).then_some(cast)
}

struct Elements<'a> {
    elements: core::slice::Iter<'a, Json>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = ConfigError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ConfigError> {
        let Some(element) = self.elements.next() else { return Ok(None) };
        let index = self.index;
        self.index = index.saturating_add(1);
        seed.deserialize(Part(element)).map(Some).map_err(|error| error.in_index(index))
    }
}

struct Members<'a> {
    members: core::slice::Iter<'a, (String, Json)>,
    value: Option<(&'a str, &'a Json)>,
}

impl<'de> MapAccess<'de> for Members<'_> {
    type Error = ConfigError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ConfigError> {
        let Some((key, value)) = self.members.next() else { return Ok(None) };
        self.value = Some((key, value));
        let key: serde::de::value::StrDeserializer<'_, ConfigError> =
            key.as_str().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<T::Value, ConfigError> {
        match self.value.take() {
            Some((key, value)) => seed.deserialize(Part(value)).map_err(|error| error.in_key(key)),
            None => Err(ConfigError::here(Refusal::DuplicateKey)),
        }
    }
}

struct Variant<'a> {
    name: &'a str,
    content: Option<&'a Json>,
}

impl<'de, 'a> EnumAccess<'de> for Variant<'a> {
    type Error = ConfigError;
    type Variant = Content<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Content<'a>), ConfigError> {
        let name: serde::de::value::StrDeserializer<'_, ConfigError> =
            self.name.into_deserializer();
        // A string that is no variant may be a value somebody put in the wrong place: its name
        // stands in the pointer only where it is a key.
        let value = seed.deserialize(name).map_err(|error| match self.content {
            Some(_) => error,
            None => ConfigError { pointer: String::new(), ..error },
        })?;
        Ok((value, Content { name: self.name, content: self.content }))
    }
}

struct Content<'a> {
    name: &'a str,
    content: Option<&'a Json>,
}

impl<'a> Content<'a> {
    fn needed(&self) -> Result<Part<'a>, ConfigError> {
        self.content.map(Part).ok_or_else(|| {
            ConfigError::here(Refusal::WrongType {
                found: "a string",
                expected: "an object with one member".to_string(),
            })
        })
    }
}

impl<'de> VariantAccess<'de> for Content<'_> {
    type Error = ConfigError;

    fn unit_variant(self) -> Result<(), ConfigError> {
        match self.content {
            None => Ok(()),
            Some(content) => Err(ConfigError::here(Refusal::WrongType {
                found: content.type_name(),
                expected: "a string".to_string(),
            })),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<T::Value, ConfigError> {
        seed.deserialize(self.needed()?).map_err(|error| error.in_key(self.name))
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, ConfigError> {
        self.needed()?.deserialize_any(visitor).map_err(|error| error.in_key(self.name))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ConfigError> {
        self.needed()?.deserialize_any(visitor).map_err(|error| error.in_key(self.name))
    }
}

impl Error for ConfigError {
    fn custom<T: fmt::Display>(_may_quote: T) -> Self {
        Self::here(Refusal::Unacceptable { expected: "a value of the form that this field takes" })
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::here(Refusal::WrongType { found: type_name(found), expected: plain(expected) })
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::here(Refusal::WrongType { found: type_name(found), expected: plain(expected) })
    }

    fn invalid_length(_length: usize, expected: &dyn Expected) -> Self {
        Self::here(Refusal::Malformed(format!("of the wrong length; expected {}", plain(expected))))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::here(Refusal::UnknownVariant { expected }).in_key(variant)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::here(Refusal::Unknown { expected }).in_key(field)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::here(Refusal::Missing(field))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::here(Refusal::DuplicateKey).in_key(field)
    }
}

/// What serde says it expects, in the words of JSON.
fn plain(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    match text.as_str() {
        "a sequence" => "a list".to_string(),
        "u8" => "a whole number from 0 to 255".to_string(),
        "u16" => "a whole number from 0 to 65535".to_string(),
        "u32" | "u64" | "usize" => "a whole number from 0 on".to_string(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_string(),
        "f32" | "f64" => "a number".to_string(),
        _ => text,
    }
}

fn type_name(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
        Unexpected::Char(_) | Unexpected::Str(_) | Unexpected::Bytes(_) => "a string",
        Unexpected::Unit | Unexpected::Option => "null",
        Unexpected::Seq => "a list",
        Unexpected::Map | Unexpected::NewtypeStruct => "an object",
        _ => "something else",
    }
}
