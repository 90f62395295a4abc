use std::collections::BTreeSet;

use pintle_core::config::HashKey;
use pintle_core::testing::corpus::{self, Case, Engine, Exchange, Plan, Seen};
use pintle_core::testing::run;
use pintle_core::{NoFurther, Policy};

use super::{ConvertError, Unconfigured, convert};

/// Cases of the corpus whose document is a plug-in's.
fn cases() -> Vec<(Case, Exchange)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../core/testdata");
    let cases = corpus::load_dir(folder).unwrap();
    let keys = ["basic_auth_rules", "auth_cluster_name", "targetURLPrefixes"];
    let cases = cases.into_iter().filter(|case| keys.iter().any(|key| case.config.contains(key)));
    let cases = cases.filter(|case| case.engines.contains(&Engine::Memory));
    let exchanges = cases.filter_map(|case| match case.plan.clone() {
        Plan::Exchange(exchange) => Some((case, *exchange)),
        Plan::Refusal(_) => None,
    });
    exchanges.collect()
}

fn see(document: &str, exchange: &Exchange) -> Seen {
    let policy = Policy::<NoFurther>::load(document.as_bytes(), HashKey::new([7; 16]));
    run(&policy.unwrap_or_else(|errors| panic!("{errors}\n{document}")), exchange)
}

/// What a client and an upstream can tell one from the other by.
fn answer(seen: &Seen) -> (u16, &corpus::FieldLines, &[u8], &str, &Option<corpus::SeenUpstream>) {
    (seen.status, &seen.fields, &seen.body, &seen.details, &seen.upstream)
}

#[test]
fn the_answers_are_the_same() {
    let (mut same, mut kinds) = (0, BTreeSet::new());
    for (case, exchange) in cases() {
        let converted = convert(&case.config).unwrap_or_else(|e| panic!("{}: {e}", case.title()));
        assert!(converted.document.starts_with(r#"{"filters":[{""#), "{}", converted.document);
        let before = see(&case.config, &exchange);
        let after = see(&converted.document, &exchange);
        assert_eq!(before.callouts, after.callouts, "{}", case.title());
        let asks = case.config.contains("auth_cluster_name");
        if asks && before.upstream.is_none() && before.details.contains("exchange") {
            // The one difference, which is told.
            assert_eq!(after.upstream, None, "{}", case.title());
            assert!(after.status >= 400, "{}", case.title());
            assert!(!converted.differences.is_empty());
            continue;
        }
        assert_eq!(answer(&before), answer(&after), "{}: {}", case.title(), converted.document);
        same += 1;
        kinds.insert(case.file.clone());
    }
    assert!(same > 40, "{same}");
    for kind in ["plugins", "token_exchange_plugin", "problem_json_plugin"] {
        assert!(kinds.contains(kind), "{kinds:?}");
    }
}

/// A request, as the corpus has it.
fn exchange(request: &str, response: &str) -> Exchange {
    let case = format!(
        "[[case]]\nname = 'a'\nconfig = ''\nrequest = {request}\nresponse = {response}\nexpect = {{status = 200}}"
    );
    match corpus::parse("a", &case).unwrap().remove(0).plan {
        Plan::Exchange(exchange) => *exchange,
        Plan::Refusal(_) => unreachable!("it has an `expect`"),
    }
}

#[test]
fn odd_rules_mean_the_same() {
    let document = r#"{"realm": "r", "basic_auth_rules": [
        {"prefix": "api.", "request_methods": ["get", "GET", "put"], "credentials": ["a:b"]},
        {"prefix": "*", "request_methods": ["OPTIONS"], "credentials": ["a:b"]},
        {"exact": "*", "request_methods": ["OPTIONS"], "credentials": ["a:b"]},
        {"prefix": "/a", "hosts": [], "request_methods": ["get", "PUT"], "credentials": ["a:$apr1$x", "c:d", "e:{SHA}x", "Zjp7WH15"]}
    ]}"#;
    let converted = convert(document).unwrap();
    assert_eq!(converted.differences.len(), 4, "{:?}", converted.differences);
    assert!(!converted.document.contains("apr1"));
    let logins = ["a:b", "a:$apr1$x", "c:d", "e:{SHA}x", "f:{X}y", "f:x", ""];
    for (method, path) in [
        ("GET", "/a"),
        ("get", "/a"),
        ("PUT", "/a"),
        ("PUT", "/b"),
        ("OPTIONS", "*"),
        ("get", "api.x"),
        ("get", "apiyx"),
    ] {
        for login in logins {
            let value = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, login);
            let exchange = exchange(
                &format!(
                    "{{method = '{method}', path = '{path}', headers = [['authorization', 'Basic {value}']]}}"
                ),
                "{}",
            );
            let (before, after) = (see(document, &exchange), see(&converted.document, &exchange));
            assert_eq!(answer(&before), answer(&after), "{method} {path} {login}");
        }
    }
}

