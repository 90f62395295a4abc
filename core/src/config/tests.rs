extern crate std;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use serde_json::{Value, json};

use super::pointer::Pointer;
use super::{ConfigErrors, HashKey};
use crate::policy::Policy;

fn load(document: &str) -> Result<Policy, ConfigErrors> {
    Policy::load(document.as_bytes(), HashKey::new([7; 16]))
}

fn errors(document: &str) -> Vec<String> {
    load(document).err().iter().flat_map(ConfigErrors::iter).map(ToString::to_string).collect()
}

/// Every field that a configuration can have.
fn big() -> Value {
    json!({
        "paths": {"encoded_slash": "keep"},
        "filters": [
            {"log_headers": {
                "name": "log", "mode": "observe",
                "request": ["host", "x-a"], "response": ["*"], "level": "debug",
                "redact": ["x-card", "x-pii-*"], "max_value_bytes": 100,
            }},
            {"require_header": {
                "name": "gate", "header": "x-key", "exact": "open-sesame", "secret": true,
                "deny": {
                    "status": 404, "body": "nothing here", "content_type": "text/html",
                    "headers": [{"name": "x-a", "value": "b"}],
                },
                "when": {
                    "hosts": ["example.com", "*.example.com", "[::1]"], "methods": ["GET", "PUT"],
                    "path": [{"exact": "/a"}, {"prefix": "/b/"}, {"suffix": ".php"}, {"regex": "^/c[0-9]$"}],
                    "headers": [
                        {"name": "x-b", "exact": "c"}, {"name": "x-b", "prefix": "c"},
                        {"name": "x-b", "present": true}, {"name": "x-b", "absent": false},
                    ],
                    "not": {"path": {"prefix": "/b/c"}, "not": {"hosts": ["api.*"]}},
                },
            }},
            {"require_header": {"header": "x-key", "prefix": "open"}},
            {"require_header": {"header": "x-key", "regex": "^o.*n$"}},
            {"basic_auth": {
                "mode": "enforce", "realm": "staff", "forward_user": "x-user", "hide_credentials": true,
                "rules": [{
                    "when": {"path": {"prefix": "/d"}}, "realm": "boss",
                    "credentials": ["alice:wonderland", "Ym9iOmJ1aWxkZXI=", "carol:{SHA}qvTGHdzF6KLavt4PO0gs2a6pQ00="],
                }],
            }},
            {"headers": {
                "request": [
                    {"set": {"name": "x-c", "value": "%REQ(:path)%, 100%%"}},
                    {"append": {"name": "x-c", "value": "d"}},
                    {"add_if_absent": {"name": "x-c", "value": "d"}},
                ],
                "response": [
                    {"set": {"name": "x-d", "value": "%RESP(:status)%"}},
                    {"remove": {"name": "server"}},
                    {"rename": {"name": "x-e", "to": "x-f"}},
                ],
            }},
        ],
    })
}

fn plugin() -> Value {
    json!({
        "mode": "observe", "realm": "mesh",
        "basic_auth_rules": [
            {"prefix": "/a", "hosts": ["*.example.com"], "request_methods": ["GET"], "credentials": ["ok:test", "Ym9iOmJ1aWxkZXI="]},
            {"exact": "/b", "request_methods": ["POST"], "credentials": ["ok:test"]},
            {"suffix": "/c", "request_methods": ["POST"], "credentials": ["ok:test"]},
        ],
    })
}

/// The pointers of all values in a document, the document itself included.
fn places(value: &Value) -> Vec<String> {
    fn walk(value: &Value, at: &str, places: &mut Vec<String>) {
        places.push(at.to_string());
        match value {
            Value::Array(list) => {
                list.iter().enumerate().for_each(|(i, v)| walk(v, &format!("{at}/{i}"), places));
            }
            Value::Object(map) => {
                map.iter().for_each(|(k, v)| walk(v, &format!("{at}/{k}"), places))
            }
            _ => {}
        }
    }
    let mut places = Vec::new();
    walk(value, "", &mut places);
    places
}

const MARKER: &str = "s3cret-marker";

