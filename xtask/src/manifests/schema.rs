//! Schemas of Kubernetes as JSON Schemas that take nothing unknown.
//!
//! A custom resource definition has a structural schema: what is not in it is dropped when it is stored,
//! silently. Here it is an error.

use serde_json::{Map, Value, json};

/// Fields that Kubernetes keeps though a schema does not name them.
const OPEN: &str = "x-kubernetes-preserve-unknown-fields";

/// The schema of a whole resource of one kind, closed.
pub(super) fn resource(mut schema: Value, api_version: &str, kind: &str) -> Value {
    close(&mut schema);
    schema["properties"]["apiVersion"] = json!({"const": api_version});
    schema["properties"]["kind"] = json!({"const": kind});
    schema["properties"]["metadata"] = metadata();
    schema["required"] = match schema["required"].take() {
        Value::Array(mut fields) => {
            fields.extend(["apiVersion", "kind", "metadata"].map(Value::from));
            fields.into()
        }
        _ => json!(["apiVersion", "kind", "metadata"]),
    };
    schema
}

/// Closes each object of a structural schema: it has the fields that the schema names, and no others.
/// What stands below `allOf`, `anyOf`, `oneOf` and `not` judges values alone, and names no fields.
pub(super) fn close(schema: &mut Value) {
    let Value::Object(schema) = schema else { return };
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get_mut(key) {
            close(inner);
        }
    }
    if let Some(Value::Object(fields)) = schema.get_mut("properties") {
        fields.values_mut().for_each(close);
    }
    let is_object =
        schema.contains_key("properties") || schema.get("type") == Some(&json!("object"));
    if is_object && !schema.contains_key("additionalProperties") && !is_set(schema, OPEN) {
        schema.insert("additionalProperties".into(), false.into());
    }
    if is_set(schema, "nullable") {
        let type_ = schema.remove("type").unwrap_or_default();
        schema.insert("type".into(), json!([type_, "null"]));
    }
    bound(schema);
}

/// The lists of a resource that hold two elements with the same key, where the schema forbids it.
pub(super) fn repeated(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    find_repeated(schema, value, "", &mut found);
    found
}

fn find_repeated(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Array(elements) => {
            if let Some(keys) = schema["x-kubernetes-list-map-keys"].as_array() {
                let key = |element: &Value| -> Vec<Value> {
                    keys.iter().filter_map(|key| Some(element[key.as_str()?].clone())).collect()
                };
                let known: Vec<_> = elements.iter().map(key).collect();
                if known.iter().enumerate().any(|(n, key)| known.iter().take(n).any(|k| k == key)) {
                    found.push(format!(
                        "{path}: two elements with the same {}",
                        schema["x-kubernetes-list-map-keys"]
                    ));
                }
            }
            for (n, element) in elements.iter().enumerate() {
                find_repeated(&schema["items"], element, &format!("{path}/{n}"), found);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let inner = match &schema["properties"][name] {
                    Value::Null => &schema["additionalProperties"],
                    inner => inner,
                };
                find_repeated(inner, field, &format!("{path}/{name}"), found);
            }
        }
        _ => {}
    }
}

/// OpenAPI's widths of integers, which JSON Schema takes for remarks.
fn bound(schema: &mut Map<String, Value>) {
    if schema.get("format") == Some(&json!("int32")) {
        schema.entry("minimum").or_insert(i32::MIN.into());
        schema.entry("maximum").or_insert(i32::MAX.into());
    }
}

fn is_set(schema: &Map<String, Value>, key: &str) -> bool {
    schema.get(key) == Some(&Value::Bool(true))
}

/// The part of `ObjectMeta` that people write.
fn metadata() -> Value {
    let name =
        json!({"type": "string", "maxLength": 253, "pattern": "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"});
    let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
    json!({
        "type": "object",
        "required": ["name"],
        "properties": {"name": name, "namespace": name, "labels": texts, "annotations": texts},
        "additionalProperties": false,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{close, repeated};

    fn errors(mut schema: Value, value: &Value) -> usize {
        close(&mut schema);
        jsonschema::validator_for(&schema).unwrap().iter_errors(value).count()
    }

    #[test]
    fn what_a_schema_does_not_name_is_refused() {
        let schema = json!({"type": "object", "properties": {
            "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"a": {}}}},
            "list": {"type": "array", "items": {"type": "object", "properties": {"a": {}}}},
            "empty": {"type": "object"},
        }});
        for (value, expected) in [
            (json!({"open": {"x": 1}, "map": {"x": {"a": 1}}, "list": [{"a": 1}], "empty": {}}), 0),
            (json!({"other": 1}), 1),
            (json!({"map": {"x": {"b": 1}}}), 1),
            (json!({"list": [{"a": 1}, {"b": 1}]}), 1),
            (json!({"empty": {"x": 1}}), 1),
        ] {
            assert_eq!(errors(schema.clone(), &value), expected, "{value}");
        }
    }

    #[test]
    fn values_are_judged_as_openapi_has_it() {
        let schema = json!({"type": "integer", "format": "int32", "nullable": true});
        assert_eq!(errors(schema.clone(), &json!(null)), 0);
        assert_eq!(errors(schema.clone(), &json!(1)), 0);
        assert_eq!(errors(schema, &json!(4_294_967_296_u64)), 1);
        let schema = json!({
            "type": "object",
            "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
            "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
        });
        assert_eq!(errors(schema.clone(), &json!({"a": "x"})), 0);
        assert_eq!(errors(schema, &json!({"a": "x", "b": "x"})), 1);
    }

    #[test]
    fn keys_of_lists_stand_once() {
        let schema = json!({"properties": {"env": {
            "items": {"type": "object"},
            "x-kubernetes-list-map-keys": ["name"],
        }}});
        let once = json!({"env": [{"name": "A"}, {"name": "B"}]});
        let twice = json!({"env": [{"name": "A"}, {"name": "A"}]});
        assert!(repeated(&schema, &once).is_empty());
        assert_eq!(repeated(&schema, &twice).len(), 1);
    }
}
