//! Every manifest in `deploy/istio` and `deploy/envoy-gateway` is what the custom resource definitions ask
//! for, and what is embedded in it works on a real Envoy.

mod annotations;
mod counterexamples;
mod definitions;
mod failures;
mod files;
mod first;
mod kubernetes;
mod mesh_config;
mod modules;
mod patches;
mod places;
mod planes;
mod rules;
mod schema;
mod uses;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::artefact::Artefact;
use crate::bootstrap::Listener;
use crate::clusters;
use crate::envoy::Envoy;
use crate::mesh::{Mesh, Setup, make_empty};
use crate::suite::{Ground, Tally};
use crate::tools;
use files::{File, Form};
use places::Places;
use planes::Given;
use uses::Use;

pub(crate) use definitions::Definitions;
pub(crate) use patches::discovery;

/// Where the results of checks without an Envoy are counted.
const SCHEMA: &str = "schema";
/// Where a filter stands as its manifest has it.
const MANIFEST: &str = "manifest";

/// The gateway that several manifests are for, and the folder of these.
const TOGETHER: (&str, [&str; 3]) =
    ("istio/wasm-plugin", ["problem-json.yaml", "log-headers.yaml", "require-header.yaml"]);

/// Checks each of them.
pub(crate) async fn run(ground: &Ground, envoy: &Envoy) -> Result<Tally> {
    let mut tally = Tally::default();
    let files = files::all(&ground.workspace.root.join("deploy"))?;
    let places = Places::read(&files)?;
    match Definitions::load(&ground.workspace).await {
        Ok(definitions) => shape(ground, &definitions, &places, &files, &mut tally),
        Err(error) => tally.skip("the shape of manifests", &tools::absent(error)?)?,
    }
    for file in &files {
        if file.form == Form::Bootstrap && envoy.artefacts().contains(&Artefact::Native) {
            let name = format!("deploy/{} loads", file.name);
            if ground.wants(&name) {
                let result = files::load(&ground.workspace, envoy, file).await;
                tally.record(MANIFEST, name, result);
            }
        }
    }
    work(ground, envoy, &files, &mut tally).await?;
    first::run(ground, envoy, &files, &mut tally).await?;
    Ok(tally)
}

/// What can be told without an Envoy.
fn shape(
    ground: &Ground,
    definitions: &Definitions,
    places: &Places,
    files: &[File],
    tally: &mut Tally,
) {
    let mut record = |name: String, check: &dyn Fn() -> Result<()>| {
        if ground.wants(&name) {
            tally.record(SCHEMA, name, check());
        }
    };
    for file in files {
        let name = format!("deploy/{} is as it has to be", file.name);
        record(name, &|| files::check(file, files, definitions, places));
    }
    for (plugin, extension) in twins(files) {
        let name = format!("deploy/{} says what {} says", extension.name, plugin.name);
        record(name, &|| alike(plugin, extension));
    }
    let resources = |name: &str| {
        let file = files.iter().find(|file| file.name == name);
        file.with_context(|| format!("there is no {name}"))?.resources()
    };
    for bad in counterexamples::ALL {
        let name = format!("{} is refused", bad.what);
        record(name, &|| bad.is_refused(definitions, places, resources));
    }
}

/// Files of one name for both of Istio's kinds.
fn twins(files: &[File]) -> impl Iterator<Item = (&File, &File)> {
    files.iter().filter_map(|plugin| {
        let name = plugin.name.strip_prefix("istio/wasm-plugin/")?;
        let extension = format!("istio/traffic-extension/{name}");
        Some((plugin, files.iter().find(|file| file.name == extension)?))
    })
}

fn alike(plugin: &File, extension: &File) -> Result<()> {
    let (plugin, extension) = (plugin.resources()?, extension.resources()?);
    ensure!(plugin.len() == extension.len(), "it has another number of documents");
    for (plugin, extension) in plugin.iter().zip(&extension) {
        ensure!(plugin["metadata"] == extension["metadata"], "another name");
        if plugin["kind"] != "WasmPlugin" {
            ensure!(plugin == extension, "another {}", plugin["kind"]);
            continue;
        }
        let mut spec = extension["spec"].clone();
        let wasm = spec["wasm"].take();
        let flat = |spec: &Value| spec.as_object().cloned().unwrap_or_default();
        let mut both = flat(&spec);
        both.remove("wasm");
        both.extend(flat(&wasm));
        ensure!(flat(&plugin["spec"]) == both, "{} is not {both:?}", plugin["spec"]);
    }
    Ok(())
}

/// A listener, and what it is to show.
struct Door {
    listener: Listener,
    place: &'static str,
    name: String,
    shows: Shows,
}