/// No message quotes a value, and every pointer is that of a place in the document.
fn refused_in_order(document: &Value) -> bool {
    let text = document.to_string();
    let Err(errors) = load(&text) else { return false };
    let messages = format!("{errors} {errors:?}");
    assert!(!messages.contains("s3cret"), "{text}\n{messages}");
    for error in errors.iter() {
        assert!(document.pointer(error.pointer()).is_some(), "{text}\n{error}");
        assert!(!error.refusal().to_string().is_empty());
    }
    true
}

#[test]
fn documents_that_have_everything_load() {
    for document in [big(), plugin()] {
        assert_eq!(errors(&document.to_string()), [""; 0]);
    }
}

#[test]
fn no_message_quotes_a_value() {
    let odd = [
        MARKER,
        "s3cret marker",
        "s3cret:$2y$marker",
        "s3cret%marker",
        "s3cret\r\nmarker",
        "(s3cret",
        "*s3cret*",
        "s3cret/?marker",
        "é s3cret",
        "%s3cret(marker)%",
    ];
    let wrong = [
        json!(7),
        json!(-7.5),
        json!(1e300),
        json!(true),
        json!(null),
        json!([]),
        json!({}),
        json!([MARKER]),
        json!({"a": MARKER}),
        json!({"remove": MARKER}),
        json!([[MARKER]]),
        json!([{"b": [MARKER]}]),
        json!({"exact": MARKER, "prefix": MARKER}),
    ];
    for document in [big(), plugin()] {
        let mut refused = 0;
        for place in places(&document) {
            for value in odd.iter().map(|text| json!(text)).chain(wrong.iter().cloned()) {
                let mut document = document.clone();
                *document.pointer_mut(&place).unwrap() = value;
                refused += usize::from(refused_in_order(&document));
            }
        }
        assert!(refused > 500, "{refused}");
    }
}

#[test]
fn no_message_quotes_a_value_when_all_are_wrong() {
    for mut document in [big(), plugin()] {
        for place in places(&document) {
            let value = document.pointer_mut(&place).unwrap();
            if value.is_string() {
                *value = json!("\u{1}s3cret marker");
            }
        }
        assert!(refused_in_order(&document));
    }
}

#[test]
fn no_field_is_unknown_or_missing_without_a_word() {
    for document in [big(), plugin()] {
        for place in places(&document) {
            let mut changed = document.clone();
            if let Some(map) = changed.pointer_mut(&place).unwrap().as_object_mut() {
                map.insert("surprise".to_string(), json!(MARKER));
                let text = changed.to_string();
                assert!(refused_in_order(&changed), "{text}");
                // One object with one member is an enum or a filter: the place is the object's.
                let named = load(&text).unwrap_err();
                let at = format!("{place}/surprise");
                assert!(
                    named.iter().any(|e| e.pointer() == at || e.pointer() == place),
                    "{text}\n{named}"
                );
            }
        }
    }
}

#[cfg(feature = "testing")]
#[test]
fn no_message_quotes_what_the_corpus_says() {
    use crate::testing::corpus::{Plan, load_dir};
    let mut refused = 0;
    for case in load_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata")).unwrap() {
        let Plan::Refusal(refusal) = &case.plan else { continue };
        let errors = load(&case.config).unwrap_err();
        let messages = format!("{errors} {errors:?}");
        for secret in &refusal.lacks {
            assert!(!messages.contains(secret.as_str()), "{}: {messages}", case.title());
        }
        assert!(!messages.contains("s3cret"), "{}: {messages}", case.title());
        refused += 1;
    }
    assert!(refused > 50);
}

