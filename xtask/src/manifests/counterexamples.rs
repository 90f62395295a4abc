//! Manifests that are wrong, each in one point: what the check is worth.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::definitions::Definitions;
use super::patches;

/// One of them.
pub(super) struct Counterexample {
    /// What is wrong.
    pub(super) what: &'static str,
    /// Part of what is to be said about it.
    complaint: &'static str,
    /// What it is made of: a file below `deploy/`, and a kind in it.
    from: (&'static str, &'static str),
    spoil: fn(&mut Value),
}

const PLUGIN: (&str, &str) = ("istio/wasm-plugin/gateway.yaml", "WasmPlugin");
const EXTENSION: (&str, &str) = ("istio/traffic-extension/gateway.yaml", "TrafficExtension");
const FILTER: (&str, &str) = ("istio/envoy-filter/ecds.yaml", "EnvoyFilter");
const SIDECAR: (&str, &str) = ("istio/module/sidecar.yaml", "EnvoyFilter");
const POLICY: (&str, &str) = ("envoy-gateway/wasm.yaml", "EnvoyExtensionPolicy");
const MODULE: (&str, &str) = ("envoy-gateway/dynamic-module.yaml", "EnvoyProxy");
const GATEWAY: (&str, &str) = ("envoy-gateway/dynamic-module.yaml", "Gateway");
const WORKLOAD: (&str, &str) = ("istio/module/init-container.yaml", "Deployment");
const CONFIG_MAP: (&str, &str) = ("istio/module/gateway-api.yaml", "ConfigMap");

/// All of them.
pub(super) const ALL: &[Counterexample] = &[
    bad("an unknown field", "phases", PLUGIN, |r| r["spec"]["phases"] = "AUTHN".into()),
    bad("an unknown field far inside", "subFilters", FILTER, |r| {
        let filter =
            &mut r["spec"]["configPatches"][0]["match"]["listener"]["filterChain"]["filter"];
        filter["subFilters"] = json!({});
    }),
    bad("a filter that is not the first", "INSERT_FIRST", FILTER, |r| {
        r["spec"]["configPatches"][0]["patch"]["operation"] = "INSERT_BEFORE".into();
    }),
    bad("a filter before another", "without the subFilter", FILTER, |r| {
        let filter =
            &mut r["spec"]["configPatches"][0]["match"]["listener"]["filterChain"]["filter"];
        filter["subFilter"] = json!({"name": "envoy.filters.http.rbac"});
    }),
    bad("a gateway's filter in a sidecar's context", "context is GATEWAY", FILTER, |r| {
        r["spec"]["configPatches"][0]["match"]["context"] = "SIDECAR_OUTBOUND".into();
    }),
    bad("a sidecar's filter for gateways", "context is SIDECAR_INBOUND", SIDECAR, |r| {
        r["spec"]["configPatches"][0]["match"]["context"] = "GATEWAY".into();
    }),
    bad("a filter and its module in two contexts", "one context", FILTER, |r| {
        r["spec"]["configPatches"][0]["match"]["context"] = "ANY".into();
    }),
    bad("a filter and its module for two workloads", "one workloadSelector", FILTER, |r| {
        r["spec"]["workloadSelector"]["labels"]["app"] = "web".into();
    }),
    bad("a filter and its module in two namespaces", "one namespace", FILTER, |r| {
        r["metadata"]["namespace"] = "shop".into();
    }),
    bad("a filter whose module has another name", "one EXTENSION_CONFIG", FILTER, |r| {
        r["spec"]["configPatches"][0]["patch"]["value"]["name"] = "pintle2".into();
    }),
    bad("a filter that takes no denial", "RBAC", FILTER, |r| keep_type(r, 0)),
    bad("a filter that takes no wasm", "wasm.v3.Wasm", FILTER, |r| keep_type(r, 1)),
    bad("a listener that does not wait", "waits", FILTER, |r| {
        let filter = &mut r["spec"]["configPatches"][0]["patch"]["value"];
        filter["config_discovery"]["config_source"]["initial_fetch_timeout"] = "5s".into();
    }),
    bad("a value that is none of those", "FAIL_CLOSED", PLUGIN, |r| {
        r["spec"]["failStrategy"] = "FAIL_CLOSED".into();
    }),
    bad("a field that is missing", "url", PLUGIN, |r| remove(&mut r["spec"], "url")),
    bad("a number in the place of a text", "sha256", PLUGIN, |r| r["spec"]["sha256"] = 0.into()),
    bad("a digest that is none", "sha256", PLUGIN, |r| r["spec"]["sha256"] = "sha256:00".into()),
    bad("a priority beyond 32 bits", "priority", PLUGIN, |r| {
        r["spec"]["priority"] = json!(4_294_967_296_u64);
    }),
    bad("both selector and targetRefs", "only one of", PLUGIN, |r| {
        r["spec"]["selector"] = json!({"matchLabels": {"app": "web"}});
    }),
    bad("a target in another namespace", "other namespaces", PLUGIN, |r| {
        r["spec"]["targetRefs"][0]["namespace"] = "other".into();
    }),
    bad("a URL of an unknown scheme", "schema one of", PLUGIN, |r| {
        r["spec"]["url"] = "docker://registry.example.com/pintle".into();
    }),
    bad("an INLINE variable without a value", "has a value", PLUGIN, |r| {
        remove(&mut r["spec"]["vmConfig"]["env"][0], "value");
    }),
    bad("a HOST variable with a value", "valueFrom is INLINE", PLUGIN, |r| {
        r["spec"]["vmConfig"]["env"][0]["valueFrom"] = "HOST".into();
    }),
    bad("the same variable twice", "same", PLUGIN, |r| {
        let variable = r["spec"]["vmConfig"]["env"][0].clone();
        r["spec"]["vmConfig"]["env"] = json!([variable, variable]);
    }),
    bad("wasm and lua", "exactly one of", EXTENSION, |r| {
        r["spec"]["lua"] = json!({"inlineCode": "-- nothing"});
    }),
    bad("a WasmPlugin's field in a TrafficExtension", "url", EXTENSION, |r| {
        r["spec"]["url"] = "oci://registry.example.com/pintle:0.1.0".into();
    }),
    bad("another version of the kind", "no definition", EXTENSION, |r| {
        r["apiVersion"] = "extensions.istio.io/v1".into();
    }),
    bad("a name that is none", "name", EXTENSION, |r| r["metadata"]["name"] = "My Plugin".into()),
    bad("an image without a type", "type", POLICY, |r| {
        remove(&mut r["spec"]["wasm"][0]["code"], "type");
    }),
    bad("an image of the type HTTP", "if, and only if", POLICY, |r| {
        r["spec"]["wasm"][0]["code"]["type"] = "HTTP".into();
    }),
    bad("a policy for nothing", "either targetRef", POLICY, |r| {
        remove(&mut r["spec"], "targetRefs");
    }),
    bad("a policy for a Service", "Gateway or a route", POLICY, |r| {
        r["spec"]["targetRefs"][0]["kind"] = "Service".into();
    }),
    bad("a module from nowhere", "local or remote", MODULE, |r| {
        remove(&mut r["spec"]["dynamicModules"][0]["source"], "local");
    }),
    bad("a module's name that is none", "name", MODULE, |r| {
        r["spec"]["dynamicModules"][0]["name"] = "Pintle".into();
    }),
    bad("a Gateway of an unknown protocol field", "protocols", GATEWAY, |r| {
        r["spec"]["listeners"][0]["protocols"] = "HTTP".into();
    }),
    bad("an unknown field of a container", "volumeMount", WORKLOAD, |r| {
        r["spec"]["template"]["spec"]["containers"][0]["volumeMount"] = json!([]);
    }),
    bad("an unknown annotation of Istio's", "userVolumes", WORKLOAD, |r| {
        r["spec"]["template"]["metadata"]["annotations"]["sidecar.istio.io/userVolumes"] =
            "{}".into();
    }),
    bad("a ConfigMap of numbers", "data", CONFIG_MAP, |r| r["data"]["deployment"] = 1.into()),
];