#[test]
fn urls_mean_the_same() {
    for (prefixes, differences) in [
        (r#"[""]"#, 0),
        (r#"["http://"]"#, 0),
        (r#"["https://"]"#, 0),
        (r#"["api.example.com", "API.example.com/"]"#, 1),
        (r#"["http://api.example.com/", "http://other.example/", "shop.example/v1/"]"#, 4),
        (r#"["api."]"#, 0),
        (r#"["api.example.com:8080/", "api.example.com:80"]"#, 2),
        (r#"["other", ""]"#, 0),
        // Compared as it stands there, and so for hardly any host.
        (r#"["http://*.example.com/", "*.example/", "api.*/", "*/", "*"]"#, 5),
    ] {
        let document = format!(
            r#"{{"targetURLPrefixes": {prefixes}, "problemTypeURIMap": [{{"404": "a:b", "200": "c:d"}}], "problemTitle": ""}}"#
        );
        let converted = convert(&document).unwrap_or_else(|error| panic!("{prefixes}: {error}"));
        assert_eq!(
            converted.differences.len(),
            differences,
            "{prefixes}: {:?}",
            converted.differences
        );
        for authority in
            ["api.example.com", "other.example", "shop.example", "api.org", "api.example.com:8080"]
        {
            // A port is what the two do not agree on.
            if authority.contains(':') && prefixes.contains("com/") {
                continue;
            }
            for path in ["/", "/v1/x?y", "/v2"] {
                let request = format!("{{authority = '{authority}', path = '{path}'}}");
                let exchange = exchange(&request, "{status = 404, body = 'no'}");
                let (before, after) =
                    (see(&document, &exchange), see(&converted.document, &exchange));
                assert_eq!(
                    answer(&before),
                    answer(&after),
                    "{prefixes} {authority}{path}\n{}",
                    converted.document
                );
            }
        }
    }
}

#[test]
fn what_cannot_be_converted() {
    assert!(matches!(convert(r#"{"targetURLPrefixes": []}"#), Err(ConvertError::Refused(_))));
    assert!(matches!(convert(""), Err(ConvertError::Refused(_))));
    let broken = r#"{"targetURLPrefixes": ["a/%zz"]}"#;
    let error = convert(broken).map(|converted| converted.document).unwrap_err();
    assert!(matches!(error, ConvertError::Unsayable(_)), "{error}");
    assert!(!error.to_string().contains("%zz"));
    let same = r#"{"filters": [{"problem_json": {}}]}"#;
    assert_eq!(convert(same).unwrap().document, same);
    assert_eq!(convert("{}").unwrap().document, "{}");
}

#[test]
fn hosts_of_one_scheme_and_path_stand_together() {
    let document = r#"{"targetURLPrefixes": ["http://a/", "http://b/", "https://a/"], "startStatusCode": 500.0}"#;
    let filters = convert(document).unwrap().document;
    assert!(
        filters.contains(r#""hosts":["a","b"]"#) && filters.contains(r#""statuses":"500-599""#),
        "{filters}"
    );
    assert_eq!(filters.matches("problem_json").count(), 2);
}

#[test]
fn what_is_for_all_requests_differs_in_nothing() {
    let converted =
        convert(r#"{"targetURLPrefixes": ["a.example/b", "", "c.example:80"]}"#).unwrap();
    assert!(!converted.document.contains("when"), "{}", converted.document);
    assert_eq!(converted.differences, [""; 0]);
}

/// `docs/migrating.md` has them.
#[test]
fn plug_ins_without_a_configuration() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/migrating.md");
    let without_blanks = |text: &str| text.split_whitespace().collect::<String>();
    let text = without_blanks(&std::fs::read_to_string(path).unwrap());
    for plugin in [Unconfigured::HeaderLogger, Unconfigured::AllowTrue] {
        assert!(text.contains(&without_blanks(plugin.document())), "{plugin:?}");
        super::load(plugin.document()).unwrap();
    }
}
