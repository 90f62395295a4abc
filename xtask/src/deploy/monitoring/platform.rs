//! Where Pintle runs, as far as counters are concerned: what makes labels of their names, and which are kept.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::deploy::site::read;
use crate::yaml;

const MESH: &str = "deploy/istio/telemetry/mesh.values.yaml";
const WORKLOAD: &str = "deploy/istio/telemetry/workload.yaml";
const MODULE: &str = "deploy/istio/telemetry/module-labels.yaml";
const GATEWAY: &str = "deploy/envoy-gateway/labels.yaml";

/// What Istio keeps in any case.
const KEPT: [&str; 5] =
    ["cluster_manager", "listener_manager", "server", "cluster.xds-grpc", "wasm"];

/// One of them.
pub(super) struct Platform {
    /// For people.
    pub(super) name: &'static str,
    /// Envoy's `stats_config`. None: as docs/metrics.md has it.
    pub(super) stats: Option<Value>,
    /// Parts of the names of metrics that it has not.
    pub(super) lacks: &'static [&'static str],
    /// Whether the module has a `metrics_namespace`.
    pub(super) has_namespace: bool,
    /// The labels of an access log.
    pub(super) access_log: Option<Value>,
}

/// All of them, with what is in the files for them.
pub(super) fn all(root: &Path) -> Result<[Platform; 3]> {
    let mesh = yaml::one(&read(&root.join(MESH))?).context(MESH)?;
    let config = &mesh["meshConfig"]["defaultConfig"];
    let provider = &mesh["meshConfig"]["extensionProviders"][0]["envoyFileAccessLog"];
    Ok([
        Platform {
            name: "Envoy",
            stats: None,
            lacks: &["envoy_dynamicmodulescustom_", "wasm_default"],
            has_namespace: true,
            access_log: None,
        },
        Platform {
            name: "Istio",
            stats: Some(istio(config, root)?),
            lacks: &["envoy_dynamicmodulescustom_"],
            has_namespace: true,
            access_log: Some(provider["logFormat"]["labels"].clone()),
        },
        Platform {
            name: "Envoy Gateway",
            stats: Some(envoy_gateway(root).context(GATEWAY)?),
            lacks: &["envoy_pintle_", "wasm_default"],
            has_namespace: false,
            access_log: None,
        },
    ])
}

/// As Istio's bootstrap has it, of these settings and of the file for the module.
fn istio(config: &Value, root: &Path) -> Result<Value> {
    let workload = yaml::documents(&read(&root.join(WORKLOAD))?)?;
    let [deployment] = &*workload else { bail!("{WORKLOAD}: not one document") };
    ensure!(annotated(deployment)? == *config, "{WORKLOAD} has other settings than {MESH}");
    let module = yaml::documents(&read(&root.join(MODULE))?)?;
    let [config_map, deployment] = &*module else { bail!("{MODULE}: not two documents") };
    ensure!(annotated(deployment)? == *config, "{MODULE} has other settings than {MESH}");
    let name = &annotations(deployment)["sidecar.istio.io/bootstrapOverride"];
    let (map, pod) = (&config_map["metadata"], &deployment["metadata"]);
    let found = map["name"] == *name && map["namespace"] == pod["namespace"];
    ensure!(found, "{MODULE}: the pod asks for {name}");
    let text = config_map["data"]["custom_bootstrap.json"].as_str().context(MODULE)?;
    let bootstrap: Value = serde_json::from_str(text).context(MODULE)?;

    let extra = strings(&config["extraStatTags"])
        .map(|tag| json!({"tag_name": tag, "regex": format!(r"({tag}=\.=(.*?);\.;)")}));
    let tags: Vec<Value> = extra.chain(rules(&bootstrap)?).collect();
    let matcher = &config["proxyStatsMatcher"];
    let prefixes = strings(&matcher["inclusionPrefixes"]).chain(KEPT);
    let prefixes = prefixes.map(|prefix| json!({"prefix": prefix}));
    let suffixes = strings(&matcher["inclusionSuffixes"]).map(|suffix| json!({"suffix": suffix}));
    let patterns: Vec<Value> = prefixes.chain(suffixes).collect();
    Ok(json!({
        "use_all_default_tags": false,
        "stats_tags": tags,
        "stats_matcher": {"inclusion_list": {"patterns": patterns}},
    }))
}

/// As Envoy Gateway merges it.
fn envoy_gateway(root: &Path) -> Result<Value> {
    let bootstrap = &yaml::one(&read(&root.join(GATEWAY))?)?["spec"]["bootstrap"];
    ensure!(bootstrap["type"] == "Merge", "it replaces the bootstrap");
    let value = yaml::one(bootstrap["value"].as_str().context("no value")?)?;
    let tags: Vec<Value> = rules(&value)?.collect();
    Ok(json!({"use_all_default_tags": true, "stats_tags": tags}))
}

/// The rules for labels in a part of a bootstrap that has nothing else.
fn rules(bootstrap: &Value) -> Result<impl Iterator<Item = Value>> {
    let rules = bootstrap["stats_config"]["stats_tags"].clone();
    ensure!(*bootstrap == json!({"stats_config": {"stats_tags": rules}}), "it has something else");
    let Value::Array(rules) = rules else { bail!("no rules") };
    Ok(rules.into_iter())
}

/// The ProxyConfig in the annotations of a workload.
fn annotated(deployment: &Value) -> Result<Value> {
    let text = annotations(deployment)["proxy.istio.io/config"].as_str();
    yaml::one(text.context("no proxy.istio.io/config")?)
}

fn annotations(deployment: &Value) -> &Value {
    &deployment["spec"]["template"]["metadata"]["annotations"]
}

fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}
