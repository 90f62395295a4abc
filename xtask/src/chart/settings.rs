//! The chart's values, their documentation, and its version.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::helm::CHART;
use crate::yaml;

pub(super) const DOCUMENT: &str = "docs/helm.md";

/// The chart has the version of the workspace, and so has the image that it names.
pub(super) fn versions(root: &Path) -> Result<()> {
    let chart = yaml(&root.join(CHART).join("Chart.yaml"))?;
    for field in ["version", "appVersion"] {
        let version = env!("CARGO_PKG_VERSION");
        ensure!(chart[field] == version, "{field} is {}, not {version}", chart[field]);
    }
    Ok(())
}

/// Every value is in the table of the documentation with its default, and nothing else is; and the schema knows it.
pub(super) fn documented(root: &Path) -> Result<()> {
    let values = yaml(&root.join(CHART).join("values.yaml"))?;
    let mut defaults = BTreeMap::new();
    flatten("", &values, &mut defaults);
    let text = std::fs::read_to_string(root.join(DOCUMENT))
        .with_context(|| format!("reading {DOCUMENT}"))?;
    let rows = rows(&text);
    ensure!(rows == defaults, "{}", difference(&rows, &defaults));
    let schema = std::fs::read_to_string(root.join(CHART).join("values.schema.json"))
        .context("reading the schema of the values")?;
    let schema: Value =
        serde_json::from_str(&schema).context("reading the schema of the values")?;
    for path in defaults.keys() {
        let mut node = &schema;
        for member in path.split('.') {
            node = resolved(&schema, node);
            node = &node["properties"][member];
            ensure!(!node.is_null(), "{path} is not in the schema");
        }
    }
    Ok(())
}

fn resolved<'a>(schema: &'a Value, node: &'a Value) -> &'a Value {
    let reference = node["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    reference.and_then(|pointer| schema.pointer(pointer)).unwrap_or(node)
}

/// Values by their path, as the table writes them.
fn flatten(path: &str, value: &Value, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                let path = match path {
                    "" => name.clone(),
                    _ => format!("{path}.{name}"),
                };
                flatten(&path, member, found);
            }
        }
        Value::String(text) if !text.is_empty() => {
            found.insert(path.to_owned(), text.clone());
        }
        other => {
            found.insert(path.to_owned(), other.to_string());
        }
    }
}

/// The first two columns of the rows below `## Values`: `` | `kind` | `WasmPlugin` | .. ``.
fn rows(text: &str) -> BTreeMap<String, String> {
    let (_, rest) = text.split_once("\n## Values\n").unwrap_or_default();
    let section = rest.split("\n## ").next().unwrap_or_default();
    let cell = |cell: &str| cell.trim().trim_matches('`').to_owned();
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        Some((cell(cells.next()?), cell(cells.next()?)))
    };
    section.lines().filter_map(row).collect()
}

fn difference(rows: &BTreeMap<String, String>, defaults: &BTreeMap<String, String>) -> String {
    let pairs = |map: &BTreeMap<String, String>| {
        map.iter().map(|(path, default)| format!("{path}: {default}")).collect::<BTreeSet<_>>()
    };
    let (rows, defaults) = (pairs(rows), pairs(defaults));
    format!(
        "{DOCUMENT} has {:?}, and values.yaml has {:?}",
        rows.difference(&defaults).collect::<Vec<_>>(),
        defaults.difference(&rows).collect::<Vec<_>>()
    )
}

fn yaml(file: &Path) -> Result<Value> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let documents = yaml::documents(&text).with_context(|| format!("{}", file.display()))?;
    documents.into_iter().next().with_context(|| format!("{} is empty", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_and_rows() {
        let mut found = BTreeMap::new();
        flatten(
            "",
            &json!({"a": {"b": "", "c": "x"}, "d": [], "e": {}, "f": 0, "g": false}),
            &mut found,
        );
        let text = "# T\n## Values\n\n| value | default | |\n|---|---|---|\n| `a.b` | `\"\"` | t |\n\
                    | `a.c` | `x` | t |\n| `d` | `[]` | |\n| `e` | `{}` | |\n| `f` | `0` | |\n\
                    | `g` | `false` | |\n\n## More\n| `h` | `1` | |\n";
        assert_eq!(rows(text), found);
        found.remove("d");
        assert!(difference(&rows(text), &found).contains("d: []"));
    }
}
