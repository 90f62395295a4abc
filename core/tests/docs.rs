//! What `docs/configuration.md`, `docs/migrating.md` and `docs/problem-json.md` say holds.

use pintle_core::config::{ConfigErrors, HashKey};
use pintle_core::{Denial, Filter, Policy, filter};

fn read(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/");
    std::fs::read_to_string([folder, name].concat()).unwrap()
}

fn text() -> String {
    read("configuration.md")
}

fn load(document: &str) -> Result<Policy, ConfigErrors> {
    Policy::load(document.as_bytes(), HashKey::new([0; 16]))
}

#[test]
fn examples_load() {
    for (name, least) in [("configuration.md", 9), ("migrating.md", 4), ("problem-json.md", 6)] {
        let text = read(name);
        let examples: Vec<&str> = text
            .split("```json\n")
            .skip(1)
            .map(|rest| rest.split_once("\n```").expect("an end").0)
            .collect();
        assert!(examples.len() >= least, "{name}: {}", examples.len());
        for example in examples {
            let policy = load(example).unwrap_or_else(|errors| panic!("{errors}\n{example}"));
            assert!(!policy.is_inert(), "{example}");
        }
    }
}

#[test]
fn migrating_says_what_documents_of_basic_auth_are_refused() {
    let document = |realm: &str, credential: &str, more: &str| {
        format!(
            r#"{{"realm": "{realm}", "basic_auth_rules": [{{"prefix": "/", "request_methods": ["GET"],
                "credentials": ["{credential}"]{more}}}]}}"#
        )
    };
    let plain = document("istio", "ok:test", "");
    assert!(load(&plain).is_ok());
    let refused = [
        // "us\u{e9}r:pw" in Latin-1, and "ok:test\n".
        (document("istio", "dXPpcjpwdw==", ""), "not UTF-8"),
        (document("istio", "b2s6dGVzdAo=", ""), "line breaks"),
        (document("istio", "ok:test", r#", "host": ["a"]"#), "/basic_auth_rules/0/host"),
        (document("istio", "ok:test", r#", "hosts": ["a:80"]"#), "/basic_auth_rules/0/hosts/0"),
        (document("\u{e9}", "ok:test", ""), "/realm"),
    ];
    for (document, why) in refused {
        let errors = load(&document).unwrap_err().to_string();
        assert!(errors.contains(why), "{errors}");
    }
    assert!(load("{}").unwrap().is_inert());
    assert!(load("").unwrap_err().to_string().contains("docs/migrating.md"));
}

#[test]
fn migrating_says_what_documents_of_custom_errors_are_refused() {
    let document =
        |prefixes: &str, more: &str| format!(r#"{{"targetURLPrefixes": {prefixes}{more}}}"#);
    let host = r#"["a.example/"]"#;
    for document in [
        document(host, ""),
        document(r#"["HTTP://A.Example:80"]"#, r#", "problemTypeURIMap": [{"404": "b"}, {}]"#),
        // Taken for 400 and 599.
        document(r#"[""]"#, r#", "startStatusCode": -1, "endStatusCode": 600"#),
    ] {
        assert!(!load(&document).unwrap().is_inert(), "{document}");
    }
    let map = |map: &str| document(host, &format!(r#", "problemTypeURIMap": {map}"#));
    let refused = [
        (document("[]", ""), "/targetURLPrefixes"),
        (document(r#"["/a"]"#, ""), "/targetURLPrefixes/0"),
        (document(r#"["a.example/ b"]"#, ""), "/targetURLPrefixes/0"),
        (document("[\"a.example/\u{e9}\"]", ""), "/targetURLPrefixes/0"),
        (document(host, r#", "startStatusCode": 500, "endStatusCode": 404"#), "/endStatusCode"),
        (map(r#"{"4xx": "b"}"#), "/problemTypeURIMap/4xx"),
        (map(r#"{"404": "b c"}"#), "/problemTypeURIMap/404"),
        (map(r#"[{"404": "b"}, {"404": "c"}]"#), "/problemTypeURIMap/1/404"),
        (document(host, r#", "targetUrlPrefixes": ["b/"]"#), "/targetUrlPrefixes"),
        (r#"{"problemTitle": "a"}"#.to_string(), "targetURLPrefixes"),
    ];
    for (document, why) in refused {
        let errors = load(&document).unwrap_err().to_string();
        assert!(errors.contains(why), "{document}: {errors}");
    }
}

#[test]
fn denials_are_all_there() {
    let rows: Vec<String> = text()
        .split_once("| slug | status | filter |\n|---|---|---|\n")
        .expect("the table of denials")
        .1
        .lines()
        .take_while(|line| line.starts_with('|'))
        .map(str::to_string)
        .collect();
    let kinds = |denial| {
        let kinds: Vec<&str> = [
            ("`basic_auth`", filter::basic_auth::BasicAuth::DENIALS),
            ("`require_header`", filter::require_header::RequireHeader::DENIALS),
            ("`token_exchange`", filter::token_exchange::TokenExchange::DENIALS),
        ]
        .into_iter()
        .filter_map(|(kind, denials)| denials.contains(&denial).then_some(kind))
        .collect();
        match kinds.as_slice() {
            [] => "any with a condition on the path".to_string(),
            kinds => kinds.join(", "),
        }
    };
    let expected = Denial::ALL.map(|denial| {
        let status = match denial {
            Denial::ExchangeRefused => "that of the service, or 401 or 403".to_string(),
            Denial::FieldMissing | Denial::FieldMismatch => "403 or `deny.status`".to_string(),
            other => other.status().to_string(),
        };
        format!("| `{}` | {status} | {} |", denial.slug(), kinds(denial))
    });
    assert_eq!(rows, expected);
}

#[test]
fn every_kind_has_its_section() {
    use pintle_core::__private::FilterSet;
    let text = text();
    for kind in pintle_core::Shipped::KINDS {
        assert!(text.contains(&format!("\n## `{kind}`\n")), "{kind}");
    }
}
