//! The chart in another one, which switches it on and off: `condition: pintle.enabled`.

use anyhow::{Result, ensure};
use serde_json::json;

use super::helm::{Helm, NAMESPACE, RELEASE};
use super::rendered::name;
use crate::yaml;

pub(super) const NAME: &str = "a dependency with a condition";

/// On, it renders what it renders by itself; off, nothing.
pub(super) async fn run(helm: &Helm) -> Result<()> {
    let values = json!({"pintle": {
        "image": {"registry": "registry.example.com"},
        "config": {"filters": [{"problem_json": {}}]},
    }});
    let file = helm.values("dependency", &values.to_string())?;
    let expected = format!("WasmPlugin {NAMESPACE}/{RELEASE}");
    for settings in [&[][..], &["pintle.enabled=true"]] {
        let objects = yaml::documents(&helm.parent(&file, settings).await?)?;
        let names: Vec<String> = objects.iter().map(name).collect();
        ensure!(names == [expected.as_str()], "{settings:?}: {names:?}");
    }
    let off = helm.parent(&file, &["pintle.enabled=false"]).await?;
    ensure!(yaml::documents(&off)?.is_empty(), "switched off, it renders {off}");
    Ok(())
}
