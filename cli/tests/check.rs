//! `pintle check`, run.

mod command;

use command::{pintle, pintle_with};
use serde_json::Value;

const GOOD: &str = r#"{"filters": [{"log_headers": {"request": ["*"]}}]}"#;

#[test]
fn what_is_good() {
    let seen = pintle(&["check", "wasmplugin.yaml", "plugin.json"]);
    assert_eq!(
        seen.stdout,
        "wasmplugin.yaml:11:5: ok: WasmPlugin shop/pintle: problem_json, basic_auth (sees content: for \
         pintle.wasm or libpintle.so, not for pintle-headers.wasm)\n\
         plugin.json:1:1: ok: configuration: basic_auth\n"
    );
    assert_eq!((seen.code, seen.stderr.as_str()), (0, ""));
}

#[test]
fn what_is_refused() {
    let seen = pintle(&["check", "refused.yaml"]);
    assert_eq!(
        seen.stdout,
        "refused.yaml:7:10: warning: no `sha256`: whoever can push to this address decides what runs in \
         the proxy\n\
         refused.yaml:8:19: warning: requests pass unchecked while the filter does not run, and \
         `basic_auth` decides on access: whoever can make it fail is let in\n\
         refused.yaml:13:13: error: /filters/0/basic_auth/rules/0/credentials: an empty list; expected at \
         least one element\n\
         refused.yaml:14:41: error: /filters/1/require_header/exact: found a boolean; expected a string\n"
    );
    assert_eq!((seen.code, seen.stderr.as_str()), (1, ""));
    let seen = pintle(&["check", "headers.yaml"]);
    assert_eq!(
        seen.stdout,
        "headers.yaml:6:17: error: the filter `problems` replaces the content of responses, and \
         pintle-headers.wasm sees none of it: take pintle.wasm\n"
    );
    assert_eq!(seen.code, 1);
}

#[test]
fn text_in_a_block_scalar_has_its_places() {
    let seen = pintle(&["check", "envoy.yaml"]);
    let lines: Vec<&str> = seen.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{}", seen.stdout);
    assert!(
        lines[0].starts_with("envoy.yaml:12:17: warning: without `do_not_close: true`"),
        "{}",
        lines[0]
    );
    assert!(
        lines[1].starts_with(
            "envoy.yaml:19:23: error: /filters/0/basic_auth/relm: unknown; expected `rules`"
        ),
        "{}",
        lines[1]
    );
    assert_eq!(seen.code, 1);
}

#[test]
fn a_secret_is_nowhere() {
    for format in ["text", "json"] {
        let seen = pintle(&["check", "--format", format, "envoy.yaml"]);
        assert_eq!(seen.code, 1);
        assert!(!format!("{}{}", seen.stdout, seen.stderr).contains("s3cret"), "{}", seen.stdout);
    }
    for document in [
        r#"{"filters": [{"basic_auth": {"rules": [{"credentials": ["alice:{SSHA}s3cret"]}]}}]}"#,
        r#"{"filters": [{"basic_auth": {"rules": [{"credentials": "s3cret"}]}}]}"#,
        r#"{"filters": [{"basic_auth": {"rules": [{"credentials": ["s3cret]}]}}]}"#,
        r#"{"filters": [{"basic_auth": {"rules": [{"credentials": [s3cret]}]}}]}"#,
        r#"{"filters": [{"require_header": {"header": "s3cret: x"}}]}"#,
        r#"{"basic_auth_rules": [{"exact": "/", "request_methods": ["GET"], "credentials": ["s3cret"]}]}"#,
        "filters:\n- basic_auth: {rules: [{credentials: [!s3cret!s3cret a]}]}\n",
        "filters:\n- basic_auth: {rules: [{credentials: [*s3cret]}]}\n",
        "filters:\n\t- s3cret: \"s3cret\n",
    ] {
        for verb in [&["check", "-"][..], &["convert", "-"]] {
            let seen = pintle_with(verb, &[], document.as_bytes());
            assert_ne!(seen.code, 0, "{document}: {}", seen.stdout);
            let all = format!("{}{}", seen.stdout, seen.stderr);
            assert!(!all.contains("s3cret"), "{document}: {all}");
            assert!(all.contains("<stdin>:"), "{all}");
        }
    }
}

