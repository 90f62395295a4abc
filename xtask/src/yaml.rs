//! YAML, as JSON values.

use anyhow::{Context, Result};
use serde_json::Value;

/// The one document of a text.
pub(crate) fn one(text: &str) -> Result<Value> {
    serde_saphyr::from_str(text).context("reading YAML")
}

/// The documents of a text, without those that are empty.
pub(crate) fn documents(text: &str) -> Result<Vec<Value>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).context("reading YAML")?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn empty_documents_are_none() {
        assert_eq!(documents("---\n---\na: 1\n").unwrap(), [json!({"a": 1})]);
        assert_eq!(one("a: 1\n").unwrap(), json!({"a": 1}));
    }
}
