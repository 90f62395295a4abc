//! `docs/reference.md`: every field of a configuration, made from its JSON Schema.

mod object;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value};

use super::read;

/// Where it comes from, and what is told once for all of it.
const INTRODUCTION: &str = "\
# Reference

<!-- Made from pintle.schema.json: PINTLE_BLESS=1 cargo test -p xtask reference -->

Every field of a configuration, in the words of its JSON Schema, [pintle.schema.json](pintle.schema.json).
What they are for, with examples: [configuration.md](configuration.md). A field without a default may be
left out; what holds then is in its last column. A duration is a whole number with a unit: `150ms`,
`1s`, `10m`, `2h`.
";

/// The page is the one that is made of the schema.
pub(super) fn current(root: &Path) -> Result<()> {
    let schema = serde_json::from_str(&read(&root.join(SCHEMA))?).context(SCHEMA)?;
    let is_current = read(&root.join(FILE))? == page(&schema)?;
    ensure!(is_current, "{FILE} is stale: {HOW}");
    Ok(())
}

const FILE: &str = "docs/reference.md";
const SCHEMA: &str = "docs/pintle.schema.json";
const HOW: &str = "PINTLE_BLESS=1 cargo test -p xtask reference writes it anew";

/// The page.
fn page(schema: &Value) -> Result<String> {
    let schema = Schema::new(schema)?;
    let mut page = INTRODUCTION.to_string();
    let mut shared = Vec::new();
    let mut placed = BTreeSet::new();
    for part in schema.parts()? {
        page.push_str(&part.text(&schema)?);
        for name in part.below {
            if !placed.insert(name) {
                continue;
            }
            match schema.owners.get(name) {
                Some(owners) if *owners > 1 => shared.push(name),
                _ => page.push_str(&schema.definition(name)?),
            }
        }
    }
    page.push_str("\n## In several places\n");
    for name in shared {
        page.push_str(&schema.definition(name)?);
    }
    Ok(page)
}

/// The schema of the document.
struct Schema<'s> {
    definitions: &'s Map<String, Value>,
    native: &'s Value,
    plugins: Vec<&'s str>,
    kinds: Vec<&'s str>,
    /// The fields of all filters.
    common: Map<String, Value>,
    /// How many parts of the page, those of plug-ins aside, lead to a definition.
    owners: BTreeMap<&'s str, usize>,
}

/// A part of the page, and the definitions that it leads to.
struct Part<'s> {
    heading: String,
    schema: Value,
    below: Vec<&'s str>,
}

impl Part<'_> {
    fn text(&self, schema: &Schema<'_>) -> Result<String> {
        let text = object::section(&self.schema, schema.definitions);
        Ok(format!("\n## {}\n\n{}", self.heading, text.with_context(|| self.heading.clone())?))
    }
}

impl<'s> Schema<'s> {
    fn new(schema: &'s Value) -> Result<Self> {
        let definitions = schema["$defs"].as_object().context("no $defs")?;
        let [native, plugins @ ..] = schema["anyOf"].as_array().context("no anyOf")?.as_slice()
        else {
            anyhow::bail!("no document");
        };
        let plugins = plugins.iter().map(|plugin| reference(plugin).context("no $ref"));
        let kinds = native["properties"]["filters"]["items"]["oneOf"].as_array();
        let kinds = kinds.context("no filters")?.iter().map(|kind| {
            let properties = kind["properties"].as_object().context("a kind without a name")?;
            properties.values().next().and_then(reference).context("a kind without a $ref")
        });
        let mut schema = Self {
            definitions,
            native,
            plugins: plugins.collect::<Result<_>>()?,
            kinds: kinds.collect::<Result<_>>()?,
            common: Map::new(),
            owners: BTreeMap::new(),
        };
        schema.common = schema.common_fields();
        let parts = schema.parts()?;
        let plugins = schema.plugins.len();
        for part in parts.into_iter().rev().skip(plugins) {
            for name in part.below {
                *schema.owners.entry(name).or_default() += 1;
            }
        }
        Ok(schema)
    }

    /// The fields that all filters have, described in the same words.
    fn common_fields(&self) -> Map<String, Value> {
        let mut fields = self.kinds.iter().map(|kind| &self.definitions[*kind]["properties"]);
        let first = fields.next().and_then(Value::as_object).cloned().unwrap_or_default();
        let rest: Vec<&Value> = fields.collect();
        first.into_iter().filter(|(name, field)| rest.iter().all(|f| f[name] == *field)).collect()
    }

    /// The parts, in the order of the page.
    fn parts(&self) -> Result<Vec<Part<'s>>> {
        let mut document = self.native.clone();
        let kinds: Vec<String> = self.kinds.iter().map(|kind| object::link(kind)).collect();
        document["properties"]["filters"]["items"] =
            serde_json::json!({"x-kinds": kinds.join(", ")});
        let mut parts = vec![self.part("The document".into(), document)];
        let common = serde_json::json!({
            "description": "Beside its own fields each filter has these.",
            "type": "object",
            "additionalProperties": false,
            "properties": self.common,
        });
        parts.push(self.part("Every filter".into(), common));
        for kind in &self.kinds {
            let mut filter = self.definitions.get(*kind).context("a kind without fields")?.clone();
            if let Some(Value::Object(fields)) = filter.get_mut("properties") {
                fields.retain(|name, _| !self.common.contains_key(name));
            }
            filter["description"] = introduced(kind, &filter).into();
            parts.push(self.part(format!("`{kind}`"), filter));
        }
        for plugin in &self.plugins {
            let plugin_schema = self.definitions.get(*plugin).context("no such definition")?;
            parts.push(self.part(format!("`{plugin}`"), plugin_schema.clone()));
        }
        Ok(parts)
    }

    fn part(&self, heading: String, schema: Value) -> Part<'s> {
        let mut below = Vec::new();
        self.follow(&schema, &mut below);
        Part { heading, schema, below }
    }

    /// The definitions that a schema leads to, each after those that lead to it.
    fn follow(&self, schema: &Value, below: &mut Vec<&'s str>) {
        match schema {
            Value::Object(members) => {
                if let Some((name, definition)) =
                    reference(schema).and_then(|name| self.definitions.get_key_value(name))
                    && !below.contains(&name.as_str())
                {
                    below.push(name);
                    self.follow(definition, below);
                }
                members.values().for_each(|member| self.follow(member, below));
            }
            Value::Array(elements) => elements.iter().for_each(|e| self.follow(e, below)),
            _ => {}
        }
    }

    /// The section of a definition; none of one that is told where it is used.
    fn definition(&self, name: &str) -> Result<String> {
        let definition = self.definitions.get(name).context("no such definition")?;
        if words::listed(definition).is_some() {
            return Ok(String::new());
        }
        let text = object::section(definition, self.definitions);
        Ok(format!("\n### `{name}`\n\n{}", text.with_context(|| name.to_string())?))
    }
}

/// What its schema says of a filter, with links in place of the words that it has in common with all.
fn introduced(kind: &str, filter: &Value) -> String {
    let own = filter["description"].as_str().unwrap_or_default();
    let own = own.trim_start_matches(&format!("The fields of `{kind}` in the configuration"));
    let (mark, own) = own.split_at_checked(1).unwrap_or_default();
    let own = if mark == ";" { own } else { "" };
    format!(
        "[What it does](configuration.md#{kind}). Beside these fields it has those of \
         [every filter](#every-filter){mark}{own}"
    )
}

/// `when` of `{"$ref": "#/$defs/when"}`.
fn reference(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")
}

#[cfg(test)]
mod tests;
