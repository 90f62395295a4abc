//! `pintle explain`, the real binary.

mod command;

use std::path::PathBuf;

use command::{Seen, pintle, pintle_with};
use serde_json::{Value, json};

/// Explains under a configuration on standard input.
fn run(config: &str, arguments: &[&str]) -> Seen {
    pintle_with(&[&["explain", "-"], arguments].concat(), &[], config.as_bytes())
}

/// The JSON form.
fn explain(config: &Value, arguments: &[&str]) -> Value {
    let Seen { code, stdout, stderr } =
        run(&config.to_string(), &[arguments, &["--format", "json"]].concat());
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    serde_json::from_str(&stdout).unwrap()
}

fn text(config: &Value, arguments: &[&str]) -> String {
    let Seen { code, stdout, stderr } = run(&config.to_string(), arguments);
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    stdout
}

/// The whole of a text, which has these lines one after the other, others between them.
#[track_caller]
fn assert_lines(text: &str, expected: &[&str]) {
    let mut lines = text.lines();
    for expected in expected {
        assert!(lines.any(|line| line.trim() == *expected), "{expected:?} in\n{text}");
    }
}

fn guarded() -> Value {
    json!({"filters": [
        {"basic_auth": {
            "realm": "shop",
            "forward_user": "x-user",
            "rules": [
                {"when": {"path": {"prefix": "/private"}}, "credentials": ["alice:wonderland"]},
                {"when": {"methods": ["DELETE"], "path": {"prefix": "/"}}, "credentials": ["carol:looking-glass"]}
            ]
        }},
        {"headers": {"response": [{"set": {"name": "hello", "value": "world"}}]}}
    ]})
}

const ALICE: &str = "authorization: Basic YWxpY2U6d29uZGVybGFuZA==";
const WRONG: &str = "authorization: Basic YWxpY2U6bG9va2luZw==";

#[test]
fn a_request_without_a_credential() {
    let told = explain(&guarded(), &["--request", "GET https://shop.example/private/a?b=c"]);
    let auth = &told["filters"][0];
    assert_eq!(auth["name"], "basic_auth");
    assert_eq!(auth["pointer"], "/filters/0/basic_auth");
    assert_eq!(auth["request"]["verdict"], "denied");
    assert_eq!(auth["request"]["slug"], "no_credentials");
    assert_eq!(auth["request"]["status"], 401);
    let rules = &auth["request"]["rules"];
    assert_eq!(rules[0]["pointer"], "/filters/0/basic_auth/rules/0");
    assert_eq!((&rules[0]["applies"], &rules[0]["passes"]), (&json!(true), &json!(false)));
    assert_eq!((&rules[1]["applies"], &rules[1]["passes"]), (&json!(false), &json!(null)));
    let conditions = &rules[1]["when"]["forms"][0]["conditions"];
    assert_eq!(
        conditions[0],
        json!({
            "pointer": "/filters/0/basic_auth/rules/1/when/methods",
            "holds": false,
            "wanted": ["DELETE"],
            "found": [{"name": ":method", "value": "GET", "bytes": 3, "query_bytes": null}],
            "conditions": []
        })
    );
    assert_eq!(conditions[1]["holds"], true);
    assert_eq!(told["upstream"], json!(null));
    let client = &told["client"];
    assert_eq!((&client["status"], &client["answered_by"]), (&json!(401), &json!("basic_auth")));
    assert_eq!(client["details"], "pintle_no_credentials");
    let fields = client["fields"].as_array().unwrap();
    let value = |name: &str| &fields.iter().find(|field| field["name"] == name).unwrap()["value"];
    assert_eq!(value("www-authenticate"), "Basic realm=\"shop\", charset=\"UTF-8\"");
    assert_eq!(value("hello"), "world");
    assert_eq!(told["filters"][1]["response"]["edits"][0]["name"], "hello");
    assert_eq!(told["filters"][1]["request"], json!(null));
}

