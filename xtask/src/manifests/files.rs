//! The files of a folder for people to copy, each with a check of its own.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::definitions::Definitions;
use super::places::Places;
use super::planes::{IMAGE, MODULE};
use super::{failures, mesh_config, modules, patches};
use crate::artefact::Artefact;
use crate::cargo::Workspace;
use crate::envoy::Envoy;
use crate::{guard, yaml};

/// The folders below `deploy/` whose files are checked here.
const FOLDERS: [&str; 2] = ["istio", "envoy-gateway"];

/// A file.
#[derive(Clone, Debug)]
pub(super) struct File {
    /// Its path below `deploy/`.
    pub(super) name: String,
    /// What is in it.
    pub(super) text: String,
    /// What it is.
    pub(super) form: Form,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Resources of Kubernetes.
    Manifest,
    /// Values for the chart of istiod.
    Values,
    /// A configuration of Envoy.
    Bootstrap,
    /// How an image is built.
    Dockerfile,
    /// For people.
    Page,
}

/// All of them; one of which nobody knows what it is is an error.
pub(super) fn all(deploy: &Path) -> Result<Vec<File>> {
    let mut files = Vec::new();
    for folder in FOLDERS {
        walk(deploy, &deploy.join(folder), &mut files)?;
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

fn walk(deploy: &Path, folder: &Path, files: &mut Vec<File>) -> Result<()> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("reading {}", folder.display()))?.path();
        if path.is_dir() {
            walk(deploy, &path, files)?;
            continue;
        }
        let name = path.strip_prefix(deploy).unwrap_or(&path).display().to_string();
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("reading {}", path.display()))?;
        let form = Form::of(&name).with_context(|| format!("no check is for deploy/{name}"))?;
        files.push(File { name, text, form });
    }
    Ok(())
}

impl Form {
    fn of(name: &str) -> Option<Self> {
        let file = name.rsplit_once('/').map_or(name, |(_, file)| file);
        match file.split_once('.')?.1 {
            "md" => Some(Self::Page),
            "Dockerfile" => Some(Self::Dockerfile),
            "values.yaml" => Some(Self::Values),
            "yaml" if file == "check.yaml" => Some(Self::Bootstrap),
            "yaml" => Some(Self::Manifest),
            _ => None,
        }
    }
}

impl File {
    /// The resources in it.
    pub(super) fn resources(&self) -> Result<Vec<Value>> {
        yaml::documents(&self.text)
    }
}

/// Checks a file by itself; an Envoy is for others.
pub(super) fn check(
    file: &File,
    files: &[File],
    definitions: &Definitions,
    places: &Places,
) -> Result<()> {
    match file.form {
        Form::Manifest => manifest(file, definitions, places),
        Form::Values => mesh_config::check(&file.resources()?, definitions.istio()),
        Form::Bootstrap => {
            ensure!(file.text.contains(MODULE), "it does not load {MODULE}");
            Ok(())
        }
        Form::Dockerfile => dockerfile(&file.text),
        Form::Page => page(file, files),
    }
}

/// What is wrong with the resources of a file, as far as they themselves tell.
pub(super) fn problems(
    file: &str,
    resources: &[Value],
    definitions: &Definitions,
    places: &Places,
) -> Vec<String> {
    let mut problems: Vec<String> =
        resources.iter().flat_map(|resource| definitions.problems(resource)).collect();
    problems.extend(patches::problems(resources));
    problems.extend(places.problems(file, resources));
    problems.extend(failures::problems(resources));
    problems.extend(modules::problems(file, resources));
    problems
}

fn manifest(file: &File, definitions: &Definitions, places: &Places) -> Result<()> {
    let resources = file.resources()?;
    ensure!(!resources.is_empty(), "there is no resource in it");
    let found = problems(&file.name, &resources, definitions, places);
    ensure!(found.is_empty(), "{}", found.join("\n"));
    for resource in &resources {
        if resource["kind"] == "Deployment" {
            mesh_config::check_annotation(resource, definitions.istio())?;
        }
        if let Some(whole) = modules::completed(resource)? {
            let found = definitions.problems(&whole);
            ensure!(found.is_empty(), "as Istio completes it: {}", found.join("\n"));
        }
    }
    Ok(())
}

/// It takes the module from our image, and the module is or will be where the manifests look for it.
fn dockerfile(text: &str) -> Result<()> {
    ensure!(text.contains(&format!("FROM {IMAGE}-module AS module")), "it is not from our image");
    let copies = text.contains("COPY --from=module /libpintle.so ") && text.contains(MODULE);
    ensure!(copies, "it does not bring the module to {MODULE}");
    Ok(())
}

/// A page leads to all files that lie below its folder.
fn page(page: &File, files: &[File]) -> Result<()> {
    let folder = page.name.rsplit_once('/').map_or("", |(folder, _)| folder);
    for file in files.iter().filter(|file| file.name != page.name) {
        let Some(link) = file.name.strip_prefix(folder).and_then(|n| n.strip_prefix('/')) else {
            continue;
        };
        ensure!(page.text.contains(&format!("]({link})")), "it does not lead to {link}");
    }
    Ok(())
}

/// Has Envoy load a configuration, with the module that was built here.
pub(super) async fn load(workspace: &Workspace, envoy: &Envoy, file: &File) -> Result<()> {
    let module = Artefact::Native.file(workspace).display().to_string();
    let text = file.text.replace(MODULE, &module);
    let mut command = guard::command(&envoy.program);
    command.args(["--mode", "validate", "--config-yaml", &text]);
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().await;
    let output = output.context("starting Envoy")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "Envoy refuses it:\n{said}");
    Ok(())
}
