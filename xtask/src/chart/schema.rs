//! `values.schema.json` of the chart: what its values may be, the configuration included, so that Helm refuses a
//! typing error before anything reaches a cluster.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

/// All but the configuration.
const VALUES: &str = include_str!("values.schema.json");

/// The schema of the configuration.
const CONFIGURATION: &str = "docs/pintle.schema.json";

/// What is made of both.
const FILE: &str = "deploy/helm/pintle/values.schema.json";

/// Whether the file is what it would be if it were made now.
pub(super) fn is_current(root: &Path) -> Result<()> {
    let text =
        std::fs::read_to_string(root.join(FILE)).with_context(|| format!("reading {FILE}"))?;
    ensure!(
        text == document(root)?,
        "{FILE} is stale: PINTLE_BLESS=1 cargo test -p xtask chart writes it anew"
    );
    Ok(())
}

/// The file.
fn document(root: &Path) -> Result<String> {
    let configuration = std::fs::read_to_string(root.join(CONFIGURATION))
        .with_context(|| format!("reading {CONFIGURATION}"))?;
    let configuration =
        serde_json::from_str(&configuration).with_context(|| format!("reading {CONFIGURATION}"))?;
    let values = serde_json::from_str(VALUES).context("reading the schema of the values")?;
    Ok(format!("{:#}\n", join(values, configuration)?))
}

/// Puts the definitions of the configuration beside those of the values, and itself there as `chart_config`.
fn join(mut values: Value, mut configuration: Value) -> Result<Value> {
    join_alternatives(&mut configuration);
    let Some(Value::Object(definitions)) = configuration.get_mut("$defs").map(Value::take) else {
        anyhow::bail!("{CONFIGURATION} has no definitions");
    };
    let forms = configuration["anyOf"].as_array().context("the forms of a configuration")?;
    let choice = choice(forms, &definitions)?;
    let all = values["$defs"].as_object_mut().context("the definitions of the values")?;
    for (name, definition) in definitions {
        ensure!(all.insert(name.clone(), definition).is_none(), "two definitions of {name}");
    }
    all.insert("chart_config".into(), choice);
    Ok(values)
}

/// One of several forms, told by a member that it needs; the first form is for all else. What is wrong is then
/// said of the form that was meant, and not of every one.
fn choice(forms: &[Value], definitions: &Map<String, Value>) -> Result<Value> {
    let (own, others) = forms.split_first().context("a configuration without a form")?;
    let mut choice = own.clone();
    for form in others.iter().rev() {
        let name = form["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/"));
        let definition = definitions.get(name.context("a form without a name")?);
        let needed = definition.and_then(|d| d["required"].as_array()).context("what it needs")?;
        let told: Vec<Value> = needed.iter().map(|member| json!({"required": [member]})).collect();
        choice = json!({"if": {"anyOf": told}, "then": form, "else": choice});
    }
    let description = "What Pintle is to do.";
    choice["description"] = description.into();
    choice["type"] = "object".into();
    Ok(choice)
}

/// One of several objects of one member each is an object with one of these members: what is wrong is then said
/// of the member, and not of every alternative.
fn join_alternatives(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(join_alternatives),
        Value::Object(members) => {
            members.values_mut().for_each(join_alternatives);
            if let Some(alternatives) = members.get("oneOf").and_then(Value::as_array)
                && let Some(properties) = one_of(alternatives)
            {
                members.remove("oneOf");
                members.insert("type".into(), "object".into());
                members.insert("additionalProperties".into(), false.into());
                members.insert("minProperties".into(), 1.into());
                members.insert("maxProperties".into(), 1.into());
                members.insert("properties".into(), properties.into());
            }
        }
        _ => {}
    }
}

/// The members, if each of the alternatives is an object of a member of its own, and of no other.
fn one_of(alternatives: &[Value]) -> Option<Map<String, Value>> {
    let mut all = Map::new();
    for alternative in alternatives {
        let properties = alternative["properties"].as_object()?;
        let (name, member) = properties.iter().next()?;
        let alone = properties.len() == 1
            && alternative["type"] == "object"
            && alternative["additionalProperties"] == false
            && alternative["required"] == json!([name]);
        if !alone || all.insert(name.clone(), member.clone()).is_some() {
            return None;
        }
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::{FILE, document, is_current, join, join_alternatives};

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
    }

    #[test]
    fn checked_in_file_is_current() {
        if std::env::var_os("PINTLE_BLESS").is_some_and(|value| value == "1") {
            std::fs::write(root().join(FILE), document(root()).unwrap()).unwrap();
        }
        is_current(root()).unwrap();
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references<'a>(schema: &'a Value, found: &mut Vec<&'a str>) {
            match schema {
                Value::Array(items) => items.iter().for_each(|item| references(item, found)),
                Value::Object(members) => {
                    found.extend(members.get("$ref").and_then(Value::as_str));
                    members.values().for_each(|member| references(member, found));
                }
                _ => {}
            }
        }
        let schema: Value = serde_json::from_str(&document(root()).unwrap()).unwrap();
        let mut found = Vec::new();
        references(&schema, &mut found);
        assert!(found.contains(&"#/$defs/chart_config") && found.len() > 40, "{found:?}");
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(schema.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn alternatives_of_one_member_become_one_object() {
        let object = |name: &str| {
            json!({"type": "object", "additionalProperties": false, "required": [name],
                "properties": {name: {"type": "string"}}})
        };
        let mut schema = json!({"oneOf": [object("a"), object("b")]});
        join_alternatives(&mut schema);
        let one = json!({"type": "object", "additionalProperties": false, "minProperties": 1,
            "maxProperties": 1, "properties": {"a": {"type": "string"}, "b": {"type": "string"}}});
        assert_eq!(schema, one);
        for other in [json!({"const": "c"}), object("a")] {
            let alternatives = json!({"oneOf": [object("a"), other]});
            let mut schema = alternatives.clone();
            join_alternatives(&mut schema);
            assert_eq!(schema, alternatives);
        }
    }

    #[test]
    fn forms_are_told_by_what_they_need() {
        let configuration = json!({
            "$defs": {"old": {"required": ["a", "b"]}},
            "anyOf": [{"properties": {}}, {"$ref": "#/$defs/old"}],
        });
        let joined = join(json!({"$defs": {}}), configuration).unwrap();
        let expected = json!({
            "type": "object",
            "description": "What Pintle is to do.",
            "if": {"anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
            "then": {"$ref": "#/$defs/old"},
            "else": {"properties": {}},
        });
        assert_eq!(joined["$defs"]["chart_config"], expected);
    }
}
