//! What there is to say of an object, or of a choice between values.

use std::fmt::Write;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value};

use super::reference;
use super::words;

type Definitions = Map<String, Value>;

/// A link to the section of a definition.
pub(super) fn link(name: &str) -> String {
    format!("[`{name}`](#{name})")
}

/// The description of a schema, its constraints, and a table of its fields or of its choices.
pub(super) fn section(schema: &Value, definitions: &Definitions) -> Result<String> {
    let mut text = String::new();
    let members = schema.as_object().context("a schema that is no object")?;
    let mut sentences = Vec::new();
    if let Some(description) = members.get("description").and_then(Value::as_str) {
        sentences.push(sentence(description));
    }
    sentences.extend(words::constraints(members)?);
    if !sentences.is_empty() {
        writeln!(text, "{}\n", sentences.join(" "))?;
    }
    if let Some(Value::Object(fields)) = members.get("properties") {
        text.push_str(&table(members, fields, definitions)?);
    } else if let Some(Value::Array(choices)) = members.get("oneOf").or(members.get("anyOf")) {
        text.push_str(&choice(choices, definitions)?);
    } else {
        bail!("neither fields nor choices");
    }
    Ok(text)
}

/// Fields that are required first, then by name.
fn table(members: &Definitions, fields: &Definitions, definitions: &Definitions) -> Result<String> {
    let required = |name: &str| {
        let names = members.get("required").and_then(Value::as_array);
        names.is_some_and(|names| names.iter().any(|required| required == name))
    };
    let mut rows: Vec<(&String, &Value)> = fields.iter().collect();
    rows.sort_by_key(|(name, _)| (!required(name), *name));
    let mut text = "| field | type | default | |\n|---|---|---|---|\n".to_string();
    for (name, field) in rows {
        let kind = words::kind(field, definitions).with_context(|| name.clone())?;
        let default = match field.get("default") {
            Some(default) => format!("`{default}`"),
            None if required(name) => "required".into(),
            None => String::new(),
        };
        let description = description(field, definitions);
        let description = description.with_context(|| format!("`{name}` has no description"))?;
        writeln!(
            text,
            "| `{name}` | {} | {} | {} |",
            cell(&kind),
            cell(&default),
            cell(description)
        )?;
    }
    Ok(text)
}

/// What a field is for: in its own words, or in those of what it refers to.
fn description<'d>(field: &'d Value, definitions: &'d Definitions) -> Option<&'d str> {
    let own = field.get("description").and_then(Value::as_str);
    let referred = || definitions.get(reference(field)?)?.get("description")?.as_str();
    own.or_else(referred).filter(|text| !text.is_empty())
}

/// One of several values.
fn choice(choices: &[Value], definitions: &Definitions) -> Result<String> {
    let mut text = "| value | |\n|---|---|\n".to_string();
    for choice in choices {
        let value = match choice.get("properties").and_then(Value::as_object) {
            Some(fields) => {
                ensure!(fields.len() == 1, "a choice of {} fields", fields.len());
                let (name, field) = fields.iter().next().context("a choice without a field")?;
                format!("`{{\"{name}\": ..}}`, {}", words::kind(field, definitions)?)
            }
            None => words::kind(choice, definitions)?,
        };
        let description = description(choice, definitions);
        let description = description.with_context(|| format!("{value} has no description"))?;
        writeln!(text, "| {} | {} |", cell(&value), cell(description))?;
    }
    Ok(text)
}

fn sentence(text: &str) -> String {
    let end = if text.ends_with('.') { "" } else { "." };
    format!("{text}{end}")
}

/// Text in a table: a bar would end the cell, in code too.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
