use pintle_core::config::{ConfigErrors, HashKey};
use pintle_core::{NoFurther, Policy};

use super::{Artefact, Found, Survey, Syntax, Unreadable, configurations, survey};
use crate::place::Position;

const GOOD: &str = r#"{"filters":[{"log_headers":{"request":["*"]}}]}"#;

fn found(text: &str) -> Vec<Found> {
    configurations(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn within(text: &str) -> Vec<String> {
    found(text).into_iter().map(|found| found.within).collect()
}

fn others(text: &str) -> Vec<String> {
    let Survey { found, others } = survey(text, Syntax::Any).unwrap();
    assert!(found.is_empty(), "{found:?}");
    others
}

fn errors(found: &Found) -> ConfigErrors {
    let policy = Policy::<NoFurther>::load(found.document.as_bytes(), HashKey::new([0; 16]));
    policy.expect_err("it is refused")
}

/// The text at the place of each error, up to the next character that is no letter.
fn marked<'t>(text: &'t str, found: &Found) -> Vec<&'t str> {
    let errors = errors(found);
    let places = errors.iter().map(|error| {
        let Position { line, column } = found.locate(error);
        let line = text.lines().nth(line - 1).unwrap_or_default();
        let rest = line.char_indices().nth(column - 1).map_or("", |(place, _)| &line[place..]);
        let rest = rest.trim_start_matches(['"', '\\', '\'']);
        rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
    });
    places.collect()
}

#[test]
fn a_configuration_by_itself() {
    for text in [
        GOOD,
        "filters:\n- log_headers:\n    request: ['*']\n",
        "# why\n{filters: [{log_headers: {request: ['*']}}]}",
    ] {
        let found = found(text);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].within.as_str(), found[0].document.as_str()), ("configuration", GOOD));
        assert_eq!(found[0].carrier.artefact, Artefact::Unknown);
    }
    for plugin in [
        r#"{"basic_auth_rules":[]}"#,
        r#"{"auth_authority":"a"}"#,
        r#"{"problemTitle":"a"}"#,
        r#"{"targetURLPrefixes":[]}"#,
        r#"{"paths":{}}"#,
        "{}",
    ] {
        assert_eq!(found(plugin)[0].document, plugin);
    }
    assert_eq!(within(&format!("{GOOD}\n---\n{GOOD}\n---\n{{}}\n")), ["configuration"; 3]);
}

#[test]
fn nothing_of_pintle() {
    for text in [
        "",
        "# a\n",
        "hello",
        "[1, 2]",
        "services: {web: {image: nginx}}",
        "static_resources: {}",
        "null",
    ] {
        assert_eq!(others(text), [""; 0], "{text}");
    }
    let foreign = "kind: WasmPlugin\napiVersion: extensions.istio.io/v1alpha1\nmetadata: {name: a}\n\
                   spec: {url: oci://example.com/rate, pluginConfig: {rate: 1}}";
    assert_eq!(others(foreign), ["WasmPlugin a"]);
}

fn wasm_plugin(spec: &str) -> String {
    format!(
        "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata:\n  name: gate\n  namespace: shop\nspec:\n{spec}"
    )
}

