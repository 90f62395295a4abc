use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{FILE, SCHEMA, Schema, current, page};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn schema() -> Value {
    serde_json::from_str(&std::fs::read_to_string(root().join(SCHEMA)).unwrap()).unwrap()
}

#[test]
fn the_page_is_current() {
    if std::env::var_os("PINTLE_BLESS").is_some_and(|value| value == "1") {
        std::fs::write(root().join(FILE), page(&schema()).unwrap()).unwrap();
    }
    current(&root()).unwrap();
}

/// Counted in the schema, not by the code that makes the page.
#[test]
fn every_field_default_and_value_is_there() {
    let schema = schema();
    let page = page(&schema).unwrap();
    let (mut fields, mut defaults, mut values) = (0, 0, 0);
    for definition in schema["$defs"].as_object().unwrap().values() {
        for (name, field) in definition["properties"].as_object().into_iter().flatten() {
            let row = format!("| `{name}` | ");
            let rows: Vec<&str> = page.lines().filter(|line| line.starts_with(&row)).collect();
            assert!(!rows.is_empty(), "{name}");
            fields += 1;
            if let Some(default) = field.get("default") {
                let default = format!("| `{default}` |");
                assert!(rows.iter().any(|line| line.contains(&default)), "{name}: {default}");
                defaults += 1;
            }
        }
        let words = definition["enum"].as_array().into_iter().flatten();
        let choices = definition["oneOf"].as_array().into_iter().flatten();
        for value in words.chain(choices.filter_map(|choice| choice.get("const"))) {
            assert!(page.contains(&format!("`{value}`")), "{value}");
            values += 1;
        }
    }
    assert!(fields > 90 && defaults > 20 && values > 20, "{fields} {defaults} {values}");
    for filter in Schema::new(&schema).unwrap().kinds {
        assert!(page.contains(&format!("\n## `{filter}`\n")), "{filter}");
    }
}

#[test]
fn what_has_no_description_or_no_words_is_refused() {
    let mut without = schema();
    without["$defs"]["basic_auth"]["properties"]["realm"] = json!({"type": "string"});
    let error = format!("{:#}", page(&without).unwrap_err());
    assert!(
        error.contains("basic_auth") && error.contains("`realm` has no description"),
        "{error}"
    );

    let mut unknown = schema();
    unknown["$defs"]["basic_auth"]["properties"]["realm"]["maxLength"] = json!(3);
    let error = format!("{:#}", page(&unknown).unwrap_err());
    assert!(error.contains("maxLength"), "{error}");
}