#[test]
fn warnings_can_be_denied() {
    let (code, denied) = (
        |seen: command::Seen| {
            (seen.code, seen.stdout.contains(": warning: the configuration has no filters"))
        },
        ["check", "--deny-warnings", "-"],
    );
    assert_eq!(code(pintle_with(&["check", "-"], &[], b"{}")), (0, true));
    let seen = pintle_with(&denied, &[], b"{}");
    assert!(seen.stdout.starts_with("<stdin>:1:1: error: the configuration has no filters"));
    assert_eq!((seen.code, seen.stdout.lines().count()), (1, 1), "{}", seen.stdout);
    let seen = pintle_with(&[&denied[..], &["--format", "json"]].concat(), &[], b"{}");
    let all: Value = serde_json::from_str(&seen.stdout).unwrap();
    let configuration = &all["files"][0]["configurations"][0];
    assert_eq!((&all["ok"], &configuration["accepted"]), (&false.into(), &false.into()));
    assert_eq!(configuration["diagnostics"][0]["severity"], "error");
    assert_eq!(code(pintle_with(&denied, &[], GOOD.as_bytes())), (0, false));
}

#[test]
fn what_cannot_be_judged() {
    let nothing = "there is no configuration of Pintle in it";
    for (arguments, input, said) in [
        (&["check", "other.yaml"][..], &b""[..], "left alone"),
        (&["check", "-"], b"", nothing),
        (&["check", "-"], b"filter: []\n", nothing),
        (&["check", "no-such-file.yaml"], b"", "cannot read it"),
        (&["check", "."], b"", "cannot read it"),
        (&["check", "-"], b"filters: \xff", "<stdin>:1:10: error: not UTF-8"),
        (&["check", "-"], b"{\"filters\":\n  [}", "<stdin>:2:4: error: not JSON"),
        (&["check", "-"], b"filters: [", "not YAML"),
        (&["check", "wasmplugin.yaml", "no-such-file.yaml"], b"", "ok"),
        (&["convert", "other.yaml"], b"", nothing.split(" in it").next().unwrap()),
        (&["convert", "no-such-file.yaml"], b"", "cannot read it"),
    ] {
        let seen = pintle_with(arguments, &[], input);
        let all = format!("{}{}", seen.stdout, seen.stderr);
        assert_eq!(seen.code, 2, "{arguments:?}: {all}");
        assert!(all.contains(said), "{arguments:?}: {all}");
    }
    for usage in [
        &[][..],
        &["check"],
        &["check", "-", "-"],
        &["check", "--nonesuch", "-"],
        &["convert"],
        &["nonesuch"],
    ] {
        let seen = pintle(usage);
        assert_eq!((seen.code, seen.stdout.as_str()), (2, ""), "{usage:?}");
    }
}

/// What is broken in one place is told, whatever is good in others.
#[test]
fn nothing_broken_is_dropped() {
    let seen = pintle(&["check", "gates.yaml"]);
    let expected = [
        "gates.yaml:6:5: ok: ConfigMap gates, key `a.json`: log_headers",
        "gates.yaml:8:70: error: not JSON: expected `,` or `}`",
        "gates.yaml:11:6: error: not YAML: ",
    ];
    let lines: Vec<&str> = seen.stdout.lines().collect();
    assert_eq!((seen.code, lines.len()), (1, expected.len()), "{}", seen.stdout);
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}");
    }

    let seen = pintle(&["check", "filters.yaml"]);
    let expected = [
        "filters.yaml:8:15: ok: Envoy configuration: log_headers",
        "filters.yaml:15:54: error: the document: not JSON from line 1, column 40 on",
        "filters.yaml:19:20: error: a configuration in a form that no filter reads",
        "filters.yaml:26:14: error: a configuration in a form that no filter reads",
        "filters.yaml:29:86: note: Envoy configuration: left alone as another filter",
    ];
    let lines: Vec<&str> = seen.stdout.lines().collect();
    assert_eq!((seen.code, lines.len()), (1, expected.len()), "{}", seen.stdout);
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}");
    }
}

#[test]
fn names_of_files_are_printable() {
    for verb in ["check", "convert"] {
        let seen = pintle(&[verb, "no\u{1b}[2Jsuch\u{202e}\u{9b}\n.yaml"]);
        let all = format!("{}{}", seen.stdout, seen.stderr);
        assert!(all.starts_with("no?[2Jsuch???.yaml: error: cannot read it"), "{verb}: {all:?}");
    }
    let config = "{\"filters\": [{\"problem_json\": {}}], \"a\u{202e}\": 1}";
    let seen = pintle_with(&["check", "-"], &[], config.as_bytes());
    assert!(seen.stdout.starts_with("<stdin>:1:37: error: /a?: unknown"), "{}", seen.stdout);
}

