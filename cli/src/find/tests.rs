use pintle_core::config::{ConfigErrors, HashKey};
use pintle_core::{NoFurther, Policy};

use super::{Artefact, Found, Other, Survey, Syntax, Unreadable, configurations, survey};
use crate::place::Position;

const GOOD: &str = r#"{"filters":[{"log_headers":{"request":["*"]}}]}"#;

fn found(text: &str) -> Vec<Found> {
    configurations(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn within(text: &str) -> Vec<String> {
    found(text).into_iter().map(|found| found.within).collect()
}

fn others(text: &str) -> Vec<String> {
    let Survey { found, others, .. } = survey(text, Syntax::Any).unwrap();
    assert!(found.is_empty(), "{found:?}");
    names(&others)
}

fn names(others: &[Other]) -> Vec<String> {
    others.iter().map(|other| other.within.clone()).collect()
}

/// Why the one configuration in it never comes to a filter.
fn unread(text: &str) -> Unreadable {
    let all = found(text);
    let [found] = all.as_slice() else { panic!("{all:?}") };
    found.unread.clone().unwrap_or_else(|| panic!("it is read: {text}"))
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
        r#"{"filters":{}}"#,
        r#"{"filters":[]}"#,
        r#"{"filters":[{"nonesuch":{}}]}"#,
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
        "{openapi: 3.0.0, paths: {/a: {get: {}}}}",
        "{allow: ['a'], deny: ['b']}",
        "filters: [{name: a, typed_config: {}}]",
    ] {
        assert_eq!(others(text), [""; 0], "{text}");
    }
    let foreign = "kind: WasmPlugin\napiVersion: extensions.istio.io/v1alpha1\nmetadata: {name: a}\n\
                   spec: {url: oci://example.com/rate, pluginConfig: {rate: 1}}";
    assert_eq!(others(foreign), ["WasmPlugin a"]);
}

/// `filters`, `paths`, `deny`: others have members of these names, too.
#[test]
fn members_of_others() {
    for config in [
        "{allow: ['.*Go.*'], deny: ['spd-tools.*']}",
        "{paths: {/a: {}}}",
        "{filters: ['a']}",
        "{filters: {log_headers: {}}}",
        "{filters: [{grep: {}}]}",
        "{filters: [{headers: {}, grep: {}}]}",
    ] {
        let plugin = wasm_plugin(&format!("  url: oci://a/bot-detect\n  pluginConfig: {config}\n"));
        assert_eq!(others(&plugin), ["WasmPlugin shop/gate"], "{config}");
        let map = format!("apiVersion: v1\nkind: ConfigMap\ndata:\n  a.yaml: \"{config}\"\n");
        let told = if config.contains("filters") { &["ConfigMap, key `a.yaml`"][..] } else { &[] };
        assert_eq!(others(&map), told, "{config}");
    }
    // A mistake in what a name tells to be Pintle's.
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: pintle}\ndata:\n  a: '{\"filters\": [{\"loog\": 1}]}'\n";
    assert_eq!(found(map).len(), 1);
    for config in [
        "{filters: [{grep: {}}, {log_headers: {}}]}",
        "{filters: [{basic_auth: {rules: []}, mode: observe}]}",
        "{endStatusCode: 500}",
    ] {
        let plugin = wasm_plugin(&format!("  url: oci://a/b\n  pluginConfig: {config}\n"));
        assert_eq!(found(&plugin).len(), 1, "{config}");
    }
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
        "  url: file:///opt/a.wasm\n  sha256: ''\n",
    ] {
        let all = found(&wasm_plugin(&format!("{spec}  pluginConfig: {GOOD}\n")));
        assert_eq!(all[0].carrier.remarks, [], "{spec}");
        assert_eq!(all[0].carrier.artefact, Artefact::Wasm);
    }
    let empty = format!("  url: oci://example.com/a\n  sha256: ''\n  pluginConfig: {GOOD}\n");
    assert_eq!(found(&wasm_plugin(&empty))[0].carrier.remarks.len(), 1);
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
    let Survey { found, others, .. } = survey(&policy, Syntax::Any).unwrap();
    assert_eq!(names(&others), ["EnvoyExtensionPolicy b/a"; 2]);
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
        let error = unread(&wasm(broken, "pintle.wasm"));
        assert!(error.reason.contains("expected"), "{error}");
        assert!(found(&wasm(broken, "pintle.wasm"))[0].load().is_err());
        let is_known = broken.contains("TypedStruct");
        if !is_known {
            assert_eq!(others(&wasm(broken, "other.wasm")).len(), 1, "{broken}");
        }
    }
    // Nobody's by its name, in a form that no filter reads.
    for broken in [&typed, GOOD, "'{\"filters\": [{\"headers\": }'"] {
        assert_eq!(unread(&wasm(broken, "other.wasm")).line, 1, "{broken}");
    }
    // The wire form of an empty one has no bytes; a module gets `{}`.
    let empty = any("google.protobuf.Struct", "value: {}");
    assert_eq!(found(&wasm(&empty, "pintle.wasm"))[0].document, "");
    for empty in [empty, any("google.protobuf.Struct", "")] {
        let module = any(
            "envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter",
            &format!("filter_name: pintle, filter_config: {empty}"),
        );
        assert_eq!(found(&module)[0].document, "{}");
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
    let Survey { found, others, .. } = survey(&patches, Syntax::Any).unwrap();
    assert_eq!(names(&others), ["EnvoyFilter istio-system/auth"]);
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
    let all = found(&broken);
    let error = all[0].unread.as_ref().unwrap();
    assert_eq!((error.line, error.column), (10, 18), "{error}");
    assert_eq!(marked(&broken, &all[1]), ["headres"]);
}

