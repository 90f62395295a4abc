//! `compose.yaml`: what the Compose specification asks for, with files that are there and commands that run.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::site::{Around, FOLDER, configurations, needs, prepare, read};
use super::{document, schema};
use crate::client;
use crate::envoy::Envoy;
use crate::suite::{Ground, Tally};
use crate::{guard, tools, yaml};

const FILE: &str = "compose.yaml";
/// Has the schema of the specification.
const MODULE: &str = "github.com/compose-spec/compose-go/v2@v2.16.2";
const SCHEMA: &str = "schema/compose-spec.json";
/// Where the folder of the file stands in the containers.
const MOUNTED: &str = "/config/";
/// What the shell of a container writes for Envoy.
const WRITTEN: &str = "/tmp/envoy.yaml";

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
    let reached = reached(ground, &compose).await;
    tally.record("docker", "compose.yaml: every configuration can be reached", reached);
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
    let start = Start::of(service)?;
    ensure!(start.envoy.first().is_some_and(|word| word == "envoy"), "it does not start Envoy");
    let file = start.file.as_str();
    let loads = match &start.shell {
        Some(_) => WRITTEN.to_owned(),
        None => format!("{MOUNTED}{file}"),
    };
    let at = start.envoy.iter().position(|word| word == "-c").context("it starts no file")?;
    ensure!(start.envoy.get(at + 1) == Some(&loads), "it does not start {loads}");
    if !needs(ground, file)?.iter().all(|artefact| envoy.artefacts().contains(artefact)) {
        return Ok(());
    }
    let arguments = document::arguments(&start.envoy);
    let prepared = prepare(ground, envoy, &format!("compose-{name}"), file, around)?;
    let ports: Vec<u16> = prepared.ports.values().copied().collect();
    let mut site = prepared.start(envoy, &arguments).await?;
    for port in ports {
        let reply = client::send(site.address(port)?, &client::get("/")).await?;
        ensure!(reply.status == 200, "port {port}: status {}", reply.status);
    }
    site.alive()
}

/// Whichever configuration is named in the command of `envoy`: in the container all that it listens on can be reached,
/// and is published on the host's loopback; nothing else of it changes.
async fn reached(ground: &Ground, compose: &Value) -> Result<()> {
    let folder = ground.workspace.root.join(FOLDER);
    let start = Start::of(&compose["services"]["envoy"])?;
    let shell = start.shell.context("its listeners are the container's own")?;
    let written = ground.workspace.target.join("xtask/compose.yaml");
    for file in configurations(ground)? {
        let shell = shell.replace(&format!("{MOUNTED}{}", start.file), &format!("{MOUNTED}{file}"));
        let shell = shell.replace(MOUNTED, &format!("{}/", folder.display()));
        let mut command = guard::command("sh");
        command.arg("-ec").arg(shell.replace(WRITTEN, &written.display().to_string()));
        guard::succeed(command, &file).await?;
        let text = read(&written)?;
        let original = read(&folder.join(&file))?;
        ensure!(text.replace("0.0.0.0", "127.0.0.1") == original, "{file} is another then");
        let document = yaml::one(&text)?;
        let listeners = document["static_resources"]["listeners"].as_array();
        let listeners = listeners.with_context(|| format!("{file} has no listeners"))?;
        for listener in listeners.iter().chain([&document["admin"]]) {
            let address = &listener["address"]["socket_address"];
            ensure!(address["address"] == "0.0.0.0", "{file}: nobody reaches {address}");
            let port = &address["port_value"];
            let port = json!(format!("127.0.0.1:{port}:{port}"));
            let published = compose["services"]["echo"]["ports"].as_array();
            let there = published.is_some_and(|published| published.contains(&port));
            ensure!(there, "{file} listens, but {port} is not published");
        }
    }
    Ok(())
}

/// What a container starts.
struct Start {
    /// The configuration, by its name in the folder.
    file: String,
    /// What the shell does before.
    shell: Option<String>,
    /// Envoy's command line.
    envoy: Vec<String>,
}

impl Start {
    fn of(service: &Value) -> Result<Self> {
        let words = command(service)?;
        let (shell, envoy) = match words.as_slice() {
            [sh, ec, lines] if sh == "sh" && ec == "-ec" => {
                let (shell, envoy) = lines.rsplit_once("\nexec ").context("no Envoy after all")?;
                (Some(shell.to_owned()), shlex::split(envoy).context("quotes that do not close")?)
            }
            _ => (None, words),
        };
        let words = shell.iter().flat_map(|lines| lines.split_whitespace());
        let mut words = words.chain(envoy.iter().map(String::as_str));
        let file = words.find_map(|word| word.strip_prefix(MOUNTED));
        let file = file.context("it starts no file of this folder")?.to_owned();
        Ok(Self { file, shell, envoy })
    }
}

fn command(service: &Value) -> Result<Vec<String>> {
    let words = service["command"].as_array().context("no command")?;
    let word = |word: &Value| word.as_str().map(str::to_owned).context("a word that is no text");
    words.iter().map(word).collect()
}
