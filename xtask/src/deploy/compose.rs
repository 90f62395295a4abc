//! `compose.yaml`: what the Compose specification asks for, with files that are there and commands that run.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::site::{Around, FOLDER, needs, prepare, read};
use super::{document, schema};
use crate::client;
use crate::envoy::Envoy;
use crate::suite::{Ground, Tally};
use crate::{tools, yaml};

const FILE: &str = "compose.yaml";
/// Has the schema of the specification.
const MODULE: &str = "github.com/compose-spec/compose-go/v2@v2.16.2";
const SCHEMA: &str = "schema/compose-spec.json";
/// Where the folder of the file stands in the containers.
const MOUNTED: &str = "/config/";

/// Checks it in each of these ways.
pub(super) async fn run(
    ground: &Ground,
    envoy: &Envoy,
    around: &Around,
    tally: &mut Tally,
) -> Result<()> {
    let folder = ground.workspace.root.join(FOLDER);
    let compose = yaml::one(&read(&folder.join(FILE))?)?;
    match tools::go_module(&ground.workspace, MODULE).await {
        Err(error) => tally.skip("the schema of compose.yaml", &tools::absent(error)?)?,
        Ok(module) => {
            let result = schema::meets(&module.join(SCHEMA), &compose);
            tally.record("docker", "compose.yaml is what the specification asks for", result);
        }
    }
    let mounts = mounts(&folder, &compose);
    tally.record("docker", "compose.yaml mounts files that are there", mounts);
    for (name, service) in compose["services"].as_object().context("no services")? {
        let result = runs(ground, envoy, around, name, service).await;
        tally.record("docker", format!("compose.yaml: the command of {name} runs"), result);
    }
    let published = published(ground, envoy, around, &compose);
    tally.record("docker", "compose.yaml publishes the ports that are listened on", published);
    Ok(())
}

/// Every volume is of a file or folder, read-only, and where the configurations look for it.
fn mounts(folder: &Path, compose: &Value) -> Result<()> {
    let mut loaded = Vec::new();
    for (name, service) in compose["services"].as_object().into_iter().flatten() {
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let volume = volume.as_str().context("a volume that is no text")?;
            let parts: Vec<&str> = volume.split(':').collect();
            let [source, target, "ro"] = parts.as_slice() else {
                bail!("{name}: {volume} is not source:target:ro")
            };
            let source = folder.join(source);
            ensure!(source.exists(), "{name}: {} is not there", source.display());
            loaded.push((*target).to_owned());
        }
    }
    for entry in std::fs::read_dir(folder).context("listing deploy/envoy")? {
        let path = entry.context("listing deploy/envoy")?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            for word in read(&path)?.split_whitespace().filter(|w| w.starts_with("/etc/envoy/")) {
                let wanted = word.trim_end_matches([',', '}']);
                let there = loaded.iter().any(|target| wanted.starts_with(target.as_str()));
                ensure!(there, "{} loads {wanted}, which is not mounted", path.display());
            }
        }
    }
    Ok(())
}

/// Starts a service's command, and has it answer.
async fn runs(
    ground: &Ground,
    envoy: &Envoy,
    around: &Around,
    name: &str,
    service: &Value,
) -> Result<()> {
    let command = command(service)?;
    let at = command.iter().position(|word| word.starts_with(MOUNTED));
    let at = at.context("it starts no file of this folder")?;
    let file = command[at].trim_start_matches(MOUNTED);
    ensure!(command.first().is_some_and(|word| word == "envoy"), "it does not start Envoy");
    ensure!(command.get(at - 1).is_some_and(|word| word == "-c"), "{file} is not behind -c");
    if !needs(ground, file)?.iter().all(|artefact| envoy.artefacts().contains(artefact)) {
        return Ok(());
    }
    let arguments = document::arguments(&command);
    let prepared = prepare(ground, envoy, &format!("compose-{name}"), file, around)?;
    let ports: Vec<u16> = prepared.ports.values().copied().collect();
    let mut site = prepared.start(envoy, &arguments).await?;
    for port in ports {
        let reply = client::send(site.address(port)?, &client::get("/")).await?;
        ensure!(reply.status == 200, "port {port}: status {}", reply.status);
    }
    site.alive()
}

/// What is published is what the configuration listens on, and its admin interface.
fn published(ground: &Ground, envoy: &Envoy, around: &Around, compose: &Value) -> Result<()> {
    let command = command(&compose["services"]["envoy"])?;
    let file = command.iter().find_map(|word| word.strip_prefix(MOUNTED)).context("no file")?;
    let prepared = prepare(ground, envoy, "compose-ports", file, around)?;
    let mut listened: Vec<String> = prepared.ports.values().map(ToString::to_string).collect();
    listened.push("9901".to_owned());
    let ports = compose["services"]["echo"]["ports"].as_array().context("no ports")?;
    let mut published = Vec::new();
    for port in ports {
        let port = port.as_str().context("a port that is no text")?;
        let (host, inside) = port.rsplit_once(':').context("a port without its counterpart")?;
        ensure!(
            host == format!("127.0.0.1:{inside}"),
            "{port} is not on loopback under its number"
        );
        published.push(inside.to_owned());
    }
    ensure!(published == listened, "{published:?} are published, {listened:?} listened on");
    Ok(())
}

fn command(service: &Value) -> Result<Vec<String>> {
    let words = service["command"].as_array().context("no command")?;
    let word = |word: &Value| word.as_str().map(str::to_owned).context("a word that is no text");
    words.iter().map(word).collect()
}
