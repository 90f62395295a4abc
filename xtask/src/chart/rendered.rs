//! What Helm has rendered.

use serde_json::Value;

/// `WasmPlugin shop/pintle`.
pub(super) fn name(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let metadata = &object["metadata"];
    format!(
        "{} {}/{}",
        text(&object["kind"]),
        text(&metadata["namespace"]),
        text(&metadata["name"])
    )
}

/// Whether two documents say the same: `1.0` is `1`.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sameness() {
        assert!(same(&json!({"a": [1, "b"]}), &json!({"a": [1.0, "b"]})));
        for other in [json!({"a": [1]}), json!({"a": [1, "c"]}), json!({}), json!({"b": [1, "b"]})]
        {
            assert!(!same(&json!({"a": [1, "b"]}), &other), "{other}");
        }
    }

    #[test]
    fn names() {
        let object = json!({"kind": "WasmPlugin", "metadata": {"name": "a", "namespace": "b"}});
        assert_eq!(name(&object), "WasmPlugin b/a");
    }
}