#[test]
fn what_they_say() {
    let filters = |filters: &str| format!(r#"{{"filters": [{filters}]}}"#);
    for (document, message) in [
        (
            String::new(),
            "the document: no configuration; expected a JSON object such as {\"filters\": [..]} \
             (docs/migrating.md has the one to add for a plug-in that had none)",
        ),
        (
            "{\n  \"a\": x}".to_string(),
            "the document: not JSON from line 2, column 8 on; expected a JSON object",
        ),
        ("[]".to_string(), "the document: found a list; expected an object"),
        (r#"{"filter": []}"#.to_string(), "/filter: unknown; expected `filters`, `paths`, `deny`"),
        (filters(""), "/filters: an empty list; expected at least one element"),
        (
            filters("7"),
            "/filters/0: found a number; expected an object with one member, the kind of the filter",
        ),
        (
            filters(r#"{"a": {}}"#),
            "/filters/0/a: unknown kind of filter; expected one of: log_headers, require_header, basic_auth, headers, token_exchange, problem_json",
        ),
        (
            filters(r#"{"basic_auth": {"rule": []}}"#),
            "/filters/0/basic_auth/rule: unknown; expected `rules`, `realm`, `forward_user`, `hide_credentials`, `deny`, `when`, `mode`, `name`",
        ),
        (
            filters(r#"{"basic_auth": {"rules": [{"credentials": [], "whne": {}}]}}"#),
            "/filters/0/basic_auth/rules/0/whne: unknown; expected `when`, `credentials`, `realm`",
        ),
        (filters(r#"{"basic_auth": {}}"#), "/filters/0/basic_auth: `rules` is missing"),
        (
            filters(r#"{"basic_auth": {"rules": 7}}"#),
            "/filters/0/basic_auth/rules: found a number; expected a list",
        ),
        (
            filters(r#"{"require_header": {"header": "a", "deny": {"status": 70000}}}"#),
            "/filters/0/require_header/deny/status: found a number; expected a whole number from 0 to 65535",
        ),
        (
            filters(r#"{"require_header": {"header": "a", "mode": "on"}}"#),
            "/filters/0/require_header/mode: unknown; expected `enforce`, `observe`",
        ),
        (
            filters(r#"{"log_headers": {"request": ["*"], "level": "loud"}}"#),
            "/filters/0/log_headers/level: unknown; expected `trace`, `debug`, `info`, `warn`, `error`",
        ),
        (
            r#"{"startStatusCode": "400"}"#.to_string(),
            "/startStatusCode: found a string; expected a whole number",
        ),
        (
            filters(r#"{"require_header": {"header": "a", "when": {"path": {"exact": "/%"}}}}"#),
            "/filters/0/require_header/when/path/exact: a % in a path is followed by two hexadecimal digits",
        ),
        (
            filters(r#"{"require_header": {"header": "a", "when": {"path": [{"exact": "/%"}]}}}"#),
            "/filters/0/require_header/when/path/0/exact: a % in a path is followed by two hexadecimal digits",
        ),
        (
            filters(r#"{"require_header": {"header": "a", "when": {"hosts": ["a:1"]}}}"#),
            "/filters/0/require_header/when/hosts/0: a host stands without a port: ports are not compared",
        ),
        (
            filters(r#"{"headers": {"request": [{"set": {"name": "host", "value": "a"}}]}}"#),
            "/filters/0/headers/request/0/set/name: not acceptable; expected the name of a field that is neither \
             a pseudo-header, `host`, `content-length` nor hop-by-hop",
        ),
        (
            r#"{"a": 1, "paths": {"encoded_slash": 1}}"#.to_string(),
            "/a: unknown; expected `filters`, `paths`, `deny`; \
             /paths/encoded_slash: found a number; expected one of: decode, keep, reject",
        ),
    ] {
        let errors = load(&document).unwrap_err();
        assert_eq!(errors.to_string(), message, "{document}");
    }
}

#[test]
fn every_mistake_is_reported_at_once() {
    let errors = errors(
        r#"{
            "surprise": 1,
            "filters": [
                {"basic_auth": {"rules": [{"credentials": 1}, {"credentials": 1}]}},
                {"headers": {"name": "a b", "request": [{"remove": {"name": "te"}}], "when": {"hosts": [""]}}},
                {"log_headers": {"mode": "loud", "request": ["x y"]}}
            ]
        }"#,
    );
    let places: Vec<&str> =
        errors.iter().filter_map(|e| e.split_once(": ")).map(|(at, _)| at).collect();
    assert_eq!(
        places,
        [
            "/surprise",
            "/filters/0/basic_auth/rules/0/credentials",
            "/filters/1/headers/request/0/remove/name",
            "/filters/1/headers/name",
            "/filters/1/headers/when/hosts/0",
            "/filters/2/log_headers/mode",
            "/filters/2/log_headers/request/0",
        ]
    );
}

#[test]
fn a_hundred_and_twenty_eight_filters() {
    let filters = |n: usize| {
        let filter = json!({"require_header": {"header": "a", "when": {"path": {"prefix": "/x"}}}});
        json!({"filters": vec![filter; n]}).to_string()
    };
    let policy = load(&filters(128)).unwrap();
    let names: Vec<&str> = policy.metrics().iter().map(|c| c.filter.as_str()).collect();
    assert_eq!(
        (names.first(), names.last()),
        (Some(&"require_header"), Some(&"require_header_128"))
    );
    assert_eq!(errors(&filters(129)), ["/filters: not acceptable; expected at most 128 filters"]);
}

#[test]
fn a_document_may_be_deep_and_is_refused() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let document =
            format!(r#"{{"filters": {}1{}}}"#, open.repeat(10_000), close.repeat(10_000));
        assert_eq!(errors(&document).len(), 1);
    }
    let not = format!("{}{{}}{}", r#"{"not": "#.repeat(60), "}".repeat(60));
    assert_eq!(
        errors(&format!(
            r#"{{"filters": [{{"require_header": {{"header": "a", "when": {not}}}}}]}}"#
        ))
        .len(),
        1
    );
}

#[test]
fn numbers_of_a_protobuf_struct_are_whole() {
    assert_eq!(
        errors(r#"{"filters": [{"require_header": {"header": "a", "deny": {"status": 403.0}}}]}"#),
        [""; 0]
    );
    assert_eq!(
        errors(r#"{"filters": [{"require_header": {"header": "a", "deny": {"status": 4.03e2}}}]}"#),
        [""; 0]
    );
    for status in ["403.5", "-403", "1e999", "1e300", "99999999999999999999"] {
        let document = format!(
            r#"{{"filters": [{{"require_header": {{"header": "a", "deny": {{"status": {status}}}}}}}]}}"#
        );
        assert_eq!(errors(&document).len(), 1, "{status}");
    }
}

#[test]
fn defaults_of_names_count_on() {
    let names = |filters: &str| -> Vec<String> {
        let policy = load(&format!(r#"{{"filters": [{filters}]}}"#)).unwrap();
        let mut names: Vec<String> = policy.metrics().iter().map(|c| c.filter.clone()).collect();
        names.dedup();
        names
    };
    let plain = r#"{"require_header": {"header": "a"}}"#;
    let named =
        |name: &str| format!(r#"{{"require_header": {{"header": "a", "name": "{name}"}}}}"#);
    assert_eq!(
        names(&[plain; 3].join(",")),
        ["require_header", "require_header_2", "require_header_3"]
    );
    assert_eq!(
        names(&[&named("require_header_2"), plain, plain].join(",")),
        ["require_header_2", "require_header", "require_header_3"]
    );
}

#[test]
fn pointers_are_those_of_rfc_6901() {
    let root = Pointer::Root;
    assert_eq!(root.render(), "");
    let filters = root.key("filters");
    let second = filters.index(2);
    assert_eq!(second.key("a/b~c").render(), "/filters/2/a~1b~0c");
    assert_eq!(second.key("a\nb").render(), "/filters/2/a?b");
    assert_eq!(root.key(&"x".repeat(64)).render(), format!("/{}", "x".repeat(64)));
    assert_eq!(root.key(&"x".repeat(65)).render(), format!("/{}...", "x".repeat(64)));
}

#[test]
fn a_loaded_policy_shows_no_secret() {
    let policy = load(&big().to_string()).unwrap();
    let text = format!("{policy:?}");
    assert_eq!(
        text,
        r#"["log", "gate", "require_header", "require_header_2", "basic_auth", "headers"]"#
    );
    assert_eq!(format!("{:?}", HashKey::new([7; 16])), "HashKey(16 bytes)");
}