#[test]
fn the_same_for_people() {
    let arguments = ["--request", "GET https://shop.example/private/a?b=c", "-H", WRONG];
    let told = text(&guarded(), &arguments);
    assert_lines(
        &told,
        &[
            "GET https://shop.example/private/a?<3 bytes>",
            "authorization: <26 bytes>",
            "1. basic_auth, /filters/0/basic_auth",
            "denied 401, wrong_credentials: a rule that the request matches does not list this user \
             with this password",
            "/filters/0/basic_auth/rules/0 does not pass: wrong_credentials",
            "/filters/0/basic_auth/rules/0/when/path holds, wants {\"prefix\":\"/private\"}, is /private/a",
            "/filters/0/basic_auth/rules/1 is not for this request",
            "/filters/0/basic_auth/rules/1/when/methods does not hold, wants [\"DELETE\"], is GET",
            "2. headers, /filters/1/headers",
            "upstream",
            "gets nothing",
            "2. headers: changes it",
            "set hello: world",
            "401 answered by basic_auth, pintle_wrong_credentials",
            "hello: world",
            "Request denied by Basic Auth check. Invalid username and/or password",
        ],
    );
}

#[test]
fn a_request_that_goes_on() {
    let arguments = [
        "--request",
        "https://shop.example/private",
        "-H",
        ALICE,
        "-H",
        "X-User: mallory",
        "--response",
        "404",
        "--response-header",
        "Content-Type: text/plain",
        "--response-body",
        "gone",
    ];
    let told = explain(&guarded(), &arguments);
    assert_eq!(told["request"]["stripped"], json!(["x-user"]));
    assert_eq!(told["filters"][0]["request"]["verdict"], "edited");
    assert_eq!(told["filters"][0]["request"]["notes"], json!([{"key": "user", "value": "alice"}]));
    let upstream = told["upstream"]["fields"].as_array().unwrap();
    let users: Vec<_> = upstream.iter().filter(|field| field["name"] == "x-user").collect();
    assert_eq!(
        users,
        [&json!({"name": "x-user", "value": "alice", "bytes": 5, "query_bytes": null})]
    );
    assert_eq!(told["client"]["status"], 404);
    assert_eq!(told["client"]["answered_by"], json!(null));
    assert_eq!(told["client"]["content"], json!({"bytes": 4, "text": "gone", "cut": false}));
}

#[test]
fn forms_of_a_path() {
    let told = text(&guarded(), &["--request", "GET https://shop.example/public/../%70rivate"]);
    assert_lines(
        &told,
        &[
            "/filters/0/basic_auth/rules/0 does not pass: no_credentials",
            "its when holds, for the path as /private",
            "/filters/0/basic_auth/rules/0/when/path holds, wants {\"prefix\":\"/private\"}, is /private",
        ],
    );
    let told = explain(&guarded(), &["--request", "GET https://shop.example/%zz"]);
    let request = &told["filters"][0]["request"];
    assert_eq!((&request["slug"], &request["status"]), (&json!("path_invalid"), &json!(400)));
    assert_eq!(request["rules"][0]["applies"], json!(null));
    assert!(request["rules"][0]["when"]["invalid"].as_str().unwrap().contains('%'));
}

#[test]
fn a_when_that_does_not_hold() {
    let config = json!({"filters": [{"require_header": {
        "header": "x-client",
        "when": {
            "hosts": ["*.example"],
            "headers": [{"name": "x-env", "exact": "live"}, {"name": "x-api-key", "prefix": "s3cret-prefix"}],
            "not": {"path": {"exact": "/health"}, "methods": ["GET"]}
        }
    }}]});
    let arguments = [
        "--request",
        "GET http://shop.test/health",
        "-H",
        "x-env: test",
        "-H",
        "x-api-key: s3cret-key-1",
    ];
    let told = text(&config, &arguments);
    assert_lines(
        &told,
        &[
            "not for this request",
            "its when does not hold",
            "/filters/0/require_header/when/hosts does not hold, wants [\"*.example\"], is shop.test",
            "/filters/0/require_header/when/headers/0 does not hold, wants {\"exact\":\"live\",\"name\":\"x-env\"}, is test",
            "/filters/0/require_header/when/headers/1 does not hold, wants {\"name\":\"x-api-key\",\"prefix\":\"<13 bytes>\"}, is <12 bytes>",
            "/filters/0/require_header/when/not does not hold; in it:",
            "/filters/0/require_header/when/not/methods holds, wants [\"GET\"], is GET",
            "/filters/0/require_header/when/not/path holds, wants {\"exact\":\"/health\"}, is /health",
        ],
    );
}

