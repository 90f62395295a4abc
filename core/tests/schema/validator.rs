//! As much of JSON Schema (draft 2020-12) as `docs/pintle.schema.json` uses. A keyword that is not
//! known here is a panic, so that nothing goes unchecked. The published validators bring as many
//! crates as the whole workspace has.

use regex_automata::meta::Regex;
use serde_json::{Map, Value};

pub(crate) struct Validator<'s> {
    root: &'s Value,
}

impl<'s> Validator<'s> {
    pub(crate) fn new(root: &'s Value) -> Self {
        Self { root }
    }

    /// Says at which keyword of the schema the document fails.
    pub(crate) fn validate(&self, document: &Value) -> Result<(), String> {
        self.value(self.root, document)
    }

    fn value(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let schema = schema.as_object().expect("a schema is an object");
        for (keyword, argument) in schema {
            if !self.keyword(schema, keyword, argument, value) {
                return Err(format!("{keyword} {argument}"));
            }
        }
        Ok(())
    }

    fn keyword(
        &self,
        schema: &Map<String, Value>,
        keyword: &str,
        argument: &Value,
        value: &Value,
    ) -> bool {
        let passes = |schema: &Value| self.value(schema, value).is_ok();
        let count =
            |schemas: &Value| schemas.as_array().unwrap().iter().filter(|s| passes(s)).count();
        let at_least = |length: usize| length as u64 >= argument.as_u64().unwrap();
        let at_most = |length: usize| length as u64 <= argument.as_u64().unwrap();
        match (keyword, value) {
            ("$schema" | "$defs" | "title" | "description" | "default", _) => true,
            ("$ref", _) => {
                let pointer = argument.as_str().and_then(|text| text.strip_prefix('#')).unwrap();
                passes(self.root.pointer(pointer).expect("a $ref refers to something"))
            }
            ("anyOf", _) => count(argument) > 0,
            ("oneOf", _) => count(argument) == 1,
            ("not", _) => !passes(argument),
            ("const", _) => value == argument,
            ("enum", _) => argument.as_array().unwrap().contains(value),
            ("type", _) => is_of(argument.as_str().unwrap(), value),
            ("properties", Value::Object(object)) => {
                let schemas = argument.as_object().unwrap();
                object.iter().all(|(key, value)| {
                    schemas.get(key).is_none_or(|schema| self.value(schema, value).is_ok())
                })
            }
            ("additionalProperties", Value::Object(object)) => {
                let known = schema.get("properties").and_then(Value::as_object);
                let is_known = |key: &str| known.is_some_and(|known| known.contains_key(key));
                let mut others = object.iter().filter(|(key, _)| !is_known(key));
                match argument {
                    Value::Bool(taken) => *taken || others.next().is_none(),
                    schema => others.all(|(_, value)| self.value(schema, value).is_ok()),
                }
            }
            ("required", Value::Object(object)) => argument
                .as_array()
                .unwrap()
                .iter()
                .all(|key| object.contains_key(key.as_str().unwrap())),
            ("minProperties", Value::Object(object)) => at_least(object.len()),
            ("items", Value::Array(list)) => list.iter().all(|e| self.value(argument, e).is_ok()),
            ("minItems", Value::Array(list)) => at_least(list.len()),
            ("maxItems", Value::Array(list)) => at_most(list.len()),
            ("minLength", Value::String(text)) => at_least(text.chars().count()),
            ("pattern", Value::String(text)) => {
                Regex::new(argument.as_str().unwrap()).unwrap().is_match(text)
            }
            ("minimum", Value::Number(number)) => number.as_f64() >= argument.as_f64(),
            ("maximum", Value::Number(number)) => number.as_f64() <= argument.as_f64(),
            // Of another type than the keyword is about.
            (
                "properties"
                | "additionalProperties"
                | "required"
                | "minProperties"
                | "items"
                | "minItems"
                | "maxItems"
                | "minLength"
                | "pattern"
                | "minimum"
                | "maximum",
                _,
            ) => true,
            _ => panic!("the validator does not know {keyword}"),
        }
    }
}

fn is_of(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => panic!("the validator does not know the type {name}"),
    }
}
