//! What `pintle explain` keeps to itself.

mod command;

use command::{Seen, pintle, pintle_with};
use serde_json::{Value, json};

/// Explains under a configuration on standard input.
fn run(config: &str, arguments: &[&str]) -> Seen {
    pintle_with(&[&["explain", "-"], arguments].concat(), &[], config.as_bytes())
}

/// What is told of the content that the client gets, as JSON.
fn content(config: &Value, arguments: &[&str]) -> Value {
    let common = ["--request", "GET http://a/", "--format", "json"];
    let Seen { code, stdout, stderr } = run(&config.to_string(), &[&common, arguments].concat());
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    let told: Value = serde_json::from_str(&stdout).unwrap();
    told["client"]["content"].clone()
}

/// Whatever a request and a configuration hold for secret, neither form says it.
#[test]
fn secrets_are_shown_by_their_length() {
    let config = json!({"filters": [
        {"log_headers": {"request": ["*"], "response": ["*"], "redact": ["x-customer-*", "x-card"]}},
        {"require_header": {"header": "x-gate", "exact": "hidden-gate", "secret": true, "mode": "observe"}},
        {"require_header": {"header": "x-pass", "exact": "hidden-exact", "mode": "observe"}},
        {"basic_auth": {
            "mode": "observe",
            "rules": [
                {"credentials": ["alice:hidden-password", "Ym9iOmhpZGRlbi1ib2JzLW9uZQ=="]},
                {"credentials": ["a:b"], "when": {"headers": [{"name": "x-my-token", "exact": "hidden-condition"}]}}
            ]
        }},
        {"token_exchange": {
            "cluster": "auth", "authority": "auth.example", "path": "/token?hidden-query-of-service",
            "headers": [{"name": "x-own", "value": "hidden-service-value"}],
            "request_headers": ["authorization", "x-tenant"], "header": "x-identity", "token": {"json": "/jwt"}
        }},
        {"headers": {
            "request": [
                {"set": {"name": "x-copy", "value": "%REQ(x-my-token)%"}},
                {"set": {"name": "x-where", "value": "at %REQ(:path)%"}},
                {"set": {"name": "x-api-key", "value": "hidden-literal"}},
                {"rename": {"name": "x-card", "to": "x-renamed"}}
            ],
            "response": [
                {"set": {"name": "x-echo", "value": "%REQ(cookie)% %REQ(x-customer-name)%"}},
                {"set": {"name": "x-user-note", "value": "%REQ(x-identity)%"}}
            ]
        }},
        {"problem_json": {}}
    ]});
    let requests: &[&[&str]] = &[
        &[
            "-H",
            "authorization: Bearer hidden-bearer",
            "--callout",
            "200:{\"jwt\":\"hidden-jwt-value\"}",
        ],
        &["-H", "authorization: Bearer hidden-bearer", "--callout", "200:hidden-raw-token"],
        &["-H", "authorization: Bearer hidden-bearer", "--callout", "403"],
        &["-H", "authorization: Bearer hidden-bearer"],
        // alice:hidden-password, and hidden-user:hidden-other
        &["-H", "authorization: Basic YWxpY2U6aGlkZGVuLXBhc3N3b3Jk", "--callout", "401"],
        &["-H", "authorization: Basic aGlkZGVuLXVzZXI6aGlkZGVuLW90aGVy", "--callout", "reset"],
        &["-H", "authorization: hidden-no-scheme", "--callout", "200:{}"],
        &[],
    ];
    let common = [
        "--request",
        "GET https://shop.example/a/b?session=hidden-session&hidden-flag",
        "-H",
        "cookie: sid=hidden-cookie; theme=hidden-theme",
        "-H",
        "x-my-token: hidden-my-token",
        "-H",
        "x-gate: hidden-gate-wrong",
        "-H",
        "x-pass: no",
        "-H",
        "x-tenant: hidden-tenant",
        "-H",
        "x-customer-name: hidden-customer",
        "-H",
        "x-card: hidden-card-number",
        "-H",
        "x-identity: hidden-forged-identity",
        "-H",
        "referer: https://a/?hidden-referer",
        "--response",
        "502",
        "--response-header",
        "set-cookie: sid=hidden-set-cookie; Path=/",
        "--response-header",
        "location: /b#hidden-fragment",
        "--response-header",
        "x-refresh-token: hidden-refresh",
        // An upstream that says what it was told.
        "--response-body",
        "you sent hidden-cookie and ?session=hidden-session&hidden-flag, hidden-my-token",
    ];
    let bases = ["aGlkZGVu", "YWxpY2U6aGlkZGVu", "Ym9iOmhpZGRlbi1ib2JzLW9uZQ"];
    for more in requests {
        for format in ["text", "json"] {
            let arguments = [&common[..], more, &["--format", format]].concat();
            let Seen { code, stdout, stderr } = run(&config.to_string(), &arguments);
            assert_eq!((code, stderr.as_str()), (0, ""), "{more:?}");
            for secret in bases.iter().chain(&["hidden"]) {
                let line = stdout.lines().find(|line| line.contains(secret));
                assert_eq!(line, None, "{more:?} {format}\n{stdout}");
            }
            assert!(stdout.contains("x-my-token"), "{stdout}");
        }
    }
}

