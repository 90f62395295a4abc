//! What `docs/envoy.md` has one add before production: Envoy takes it, and has nothing left to warn of.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::site::{Around, EXPECTED, prepare, read};
use crate::artefact::Artefact;
use crate::envoy::Envoy;
use crate::suite::{Ground, Tally};
use crate::yaml;

const PAGE: &str = "docs/envoy.md";
const HEADING: &str = "\n## Before production\n";
/// Where the page has the certificate and its key.
const CERTIFICATES: &str = "/etc/envoy/tls/";

/// Tries it with each artefact.
pub(super) async fn run(ground: &Ground, envoy: &Envoy, around: &Around, tally: &mut Tally) {
    for artefact in envoy.artefacts() {
        let file = match artefact {
            Artefact::Wasm => "wasm.yaml",
            Artefact::Native => "module.yaml",
        };
        let name = format!("{file}: takes what is advised before production");
        if ground.wants(&name) {
            tally.record(artefact.name(), name, taken(ground, envoy, around, file).await);
        }
    }
}

/// Starts a file with all of it.
async fn taken(ground: &Ground, envoy: &Envoy, around: &Around, file: &str) -> Result<()> {
    let prepared = prepare(ground, envoy, &format!("production-{file}"), file, around)?;
    let mut document = yaml::one(&read(&prepared.configuration)?)?;
    let certificates = format!("{}/", prepared.installed().display());
    for fragment in fragments(&read(&ground.workspace.root.join(PAGE))?)? {
        let fragment = yaml::one(&fragment.replace(CERTIFICATES, &certificates))?;
        let place = match fragment.get("transport_socket") {
            Some(_) => &mut document["static_resources"]["listeners"][0]["filter_chains"][0],
            None => &mut document,
        };
        let place = place.as_object_mut().context("no place for it")?;
        place.extend(fragment.as_object().context("no object")?.clone());
    }
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let files = [("cert.pem", own.cert.pem()), ("key.pem", own.signing_key.serialize_pem())];
    for (name, text) in files {
        std::fs::write(prepared.installed().join(name), text).context(name)?;
    }
    std::fs::write(&prepared.configuration, Value::to_string(&document))
        .context(file.to_owned())?;
    let mut site = prepared.start(envoy, &[]).await?;
    site.quiet()?;
    ensure!(!site.written()?.contains(EXPECTED), "Envoy still warns of connections");
    let loaded = site.admin.page("/certs").await?;
    ensure!(loaded.contains("cert.pem"), "the certificate is not in use:\n{loaded}");
    site.alive()
}

/// The fences of the section.
fn fragments(page: &str) -> Result<Vec<&str>> {
    let (_, section) = page.split_once(HEADING).context("no such section")?;
    let section = section.split("\n## ").next().unwrap_or_default();
    let fences = section.split("```yaml\n").skip(1);
    let fences: Vec<&str> = fences.filter_map(|rest| rest.split("```").next()).collect();
    ensure!(fences.len() == 2, "{} fragments", fences.len());
    Ok(fences)
}