/// What is in one value hides nothing in the others.
#[test]
fn values_of_config_maps_by_themselves() {
    let survey_of = |key: &str, value: &str| {
        let value: String = value.lines().map(|line| format!("    {line}\n")).collect();
        let map = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m}}\ndata:\n  {key}: |\n{value}  \
             pintle.json: |\n    {GOOD}\n"
        );
        let Survey { found, others, .. } = survey(&map, Syntax::Any).unwrap();
        assert_eq!(found.last().unwrap().document, GOOD, "{key}");
        (found.iter().filter(|found| found.unread.is_some()).count(), names(&others))
    };
    let nothing = (0, Vec::new());
    let left = |key: &str| (0, vec![format!("ConfigMap m, key `{key}`")]);
    assert_eq!(survey_of("run.sh", "#!/bin/sh\nexec \"pintle\" \"$@\": {"), nothing);
    assert_eq!(survey_of("README.md", "# pintle\n*bold* text: see `x`"), nothing);
    let example = "*bold*: `{\"filters\": [{\"headers\": {}}]}`";
    assert_eq!(survey_of("README.md", example), left("README.md"));
    assert_eq!(survey_of("README.md", "*bold*: `{\"filters\": []}`"), nothing);
    let template = "port: {{ port }}\nfilter_chains:\n- filters:\n";
    assert_eq!(survey_of("envoy.yaml", template), left("envoy.yaml"));
    assert_eq!(survey_of("other.yaml", "password: {a: 1, a: 2}"), left("other.yaml"));
    for key in ["a.json", "a.yaml", "a.yml", "a"] {
        assert_eq!(survey_of(key, "filters:\n\t- log_headers: {}"), (1, Vec::new()), "{key}");
        assert_eq!(survey_of(key, "{\"problemTitle\" : x y}:"), (1, Vec::new()), "{key}");
    }
}

#[test]
fn fail_open_beside_a_policy() {
    for (fields, errors) in [
        ("failure_policy: FAIL_RELOAD, fail_open: true", 1),
        ("failure_policy: FAIL_RELOAD, fail_open: false", 0),
        ("fail_open: true", 0),
    ] {
        let config = format!("{{name: pintle, {fields}}}");
        let plugin =
            any("envoy.extensions.filters.http.wasm.v3.Wasm", &format!("config: {config}"));
        let all = found(&plugin);
        let remarks = all[0].carrier.remarks.iter().filter(|remark| remark.is_error);
        assert_eq!(remarks.count(), errors, "{fields}");
    }
}

/// What is said of a patch is said of those that bring Pintle, or place it.
#[test]
fn patches_of_others() {
    let value = wasm(&any("google.protobuf.StringValue", ""), "pintle.wasm");
    let filter = |other: &str| {
        format!(
            "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nspec:\n  targetRefs: [{{kind: \
             Gateway}}]\n  configPatches:\n  - {other}\n  - applyTo: EXTENSION_CONFIG\n    patch: {{value: \
             {{name: a, typed_config: {value}}}}}\n"
        )
    };
    let cluster = "{applyTo: CLUSTER, match: {proxy: {proxyVersion: ^1.9}}, patch: {value: {}}}";
    let discovery = |name: &str| {
        format!(
            "{{applyTo: HTTP_FILTER, match: {{context: SIDECAR_INBOUND}}, patch: {{value: {{name: {name}, \
             config_discovery: {{}}}}}}}}"
        )
    };
    for (other, told) in [(cluster, 0), (&discovery("lua"), 0), (&discovery("a"), 1)] {
        let all = found(&filter(other));
        assert_eq!(all[0].carrier.remarks.len(), told, "{other}");
    }
}

