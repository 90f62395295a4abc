//! Manifests that are wrong, each in one point: what the check is worth.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::definitions::Definitions;
use super::files;
use super::places::Places;

/// One of them.
pub(super) struct Counterexample {
    /// What is wrong.
    pub(super) what: &'static str,
    /// Part of what is to be said about it.
    complaint: &'static str,
    /// What it is made of.
    from: From,
    spoil: fn(&mut Value),
}

/// A file below `deploy/`, and a resource in it: its kind, and which one of these.
type From = (&'static str, &'static str, usize);

const PLUGIN: From = ("istio/wasm-plugin/gateway.yaml", "WasmPlugin", 0);
const EXTENSION: From = ("istio/traffic-extension/gateway.yaml", "TrafficExtension", 0);
const BASIC_AUTH: From = ("istio/wasm-plugin/basic-auth.yaml", "WasmPlugin", 0);
const SERVER: From = ("istio/traffic-extension/sidecar.yaml", "TrafficExtension", 0);
const FILTER: From = ("istio/envoy-filter/ecds.yaml", "EnvoyFilter", 0);
const CONFIG: From = ("istio/envoy-filter/ecds.yaml", "EnvoyFilter", 1);
const TIMEOUT: From = ("istio/wasm-plugin/token-exchange.yaml", "EnvoyFilter", 0);
const SIDECAR: From = ("istio/module/sidecar.yaml", "EnvoyFilter", 0);
const TEAM: From = ("istio/module/gateway-api.yaml", "EnvoyFilter", 0);
const POLICY: From = ("envoy-gateway/wasm.yaml", "EnvoyExtensionPolicy", 0);
const MODULE: From = ("envoy-gateway/dynamic-module.yaml", "EnvoyProxy", 0);
const GATEWAY: From = ("envoy-gateway/dynamic-module.yaml", "Gateway", 0);
const COPIED: From = ("istio/module/init-container.yaml", "Deployment", 0);
const MOUNTED: From = ("istio/module/image-volume.yaml", "Deployment", 0);
const BUILT: From = ("istio/module/custom-image.yaml", "Deployment", 0);
const OVERLAY: From = ("istio/module/gateway-api.yaml", "ConfigMap", 0);

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
    bad("a filter before another", "match says", FILTER, |r| {
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
    bad("a filter for proxies of one version", "match says", FILTER, |r| {
        first_match(r)["proxy"] = json!({"proxyVersion": "^1\\.9.*"});
    }),
    bad("a module for proxies of one version", "match says", CONFIG, |r| {
        first_match(r)["proxy"] = json!({"proxyVersion": "^1\\.9.*"});
    }),
    bad("a filter for one port", "match says", SIDECAR, |r| {
        first_match(r)["listener"]["portNumber"] = 8080.into();
    }),
    bad("a filter for one listener", "match says", SIDECAR, |r| {
        first_match(r)["listener"]["name"] = "virtualInbound".into();
    }),
    bad("a filter for one host", "match says", TEAM, |r| {
        first_match(r)["listener"]["filterChain"]["sni"] = "shop.example.com".into();
    }),
    bad("a filter for what is encrypted", "match says", SIDECAR, |r| {
        first_match(r)["listener"]["filterChain"]["transportProtocol"] = "tls".into();
    }),
    bad("a filter for one port of the destination", "match says", SIDECAR, |r| {
        first_match(r)["listener"]["filterChain"]["destinationPort"] = 8080.into();
    }),
    bad("a timeout for one port", "match says", TIMEOUT, |r| {
        first_match(r)["listener"]["portNumber"] = 80.into();
    }),
    bad("a waypoint's context without its match", "waypointMatch", SIDECAR, |r| {
        first_match(r)["context"] = "WAYPOINT".into();
    }),
    bad("a waypoint's match in another context", "waypointMatch", SIDECAR, |r| {
        let matched = first_match(r);
        remove(matched, "listener");
        matched["waypoint"] = json!({"filter": {"name": "envoy.filters.http.router"}});
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
    bad("a module that fails open", "failure_policy", CONFIG, |r| {
        module_config(r)["failure_policy"] = "FAIL_OPEN".into();
    }),
    bad("a module without a word on failures", "failure_policy", CONFIG, |r| {
        remove(module_config(r), "failure_policy");
    }),
    bad("a module that fails open in the old form", "fail_open", CONFIG, |r| {
        module_config(r)["fail_open"] = true.into();
    }),
    bad("a plug-in that fails open", "failStrategy", PLUGIN, |r| {
        r["spec"]["failStrategy"] = "FAIL_OPEN".into();
    }),
    bad("an extension that fails open", "failStrategy", EXTENSION, |r| {
        r["spec"]["wasm"]["failStrategy"] = "FAIL_OPEN".into();
    }),
    bad("a plug-in that does not recover", "failStrategy", PLUGIN, |r| {
        remove(&mut r["spec"], "failStrategy");
    }),
    bad("a native filter whose module is closed", "do_not_close", SIDECAR, |r| {
        let value = &mut r["spec"]["configPatches"][0]["patch"]["value"];
        value["typed_config"]["dynamic_module_config"]["do_not_close"] = false.into();
    }),
    bad("a policy that fails open", "failOpen", POLICY, |r| {
        r["spec"]["wasm"][0]["failOpen"] = true.into();
    }),
    bad("a registered module that is closed", "doNotClose", MODULE, |r| {
        r["spec"]["dynamicModules"][0]["doNotClose"] = false.into();
    }),
    bad("a sidecar's plug-in for what goes out", "match is", SERVER, |r| {
        r["spec"]["match"][0]["mode"] = "CLIENT".into();
    }),
    bad("a sidecar's plug-in for some ports", "match is", SERVER, |r| {
        r["spec"]["match"][0]["ports"] = json!([{"number": 8080}]);
    }),
    bad("a sidecar's plug-in for both directions", "match is", SERVER, |r| {
        remove(&mut r["spec"], "match");
    }),
    bad("a gateway's plug-in for servers", "match is", PLUGIN, |r| {
        r["spec"]["match"] = json!([{"mode": "SERVER"}]);
    }),
    bad("another phase than in the table", "phase is", BASIC_AUTH, |r| {
        r["spec"]["phase"] = "STATS".into();
    }),
    bad("another priority than in the table", "priority is", BASIC_AUTH, |r| {
        r["spec"]["priority"] = 300.into();
    }),
    bad("another label than in the table", "the selection", BASIC_AUTH, |r| {
        r["spec"]["selector"]["matchLabels"] = json!({"istio": "egressgateway"});
    }),
    bad("another namespace than in the table", "the namespace", BASIC_AUTH, |r| {
        r["metadata"]["namespace"] = "shop".into();
    }),
    bad("all workloads", "the selection", SERVER, |r| remove(&mut r["spec"], "selector")),
    bad("another Gateway than in the table", "the selection", EXTENSION, |r| {
        r["spec"]["targetRefs"][0]["name"] = "other".into();
    }),
    bad("a timeout for another gateway", "the selection", TIMEOUT, |r| {
        r["spec"]["workloadSelector"]["labels"] = json!({"istio": "egressgateway"});
    }),
    bad("a filter for every team's gateway", "the namespace", TEAM, |r| {
        r["metadata"]["namespace"] = "istio-system".into();
    }),
    bad("a policy for one route", "the selection", POLICY, |r| {
        r["spec"]["targetRefs"][0]["kind"] = "HTTPRoute".into();
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
    bad("a policy that replaces", "Replace is not", POLICY, |r| {
        r["spec"]["mergeType"] = "Replace".into();
    }),
    bad("a module at another path", "is registered", MODULE, |r| {
        r["spec"]["dynamicModules"][0]["source"]["local"]["path"] = "/opt/libpintle.so".into();
    }),
    bad("a module that is mounted elsewhere", "is mounted", MODULE, |r| {
        made(r)["container"]["volumeMounts"][0]["mountPath"] = "/opt/other".into();
    }),
    bad("a module that is not mounted", "no volume is mounted", MODULE, |r| {
        remove(&mut made(r)["container"], "volumeMounts");
    }),
    bad("a volume of the image for wasm", "not our image", MODULE, |r| {
        made(r)["pod"]["volumes"][0]["image"]["reference"] =
            "registry.example.com/pintle:0.1.0".into();
    }),
    bad("a Gateway of another EnvoyProxy", "there is no", GATEWAY, |r| {
        r["spec"]["infrastructure"]["parametersRef"]["name"] = "other".into();
    }),
    bad("a Gateway of an unknown protocol field", "protocols", GATEWAY, |r| {
        r["spec"]["listeners"][0]["protocols"] = "HTTP".into();
    }),
    bad("an unknown field of a container", "volumeMount", COPIED, |r| {
        r["spec"]["template"]["spec"]["containers"][0]["volumeMount"] = json!([]);
    }),
    bad("an unknown annotation of Istio's", "userVolumes", COPIED, |r| {
        r["spec"]["template"]["metadata"]["annotations"]["sidecar.istio.io/userVolumes"] =
            "{}".into();
    }),
    bad("a proxy that starts before the copy", "nativeSidecar", COPIED, |r| {
        annotations(r)["sidecar.istio.io/nativeSidecar"] = "true".into();
    }),
    bad("a proxy that may start before the copy", "nativeSidecar", COPIED, |r| {
        remove(annotations(r), "sidecar.istio.io/nativeSidecar");
    }),
    bad("a copy in another folder", "the command is", COPIED, |r| {
        copies(r)["command"][2] = "/tmp/".into();
    }),
    bad("a copy from another image", "not our image", COPIED, |r| {
        copies(r)["image"] = "registry.example.com/pintle:0.1.0".into();
    }),
    bad("a copy that nobody makes", "nobody copies", COPIED, |r| {
        remove(&mut r["spec"]["template"]["spec"], "initContainers");
    }),
    bad("a copy that the proxy does not see", "no volume is mounted", COPIED, |r| {
        remove(annotations(r), "sidecar.istio.io/userVolumeMount");
    }),
    bad("a container that Pod Security refuses", "restricted", COPIED, |r| {
        remove(&mut copies(r)["securityContext"], "seccompProfile");
    }),
    bad("a sidecar's volume of another image", "not our image", MOUNTED, |r| {
        let image = json!({"pintle": {"image": {"reference": "registry.example.com/web:1.0.0"}}});
        annotations(r)["sidecar.istio.io/userVolume"] = image.to_string().into();
    }),
    bad("an image of the proxy without the module", "has no module", BUILT, |r| {
        annotations(r)["sidecar.istio.io/proxyImage"] = "istio/proxyv2:1.31.1".into();
    }),
    bad("an overlay that mounts elsewhere", "is mounted", OVERLAY, |r| {
        let text = r["data"]["deployment"].as_str().unwrap_or_default();
        r["data"]["deployment"] = text.replace("/opt/pintle", "/opt/other").into();
    }),
    bad("a ConfigMap of numbers", "data", OVERLAY, |r| r["data"]["deployment"] = 1.into()),
];

const fn bad(
    what: &'static str,
    complaint: &'static str,
    from: From,
    spoil: fn(&mut Value),
) -> Counterexample {
    Counterexample { what, complaint, from, spoil }
}

impl Counterexample {
    /// It is refused, and for no other reason. `resources` are those of a file below `deploy/`.
    pub(super) fn is_refused(
        &self,
        definitions: &Definitions,
        places: &Places,
        resources: impl Fn(&str) -> Result<Vec<Value>>,
    ) -> Result<()> {
        let (file, kind, number) = self.from;
        let mut found = resources(file)?;
        let problems = |found: &[Value]| files::problems(file, found, definitions, places);
        let before = problems(&found);
        ensure!(before.is_empty(), "it is wrong already: {before:?}");
        let of_kind = found.iter_mut().filter(|resource| resource["kind"] == kind).nth(number);
        (self.spoil)(of_kind.with_context(|| format!("{file} has no {kind} {number}"))?);
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

fn first_match(filter: &mut Value) -> &mut Value {
    &mut filter["spec"]["configPatches"][0]["match"]
}

/// What Envoy's wasm filter is configured with.
fn module_config(filter: &mut Value) -> &mut Value {
    &mut filter["spec"]["configPatches"][0]["patch"]["value"]["typed_config"]["value"]["config"]
}

/// The Deployment that Envoy Gateway is to make.
fn made(proxy: &mut Value) -> &mut Value {
    &mut proxy["spec"]["provider"]["kubernetes"]["envoyDeployment"]
}

/// The init container of a Deployment.
fn copies(deployment: &mut Value) -> &mut Value {
    &mut deployment["spec"]["template"]["spec"]["initContainers"][0]
}

fn annotations(deployment: &mut Value) -> &mut Value {
    &mut deployment["spec"]["template"]["metadata"]["annotations"]
}
