//! What a manifest wants to happen when something fails: nobody passes unchecked, and the proxy lives.

use serde_json::{Value, json};

use super::planes::elements;

/// What our manifests want otherwise.
pub(super) fn problems(resources: &[Value]) -> Vec<String> {
    let mut problems = Vec::new();
    for resource in resources {
        let kind = resource["kind"].as_str().unwrap_or_default();
        for (what, is, meant) in points(kind, &resource["spec"]) {
            if is != meant {
                problems.push(format!("{kind}: {what} is {is}, not {meant}"));
            }
        }
    }
    problems
}

/// What it is about, what it is, and what it has to be.
type Point = (&'static str, Value, Value);

fn points(kind: &str, spec: &Value) -> Vec<Point> {
    let reload =
        |wasm: &Value| vec![("failStrategy", wasm["failStrategy"].clone(), json!("FAIL_RELOAD"))];
    let each = |field: &str, points: fn(&Value) -> Vec<Point>| {
        elements(spec, field).iter().flat_map(points).collect()
    };
    match kind {
        "WasmPlugin" => reload(spec),
        "TrafficExtension" => reload(&spec["wasm"]),
        "EnvoyFilter" => each("configPatches", |patch| envoy(&patch["patch"]["value"])),
        "EnvoyExtensionPolicy" => {
            each("wasm", |wasm| vec![("failOpen", wasm["failOpen"].clone(), json!(false))])
        }
        "EnvoyProxy" => each("dynamicModules", |module| {
            vec![
                ("doNotClose", module["doNotClose"].clone(), json!(true)),
                // With `Remote` requests pass until the file is there.
                ("source.type", module["source"]["type"].clone(), json!("Local")),
            ]
        }),
        _ => Vec::new(),
    }
}

/// A filter in Envoy's own form.
fn envoy(value: &Value) -> Vec<Point> {
    let typed = &value["typed_config"];
    let wasm = &typed["value"]["config"];
    let module = &typed["dynamic_module_config"];
    let mut points = Vec::new();
    if wasm.is_object() {
        points.push(("failure_policy", wasm["failure_policy"].clone(), json!("FAIL_RELOAD")));
        points.push(("fail_open", wasm["fail_open"].clone(), Value::Null));
    }
    if module.is_object() {
        points.push(("do_not_close", module["do_not_close"].clone(), json!(true)));
    }
    points
}
