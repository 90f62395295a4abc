//! One release for hundreds of services.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

use super::helm::Helm;
use super::rendered::name;
use crate::manifests::Definitions;
use crate::yaml;

pub(super) const NAME: &str = "five hundred services in one release";

const SERVICES: usize = 500;

/// Renders a policy for each, of which some have a configuration of their own.
pub(super) async fn run(helm: &Helm, definitions: &Definitions) -> Result<()> {
    let own = |service: usize| service.is_multiple_of(10);
    let config = |audience: &str| {
        json!({"filters": [{"token_exchange": {
            "cluster": "auth",
            "authority": "auth.example.com",
            "path": "/oauth2/token",
            "grant": {"token_exchange": {"audience": audience}},
            "cache": {"ttl": "5m"},
        }}]})
    };
    let mut policies = Map::new();
    for service in 0..SERVICES {
        let label = format!("service-{service}");
        let mut policy = json!({
            "namespace": format!("team-{}", service % 20),
            "selector": {"matchLabels": {"app": label}},
        });
        if own(service) {
            policy["config"] = config(&label);
        }
        policies.insert(label, policy);
    }
    let values = json!({
        "artefact": "wasm-headers",
        "image": {"registry": "registry.example.com"},
        "config": config("all"),
        "policies": policies,
    });
    let text = helm.template(&helm.values("hundreds", &values.to_string())?, &[]).await?;
    definitions.check(&text)?;
    let objects = yaml::documents(&text)?;
    let names: BTreeSet<String> = objects.iter().map(name).collect();
    ensure!(names.len() == SERVICES && objects.len() == SERVICES, "{} names", names.len());
    for object in &objects {
        let label = object["spec"]["selector"]["matchLabels"]["app"].as_str().unwrap_or_default();
        let number = label.strip_prefix("service-").and_then(|number| number.parse().ok());
        let number: usize = number.with_context(|| format!("{}: {label}", name(object)))?;
        let expected = format!("WasmPlugin team-{}/pintle-service-{number}", number % 20);
        ensure!(name(object) == expected, "{}, not {expected}", name(object));
        let place = "/spec/pluginConfig/filters/0/token_exchange/grant/token_exchange/audience";
        let audience = object.pointer(place).and_then(Value::as_str);
        let meant = if own(number) { label } else { "all" };
        ensure!(audience == Some(meant), "{label}: {audience:?}");
    }
    Ok(())
}