#[test]
fn as_json() {
    let seen =
        pintle(&["check", "--format", "json", "refused.yaml", "wasmplugin.yaml", "other.yaml"]);
    assert_eq!(seen.code, 2);
    let all: Value = serde_json::from_str(&seen.stdout).unwrap();
    assert_eq!(all["ok"], false);
    let [refused, good, other] = all["files"].as_array().unwrap().as_slice() else {
        panic!("{all}")
    };
    let refused = &refused["configurations"][0];
    assert_eq!(refused["accepted"], false);
    assert_eq!(refused["within"], "TrafficExtension shop/gate");
    let diagnostic = &refused["diagnostics"][3];
    assert_eq!(diagnostic["pointer"], "/filters/1/require_header/exact");
    assert_eq!((&diagnostic["line"], &diagnostic["column"]), (&14.into(), &41.into()));
    assert_eq!(diagnostic["severity"], "error");
    let good = &good["configurations"][0];
    assert_eq!((&good["accepted"], &good["needs_content"]), (&true.into(), &true.into()));
    assert_eq!(good["filters"], serde_json::json!(["problem_json", "basic_auth"]));
    assert_eq!(other["error"]["severity"], "error");
    assert_eq!(other["configurations"], serde_json::json!([]));
    let left = &other["others"][0];
    assert_eq!((&left["within"], &left["line"]), (&"WasmPlugin shop/rate-limit".into(), &6.into()));

    let seen = pintle(&["check", "--format", "json", "plugin.json"]);
    let all: Value = serde_json::from_str(&seen.stdout).unwrap();
    assert_eq!((seen.code, &all["ok"]), (0, &true.into()));
}

#[test]
fn colours_are_for_terminals() {
    for variables in [&[][..], &[("NO_COLOR", "1")], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]]
    {
        let seen = pintle_with(&["check", "wasmplugin.yaml"], variables, b"");
        assert!(!seen.stdout.contains('\u{1b}'), "{variables:?}");
    }
    let forced = [("CLICOLOR_FORCE", "1")];
    let seen = pintle_with(&["check", "wasmplugin.yaml"], &forced, b"");
    assert!(seen.stdout.contains("\u{1b}[1m\u{1b}[32mok\u{1b}[0m"), "{:?}", seen.stdout);
    let seen = pintle_with(&["check", "--format", "json", "wasmplugin.yaml"], &forced, b"");
    assert!(!seen.stdout.contains('\u{1b}'));
}

#[test]
fn hostile_files() {
    let laughs = (1..40).fold("a0: &a0 [x, x]\n".to_owned(), |text, n| {
        let list = vec![format!("*a{}", n - 1); 9].join(", ");
        format!("{text}a{n}: &a{n} [{list}]\n")
    });
    let block: String = (0..2000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    let deep = "[".repeat(1 << 18);
    let string =
        serde_json::to_string(&format!("{}1{}", "[".repeat(50_000), "]".repeat(50_000))).unwrap();
    let inside = format!(
        "{{\"@type\": \"a/envoy.extensions.wasm.v3.PluginConfig\", \"name\": \"pintle\", \"configuration\": \
         {{\"@type\": \"a/google.protobuf.StringValue\", \"value\": {string}}}}}"
    );
    let bad_filters = format!("{{\"filters\": [{}]}}", vec!["{\"a\": 1}"; 200].join(","));
    let long_key =
        format!("{{\"filters\": [{{\"log_headers\": {{\"{}\": 1}}}}]}}", "k".repeat(1 << 20));
    let huge = format!(
        "{{\"filters\": [{{\"log_headers\": {{\"request\": [\"{}\"]}}}}]}}",
        "x y".repeat(1 << 20)
    );
    let comments = "# x\n".repeat(1 << 18);
    let controls = "{\"filters\": [{\"log_headers\": {\"\\u001b[2J\": 1}}]}";
    for text in [
        laughs.as_str(),
        &block,
        &deep,
        &inside,
        &bad_filters,
        &long_key,
        &huge,
        &comments,
        controls,
        "{---",
        "\0",
        "%YAML 9.9\n---\na",
        "&a [*a]",
        "!!binary {",
        "? ? ? ?",
        "- - - -",
        "|",
        ">\n\t\n",
        "'",
        "--- --- ---",
        "...",
        "*",
        "&",
        "!",
        "@",
        "`",
        "a: |99\n b",
        "{? : ? }",
        "[,]",
        "\"\\x\"",
        "a:\r\r\n b",
    ] {
        for verb in ["check", "convert"] {
            let seen = pintle_with(&[verb, "-"], &[], text.as_bytes());
            let start: String = text.chars().take(40).collect();
            assert!([1, 2].contains(&seen.code), "{verb} {start:?}: {} {}", seen.code, seen.stderr);
            let all = format!("{}{}", seen.stdout, seen.stderr);
            assert!(
                !all.contains("panicked") && !all.contains('\u{1b}'),
                "{verb} {start:?}: {all}"
            );
            assert!(all.len() < 100_000, "{verb} {start:?}: {}", all.len());
        }
    }
}
