//! How the native module gets into the proxy's container: whether it is there, where the filter looks for it.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::annotations;
use super::planes::{IMAGE, MODULE, elements};
use crate::yaml;

/// The files whose pods are to have it.
const FOLDER: &str = "istio/module/";
/// The image of the proxy that has it already, made with our Dockerfile.
const PROXY_IMAGE: &str = "registry.example.com/proxyv2-pintle:";
/// Of a pod: a sidecar that is an init container starts before what is to copy the file.
const NATIVE_SIDECAR: &str = "sidecar.istio.io/nativeSidecar";

/// What is wrong with it in the resources of one file.
pub(super) fn problems(file: &str, resources: &[Value]) -> Vec<String> {
    let mut problems = Vec::new();
    for resource in resources {
        let result = match resource["kind"].as_str().unwrap_or_default() {
            "Gateway" => parameters(resource, resources),
            "EnvoyProxy" => registered(&resource["spec"]),
            "Deployment" | "ConfigMap" if file.starts_with(FOLDER) => match completed(resource) {
                Ok(Some(deployment)) => in_pod(&deployment["spec"]["template"]),
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            },
            _ => Ok(()),
        };
        problems.extend(result.err().map(|error| format!("{}: {error:#}", resource["kind"])));
    }
    problems
}

/// The Deployment that Istio makes of a resource, if it makes one.
pub(super) fn completed(resource: &Value) -> Result<Option<Value>> {
    match resource["kind"].as_str() {
        Some("Deployment") => annotations::injected(resource).map(Some),
        // Of Envoy's bootstrap: the suite `deploy` runs it.
        Some("ConfigMap") if !resource["data"]["custom_bootstrap.json"].is_null() => Ok(None),
        Some("ConfigMap") => overlaid(resource).map(Some),
        _ => Ok(None),
    }
}

/// A Deployment that Istio makes for a gateway, with what a ConfigMap lays over it.
fn overlaid(config_map: &Value) -> Result<Value> {
    let text = config_map["data"]["deployment"].as_str().context("there is no deployment in it")?;
    let documents = yaml::documents(text)?;
    let [overlay] = &*documents else { bail!("not one document") };
    let labels = json!({"gateway.networking.k8s.io/gateway-name": "shop"});
    let mut deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shop-istio"},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}},
    });
    let members = |value: &Value| value.as_object().map(|map| map.keys().cloned().collect());
    let path: [Option<Vec<String>>; 3] =
        [overlay, &overlay["spec"], &overlay["spec"]["template"]].map(members);
    let known = ["spec", "template", "spec"].map(|name| Some(vec![name.to_owned()]));
    ensure!(path == known, "only spec.template.spec is known here");
    let spec = &mut deployment["spec"]["template"]["spec"];
    *spec = overlay["spec"]["template"]["spec"].clone();
    for container in spec["containers"].as_array_mut().context("no containers")? {
        container["image"] = "auto".into();
    }
    Ok(deployment)
}

/// A Gateway's parameters are in the same file.
fn parameters(gateway: &Value, resources: &[Value]) -> Result<()> {
    let reference = &gateway["spec"]["infrastructure"]["parametersRef"];
    let found = resources.iter().any(|resource| {
        let version = resource["apiVersion"].as_str().unwrap_or_default();
        let group = version.split_once('/').map_or("", |(group, _)| group);
        let metadata = &resource["metadata"];
        reference["group"] == group
            && reference["kind"] == resource["kind"]
            && reference["name"] == metadata["name"]
            && gateway["metadata"]["namespace"] == metadata["namespace"]
    });
    ensure!(
        reference.is_null() || found,
        "there is no {} {}",
        reference["kind"],
        reference["name"]
    );
    Ok(())
}

/// Envoy Gateway's proxies have the module that is registered for them.
fn registered(proxy: &Value) -> Result<()> {
    let made = &proxy["provider"]["kubernetes"]["envoyDeployment"];
    for module in elements(proxy, "dynamicModules") {
        let path = &module["source"]["local"]["path"];
        ensure!(path == MODULE, "{path} is registered, and not {MODULE}");
        let volume = mounted(&made["container"], &made["pod"])?;
        is_ours(&volume.context("no volume is mounted")?["image"]["reference"])?;
    }
    Ok(())
}

/// Istio's proxy in a pod has the module.
fn in_pod(template: &Value) -> Result<()> {
    let spec = &template["spec"];
    let named = |name: &str| elements(spec, "containers").iter().find(|c| c["name"] == name);
    let proxy = named("istio-proxy").context("there is no proxy")?;
    let Some(volume) = mounted(proxy, spec)? else {
        let image = proxy["image"].as_str().unwrap_or_default();
        ensure!(image.starts_with(PROXY_IMAGE), "{image} has no module, and no volume is mounted");
        return Ok(());
    };
    if volume["emptyDir"].is_null() {
        return is_ours(&volume["image"]["reference"]);
    }
    let [copies] = elements(spec, "initContainers") else { bail!("nobody copies the module") };
    is_ours(&copies["image"])?;
    let to = mounted(copies, spec)?.context("the init container has no volume")?;
    ensure!(to["name"] == volume["name"], "it is copied to another volume");
    let folder = MODULE.strip_suffix("libpintle.so").unwrap_or_default();
    let command = json!(["/bin/cp", "/libpintle.so", folder]);
    ensure!(copies["command"] == command, "the command is {}, not {command}", copies["command"]);
    let native = &template["metadata"]["annotations"][NATIVE_SIDECAR];
    ensure!(native == "false", "{NATIVE_SIDECAR} is {native}: the proxy starts before the copy");
    is_restricted(&copies["securityContext"])
}

/// The volume that a container has where the module is looked for. It mounts nothing else.
fn mounted<'v>(container: &Value, pod: &'v Value) -> Result<Option<&'v Value>> {
    let mount = match elements(container, "volumeMounts") {
        [] => return Ok(None),
        [mount] => mount,
        _ => bail!("several volumes are mounted"),
    };
    let folder = mount["mountPath"].as_str().context("a mount without a path")?;
    ensure!(format!("{folder}/libpintle.so") == MODULE, "{folder} is mounted");
    let volume = elements(pod, "volumes").iter().find(|volume| volume["name"] == mount["name"]);
    volume.with_context(|| format!("no volume {}", mount["name"])).map(Some)
}

fn is_ours(image: &Value) -> Result<()> {
    ensure!(*image == format!("{IMAGE}-module"), "{image} is not our image of the module");
    Ok(())
}

/// Pod Security's profile `restricted` takes such a container.
fn is_restricted(context: &Value) -> Result<()> {
    let restricted = context["runAsNonRoot"] == true
        && context["allowPrivilegeEscalation"] == false
        && context["capabilities"]["drop"] == json!(["ALL"])
        && context["seccompProfile"]["type"] == "RuntimeDefault";
    ensure!(restricted, "Pod Security's profile restricted refuses {context}");
    Ok(())
}