/// No byte of a request or a file reaches a terminal as anything but printable ASCII.
#[test]
fn hostile_bytes_are_escaped() {
    let seen = pintle(&["explain", "no\u{1b}[2Jsuch\u{202e}\u{9b}", "--request", "GET http://a/"]);
    assert_eq!((seen.code, seen.stdout.as_str()), (2, ""));
    assert!(seen.stderr.starts_with("error: no?[2Jsuch??: cannot read it: "), "{}", seen.stderr);
    let config = json!({"filters": [
        {"log_headers": {"request": ["*"], "response": ["*"]}},
        {"require_header": {"header": "x-b", "deny": {"body": "no\u{1b}[2J\u{9b}31m\r\nyes\u{202e}"},
            "when": {"headers": [{"name": "x-a", "prefix": "\u{1b}]0;"}], "path": {"prefix": "/\u{e9}"}}}},
        {"headers": {"request": [{"set": {"name": "x-c", "value": "%REQ(x-a)%"}}]}}
    ]});
    let odd = "x-a: \u{1b}]0;title\u{7}\u{1b}[2J\r\nx-forged: yes\u{9b}31m\u{202e}\u{7f}";
    for path in ["/\u{e9}", "/%C3%A9/..", "/\u{202e}\u{9b}2J", "/%1b%5b2J", "/a\\b", "/%", "/..%00"]
    {
        let request = format!("GET http://h\u{f6}st\u{202e}/{}", path.trim_start_matches('/'));
        for format in ["text", "json"] {
            let arguments = [
                "--request",
                &request,
                "-H",
                odd,
                "--response-body",
                "\u{1b}[31mred\u{8}\n\nlast",
                "--response-header",
                odd,
                "--format",
                format,
            ];
            let Seen { code, stdout, stderr } = run(&config.to_string(), &arguments);
            assert_eq!((code, stderr.as_str()), (0, ""), "{path}");
            let fits = |byte: u8| matches!(byte, b' '..=b'~' | b'\n');
            assert!(stdout.bytes().all(fits), "{path} {format}\n{}", stdout.escape_debug());
            assert!(
                !stdout.lines().any(|line| line.trim_start().starts_with("x-forged")),
                "{stdout}"
            );
        }
    }
}

/// Copies in a content of which the start alone is looked at.
#[test]
fn a_secret_that_is_cut_off() {
    let config = json!({"filters": [{"problem_json": {}}]});
    let secret: String = (0..1000).map(|n| format!("{n:04}")).collect();
    let token = format!("x-my-token: {secret}");
    // The fifth copy stands across the place where 16,384 bytes end.
    for (copies, cut) in [(4, false), (5, false), (6, true), (20, true)] {
        let told = content(&config, &["-H", &token, "--response-body", &secret.repeat(copies)]);
        let text = "<4000 bytes>".repeat(copies.min(5));
        assert_eq!(told, json!({"bytes": 4000 * copies, "text": text, "cut": cut}));
    }
    // Without a secret nothing of it is lost.
    let told = content(&config, &["--response-body", &secret]);
    assert_eq!(told, json!({"bytes": 4000, "text": secret, "cut": false}));
}

