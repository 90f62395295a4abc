//! YAML.

use anyhow::{Context, Result};
use serde_json::Value;

/// The documents of a text, without those that are empty.
pub(super) fn documents(text: &str) -> Result<Vec<Value>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).context("reading YAML")?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}