#[test]
fn observed_filters() {
    let config = json!({"filters": [
        {"require_header": {"header": "X-Client", "mode": "observe", "name": "clients"}},
        {"headers": {"mode": "observe", "request": [{"set": {"name": "x-a", "value": "b"}}]}}
    ]});
    let told = explain(&config, &["--request", "GET http://a/"]);
    let clients = &told["filters"][0]["request"];
    assert_eq!(
        (&clients["verdict"], &clients["slug"]),
        (&json!("observed"), &json!("field_missing"))
    );
    assert_eq!(clients["status"], json!(null));
    assert_eq!(clients["reason"], "the request has no `X-Client`");
    let headers = &told["filters"][1]["request"];
    assert_eq!((&headers["verdict"], &headers["slug"]), (&json!("observed"), &json!("edited")));
    assert_eq!(headers["edits"][0]["carried_out"], false);
    let upstream = told["upstream"]["fields"].as_array().unwrap();
    assert!(upstream.iter().all(|field| field["name"] != "x-a"));
}

fn exchange() -> Value {
    json!({"filters": [{"token_exchange": {
        "cluster": "missing", "authority": "auth.example", "path": "/token?client=s3cret-client",
        "headers": [{"name": "x-service", "value": "s3cret-service"}]
    }}]})
}

const CALLER: [&str; 4] =
    ["--request", "GET http://a/", "-H", "authorization: Bearer s3cret-caller"];

#[test]
fn a_service_whose_answer_is_not_told() {
    let told = explain(&exchange(), &CALLER);
    let request = &told["filters"][0]["request"];
    assert_eq!(request["verdict"], "waits");
    let callout = &request["callouts"][0];
    assert_eq!((&callout["cluster"], &callout["end"]), (&json!("missing"), &json!(null)));
    assert_eq!((&told["upstream"], &told["client"]), (&json!(null), &json!(null)));
    assert_lines(
        &text(&exchange(), &CALLER),
        &[
            "waits for the auth service",
            "asks cluster missing, for 1000 ms at most:",
            "GET /token?<20 bytes> of auth.example",
            "x-service: <14 bytes>",
            "authorization: <20 bytes>",
            "answer: not told",
            "upstream",
            "depends on what the service answers: tell it with --callout '200:a-token', --callout 401, ..",
        ],
    );
}

#[test]
fn a_service_that_answers() {
    let with = |callout: &'static str| [&CALLER[..], &["--callout", callout]].concat();
    let told = explain(&exchange(), &with("200:s3cret-token"));
    assert_eq!(told["filters"][0]["request"]["verdict"], "exchanged");
    assert_eq!(told["filters"][0]["request"]["edits"][0]["name"], "x-auth-jwt");
    assert_eq!(told["client"]["status"], 200);
    for (callout, status, slug) in [
        ("401", 401, "exchange_refused"),
        ("403:no", 403, "exchange_refused"),
        ("reset", 503, "exchange_unavailable"),
        ("504", 503, "exchange_unavailable"),
        ("200", 503, "exchange_unusable"),
    ] {
        let told = explain(&exchange(), &with(callout));
        let request = &told["filters"][0]["request"];
        assert_eq!((&request["verdict"], &request["slug"]), (&json!("denied"), &json!(slug)));
        assert_eq!(told["client"]["status"], status, "{callout}");
        assert_eq!(told["upstream"], json!(null));
    }
    let told = text(&exchange(), &with("200"));
    assert!(told.contains("logs at warn: - token_exchange with missing: "), "{told}");
}