#[test]
fn secrets_that_the_configuration_sets() {
    let config = json!({"filters": [
        {"require_header": {"header": "X-Api-Key", "exact": "hidden-exact", "mode": "observe"}},
        {"require_header": {"header": "x-open", "exact": "shown-exact", "mode": "observe"}},
        {"headers": {
            "request": [
                {"set": {"name": "authorization", "value": "Bearer hidden-partner"}},
                {"set": {"name": "x-dbg", "value": "hidden-partner"}}
            ],
            "response": [
                {"set": {"name": "x-dbg", "value": "with hidden-partner"}},
                {"set": {"name": "x-open", "value": "shown-value"}}
            ]
        }}
    ]});
    let body = "you sent hidden-partner for hidden-exact, shown-exact";
    for format in ["text", "json"] {
        let arguments = ["--request", "GET http://a/", "--response-body", body, "--format", format];
        let Seen { code, stdout, stderr } = run(&config.to_string(), &arguments);
        assert_eq!((code, stderr.as_str()), (0, ""));
        assert!(!stdout.contains("hidden"), "{stdout}");
        for shown in ["shown-exact", "shown-value", "you sent <14 bytes> for <12 bytes>"] {
            assert!(stdout.contains(shown), "{shown} in {stdout}");
        }
    }
}

/// Whole fields whatever their length, words from four bytes on, and what overlaps as a whole.
#[test]
fn short_secrets_and_overlapping_ones() {
    let config = json!({"filters": [
        {"headers": {"response": [{"set": {"name": "x-same", "value": "%REQ(x-my-token)%"}}]}},
        {"log_headers": {"request": ["x-copy"], "response": ["x-copy"]}}
    ]});
    for (secret, body, shown) in [
        ("k9", "k9 is k9", "k9 is k9"),
        (
            "k9zq",
            "a k9zq, xk9zq, k9zq-a and \"k9zq\"",
            "a <4 bytes>, xk9zq, k9zq-a and \"<4 bytes>\"",
        ),
        ("k9zq5678", "ak9zq5678b", "a<8 bytes>b"),
        ("abcabcabc", "xabcabcabcabcx", "x<12 bytes>x"),
        ("abcabcabc", "abcabcabcabcabcabc", "<18 bytes>"),
    ] {
        let token = format!("x-my-token: {secret}");
        let copy = format!("x-copy: {secret}");
        let arguments =
            ["-H", &token, "-H", &copy, "--response-header", &copy, "--response-body", body];
        assert_eq!(content(&config, &arguments)["text"], shown);
        let seen =
            run(&config.to_string(), &[&["--request", "GET http://a/"], &arguments[..]].concat());
        let length = format!("<{} bytes>", secret.len());
        for field in ["x-my-token", "x-copy", "x-same"] {
            let shown = format!("{field}: {length}");
            assert!(seen.stdout.contains(&shown), "{shown} in {}", seen.stdout);
        }
    }
}

/// A copy of a path hides no path.
#[test]
fn the_path_that_is_asked_about() {
    let set = json!({"set": {"name": "x-where", "value": "%REQ(:path)%"}});
    let config = json!({"filters": [{"headers": {"request": [set]}}]});
    for (path, shown) in [("/api", "http://a/api"), ("/api?key=v", "http://a/api?<5 bytes>")] {
        let request = format!("GET http://a{path}");
        let Seen { stdout, .. } = run(&config.to_string(), &["--request", &request]);
        assert_eq!(stdout.matches(&format!("GET {shown}\n")).count(), 2, "{stdout}");
    }
}

/// Who is in a URI, with a password perhaps (RFC 3986 section 3.2.1).
#[test]
fn users_in_uris() {
    let config = json!({"filters": [{"log_headers": {"request": ["*"], "response": ["*"]}}]});
    for user in ["u:hidden-password", "hidden-user", "u:p@hidden", "h:idden:hidden"] {
        let [referer, location] =
            ["referer", "location"].map(|name| format!("{name}: https://{user}@h/a@b?c"));
        let arguments =
            ["-H", &referer, "--response-header", &location, "--request", "GET http://a/"];
        let Seen { code, stdout, .. } = run(&config.to_string(), &arguments);
        assert_eq!(code, 0);
        assert!(!stdout.contains("hidden"), "{stdout}");
        let shown = format!("https://<{} bytes>@h/a@b", user.len());
        // Of the client and at the upstream, from the upstream, and both in the log, as a proxy writes it.
        assert_eq!(stdout.matches(&shown).count(), 5, "{stdout}");
    }
}

#[test]
fn a_secret_as_json_has_it() {
    let config = json!({"filters": [{"problem_json": {}}]});
    let secret = "a\"hidden\\b\u{e9}";
    let token = format!("x-my-token: {secret}");
    let body = json!({"sent": secret}).to_string();
    let told = content(&config, &["-H", &token, "--response-body", &body]);
    assert_eq!(told["text"], "{\"sent\":\"<14 bytes>\"}");
}
