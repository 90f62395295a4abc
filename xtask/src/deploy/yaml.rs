//! YAML, as JSON values.

use anyhow::{Context, Result};
use serde_json::Value;

/// The one document of a text.
pub(super) fn one(text: &str) -> Result<Value> {
    serde_saphyr::from_str(text).context("it is no YAML")
}
