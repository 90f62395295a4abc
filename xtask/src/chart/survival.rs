//! Nothing happens to a configuration on its way through Helm: numbers stay numbers, text stays text.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Error, Result, ensure};
use pintle_core::testing::corpus::{Plan, load_dir};
use serde_json::{Value, json};

use super::helm::Helm;
use super::rendered::same;
use crate::yaml;

pub(super) const NAME: &str = "every configuration of the corpus arrives as it was written";

/// The kinds that differ in how they hold it: as an object, and as text; and where.
const KINDS: [(&str, &str); 2] = [
    ("WasmPlugin", "/spec/pluginConfig"),
    (
        "EnvoyFilter",
        "/spec/configPatches/0/patch/value/typed_config/value/config/configuration/value",
    ),
];

/// Renders all that the filter takes, each as a policy: so the schema of the values takes it too.
pub(super) async fn run(root: &Path, helm: &Helm) -> Result<()> {
    let cases = load_dir(root.join("core/testdata")).map_err(Error::msg)?;
    let loads = cases.iter().filter(|case| matches!(case.plan, Plan::Exchange(_)));
    let configs: BTreeSet<&str> = loads.map(|case| case.config.as_str()).collect();
    let mut written = BTreeMap::new();
    for (number, config) in configs.into_iter().enumerate() {
        let config: Value = serde_json::from_str(config).context("a configuration that loads")?;
        // The chart takes no empty one: it would be there and do nothing.
        if config != json!({}) {
            written.insert(format!("pintle-c{number}"), config);
        }
    }
    ensure!(written.len() > 100, "{} configurations", written.len());
    let policies: BTreeMap<&str, Value> = written
        .iter()
        .filter_map(|(name, config)| {
            Some((name.strip_prefix("pintle-")?, json!({"config": config})))
        })
        .collect();
    let values = json!({
        "image": {"registry": "registry.example.com"},
        "envoyFilter": {"context": "SIDECAR_INBOUND"},
        "policies": policies,
    });
    let file = helm.values("corpus", &values.to_string())?;
    for (kind, place) in KINDS {
        let objects =
            yaml::documents(&helm.template(&file, &[&format!("kind={:?}", kind)]).await?)?;
        ensure!(objects.len() == written.len(), "{kind}: {} objects", objects.len());
        for object in objects {
            let name = object["metadata"]["name"].as_str().context("an object without a name")?;
            let written = written.get(name).with_context(|| format!("nobody wrote {name}"))?;
            let value = object.pointer(place).with_context(|| format!("{name}: nothing there"))?;
            let config = match value {
                Value::String(text) => serde_json::from_str(text).context(text.clone())?,
                value => value.clone(),
            };
            ensure!(same(&config, written), "{kind}: {written} came out as {config}");
        }
    }
    Ok(())
}