#[test]
fn secrets_of_kubernetes() {
    let secret = |fields: &str| {
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: a, namespace: pintle}}\n{fields}")
    };
    let text = secret("stringData:\n  p.json: '{\"filters\": [{\"headers\": {}}]}'\n");
    assert_eq!(within(&text), ["Secret pintle/a, key `p.json`"]);
    let base64 = secret("data: {pintle.json: e30=, other: e30=}\n");
    assert_eq!(others(&base64), ["Secret pintle/a, key `pintle.json`"]);
    // A namespace is nobody's name.
    assert_eq!(others(&secret("stringData: {vector.yaml: 'filters: [drop]'}\n")).len(), 1);
}

/// Envoy fetches nothing without a checksum; for Istio's agent, which sees ECDS alone, it is advice.
#[test]
fn remote_code_wants_a_checksum() {
    let remote = |rest: &str| format!("{{remote: {{http_uri: {{uri: 'http://a/pintle'}}{rest}}}}}");
    for (rest, missing) in [("", true), (", sha256: ''", true), (", sha256: '00'", false)] {
        let plugin = any(
            "envoy.extensions.filters.http.wasm.v3.Wasm",
            &format!("config: {{vm_config: {{code: {}}}}}", remote(rest)),
        );
        let module = any(
            "envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter",
            &format!("dynamic_module_config: {{do_not_close: true, module: {}}}", remote(rest)),
        );
        let in_filter = |apply_to: &str, value: &str| {
            format!(
                "{{apiVersion: a, kind: EnvoyFilter, metadata: {{name: a}}, spec: {{configPatches: \
                 [{{applyTo: {apply_to}, patch: {{value: {{typed_config: {value}}}}}}}]}}}}"
            )
        };
        for (text, is_error) in [
            (plugin.clone(), true),
            (module.clone(), true),
            (in_filter("EXTENSION_CONFIG", &plugin), false),
            (in_filter("HTTP_FILTER", &plugin), true),
            (in_filter("EXTENSION_CONFIG", &module), true),
            (in_filter("HTTP_FILTER", &module), true),
        ] {
            let all = found(&text);
            let remarks: Vec<bool> =
                all[0].carrier.remarks.iter().map(|remark| remark.is_error).collect();
            let expected: &[bool] = if missing { &[is_error] } else { &[] };
            assert_eq!(remarks, expected, "{text}");
        }
    }
}

#[test]
fn what_matches_nothing_at_a_gateway() {
    let lines = |text: &str| -> Vec<usize> {
        found(text)[0].carrier.remarks.iter().map(|remark| remark.at.line).collect()
    };
    for (selectors, is_told) in [
        ("[{mode: SERVER}]", true),
        ("[{ports: [{number: 80}]}]", true),
        ("[{mode: SERVER}, {mode: CLIENT}]", false),
        ("[{mode: CLIENT, ports: []}]", false),
        ("[{}]", false),
        ("[]", false),
    ] {
        for (kind, counts) in [("Gateway", is_told), ("Service", false)] {
            let spec = format!(
                "  url: file:///pintle\n  targetRefs: [{{kind: {kind}, name: a}}]\n  match: {selectors}\n"
            );
            let expected: &[usize] = if counts { &[9] } else { &[] };
            assert_eq!(lines(&wasm_plugin(&spec)), expected, "{kind} {selectors}");
        }
    }
    let patches = |kind: &str, context: &str, version: &str| {
        let value = wasm(&any("google.protobuf.StringValue", ""), "pintle.wasm");
        format!(
            "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nspec:\n  targetRefs: [{{kind: \
             {kind}}}]\n  configPatches:\n  - match:\n      context: {context}\n{version}    patch: \
             {{value: {value}}}\n"
        )
    };
    let version = "      proxy: {proxyVersion: ^1.9}\n";
    assert_eq!(lines(&patches("Gateway", "SIDECAR_INBOUND", "")), [7]);
    assert_eq!(lines(&patches("Gateway", "SIDECAR_OUTBOUND", version)), [7, 8]);
    assert_eq!(lines(&patches("Gateway", "GATEWAY", version)), [8]);
    assert_eq!(lines(&patches("Service", "SIDECAR_INBOUND", "")), [0; 0]);
}

/// Each of them copies less than may be, and all together more.
#[test]
fn copies_are_counted_over_a_file() {
    let value = format!("    a: &a {}\n    b: [*a, *a]\n", "x".repeat(1 << 20));
    let map = |count: usize| {
        let values: String = (0..count).map(|key| format!("  k{key}.yaml: |\n{value}")).collect();
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m}}\ndata:\n{values}")
    };
    assert_eq!(others(&map(2)), [""; 0]);
    assert_eq!(others(&map(4)).len(), 2);
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
        let error = unread(&nested_config_maps(count));
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