#[test]
fn wasm_plugins() {
    let plugin = wasm_plugin(
        "  url: oci://example.com/pintle-headers:1\n  failStrategy: FAIL_OPEN\n  type: NETWORK\n  pluginConfig:\n    \
         filters:\n    - log_headers: {request: ['*']}\n",
    );
    let all = found(&plugin);
    assert_eq!(all[0].within, "WasmPlugin shop/gate");
    assert_eq!(all[0].document, GOOD);
    let carrier = &all[0].carrier;
    assert_eq!(carrier.artefact, Artefact::Headers);
    assert_eq!(carrier.fails_open, Some(Position { line: 8, column: 17 }));
    let remarks: Vec<_> = carrier.remarks.iter().map(|r| (r.at.line, r.is_error)).collect();
    assert_eq!(remarks, [(9, true), (7, false)]);

    // Known by what its configuration says, pinned, and of another tag.
    for spec in [
        "  url: oci://example.com/filters@sha256:00\n",
        "  url: file:///opt/a.wasm\n",
        "  url: https://example.com/a.wasm\n  sha256: '00'\n",
    ] {
        let all = found(&wasm_plugin(&format!("{spec}  pluginConfig: {GOOD}\n")));
        assert_eq!(all[0].carrier.remarks, [], "{spec}");
        assert_eq!(all[0].carrier.artefact, Artefact::Wasm);
    }
    // Istio's agent takes an empty one for none.
    for config in ["", "  pluginConfig: {}\n"] {
        let all = found(&wasm_plugin(&format!("  url: oci://example.com/pintle:1\n{config}")));
        assert_eq!(all[0].document, "");
        assert!(errors(&all[0]).to_string().contains("docs/migrating.md"));
    }
}

#[test]
fn traffic_extensions_and_lists() {
    let item = |name: &str, spec: &str| {
        format!(
            "{{apiVersion: extensions.istio.io/v1alpha1, kind: TrafficExtension, metadata: {{name: {name}}}, spec: {spec}}}"
        )
    };
    let wasm = format!("{{wasm: {{url: 'oci://a/pintle', pluginConfig: {GOOD}}}}}");
    let list = format!(
        "apiVersion: v1\nkind: List\nitems:\n- {}\n- {}\n- {}\n",
        item("a", &wasm),
        item("b", "{lua: {inlineCode: x}}"),
        item("c", &wasm)
    );
    assert_eq!(within(&list), ["TrafficExtension a", "TrafficExtension c"]);
}

