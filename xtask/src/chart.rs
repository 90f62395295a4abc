//! The Helm chart renders what the custom resource definitions ask for, and what is embedded in it works.

mod dependency;
mod documentation;
mod examples;
mod helm;
mod hundreds;
mod proxy;
mod refusals;
mod rendered;
mod schema;
mod settings;
mod survival;

use anyhow::Result;

use crate::envoy::Envoy;
use crate::manifests::Definitions;
use crate::suite::{Ground, Tally};
use crate::tools;
use helm::Helm;

/// Where passes are counted that need no Envoy.
const FILES: &str = "files";
const HELM: &str = "helm";

/// Checks the chart, and what each of its examples renders.
pub(crate) async fn run(ground: &Ground, envoy: &Envoy) -> Result<Tally> {
    let mut tally = Tally::default();
    let root = &ground.workspace.root;
    for (what, result) in [
        ("values.schema.json is current", schema::is_current(root)),
        ("the chart has the version of the workspace", settings::versions(root)),
        ("docs/helm.md has every value and its default", settings::documented(root)),
    ] {
        if ground.wants(what) {
            tally.record(FILES, what, result);
        }
    }
    let helm = match Helm::find(&ground.workspace).await {
        Ok(helm) => helm,
        Err(error) => {
            let missing = format!("helm, which Go builds ({})", tools::absent(error)?);
            tally.skip("the chart", &missing)?;
            return Ok(tally);
        }
    };
    let definitions = match Definitions::load(&ground.workspace).await {
        Ok(definitions) => definitions,
        Err(error) => {
            let missing = format!("the custom resource definitions ({})", tools::absent(error)?);
            tally.skip("what the chart renders", &missing)?;
            return Ok(tally);
        }
    };
    examples::run(ground, envoy, &helm, &definitions, &mut tally).await?;
    refusals::run(ground, &helm, &mut tally).await;
    if ground.wants(survival::NAME) {
        tally.record(HELM, survival::NAME, survival::run(root, &helm).await);
    }
    if ground.wants(dependency::NAME) {
        tally.record(HELM, dependency::NAME, dependency::run(&helm).await);
    }
    if ground.wants(documentation::NAME) {
        let result = documentation::run(root, &helm, &definitions).await;
        tally.record(HELM, documentation::NAME, result);
    }
    if ground.wants(hundreds::NAME) {
        tally.record(HELM, hundreds::NAME, hundreds::run(&helm, &definitions).await);
    }
    Ok(tally)
}
