//! The JSON Schema of the configuration, made from the types that read it.
//!
//! It holds all that is structure, and no more: whether a host, a path, a template or a credential
//! is well-formed is for [`Policy::load`](crate::Policy::load) to say.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::{Map, Value, json};

use super::plugins::{BasicAuthDocument, CustomErrorsDocument, TokenExchangeDocument};
use crate::filter::Filter;
use crate::filter::basic_auth::BasicAuth;
use crate::filter::headers::Headers;
use crate::filter::log_headers::LogHeaders;
use crate::filter::problem_json::ProblemJson;
use crate::filter::require_header::RequireHeader;
use crate::filter::token_exchange::TokenExchange;
use crate::policy::{CommonFields, MAX_FILTERS, PathsFields};
use crate::problem::DenyFields;

/// The schema of the whole document (JSON Schema draft 2020-12).
///
/// ```
/// let schema = pintle_core::config::schema::document();
/// assert!(schema.pointer("/$defs/basic_auth/properties/rules").is_some());
/// ```
pub fn document() -> Schema {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let kinds = [
        kind::<LogHeaders>(&mut generator),
        kind::<RequireHeader>(&mut generator),
        kind::<BasicAuth>(&mut generator),
        kind::<Headers>(&mut generator),
        kind::<TokenExchange>(&mut generator),
        kind::<ProblemJson>(&mut generator),
    ];
    let native = json!({
        "description": "Pintle's own form. `{}` is taken, and does nothing.",
        "type": "object",
        "properties": {
            "filters": {
                "description": "The filters, in the order in which a request meets them.",
                "type": "array",
                "items": {
                    "description": "One filter: its kind, and its fields.",
                    "oneOf": kinds,
                },
                "maxItems": MAX_FILTERS,
            },
            "paths": generator.subschema_for::<PathsFields>(),
            "deny": generator.subschema_for::<DenyFields>(),
        },
        "additionalProperties": false,
    });
    let mut schema = json!({
        "$schema": generator.settings().meta_schema,
        "title": "The configuration of Pintle",
        "anyOf": [
            native,
            generator.subschema_for::<BasicAuthDocument>(),
            generator.subschema_for::<TokenExchangeDocument>(),
            generator.subschema_for::<CustomErrorsDocument>(),
        ],
        "$defs": generator.take_definitions(true),
    });
    tidy(&mut schema);
    match schema {
        Value::Object(schema) => schema.into(),
        _ => Schema::default(),
    }
}

/// An object with this kind as its one member; the fields of the filter and those of the chain stand
/// side by side in it.
fn kind<F: Filter<Fields: JsonSchema>>(generator: &mut SchemaGenerator) -> Value {
    let mut fields = F::Fields::json_schema(generator);
    let mut common = CommonFields::json_schema(generator);
    if let (Some(Value::Object(own)), Some(Value::Object(common))) =
        (fields.get_mut("properties"), common.get_mut("properties"))
    {
        own.append(common);
    }
    generator.definitions_mut().insert(F::KIND.into(), fields.to_value());
    let reference = Schema::new_ref(format!("#/$defs/{}", F::KIND));
    json!({
        "type": "object",
        "properties": {F::KIND: reference},
        "required": [F::KIND],
        "additionalProperties": false,
    })
}

/// One value, or a list of them.
pub(crate) struct OneOrMany<T>(core::marker::PhantomData<T>);

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({"anyOf": [one, {"type": "array", "items": one}]})
    }
}

/// Brings what is derived in line with how the configuration is read: a field that may be left out
/// may not be `null`, and a list has an element unless its field says otherwise (`Load::each`).
/// Descriptions lose their line breaks, and formats that only schemars knows go.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(object) => {
            without_null(object);
            if object.get("type").is_some_and(|t| t == "array") {
                object.entry("minItems").or_insert(json!(1));
            }
            // The keyword, and no field of that name.
            if object.get("format").is_some_and(Value::is_string) {
                object.remove("format");
            }
            if let Some(Value::String(text)) = object.get_mut("description") {
                *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            }
            object.values_mut().for_each(tidy);
        }
        Value::Array(elements) => elements.iter_mut().for_each(tidy),
        _ => {}
    }
}

fn without_null(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|t| t != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|choice| *choice != json!({"type": "null"}));
        if let [Value::Object(only)] = choices.as_mut_slice() {
            let mut only = core::mem::take(only);
            schema.remove("anyOf");
            schema.append(&mut only);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CommonFields, document};
    use crate::filter::{Filter, FilterSet};
    use crate::policy::steps::Shipped;
    use schemars::{JsonSchema, SchemaGenerator};

    /// The chain takes its fields out before the filter sees the rest.
    #[test]
    fn no_filter_has_a_field_of_the_chain() {
        fn disjoint<F: Filter<Fields: JsonSchema>>() {
            let mut generator = SchemaGenerator::default();
            let own = F::Fields::json_schema(&mut generator);
            let own = own.get("properties").and_then(|p| p.as_object()).unwrap();
            let common = CommonFields::json_schema(&mut generator);
            for name in common.get("properties").and_then(|p| p.as_object()).unwrap().keys() {
                assert!(!own.contains_key(name), "{} has its own `{name}`", F::KIND);
            }
        }
        disjoint::<super::LogHeaders>();
        disjoint::<super::RequireHeader>();
        disjoint::<super::BasicAuth>();
        disjoint::<super::Headers>();
        disjoint::<super::TokenExchange>();
    }

    #[test]
    fn every_shipped_kind_is_there() {
        let schema = document();
        let kinds = schema.pointer("/anyOf/0/properties/filters/items/oneOf").unwrap();
        let kinds: alloc::vec::Vec<_> = kinds
            .as_array()
            .unwrap()
            .iter()
            .map(|kind| kind.pointer("/required/0").unwrap())
            .collect();
        assert_eq!(kinds, Shipped::KINDS);
    }
}
