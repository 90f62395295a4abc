//! Keywords of JSON Schema in words. One that is not known here is an error, so that nothing is left out.

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use super::object::link;
use super::reference;

/// The pattern of all durations.
const DURATION: &str = "^[0-9]+(ms|s|m|h)$";

/// What values there are: the type and its limits.
pub(super) fn kind(schema: &Value, definitions: &Map<String, Value>) -> Result<String> {
    let members = schema.as_object().context("a schema that is no object")?;
    if let Some(kinds) = schema.get("x-kinds").and_then(Value::as_str) {
        return Ok(format!("one of {kinds}"));
    }
    if let Some(name) = reference(schema) {
        known(members, &["$ref", "minProperties"])?;
        let definition = definitions.get(name).with_context(|| format!("no {name}"))?;
        let kind = listed(definition).unwrap_or_else(|| link(name));
        return match members.get("minProperties").map(Value::as_u64) {
            None => Ok(kind),
            Some(Some(1)) => Ok(format!("{kind}, not empty")),
            Some(_) => bail!("an object with other limits"),
        };
    }
    if let Some(value) = members.get("const") {
        known(members, &["const", "type"])?;
        return Ok(format!("`{value}`"));
    }
    if let Some(Value::Array(choices)) = members.get("anyOf") {
        known(members, &["anyOf"])?;
        let choices = choices.iter().map(|choice| kind(choice, definitions));
        return Ok(choices.collect::<Result<Vec<_>>>()?.join(", or "));
    }
    let number = |name: &str| members.get(name).and_then(Value::as_u64);
    match members.get("type").and_then(Value::as_str) {
        Some("boolean") => {
            known(members, &["type"])?;
            Ok("boolean".into())
        }
        Some("integer") => {
            known(members, &["type", "minimum", "maximum"])?;
            Ok(match (number("minimum"), number("maximum")) {
                (None, None) => "whole number".into(),
                (Some(least), Some(most)) => format!("whole number, {least} to {most}"),
                _ => bail!("a number with one limit"),
            })
        }
        Some("string") => {
            known(members, &["type", "minLength", "pattern"])?;
            Ok(match (members.get("pattern").and_then(Value::as_str), number("minLength")) {
                (Some(DURATION), None) => "duration".into(),
                (Some(pattern), None) => format!("text, `{pattern}`"),
                (None, Some(1)) => "text, not empty".into(),
                (None, None) => "text".into(),
                _ => bail!("a text with other limits"),
            })
        }
        Some("array") => {
            known(members, &["type", "items", "minItems", "maxItems"])?;
            let items = kind(members.get("items").context("no items")?, definitions)?;
            let limits = match (number("minItems"), number("maxItems")) {
                (Some(0), None) => ", may be empty".into(),
                (Some(1), None) => ", not empty".into(),
                (Some(least), Some(most)) => format!(", {least} to {most}"),
                _ => bail!("a list with other limits"),
            };
            Ok(match items.starts_with("one of ") {
                true => format!("list{limits}, each {items}"),
                false => format!("list of {items}{limits}"),
            })
        }
        Some("object") => {
            known(members, &["type", "additionalProperties"])?;
            Ok(match members.get("additionalProperties") {
                Some(Value::Bool(true)) => "object, of any values".into(),
                Some(values) => format!("object, of {}", kind(values, definitions)?),
                None => bail!("an object without fields"),
            })
        }
        _ => bail!("neither a type nor a choice"),
    }
}

/// The values of a list of words that say all of themselves.
pub(super) fn listed(definition: &Value) -> Option<String> {
    let values = definition.get("enum")?.as_array()?;
    Some(values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", "))
}

/// What must hold between the fields of an object, in sentences; what its description says already is not
/// said again.
pub(super) fn constraints(members: &Map<String, Value>) -> Result<Vec<String>> {
    let description = members.get("description").and_then(Value::as_str).unwrap_or_default();
    let is_told = |names: &[&str]| {
        description.to_lowercase().contains("one of ")
            && names.iter().all(|name| description.contains(&quoted(&[name])))
    };
    let mut sentences = Vec::new();
    let mut say = |how: &str, names: &[&str]| {
        if !is_told(names) {
            sentences.push(format!("{how} {}.", quoted(names)));
        }
    };
    let is_choice = !members.contains_key("properties");
    for (keyword, argument) in members {
        match keyword.as_str() {
            "description" | "type" | "properties" | "required" => {}
            "additionalProperties" if *argument == false => {}
            "oneOf" | "anyOf" if is_choice => {}
            "oneOf" => say("Exactly one of", &alternatives(argument)?),
            "anyOf" => match dependent(argument) {
                Some((field, other)) => say(&format!("`{field}` only with"), &[other]),
                None => say("At least one of", &alternatives(argument)?),
            },
            "not" => match argument.get("anyOf") {
                Some(pairs) => say("At most one of", &all_pairs(pairs)?),
                None => say("Not together:", &required(argument)?),
            },
            other => bail!("the keyword {other} has no words"),
        }
    }
    Ok(sentences)
}

/// `[{"required": ["a"]}, {"required": ["b"]}]`.
fn alternatives(argument: &Value) -> Result<Vec<&str>> {
    let alternatives = argument.as_array().context("no list")?.iter();
    alternatives
        .map(|alternative| match required(alternative)?.as_slice() {
            [name] => Ok(*name),
            _ => bail!("not one field"),
        })
        .collect()
}

/// `[{"required": ["other"]}, {"not": {"required": ["field"]}}]`: field and other.
fn dependent(argument: &Value) -> Option<(&str, &str)> {
    let [other, field] = argument.as_array()?.as_slice() else { return None };
    match (required(field.get("not")?).ok()?.as_slice(), required(other).ok()?.as_slice()) {
        ([field], [other]) => Some((field, other)),
        _ => None,
    }
}

/// `[{"required": ["a", "b"]}, ..]`: every pair of some fields.
fn all_pairs(argument: &Value) -> Result<Vec<&str>> {
    let pairs: Vec<Vec<&str>> =
        argument.as_array().context("no list")?.iter().map(required).collect::<Result<_>>()?;
    let mut names: Vec<&str> = Vec::new();
    for name in pairs.iter().flatten() {
        if !names.contains(name) {
            names.push(name);
        }
    }
    let is_pair = |a: &str, b: &str| pairs.iter().any(|pair| pair.as_slice() == [a, b]);
    for (i, a) in names.iter().enumerate() {
        for b in names.iter().skip(i + 1) {
            if !is_pair(a, b) && !is_pair(b, a) {
                bail!("{a} and {b} may stand together");
            }
        }
    }
    Ok(names)
}

fn required(schema: &Value) -> Result<Vec<&str>> {
    let members = schema.as_object().context("no object")?;
    known(members, &["required"])?;
    let names = members.get("required").and_then(Value::as_array).context("no required")?;
    names.iter().map(|name| name.as_str().context("no name")).collect()
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Besides these there are only keywords that are told elsewhere.
fn known(members: &Map<String, Value>, keywords: &[&str]) -> Result<()> {
    for keyword in members.keys() {
        if !["description", "default"].contains(&keyword.as_str())
            && !keywords.contains(&keyword.as_str())
        {
            bail!("the keyword {keyword} has no words");
        }
    }
    Ok(())
}
