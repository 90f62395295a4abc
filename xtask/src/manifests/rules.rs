//! What a schema cannot say: the rules in CEL (`x-kubernetes-validations`) that our manifests can break,
//! by hand.

use serde_json::Value;

/// The schemes of a module's URL. None: an image.
const SCHEMES: [&str; 4] = ["oci", "https", "http", "file"];

/// What Envoy Gateway's policies can be about.
const TARGETS: [&str; 7] =
    ["Gateway", "ListenerSet", "HTTPRoute", "GRPCRoute", "UDPRoute", "TCPRoute", "TLSRoute"];

/// The rules that a resource breaks.
pub(super) fn broken(resource: &Value) -> Vec<String> {
    let mut found = Found(Vec::new());
    let spec = &resource["spec"];
    match resource["kind"].as_str().unwrap_or_default() {
        "WasmPlugin" => {
            found.targets(spec);
            found.wasm(spec, "spec");
        }
        "TrafficExtension" => {
            found.targets(spec);
            found.unless(
                has(spec, "wasm") != has(spec, "lua"),
                "spec",
                "exactly one of wasm and lua",
            );
            if has(spec, "wasm") {
                found.wasm(&spec["wasm"], "spec.wasm");
            }
        }
        "EnvoyFilter" => {
            found.targets(spec);
            for patch in elements(spec, "configPatches") {
                found.context(&patch["match"]);
            }
        }
        "Telemetry" => found.targets(spec),
        "EnvoyExtensionPolicy" => found.extension_policy(spec),
        "EnvoyProxy" => {
            for module in elements(spec, "dynamicModules") {
                found.module_source(&module["source"]);
            }
            found.bootstrap(&spec["bootstrap"]);
        }
        _ => {}
    }
    found.0
}

struct Found(Vec<String>);

impl Found {
    fn unless(&mut self, holds: bool, place: &str, rule: &str) {
        if !holds {
            self.0.push(format!("{place}: {rule}"));
        }
    }

    /// Istio: which workloads.
    fn targets(&mut self, spec: &Value) {
        let ways = ["selector", "workloadSelector", "targetRef", "targetRefs"];
        let used = ways.iter().filter(|way| has(spec, way)).count();
        self.unless(used <= 1, "spec", "only one of targetRefs and selector");
        for (key, value) in spec["selector"]["matchLabels"].as_object().into_iter().flatten() {
            let plain = !key.is_empty()
                && !key.contains('*')
                && !value.as_str().unwrap_or_default().contains('*');
            self.unless(plain, "spec.selector.matchLabels", "no wildcards, no empty keys");
        }
        for target in elements(spec, "targetRefs") {
            let elsewhere = target["namespace"].as_str().is_some_and(|n| !n.is_empty());
            self.unless(!elsewhere, "spec.targetRefs", "no targets in other namespaces");
        }
    }

    /// Istio: a patch for waypoints matches as they do, and no other.
    fn context(&mut self, matched: &Value) {
        let fits = (matched["context"] == "WAYPOINT") == has(matched, "waypoint");
        let rule = "only support waypointMatch when context is WAYPOINT";
        self.unless(fits, "spec.configPatches.match", rule);
    }

    /// Istio: a module.
    fn wasm(&mut self, wasm: &Value, place: &str) {
        let url = wasm["url"].as_str().unwrap_or_default();
        let known = url.split_once("://").is_none_or(|(scheme, _)| SCHEMES.contains(&scheme));
        self.unless(known, place, "url must have schema one of http, https, file, oci");
        for variable in elements(&wasm["vmConfig"], "env") {
            let is_host = variable["valueFrom"] == "HOST";
            let place = format!("{place}.vmConfig.env");
            self.unless(
                !(is_host && has(variable, "value")),
                &place,
                "value may only be set when valueFrom is INLINE",
            );
            // No rule of Istio's; nobody means it.
            self.unless(
                is_host || has(variable, "value"),
                &place,
                "an INLINE variable has a value",
            );
        }
    }

    fn extension_policy(&mut self, spec: &Value) {
        self.unless(spec["mergeType"] != "Replace", "spec.mergeType", "Replace is not a valid one");
        let selected = !elements(spec, "targetSelectors").is_empty();
        self.unless(
            has(spec, "targetRef") != has(spec, "targetRefs") || selected,
            "spec",
            "either targetRef or targetRefs",
        );
        let one = Some(&spec["targetRef"]).filter(|target| !target.is_null());
        for target in elements(spec, "targetRefs").iter().chain(one) {
            self.unless(
                target["group"] == "gateway.networking.k8s.io",
                "spec.targetRefs",
                "the group is gateway.networking.k8s.io",
            );
            let kind = target["kind"].as_str().unwrap_or_default();
            self.unless(
                TARGETS.contains(&kind),
                "spec.targetRefs",
                "the kind is a Gateway or a route",
            );
            let is_route = kind.ends_with("Route");
            self.unless(
                is_route || !has(spec, "mergeType"),
                "spec.mergeType",
                "can only be used with routes",
            );
        }
        for wasm in elements(spec, "wasm") {
            let code = &wasm["code"];
            for (type_, field) in [("HTTP", "http"), ("Image", "image")] {
                let fits = (code["type"] == type_) == has(code, field);
                self.unless(
                    fits,
                    "spec.wasm.code",
                    &format!("{field} if, and only if, type is {type_}"),
                );
            }
            let secret = &code["image"]["pullSecretRef"];
            self.unless(
                secret["kind"].is_null() || secret["kind"] == "Secret",
                "spec.wasm.code.image.pullSecretRef",
                "only support Secret kind",
            );
        }
    }

    /// Envoy Gateway: where a dynamic module comes from. `Local` where nothing is said.
    fn module_source(&mut self, source: &Value) {
        let remote = source["type"] == "Remote";
        let fits = has(source, "remote") == remote && has(source, "local") != remote;
        self.unless(fits, "spec.dynamicModules.source", "local or remote, as type says");
    }

    /// Envoy Gateway: what it does to the bootstrap of its proxies.
    fn bootstrap(&mut self, bootstrap: &Value) {
        let field = if bootstrap["type"] == "JSONPatch" { "jsonPatches" } else { "value" };
        let fits = bootstrap.is_null() || has(bootstrap, field);
        self.unless(fits, "spec.bootstrap", "value or jsonPatches, as type says");
    }
}

fn has(value: &Value, field: &str) -> bool {
    !value[field].is_null()
}

fn elements<'v>(value: &'v Value, field: &str) -> &'v [Value] {
    value[field].as_array().map(Vec::as_slice).unwrap_or_default()
}
