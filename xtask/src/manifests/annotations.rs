//! Annotations and labels of Istio's: whether there is such a one, and what is in those of volumes.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// What the injector puts into a pod.
const VOLUMES: &str = "sidecar.istio.io/userVolume";
const MOUNTS: &str = "sidecar.istio.io/userVolumeMount";

/// The container that it adds.
const PROXY: &str = "istio-proxy";

/// The annotations and labels that an Istio knows, from the folder of its API.
pub(super) fn known(istio: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for file in ["annotation/annotations.gen.go", "label/labels.gen.go"] {
        let file = istio.join(file);
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("reading {}", file.display()))?;
        // Name: "sidecar.istio.io/inject",
        let quoted = text.lines().filter_map(|line| line.trim().strip_prefix("Name:"));
        names.extend(quoted.map(|name| name.trim().trim_matches([',', '"']).to_owned()));
    }
    ensure!(names.contains(VOLUMES), "{VOLUMES} is not among them");
    Ok(names)
}

/// Annotations and labels in Istio's name that no Istio knows.
pub(super) fn wrong(resource: &Value, known: &BTreeSet<String>) -> Vec<String> {
    let template = &resource["spec"]["template"]["metadata"];
    let metadata = [&resource["metadata"], template];
    let maps = metadata.into_iter().flat_map(|m| [&m["annotations"], &m["labels"]]);
    let names = maps.filter_map(Value::as_object).flat_map(|map| map.keys());
    names
        .filter(|name| name.split('/').next().is_some_and(|prefix| prefix.ends_with("istio.io")))
        .filter(|name| !known.contains(*name))
        .map(|name| format!("Istio knows no annotation and no label {name}"))
        .collect()
}

/// A Deployment as it is when Istio's injector has been at its pods: with the container of the proxy, and
/// with the volumes and mounts of the annotations.
pub(super) fn injected(deployment: &Value) -> Result<Value> {
    let mut deployment = deployment.clone();
    let template = &mut deployment["spec"]["template"];
    let annotations = template["metadata"]["annotations"].clone();
    let named = |annotation: &str| -> Result<Vec<Value>> {
        let Some(text) = annotations[annotation].as_str() else { return Ok(Vec::new()) };
        let map: Value = serde_json::from_str(text).with_context(|| annotation.to_owned())?;
        let map = map.as_object().with_context(|| format!("{annotation} is no object"))?;
        Ok(map
            .iter()
            .map(|(name, value)| {
                let mut value = value.clone();
                value["name"] = name.as_str().into();
                value
            })
            .collect())
    };
    let image = annotations["sidecar.istio.io/proxyImage"].as_str().unwrap_or("auto");
    let proxy = json!({"name": PROXY, "image": image, "volumeMounts": named(MOUNTS)?});
    let spec = &mut template["spec"];
    append(&mut spec["containers"], vec![proxy]);
    append(&mut spec["volumes"], named(VOLUMES)?);
    Ok(deployment)
}

fn append(list: &mut Value, more: Vec<Value>) {
    match list {
        Value::Array(list) => list.extend(more),
        _ => *list = more.into(),
    }
}