const fn bad(
    what: &'static str,
    complaint: &'static str,
    from: (&'static str, &'static str),
    spoil: fn(&mut Value),
) -> Counterexample {
    Counterexample { what, complaint, from, spoil }
}

impl Counterexample {
    /// It is refused, and for no other reason. `resources` are those of a file below `deploy/`.
    pub(super) fn is_refused(
        &self,
        definitions: &Definitions,
        resources: impl Fn(&str) -> Result<Vec<Value>>,
    ) -> Result<()> {
        let (file, kind) = self.from;
        let mut found = resources(file)?;
        let place = found.iter().position(|resource| resource["kind"] == kind);
        let place = place.with_context(|| format!("{file} has no {kind}"))?;
        let problems = |found: &[Value]| {
            let mut problems = definitions.problems(&found[place]);
            problems.extend(patches::problems(found));
            problems
        };
        let before = problems(&found);
        ensure!(before.is_empty(), "it is wrong already: {before:?}");
        (self.spoil)(&mut found[place]);
        let problems = problems(&found);
        ensure!(!problems.is_empty(), "nobody complains");
        ensure!(
            problems.iter().any(|problem| problem.contains(self.complaint)),
            "the complaint is another: {problems:?}"
        );
        Ok(())
    }
}

fn remove(value: &mut Value, field: &str) {
    if let Value::Object(fields) = value {
        fields.remove(field);
    }
}

/// Of the types that a filter takes only this one.
fn keep_type(filter: &mut Value, place: usize) {
    let value = &mut filter["spec"]["configPatches"][0]["patch"]["value"];
    let types = &mut value["config_discovery"]["type_urls"];
    *types = json!([types[place]]);
}
