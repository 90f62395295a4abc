//! The patches of `EnvoyFilter` resources: what no schema says, and what would let requests past the filter.

use serde_json::{Value, json};

use super::planes::{MANAGER, elements};

/// The form of an extension's configuration that every agent of Istio's reads.
const TYPED_STRUCT: &str = "type.googleapis.com/udpa.type.v1.TypedStruct";
/// What the agent puts in the place of a module that it cannot fetch.
const RBAC: &str = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC";

/// A patch, and the resource that has it.
#[derive(Clone, Copy)]
struct Patch<'r> {
    resource: &'r Value,
    patch: &'r Value,
}

/// What is wrong with the patches of our manifests, those of one file together.
pub(super) fn problems(resources: &[Value]) -> Vec<String> {
    let mut problems = discovery(resources);
    for patch in patches(resources) {
        let mut unless = |holds: bool, rule: &str| patch.unless(holds, rule, &mut problems);
        let meant = if patch.is_for_gateways() { "GATEWAY" } else { "SIDECAR_INBOUND" };
        unless(patch.context() == meant, &format!("the context is {meant}"));
        let everywhere = match patch.patch["applyTo"].as_str() {
            Some("EXTENSION_CONFIG") => json!({"context": meant}),
            _ => json!({
                "context": meant,
                "listener": {"filterChain": {"filter": {"name": MANAGER}}},
            }),
        };
        let rule = "match says no more than the context and the connection manager: else there \
                    may be a proxy, or a chain in it, that gets no filter";
        unless(patch.patch["match"] == everywhere, rule);
        if patch.patch["applyTo"] == "HTTP_FILTER" {
            let first = patch.patch["patch"]["operation"] == "INSERT_FIRST";
            unless(first, "the operation is INSERT_FIRST");
        }
    }
    problems
}

/// What is wrong with filters by ECDS in any resources: each comes in two patches, which have to fit.
pub(crate) fn discovery(resources: &[Value]) -> Vec<String> {
    let mut problems = Vec::new();
    let all = patches(resources);
    let (configs, others): (Vec<Patch<'_>>, Vec<Patch<'_>>) =
        all.into_iter().partition(|patch| patch.patch["applyTo"] == "EXTENSION_CONFIG");
    let discovered =
        others.into_iter().filter(|patch| patch.value()["config_discovery"].is_object());
    let discovered: Vec<Patch<'_>> = discovered.collect();
    for config in &configs {
        let asked = discovered.iter().any(|filter| filter.name() == config.name());
        config.unless(asked, "a filter asks for it", &mut problems);
    }
    for filter in discovered {
        let mut unless = |holds: bool, rule: &str| filter.unless(holds, rule, &mut problems);
        let discovery = &filter.value()["config_discovery"];
        let source = &discovery["config_source"];
        unless(source["ads"].is_object(), "it comes from istiod (ads)");
        unless(source["initial_fetch_timeout"] == "0s", "the listener waits for it");
        let takes = |type_: &Value| elements(discovery, "type_urls").contains(type_);
        unless(takes(&RBAC.into()), &format!("type_urls has {RBAC}"));
        let named: Vec<&Patch<'_>> =
            configs.iter().filter(|config| config.name() == filter.name()).collect();
        let [config] = &*named else {
            unless(false, &format!("it has one EXTENSION_CONFIG, not {}", named.len()));
            continue;
        };
        let typed = &config.value()["typed_config"];
        unless(typed["@type"] == TYPED_STRUCT, "the first agents read a TypedStruct only");
        unless(takes(&typed["type_url"]), &format!("type_urls has {}", typed["type_url"]));
        unless(filter.context() == config.context(), "both have one context");
        for field in ["workloadSelector", "targetRefs"] {
            let both = [filter, **config].map(|patch| &patch.resource["spec"][field]);
            unless(both[0] == both[1], &format!("both have one {field}"));
        }
        let namespaces = [filter, **config].map(|patch| &patch.resource["metadata"]["namespace"]);
        unless(namespaces[0] == namespaces[1], "both are in one namespace");
    }
    problems
}

fn patches(resources: &[Value]) -> Vec<Patch<'_>> {
    let filters = resources.iter().filter(|resource| resource["kind"] == "EnvoyFilter");
    let patches = filters.flat_map(|resource| {
        let patches = elements(&resource["spec"], "configPatches").iter();
        patches.map(move |patch| Patch { resource, patch })
    });
    patches.collect()
}

impl<'r> Patch<'r> {
    fn value(self) -> &'r Value {
        &self.patch["patch"]["value"]
    }

    fn name(self) -> &'r Value {
        &self.value()["name"]
    }

    fn context(self) -> &'r Value {
        &self.patch["match"]["context"]
    }

    /// By the labels that gateways have, those of the Gateway API too.
    fn is_for_gateways(self) -> bool {
        let labels = self.resource["spec"]["workloadSelector"]["labels"].as_object();
        let by_label = labels.into_iter().flatten().any(|(key, value)| {
            (key == "istio" && value == "ingressgateway")
                || key.starts_with("gateway.networking.k8s.io/")
        });
        let targets = elements(&self.resource["spec"], "targetRefs");
        by_label || targets.iter().any(|target| target["kind"] == "Gateway")
    }

    fn unless(self, holds: bool, rule: &str, problems: &mut Vec<String>) {
        if !holds {
            let resource = &self.resource["metadata"]["name"];
            problems.push(format!("{resource}: {} {}: {rule}", self.patch["applyTo"], self.name()));
        }
    }
}
