//! `pintle convert`, `schema` and `completions`, run.

mod command;

use command::{pintle, pintle_with};

#[test]
fn converts() {
    let seen = pintle(&["convert", "plugin.json"]);
    assert_eq!((seen.code, seen.stderr.as_str()), (0, ""));
    let expected = r#"{
  "filters": [
    {
      "basic_auth": {
        "rules": [
          {
            "when": {
              "path": {
                "prefix": "/productpage"
              },
              "methods": [
                "GET",
                "POST"
              ]
            },
            "credentials": [
              "ok:test",
              "YWRtaW4yOmFkbWluMg=="
            ]
          }
        ]
      }
    }
  ]
}
"#;
    assert_eq!(seen.stdout, expected);
    let seen = pintle(&["convert", "--format", "yaml", "plugin.json"]);
    assert!(
        seen.stdout.starts_with("filters:\n  - basic_auth:\n      rules:\n        - when:\n"),
        "{}",
        seen.stdout
    );
    let check = pintle_with(&["check", "-"], &[], seen.stdout.as_bytes());
    assert_eq!(check.code, 0, "{}", check.stdout);
}

#[test]
fn convert_tells_what_differs() {
    let document = br#"{"auth_authority": "a", "auth_cluster_name": "b", "auth_timeout_ms": 150}"#;
    let seen = pintle_with(&["convert", "-"], &[], document);
    assert_eq!(seen.code, 0);
    assert_eq!(
        seen.stderr.matches("<stdin>:1:1: warning: configuration: ").count(),
        3,
        "{}",
        seen.stderr
    );
    assert!(seen.stdout.contains("\"timeout\": \"150ms\""), "{}", seen.stdout);
}

#[test]
fn convert_says_where_it_is_refused() {
    let seen = pintle(&["convert", "refused.yaml"]);
    assert_eq!((seen.code, seen.stdout.as_str()), (1, ""));
    let expected = "refused.yaml:13:13: error: TrafficExtension shop/gate: \
                    /filters/0/basic_auth/rules/0/credentials: an empty list; expected at least one element\n\
                    refused.yaml:14:41: error: TrafficExtension shop/gate: \
                    /filters/1/require_header/exact: found a boolean; expected a string\n";
    assert_eq!(seen.stderr, expected);
}

#[test]
fn convert_prints_what_is_native_already() {
    let seen = pintle(&["convert", "wasmplugin.yaml"]);
    assert_eq!(seen.code, 0);
    assert!(
        seen.stdout.starts_with("{\n  \"filters\": [\n    {\n      \"problem_json\": {}\n"),
        "{}",
        seen.stdout
    );
    let two = b"basic_auth_rules: [{prefix: /, request_methods: [GET], credentials: ['a:b']}]\n---\nfilters: [{problem_json: {}}]\n";
    let seen = pintle_with(&["convert", "--format", "yaml", "-"], &[], two);
    assert_eq!(seen.stdout.matches("---\n").count(), 1, "{}", seen.stdout);
    let check = pintle_with(&["check", "-"], &[], seen.stdout.as_bytes());
    assert_eq!((check.code, check.stdout.lines().count()), (0, 2), "{}", check.stdout);
}

#[test]
fn convert_for_plug_ins_without_a_configuration() {
    for from in ["header-logger", "allow-true"] {
        let seen = pintle(&["convert", "--from", from]);
        assert_eq!((seen.code, seen.stderr.as_str()), (0, ""));
        let check = pintle_with(&["check", "-"], &[], seen.stdout.as_bytes());
        assert_eq!(check.code, 0, "{}", check.stdout);
    }
    assert_eq!(pintle(&["convert", "--from", "allow-true", "plugin.json"]).code, 2);
}

#[test]
fn schema_is_the_one_in_docs() {
    let seen = pintle(&["schema"]);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/pintle.schema.json");
    assert_eq!(seen.code, 0);
    assert!(
        seen.stdout == std::fs::read_to_string(file).unwrap(),
        "docs/pintle.schema.json differs"
    );
}

#[test]
fn completions() {
    for (shell, part) in [
        ("bash", "complete -F _pintle"),
        ("zsh", "#compdef pintle"),
        ("fish", "complete -c pintle"),
        ("elvish", "edit:completion:arg-completer[pintle]"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let seen = pintle(&["completions", shell]);
        assert_eq!((seen.code, seen.stderr.as_str()), (0, ""), "{shell}");
        assert!(seen.stdout.contains(part), "{shell}");
        assert!(seen.stdout.contains("deny-warnings"), "{shell}");
    }
    assert_eq!(pintle(&["completions", "tcsh"]).code, 2);
}

#[test]
fn a_module_that_is_none() {
    let seen = pintle(&["module", "plugin.json", "-o", "/nonexistent/module.wasm"]);
    assert_eq!((seen.code, seen.stdout.as_str()), (1, ""));
    assert!(seen.stderr.contains("not a wasm module"), "{}", seen.stderr);
    let seen = pintle(&["module", "miss\u{1b}ing.wasm", "-o", "/nonexistent/module.wasm"]);
    assert_eq!((seen.code, seen.stdout.as_str()), (2, ""));
    assert!(seen.stderr.starts_with("error: cannot read miss?ing.wasm: "), "{}", seen.stderr);
}

#[test]
fn help_names_the_exit_codes() {
    let seen = pintle(&["--help"]);
    assert_eq!(seen.code, 0);
    assert!(seen.stdout.contains("Exit codes: 0"), "{}", seen.stdout);
    for verb in ["check", "explain", "convert", "schema", "completions", "module"] {
        assert!(seen.stdout.contains(&format!("\n  {verb} ")), "{verb}");
        assert_eq!(pintle(&[verb, "--help"]).code, 0);
    }
}