#[test]
fn extension_policies() {
    let policy = format!(
        "
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyExtensionPolicy
metadata: {{name: a, namespace: b}}
spec:
  wasm:
  - name: other
    code: {{type: Image, image: {{url: example.com/other:1}}}}
    config: {{a: 1}}
  - name: x
    failOpen: true
    code: {{type: Image, image: {{url: example.com/pintle:1}}}}
    config: {GOOD}
  - name: pintle
    code: {{type: HTTP, http: {{url: 'https://example.com/p.wasm', sha256: '00'}}}}
  dynamicModule:
  - name: pintle
    config: {GOOD}
  - name: other
    config: {{a: 1}}
"
    );
    let Survey { found, others } = survey(&policy, Syntax::Any).unwrap();
    assert_eq!(others, ["EnvoyExtensionPolicy b/a"; 2]);
    let seen: Vec<_> = found
        .iter()
        .map(|f| {
            (
                f.document.as_str(),
                f.carrier.artefact,
                f.carrier.fails_open.is_some(),
                f.carrier.remarks.len(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (GOOD, Artefact::Wasm, true, 1),
            ("", Artefact::Wasm, false, 0),
            (GOOD, Artefact::Module, false, 0)
        ]
    );
}

fn any(kind: &str, rest: &str) -> String {
    format!("{{\"@type\": type.googleapis.com/{kind}, {rest}}}")
}

fn wasm(configuration: &str, file: &str) -> String {
    any(
        "envoy.extensions.filters.http.wasm.v3.Wasm",
        &format!(
            "config: {{configuration: {configuration}, vm_config: {{code: {{local: {{filename: {file}}}}}}}}}"
        ),
    )
}

#[test]
fn forms_of_a_configuration() {
    let text = any("google.protobuf.StringValue", &format!("value: '{GOOD}'"));
    let bytes = "eyJmaWx0ZXJzIjpbeyJsb2dfaGVhZGVycyI6eyJyZXF1ZXN0IjpbIioiXX19XX0=";
    let bytes = any("google.protobuf.BytesValue", &format!("value: {bytes}"));
    let structure = any("google.protobuf.Struct", &format!("value: {GOOD}"));
    let typed = any("xds.type.v3.TypedStruct", &format!("type_url: a/b, value: {GOOD}"));
    for form in [&text, &bytes, &structure] {
        let filter =
            format!("static_resources: [{{typed_config: {}}}]", wasm(form, "/a/pintle.wasm"));
        let all = found(&filter);
        assert_eq!(all[0].document, GOOD, "{form}");
        assert_eq!(all[0].within, "Envoy configuration");
        assert_eq!(all[0].carrier.artefact, Artefact::Wasm);
    }
    for form in [&text, &bytes, &structure, &typed] {
        for kind in ["DynamicModuleFilter", "DynamicModuleFilterPerRoute"] {
            let kind = format!("envoy.extensions.filters.http.dynamic_modules.v3.{kind}");
            let filter = any(
                &kind,
                &format!(
                    "dynamic_module_config: {{name: pintle, do_not_close: true}}, filter_config: {form}"
                ),
            );
            let all = found(&filter);
            assert_eq!(all[0].document, GOOD, "{form}");
            assert_eq!(
                (all[0].carrier.artefact, all[0].carrier.remarks.len()),
                (Artefact::Module, 0)
            );
        }
    }
    for broken in [
        typed.as_str(),
        "{}",
        "{\"a\": 1}",
        "'text'",
        &any("google.protobuf.BytesValue", "value: '*'"),
        &any("google.protobuf.BytesValue", "value: '/w=='"),
        &any("google.protobuf.StringValue", "value: {a: 1}"),
    ] {
        let error = configurations(&wasm(broken, "pintle.wasm")).expect_err(broken);
        assert!(error.reason.contains("expected"), "{error}");
        assert_eq!(others(&wasm(broken, "other.wasm")).len(), 1, "{broken}");
    }
    for none in [any("google.protobuf.Empty", ""), any("google.protobuf.StringValue", "")] {
        assert_eq!(found(&wasm(&none, "pintle.wasm"))[0].document, "");
    }
}

#[test]
fn envoy_filters() {
    let patches = format!(
        "
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {{name: auth, namespace: istio-system}}
spec:
  configPatches:
  - applyTo: EXTENSION_CONFIG
    patch:
      operation: ADD
      value:
        name: pintle.auth
        typed_config:
          '@type': type.googleapis.com/udpa.type.v1.TypedStruct
          type_url: type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
          value:
            config:
              failure_policy: FAIL_OPEN
              configuration:
                '@type': type.googleapis.com/google.protobuf.StringValue
                value: |
                  {GOOD}
  - patch: {{value: {{name: other, typed_config: {}}}}}
",
        wasm("{}", "rate.wasm")
    );
    let Survey { found, others } = survey(&patches, Syntax::Any).unwrap();
    assert_eq!(others, ["EnvoyFilter istio-system/auth"]);
    assert_eq!(found[0].within, "EnvoyFilter istio-system/auth");
    assert_eq!(found[0].document, format!("{GOOD}\n"));
    assert_eq!(found[0].carrier.fails_open.map(|at| at.line), Some(17));
}

#[test]
fn config_maps() {
    let map = format!(
        "
apiVersion: v1
kind: ConfigMap
metadata: {{name: files}}
data:
  notes.txt: |
    a: b: c
  empty: '{{}}'
  pintle.json: |
    {GOOD}
  envoy.yaml: |
    static_resources:
      filters:
      - typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter
          dynamic_module_config: {{name: pintle}}
          filter_config:
            '@type': type.googleapis.com/google.protobuf.StringValue
            value: |
              {{
                \"filters\": [{{\"headres\": {{}}}}]
              }}
"
    );
    let all = found(&map);
    let within: Vec<_> = all.iter().map(|found| found.within.as_str()).collect();
    assert_eq!(
        within,
        [
            "ConfigMap files, key `pintle.json`",
            "ConfigMap files, key `envoy.yaml`, Envoy configuration"
        ]
    );
    assert_eq!(marked(&map, &all[1]), ["headres"]);
    assert_eq!(all[1].carrier.remarks[0].at.line, 16);

    let broken = map.replace(GOOD, "{\"filters\": [}");
    let error = configurations(&broken).unwrap_err();
    assert_eq!((error.line, error.column), (10, 18), "{error}");
}

/// As many of them, each in a value of the one around it.
fn nested_config_maps(count: usize) -> String {
    (0..count).fold(GOOD.to_owned(), |inner, _| {
        let inner: String = inner.lines().map(|line| format!("    {line}\n")).collect();
        format!("apiVersion: v1\nkind: ConfigMap\ndata:\n  a: |\n{inner}")
    })
}

#[test]
fn config_maps_inside_of_one_another() {
    assert_eq!(found(&nested_config_maps(8))[0].document, GOOD);
    for count in [9, 20, 200] {
        let error = configurations(&nested_config_maps(count)).unwrap_err();
        assert_eq!((error.line, error.column), (4 * 8 + 1, 4 * 8 + 1), "{error}");
        assert_eq!(error.reason, "more than 8 ConfigMaps inside of one another");
    }
}

#[test]
fn errors_point_at_the_name() {
    let wrong = r#"{
  "filters": [
    {"log_headers": {"request": ["*"], "lvl": "info"}},
    {"basic_auth": {"rules": [{"credentials": []}], "realm": "é\n"}},
    {"headers": {"response": [{"set": {"name": "a b", "value": "x"}}]}},
    {"require_header": {}},
    {"nonesuch": {}}
  ],
  "a/b~c": 1
}"#;
    let expected = ["lvl", "credentials", "realm", "name", "require_header", "nonesuch", "a"];
    let sorted = |mut words: Vec<String>| {
        words.sort();
        words
    };
    let expected = sorted(expected.map(str::to_owned).to_vec());
    let indented = |by: usize| wrong.replace('\n', &format!("\n{}", " ".repeat(by)));
    let plugin =
        |config: String| wasm_plugin(&format!("  url: oci://a/pintle\n  pluginConfig: {config}\n"));
    let string = |value: String| {
        format!(
            "typed_config:\n  '@type': a/envoy.extensions.filters.http.wasm.v3.Wasm\n  config:\n    name: pintle\n    configuration:\n      \
             '@type': a/google.protobuf.StringValue\n      value: {value}\n"
        )
    };
    let escaped = wrong.replace('\\', "\\\\").replace('"', "\\\"");
    for text in [
        wrong.to_owned(),
        wrong.replace('\n', "\r\n"),
        format!("\u{feff}{wrong}"),
        plugin(indented(4)),
        string(format!("|\n        {}", indented(8))),
        string(format!("|4-\n          {}", indented(10))),
        string(format!(">\n        {}", indented(8))),
        string(format!("'{}'", indented(8))),
        string(format!("\"{}\"", escaped.replace('\n', "\n        "))),
        string(serde_json::to_string(wrong).unwrap()),
    ] {
        let all = found(&text);
        let marked = marked(&text, &all[0]).into_iter().map(str::to_owned).collect();
        assert_eq!(sorted(marked), expected, "{text}");
    }
}

#[test]
fn what_is_no_json_has_its_place() {
    for (value, line, column) in [
        ("|\n    {\n      \"filters\": x\n    }", 7, 18),
        ("'{\"filters\": [}'", 5, 24),
        ("|\n    filters: []", 6, 6),
    ] {
        let text = format!(
            "'@type': a/envoy.extensions.wasm.v3.PluginConfig\nname: pintle\nconfiguration:\n  \
             '@type': a/google.protobuf.StringValue\n  value: {value}\n"
        );
        let all = found(&text);
        let errors = errors(&all[0]);
        let at = all[0].locate(errors.iter().next().unwrap());
        assert_eq!((at.line, at.column), (line, column), "{text}");
    }
}

#[test]
fn keys_that_stand_twice() {
    let twice = r#"{"filters": [{"log_headers": {"request": ["*"],
        "request": ["a"]}}]}"#;
    let all = found(twice);
    let errors = errors(&all[0]);
    let error = errors.iter().next().unwrap();
    assert_eq!(error.pointer(), "/filters/0/log_headers/request");
    assert_eq!(all[0].locate(error), Position { line: 2, column: 9 });
    for manifest in [
        wasm_plugin("  url: oci://a/pintle\n  url: oci://a/pintle\n"),
        "static_resources: {}\nadmin: {}\nstatic_resources: {}\n".to_owned(),
        "{\"static_resources\": {}, \"static_resources\": {}}".to_owned(),
    ] {
        let Unreadable { reason, .. } = configurations(&manifest).unwrap_err();
        assert!(reason.contains("twice") || reason.contains("duplicate"), "{reason}");
    }
}

