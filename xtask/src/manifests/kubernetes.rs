//! Kubernetes' own kinds: their fields and the types of these, from the table by which its Go client merges
//! resources. What is required stands nowhere in it; what there is, does.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

use super::definitions::Kind;
use crate::cargo::Workspace;
use crate::{tools, yaml};

const MODULE: &str = "k8s.io/client-go@v0.37.2";
const FILE: &str = "applyconfigurations/internal/internal.go";

/// API groups by the beginning of their types' names.
const GROUPS: [(&str, &str); 2] =
    [("io.k8s.api.core.v1.", "v1"), ("io.k8s.api.apps.v1.", "apps/v1")];

/// A number, or a text such as `100m`.
const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";

/// Schemas by kind.
pub(super) async fn kinds(workspace: &Workspace) -> Result<BTreeMap<Kind, Value>> {
    let file = tools::go_module(workspace, MODULE).await?.join(FILE);
    let text =
        std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    // Go's only text between backquotes in that file.
    let table = text.split('`').nth(1).context("there is no table in it")?;
    kinds_in(table).with_context(|| format!("reading {}", file.display()))
}

fn kinds_in(table: &str) -> Result<BTreeMap<Kind, Value>> {
    let documents = yaml::documents(table)?;
    let types = documents.first().and_then(|table| table["types"].as_array());
    let types = types.context("there are no types")?;
    let mut schemas = Map::new();
    for type_ in types {
        let name = type_["name"].as_str().context("a type without a name")?;
        schemas.insert(name.to_owned(), schema(name, type_));
    }
    let mut kinds = BTreeMap::new();
    for (name, schema) in &schemas {
        let group =
            GROUPS.iter().find_map(|(prefix, group)| Some((name.strip_prefix(prefix)?, group)));
        if let Some((kind, group)) = group
            && !schema["properties"]["kind"].is_null()
            && !schema["properties"]["metadata"].is_null()
        {
            let whole = json!({
                "$ref": format!("#/$defs/{name}"),
                "required": ["apiVersion", "kind", "metadata"],
                "$defs": reachable(&schemas, name),
            });
            kinds.insert(((*group).to_owned(), kind.to_owned()), whole);
        }
    }
    ensure!(!kinds.is_empty(), "there are no kinds");
    Ok(kinds)
}

/// The schema of a type. One that may be several things is any.
fn schema(name: &str, type_: &Value) -> Value {
    if name == QUANTITY {
        return json!({"type": ["string", "number"]});
    }
    let (scalar, list, map) = (&type_["scalar"], &type_["list"], &type_["map"]);
    match [scalar, list, map].iter().filter(|part| !part.is_null()).count() {
        0 => match type_["namedType"].as_str() {
            Some(named) => json!({"$ref": format!("#/$defs/{named}")}),
            None => json!({}),
        },
        1 if !list.is_null() => json!({"type": "array", "items": schema("", &list["elementType"])}),
        1 if !map.is_null() => object(map),
        1 => match scalar.as_str() {
            Some("numeric") => json!({"type": "number"}),
            Some(named @ ("string" | "boolean")) => json!({"type": named}),
            _ => json!({}),
        },
        _ => json!({}),
    }
}

fn object(map: &Value) -> Value {
    let fields = map["fields"].as_array().into_iter().flatten();
    let fields = fields.filter_map(|field| Some((field["name"].as_str()?, &field["type"])));
    let fields: Map<String, Value> =
        fields.map(|(name, type_)| (name.to_owned(), schema("", type_))).collect();
    let others = match &map["elementType"] {
        Value::Null => json!(false),
        type_ => schema("", type_),
    };
    json!({"type": "object", "properties": fields, "additionalProperties": others})
}

/// The schemas that one of them refers to, directly or not, itself included.
fn reachable(schemas: &Map<String, Value>, name: &str) -> Map<String, Value> {
    let mut found = Map::new();
    let mut wanted = vec![name.to_owned()];
    while let Some(name) = wanted.pop() {
        if let Some(schema) = schemas.get(&name)
            && !found.contains_key(&name)
        {
            references(schema, &mut wanted);
            found.insert(name, schema.clone());
        }
    }
    found
}

fn references(schema: &Value, found: &mut Vec<String>) {
    match schema {
        Value::Object(members) => {
            for (key, value) in members {
                match value.as_str() {
                    Some(reference) if key == "$ref" => {
                        found.push(reference.trim_start_matches("#/$defs/").to_owned());
                    }
                    _ => references(value, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::kinds_in;

    const TABLE: &str = "
types:
- name: io.k8s.api.core.v1.Thing
  map:
    fields:
    - {name: apiVersion, type: {scalar: string}}
    - {name: kind, type: {scalar: string}}
    - {name: metadata, type: {namedType: __untyped_deduced_}}
    - {name: parts, type: {list: {elementType: {namedType: io.k8s.api.core.v1.Part}}}}
- name: io.k8s.api.core.v1.Part
  map:
    fields:
    - {name: limits, type: {map: {elementType: {namedType: io.k8s.apimachinery.pkg.api.resource.Quantity}}}}
    - {name: count, type: {scalar: numeric}}
- name: io.k8s.apimachinery.pkg.api.resource.Quantity
  scalar: string
- name: __untyped_deduced_
  scalar: untyped
  map: {elementType: {namedType: __untyped_deduced_}}
";

    #[test]
    fn fields_that_stand_in_the_table() {
        let kinds = kinds_in(TABLE).unwrap();
        let schema = &kinds[&("v1".to_owned(), "Thing".to_owned())];
        let validator = jsonschema::validator_for(schema).unwrap();
        let thing =
            |parts| json!({"apiVersion": "v1", "kind": "Thing", "metadata": {}, "parts": parts});
        assert!(
            validator
                .is_valid(&thing(json!([{"limits": {"cpu": 1, "memory": "1Mi"}, "count": 2}])))
        );
        for wrong in [json!([{"limit": {}}]), json!([{"count": "2"}]), json!({"count": 2})] {
            assert!(!validator.is_valid(&thing(wrong.clone())), "{wrong}");
        }
    }
}
