//! `docs/pintle.schema.json` is current, and says of a configuration what the loader says.

mod checked_in;
#[path = "schema/validator.rs"]
mod validator;

use pintle_core::config::schema;
use pintle_core::testing::corpus::{self, Plan};
use serde_json::Value;
use validator::Validator;

const FILE: &str = "docs/pintle.schema.json";

#[test]
fn checked_in_file_is_current() {
    let file = checked_in::file(FILE);
    let current = schema::document().to_value();
    if checked_in::bless() {
        std::fs::write(&file, format!("{current:#}\n")).unwrap();
    }
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let stale = serde_json::from_str::<Value>(&text).ok() != Some(current);
    assert!(!stale, "{FILE} is stale: {}", checked_in::HOW);
}

#[test]
fn takes_what_the_loader_takes() {
    let schema = schema::document().to_value();
    let validator = Validator::new(&schema);
    let cases = corpus::load_dir(checked_in::file("core/testdata")).unwrap();
    let (mut taken, mut refused, mut structural) = (0, 0, 0);
    for case in &cases {
        let Ok(document) = serde_json::from_str::<Value>(&case.config) else {
            assert!(matches!(case.plan, Plan::Refusal(_)), "{}: not JSON", case.title());
            continue;
        };
        let verdict = validator.validate(&document);
        match case.plan {
            Plan::Exchange(_) => {
                assert_eq!(verdict, Ok(()), "{}", case.title());
                taken += 1;
            }
            Plan::Refusal(_) => {
                refused += 1;
                structural += usize::from(verdict.is_err());
            }
        }
    }
    assert!(taken > 0 && refused > 0);
    // What is left is grammar: hosts, paths, templates, credentials, expressions.
    assert!(structural * 3 >= refused, "{structural} of {refused} refused configurations");
}

#[test]
fn refuses_what_is_structurally_wrong() {
    let schema = schema::document().to_value();
    let validator = Validator::new(&schema);
    for (document, valid) in [
        (r#"{}"#, true),
        (r#"{"filters": []}"#, false),
        (r#"{"filters": [{}]}"#, false),
        (r#"{"filters": [{"unknown": {}}]}"#, false),
        (r#"{"filter": [{"log_headers": {"request": ["*"]}}]}"#, false),
        (r#"{"filters": [{"log_headers": {"request": ["*"]}}]}"#, true),
        (
            r#"{"filters": [{"log_headers": {"request": ["*"], "when": {}, "mode": "observe", "name": "a-b"}}]}"#,
            true,
        ),
        (r#"{"filters": [{"log_headers": {"request": ["*"], "mode": "off"}}]}"#, false),
        (r#"{"filters": [{"log_headers": {"request": ["*"], "name": "a b"}}]}"#, false),
        (r#"{"filters": [{"log_headers": {"request": ["*"], "when": null}}]}"#, false),
        (r#"{"filters": [{"log_headers": {"request": ["*"], "redact": []}}]}"#, true),
        (r#"{"filters": [{"log_headers": {"request": []}}]}"#, false),
        (r#"{"filters": [{"log_headers": {}}]}"#, false),
        (r#"{"filters": [{"log_headers": {"request": ["*"], "max_value_bytes": 8193}}]}"#, false),
        (r#"{"filters": [{"log_headers": {"request": ["*"]}, "headers": {}}]}"#, false),
        (r#"{"filters": [{"require_header": {"header": "a", "exact": "b"}}]}"#, true),
        (
            r#"{"filters": [{"require_header": {"header": "a", "exact": "b", "regex": "c"}}]}"#,
            false,
        ),
        (r#"{"filters": [{"require_header": {"header": "a", "deny": {"status": 302}}}]}"#, false),
        (r#"{"filters": [{"require_header": {"header": "a", "deny": {"status": 401.0}}}]}"#, true),
        (r#"{"filters": [{"headers": {"request": [{"set": {"name": "a", "value": ""}}]}}]}"#, true),
        (r#"{"filters": [{"headers": {"request": [{"set": {"name": "a"}}]}}]}"#, false),
        (
            r#"{"filters": [{"headers": {"request": [{"remove": {"name": "a"}, "set": {"name": "a", "value": "b"}}]}}]}"#,
            false,
        ),
        (r#"{"filters": [{"basic_auth": {"rules": [{"credentials": ["a:b"]}]}}]}"#, true),
        (r#"{"filters": [{"basic_auth": {"rules": [{"credentials": []}]}}]}"#, false),
        (
            r#"{"filters": [{"basic_auth": {"rules": [{"credentials": ["a:b"], "when": {"not": {}}}]}}]}"#,
            false,
        ),
        (
            r#"{"filters": [{"basic_auth": {"rules": [{"credentials": ["a:b"], "when": {"path": []}}]}}]}"#,
            false,
        ),
        (
            r#"{"filters": [{"basic_auth": {"rules": [{"credentials": ["a:b"], "when": {"path": {"prefix": "/"}}}]}}]}"#,
            true,
        ),
        (
            r#"{"filters": [{"basic_auth": {"rules": [{"credentials": ["a:b"], "when": {"path": [{"prefix": "/"}, {"exact": "/a"}]}}]}}]}"#,
            true,
        ),
        (
            r#"{"filters": [{"basic_auth": {"rules": [{"credentials": ["a:b"], "when": {"headers": [{"name": "a", "exact": "b", "present": true}]}}]}}]}"#,
            false,
        ),
        (
            r#"{"basic_auth_rules": [{"prefix": "/", "request_methods": ["GET"], "credentials": ["a:b"]}]}"#,
            true,
        ),
        (
            r#"{"basic_auth_rules": [{"prefix": "/", "exact": "/", "request_methods": ["GET"], "credentials": ["a:b"]}]}"#,
            false,
        ),
        (
            r#"{"basic_auth_rules": [{"prefix": "/", "request_methods": ["GET"], "credentials": ["a:b"]}], "filters": [{"log_headers": {"request": ["*"]}}]}"#,
            false,
        ),
        (r#"{"paths": {"encoded_slash": "keep"}}"#, true),
        (r#"{"paths": {"encoded_slash": "drop"}}"#, false),
    ] {
        let json = serde_json::from_str(document).unwrap();
        let verdict = validator.validate(&json);
        assert_eq!(verdict.is_ok(), valid, "{document}: {verdict:?}");
        let key = pintle_core::config::HashKey::new([0; 16]);
        let loaded = pintle_core::Policy::<pintle_core::NoFurther>::load(document.as_bytes(), key);
        assert_eq!(loaded.is_ok(), valid, "{document}: {loaded:?}");
    }
}
