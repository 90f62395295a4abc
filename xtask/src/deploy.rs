//! Every configuration in `deploy/envoy` loads.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use crate::artefact::Artefact;
use crate::envoy::Envoy;
use crate::guard;
use crate::suite::{Ground, Tally};

/// Where the files in `deploy/` expect the artefacts.
const INSTALLED: &str = "/etc/envoy/";

/// Has Envoy load each file, with the artefacts where they were built.
pub(crate) async fn run(ground: &Ground, envoy: &Envoy) -> Result<Tally> {
    let mut tally = Tally::default();
    for (artefact, name) in [
        (Artefact::Wasm, "wasm.yaml"),
        (Artefact::Native, "module.yaml"),
        (Artefact::Wasm, "token-exchange-wasm.yaml"),
        (Artefact::Native, "token-exchange-module.yaml"),
        (Artefact::Wasm, "problem-json-wasm.yaml"),
        (Artefact::Native, "problem-json-module.yaml"),
    ] {
        if envoy.artefacts().contains(&artefact) {
            tally.record(
                artefact.name(),
                format!("deploy/envoy/{name}"),
                load(ground, envoy, name).await,
            );
        }
    }
    Ok(tally)
}

async fn load(ground: &Ground, envoy: &Envoy, name: &str) -> Result<()> {
    let file = ground.workspace.root.join("deploy/envoy").join(name);
    let text =
        std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    ensure!(text.contains(INSTALLED), "it loads nothing from {INSTALLED}");
    let dist = format!("{}/", ground.workspace.dist().display());
    let folder = ground.workspace.target.join("xtask/deploy");
    std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let copy = folder.join(name);
    std::fs::write(&copy, text.replace(INSTALLED, &dist))
        .with_context(|| format!("writing {}", copy.display()))?;
    let mut command = guard::command(&envoy.program);
    command.args(["--mode", "validate", "--config-path"]).arg(&copy);
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().await;
    let output = output.context("starting Envoy")?;
    ensure!(
        output.status.success(),
        "Envoy refuses it:\n{}",
        String::from_utf8_lossy(&output.stderr)
            .lines()
            .rev()
            .take(8)
            .collect::<Vec<_>>()
            .join("\n")
    );
    Ok(())
}
