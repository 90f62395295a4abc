//! JSON Schemas.

use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;

/// An error unless a document meets the schema in a file.
pub(super) fn meets(schema: &Path, document: &Value) -> Result<()> {
    let text = std::fs::read_to_string(schema).with_context(|| schema.display().to_string())?;
    let schema: Value = serde_json::from_str(&text).context("reading the schema")?;
    let validator = jsonschema::validator_for(&schema).map_err(|error| anyhow!("{error}"))?;
    let errors = validator.iter_errors(document);
    let errors: Vec<String> =
        errors.map(|error| format!("{}: {error}", error.instance_path())).collect();
    ensure!(errors.is_empty(), "{}", errors.join("\n"));
    Ok(())
}