#[derive(Clone, Copy)]
enum Shows {
    Use(Use),
    Together,
}

/// Sends requests through what is embedded in the manifests: as a control plane hands it on, and the
/// configuration alone through each artefact.
async fn work(ground: &Ground, envoy: &Envoy, files: &[File], tally: &mut Tally) -> Result<()> {
    let folder = ground.workspace.target.join("xtask/manifests-files");
    make_empty(&folder)?;
    let mut doors = Vec::new();
    let mut setup = Setup::default();
    for file in files.iter().filter(|file| file.form == Form::Manifest) {
        let name = format!("deploy/{} works", file.name);
        match opened(ground, envoy, &folder, file) {
            Ok((made, clusters)) => {
                doors.extend(made.into_iter().filter(|door| ground.wants(&door.name)));
                setup.clusters.extend(clusters);
            }
            Err(error) => tally.fail(name, format!("{error:#}")),
        }
    }
    let name = format!("{} of deploy/{} work together", TOGETHER.1.join(", "), TOGETHER.0);
    if ground.wants(&name) && envoy.artefacts().contains(&Artefact::Wasm) {
        let listener = Listener::new("together", in_order(ground, &folder, files)?);
        doors.push(Door { listener, place: MANIFEST, name, shows: Shows::Together });
    }
    if doors.is_empty() {
        return Ok(());
    }
    setup.clusters.sort();
    setup.clusters.dedup();
    let listeners: Vec<Listener> = doors.iter().map(|door| door.listener.clone()).collect();
    let mut mesh = Mesh::start_as(&ground.workspace, envoy, "manifests", &listeners, setup).await?;
    for door in doors {
        let listener = &door.listener.name;
        let result = match (mesh.has(listener), door.shows) {
            (false, _) => Err(anyhow::Error::msg(mesh.refusal(listener).await?)),
            (true, Shows::Use(purpose)) => purpose.show(&mesh, listener).await,
            (true, Shows::Together) => uses::together(&mesh, listener).await,
        };
        tally.record(door.place, door.name, result);
    }
    mesh.alive()
}

/// The listeners for a file, and the clusters that its configurations name.
fn opened(
    ground: &Ground,
    envoy: &Envoy,
    folder: &Path,
    file: &File,
) -> Result<(Vec<Door>, Vec<String>)> {
    let workspace = &ground.workspace;
    let given = planes::given(workspace, folder, &file.resources()?)?;
    let found = pintle_cli::find::configurations(&file.text)
        .map_err(|error| anyhow::anyhow!("line {}: {}", error.line, error.reason))?;
    ensure!(
        found.len() == given.artefacts.len(),
        "there are {} filters in it, and {} configurations are found",
        given.artefacts.len(),
        found.len()
    );
    if found.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let purpose = Use::of(&file.name).context("nobody knows what it is for")?;
    let mut doors = Vec::new();
    let Given { filters, manager, artefacts } = given;
    if artefacts.iter().all(|artefact| envoy.artefacts().contains(artefact)) {
        let mut listener = Listener::new(&file.name, filters);
        listener.manager = manager;
        doors.push(Door {
            listener,
            place: MANIFEST,
            name: format!("deploy/{} works", file.name),
            shows: Shows::Use(purpose),
        });
    }
    let mut names = Vec::new();
    for configuration in found {
        names.extend(clusters::named_in(&configuration.document));
        for artefact in envoy.artefacts() {
            let place = artefact.name();
            let listener = Listener::with(
                format!("{} as {place}", file.name),
                workspace,
                artefact,
                &configuration.document,
            );
            doors.push(Door {
                listener,
                place,
                name: format!("the configuration in deploy/{} works as {place}", file.name),
                shows: Shows::Use(purpose),
            });
        }
    }
    Ok((doors, names))
}

/// The filters of several files in the order of their priorities, the highest first, as istiod has it.
fn in_order(ground: &Ground, folder: &Path, files: &[File]) -> Result<Vec<Value>> {
    let mut resources = Vec::new();
    for name in TOGETHER.1 {
        let name = format!("{}/{name}", TOGETHER.0);
        let file = files.iter().find(|file| file.name == name);
        resources.extend(file.with_context(|| format!("there is no {name}"))?.resources()?);
    }
    let all_alike = resources.iter().all(|resource| resource["spec"]["phase"] == "AUTHN");
    ensure!(all_alike, "they stand in several phases");
    resources.sort_by_key(|resource| std::cmp::Reverse(resource["spec"]["priority"].as_i64()));
    Ok(planes::given(&ground.workspace, folder, &resources)?.filters)
}