#[test]
fn nothing_shows_a_document() {
    let found =
        found(r#"{"filters": [{"basic_auth": {"rules": [{"credentials": ["alice:s3cret"]}]}}]}"#);
    let text = format!("{found:?} {:?}", survey("{}", Syntax::Json));
    assert!(!text.contains("s3cret") && !text.contains("alice"), "{text}");
}

#[test]
fn names_are_printable() {
    let plugin = wasm_plugin("  url: oci://a/pintle\n")
        .replace("name: gate", "name: \"\\e[31m\\n\\u0007x\"");
    assert_eq!(within(&plugin), ["WasmPlugin shop/?[31m??x"]);
    let turned = wasm_plugin("  url: oci://a/pintle\n").replace("gate", "g\u{202e}te\u{2066}");
    assert_eq!(within(&turned), ["WasmPlugin shop/g?te?"]);
    let long = wasm_plugin("  url: oci://a/pintle\n").replace("gate", &"x".repeat(1000));
    assert!(within(&long)[0].len() < 100);
}

/// Whatever is in a file, it is read or refused, and each place is one of the file.
#[test]
fn mutations() {
    let good = [
        include_str!("../../tests/fixtures/envoy.yaml"),
        include_str!("../../tests/fixtures/refused.yaml"),
        include_str!("../../tests/fixtures/plugin.json"),
    ];
    let pieces = [
        "\t", "\n", "\r\n", " ", "- ", ": ", "|", ">", "'", "\"", "{", "}", "[", "]", "&a ", "*a",
        "!", "#", "---\n", "?", "%", "\\", "\u{e9}", "\u{feff}", "\0", "<<: ",
    ];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    let (mut read, mut refused) = (0, 0);
    for round in 0..1500 {
        let mut text = good[round % good.len()].to_owned();
        for _ in 0..=random(4) {
            let at = text.floor_char_boundary(random(text.len()));
            let end = text.ceil_char_boundary(at + random(8).min(text.len() - at));
            let piece = if random(3) == 0 { "" } else { pieces[random(pieces.len())] };
            text.replace_range(at..end, piece);
        }
        let lines = text.lines().count() + 2 + text.matches('\r').count();
        match survey(&text, Syntax::Any) {
            Ok(survey) => {
                read += 1;
                for found in &survey.found {
                    let policy =
                        Policy::<NoFurther>::load(found.document.as_bytes(), HashKey::new([0; 16]));
                    let errors = policy.err();
                    let errors = errors.iter().flat_map(ConfigErrors::iter);
                    assert!(
                        errors.map(|error| found.locate(error)).all(|at| at.line <= lines),
                        "{text}"
                    );
                }
            }
            Err(error) => {
                refused += 1;
                assert!((1..=lines).contains(&error.line), "{error}: {text}");
            }
        }
    }
    assert!(read > 100 && refused > 100, "{read} {refused}");
}