#[test]
fn content_that_is_replaced() {
    let config = json!({"filters": [{"problem_json": {"types": "about:blank"}}]});
    let arguments = [
        "--request",
        "GET http://a/b?key=s3cret-key",
        "--response",
        "503",
        "--response-body",
        "no \"luck\"",
    ];
    let told = explain(&config, &arguments);
    let response = &told["filters"][0]["response"];
    assert_eq!(response["replaces_content"], true);
    let content = told["client"]["content"]["text"].as_str().unwrap();
    assert!(content.contains(r#""instance":"/b?<14 bytes>""#), "{content}");
    assert!(content.contains(r#""detail":"no \\"luck\\"""#), "{content}");
}

#[test]
fn content_that_is_left_alone() {
    let config = json!({"filters": [{"problem_json": {"statuses": "500-599"}}]});
    for (status, more, why) in [
        ("404", &[][..], "its status is not among `statuses`"),
        (
            "500",
            &["--response-header", "content-type: application/problem+json"],
            "it is a problem already, an event stream or gRPC",
        ),
        (
            "500",
            &["-H", "content-type: application/grpc"],
            "the request is gRPC, or none that the filter is for",
        ),
    ] {
        let arguments = [&["--request", "POST http://a/", "--response", status], more].concat();
        let told = explain(&config, &arguments);
        let response = &told["filters"][0]["response"];
        assert_eq!((&response["applies"], &response["reason"]), (&json!(true), &json!(why)));
        assert_eq!(
            (&response["replaces_content"], &response["edits"]),
            (&json!(false), &json!([]))
        );
    }
}

#[test]
fn why_a_request_goes_on() {
    let told = explain(&guarded(), &["--request", "GET http://a/public"]);
    assert_eq!(told["filters"][0]["request"]["reason"], "no rule is for the request");
    let told = explain(&exchange(), &["--request", "GET http://a/"]);
    let reason = "there is no credential to trade, and `on_missing` is `allow`";
    assert_eq!(told["filters"][0]["request"]["reason"], reason);
}

#[test]
fn documents_of_plugins() {
    let config = json!({"basic_auth_rules": [
        {"prefix": "/private", "request_methods": ["GET"], "hosts": ["a.*"], "credentials": ["alice:wonderland"]}
    ]});
    let told = explain(&config, &["--request", "POST http://a.example/private"]);
    let rule = &told["filters"][0]["request"]["rules"][0];
    assert_eq!(rule["pointer"], "/basic_auth_rules/0");
    let conditions = rule["when"]["forms"][0]["conditions"].as_array().unwrap();
    let pointers: Vec<_> =
        conditions.iter().map(|part| part["pointer"].as_str().unwrap()).collect();
    assert_eq!(
        pointers,
        [
            "/basic_auth_rules/0/hosts",
            "/basic_auth_rules/0/request_methods",
            "/basic_auth_rules/0/prefix"
        ]
    );
    assert!(conditions.iter().all(|part| part["wanted"] != json!(null)), "{conditions:?}");
    assert_eq!(conditions[1]["holds"], false);
}

#[test]
fn a_refused_configuration() {
    let config =
        r#"{"filters": [{"basic_auth": {"rules": [{"credentials": ["s3cret"]}], "realms": 1}}]}"#;
    let errors = pintle_core::Policy::<pintle_core::NoFurther>::load(
        config.as_bytes(),
        pintle_core::config::HashKey::new([0; 16]),
    )
    .unwrap_err();
    let Seen { code, stdout, .. } = run(config, &["--request", "GET http://a/"]);
    assert_eq!(code, 1);
    for error in errors.iter() {
        assert!(stdout.contains(&error.to_string()), "{error} in {stdout}");
    }
    let expected = ["configuration: refused:", "<stdin>:1:70: /filters/0/basic_auth/realms: "];
    for (line, expected) in stdout.lines().zip(expected) {
        assert!(line.trim_start().starts_with(expected), "{stdout}");
    }
    let Seen { code, stdout, .. } =
        run(config, &["--request", "GET http://a/", "--format", "json"]);
    assert_eq!(code, 1);
    let told: Value = serde_json::from_str(&stdout).unwrap();
    let refused = told["refused"].as_array().unwrap();
    let pointers: Vec<_> = errors.iter().map(|error| json!(error.pointer())).collect();
    assert_eq!(refused.iter().map(|r| r["pointer"].clone()).collect::<Vec<_>>(), pointers);
    assert_eq!((&refused[0]["line"], &refused[0]["column"]), (&json!(1), &json!(70)));
    assert!(!stdout.contains("s3cret"), "{stdout}");
}

/// As `pintle check` has it: in the order of the file, each place a JSON pointer.
#[test]
fn refusals_are_those_of_check() {
    let config = "filters:\n- b\u{e4}d: {}\n- log_headers: {request: ['a b'], name: ''}\n";
    let request = ["--request", "GET http://a/", "--format", "json"];
    let told: Value = serde_json::from_str(&run(config, &request).stdout).unwrap();
    let check = pintle_with(&["check", "--format", "json", "-"], &[], config.as_bytes());
    let check: Value = serde_json::from_str(&check.stdout).unwrap();
    let diagnostics = check["files"][0]["configurations"][0]["diagnostics"].as_array().unwrap();
    let refused = told["refused"].as_array().unwrap();
    assert_eq!(refused.len(), 3, "{told}");
    for (refused, diagnostic) in refused.iter().zip(diagnostics) {
        for member in ["pointer", "message", "line", "column"] {
            assert_eq!(refused[member], diagnostic[member]);
        }
    }
    assert_eq!(refused[0]["pointer"], "/filters/0/b\u{e4}d");
}

/// What never comes to a filter has no place in a configuration.
#[test]
fn a_configuration_that_no_proxy_takes() {
    let config =
        "'@type': a/envoy.extensions.wasm.v3.PluginConfig\nname: pintle\nconfiguration: {a: 1}\n";
    let request = ["--request", "GET http://a/"];
    let Seen { code, stdout, .. } = run(config, &request);
    assert_eq!(code, 1, "{stdout}");
    assert!(stdout.contains("\n  <stdin>:3:16: a configuration in a form"), "{stdout}");
    let seen = run(config, &[&request[..], &["--format", "json"]].concat());
    let told: Value = serde_json::from_str(&seen.stdout).unwrap();
    assert_eq!(told["refused"][0]["pointer"], json!(null));
}

/// Envoy makes a gRPC answer of a denial.
#[test]
fn a_request_of_grpc() {
    let with = |media_type: &str| {
        let media_type = format!("content-type: {media_type}");
        explain(
            &guarded(),
            &["--request", "POST https://shop.example/private/a", "-H", &media_type],
        )
    };
    for media_type in ["application/grpc", "application/grpc+proto"] {
        let told = with(media_type);
        assert_eq!(told["filters"][0]["request"]["status"], 401);
        let client = &told["client"];
        assert_eq!((&client["status"], &client["content"]["bytes"]), (&json!(200), &json!(0)));
        assert_eq!(client["details"], "pintle_no_credentials");
        let fields = client["fields"].as_array().unwrap();
        let value = |name: &str| {
            let mut named = fields.iter().filter(|field| field["name"] == name);
            let value = named.next().map(|field| field["value"].clone());
            assert!(named.next().is_none(), "{name}");
            value.unwrap_or_default()
        };
        assert_eq!(value("content-type"), "application/grpc");
        assert_eq!(value("grpc-status"), "16");
        assert!(value("grpc-message").as_str().unwrap().starts_with("Request denied"), "{client}");
        assert!(value("www-authenticate").is_string(), "{client}");
    }
    for media_type in ["application/grpc-web", "application/json"] {
        assert_eq!(with(media_type)["client"]["status"], 401);
    }
}

#[test]
fn what_makes_no_sense_is_refused_and_not_quoted() {
    let config = guarded().to_string();
    let request = ["--request", "GET http://a/"];
    for more in [
        &["-H", "authorization Bearer s3cret"][..],
        &["-H", "s3cret"],
        &["-H", "s3 cret: a"],
        &["-H", ":s3cret: a"],
        &["-H", "host: s3cret", "-H", "host: b"],
        &["-X", "s3 cret"],
        &["-X", "POST"],
        &["--response", "s3cret"],
        &["--response", "100"],
        &["--response-header", "s3cret"],
        &["--callout", "s3cret:"],
        &["--nth", "0"],
        &["--nth", "2"],
        // Quotation marks forgotten, a value for the wrong option.
        &["-H", "x-api-key:", "s3cret"],
        &["-H", "x-api-key:", "--s3cret"],
        &["-H", "x-api-key:", "--secret"],
        &["-H", "x-api-key:", "-s3cret"],
        &["--nth", "s3cret"],
        &["--format", "s3cret"],
        &["--response-body=s3cret", "--response-body=s3cret"],
        &["-H", "host: user:s3cret@a"],
    ] {
        let Seen { code, stdout, stderr } = run(&config, &[&request, more].concat());
        assert_eq!((code, stdout.as_str()), (2, ""), "{more:?}: {stderr}");
        assert!(!stderr.is_empty() && !stderr.contains("s3cret"), "{more:?}: {stderr}");
    }
    for request in [
        "",
        "GET",
        "GET s3cret",
        "GET ftp://a/",
        "GET https://s3cret:s3cret@a/",
        "GET /s3cret",
        "GET http:///s3cret",
        "GET http://a/\u{1b}[2Js3cret",
        "G\u{7}T http://a/",
        "a b c d e f",
    ] {
        let Seen { code, stdout, stderr } = run(&config, &["--request", request]);
        assert_eq!((code, stdout.as_str()), (2, ""), "{request:?}: {stderr}");
        assert!(!stderr.contains("s3cret") && !stderr.contains('\u{1b}'), "{request:?}: {stderr}");
    }
    let Seen { code, stderr, .. } =
        pintle(&[&["explain", "/nowhere/at/all"], &request[..]].concat());
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.starts_with("error: /nowhere/at/all: cannot read it: "), "{stderr}");
}

/// A file that is there.
#[test]
fn a_file() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("explain.json");
    std::fs::write(&path, guarded().to_string()).unwrap();
    let arguments = ["explain", path.to_str().unwrap(), "--request", "GET http://a/public"];
    let seen = pintle(&arguments);
    assert_eq!((seen.code, seen.stderr.as_str()), (0, ""));
    assert_lines(&seen.stdout, &["allowed: no rule is for the request"]);
    // Its name says that it is JSON.
    std::fs::write(&path, "filters:\n- problem_json: {}\n").unwrap();
    let seen = pintle(&arguments);
    assert_eq!((seen.code, seen.stdout.as_str()), (2, ""));
    assert!(seen.stderr.contains("/explain.json:1:2: not JSON"), "{}", seen.stderr);
}

#[test]
fn a_manifest_and_several() {
    let plugin = |name: &str, header: &str| {
        format!(
            "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\n\
             metadata: {{name: {name}, namespace: shop}}\nspec:\n  \
             url: oci://registry.example.com/pintle:1\n  pluginConfig:\n    \
             filters: [{{require_header: {{header: {header}}}}}]\n"
        )
    };
    let one = plugin("first", "x-one");
    let request = ["--request", "GET http://a/", "--format", "json"];
    let told: Value = serde_json::from_str(&run(&one, &request).stdout).unwrap();
    assert_eq!(told["within"], "WasmPlugin shop/first");
    assert_eq!(told["filters"][0]["request"]["reason"], "the request has no `x-one`");

    let two = format!("{one}---\n{}", plugin("second", "x-two"));
    let Seen { code, stdout, stderr } = run(&two, &request);
    assert_eq!((code, stdout.as_str()), (2, ""));
    for named in [
        "--nth 1: <stdin>:7:5: WasmPlugin shop/first: require_header",
        "--nth 2: <stdin>:15:5: WasmPlugin shop/second: require_header",
    ] {
        assert!(stderr.contains(named), "{stderr}");
    }
    let arguments = [&request[..], &["--nth", "2"]].concat();
    let told: Value = serde_json::from_str(&run(&two, &arguments).stdout).unwrap();
    assert_eq!(told["within"], "WasmPlugin shop/second");
    assert_eq!(told["filters"][0]["request"]["reason"], "the request has no `x-two`");
    assert_eq!(run(&two, &[&request[..], &["--nth", "3"]].concat()).code, 2);

    for (nothing, said) in [
        (
            "kind: Service\napiVersion: v1\nmetadata: {name: a}\n",
            "<stdin>: no configuration of Pintle",
        ),
        ("a: [b", "<stdin>:1:6: not YAML"),
    ] {
        let Seen { code, stdout, stderr } = run(nothing, &request);
        assert_eq!((code, stdout.as_str()), (2, ""), "{nothing}: {stderr}");
        assert!(stderr.starts_with(&format!("error: {said}")), "{nothing}: {stderr}");
    }
}
