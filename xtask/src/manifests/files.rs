//! The files of a folder for people to copy, each with a check of its own.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::definitions::Definitions;
use super::planes::{IMAGE, MODULE};
use super::{annotations, mesh_config};
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
pub(super) fn check(file: &File, files: &[File], definitions: &Definitions) -> Result<()> {
    match file.form {
        Form::Manifest => manifest(file, definitions),
        Form::Values => mesh_config::check(&file.resources()?, definitions.istio()),
        Form::Bootstrap => {
            ensure!(file.text.contains(MODULE), "it does not load {MODULE}");
            Ok(())
        }
        Form::Dockerfile => dockerfile(&file.text),
        Form::Page => page(file, files),
    }
}

fn manifest(file: &File, definitions: &Definitions) -> Result<()> {
    definitions.check(&file.text)?;
    for resource in file.resources()? {
        let whole = match resource["kind"].as_str().unwrap_or_default() {
            "Deployment" => {
                mesh_config::check_annotation(&resource, definitions.istio())?;
                annotations::injected(&resource)?
            }
            // Of Envoy's bootstrap: the suite `deploy` runs it.
            "ConfigMap" if !resource["data"]["custom_bootstrap.json"].is_null() => continue,
            "ConfigMap" => overlaid(&resource)?,
            _ => continue,
        };
        let problems = definitions.problems(&whole);
        ensure!(problems.is_empty(), "as Istio completes it: {}", problems.join("\n"));
        module_is_there(&whole)?;
    }
    Ok(())
}

/// A Deployment that Istio makes for a gateway, with what a ConfigMap lays over it.
fn overlaid(config_map: &Value) -> Result<Value> {
    let text = config_map["data"]["deployment"].as_str().context("there is no deployment in it")?;
    let documents = yaml::documents(text)?;
    let [overlay] = &*documents else { bail!("not one document") };
    let labels = json!({"gateway.networking.k8s.io/gateway-name": "shop"});
    let mut deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shop-istio"},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}},
    });
    let members = |value: &Value| value.as_object().map(|map| map.keys().cloned().collect());
    let path: [Option<Vec<String>>; 3] =
        [overlay, &overlay["spec"], &overlay["spec"]["template"]].map(members);
    let known = ["spec", "template", "spec"].map(|name| Some(vec![name.to_owned()]));
    ensure!(path == known, "only spec.template.spec is known here");
    let spec = &mut deployment["spec"]["template"]["spec"];
    *spec = overlay["spec"]["template"]["spec"].clone();
    for container in spec["containers"].as_array_mut().context("no containers")? {
        container["image"] = "auto".into();
    }
    Ok(deployment)
}

/// Where a pod's proxy mounts something, it is the folder of the module, from a volume that there is.
fn module_is_there(deployment: &Value) -> Result<()> {
    let spec = &deployment["spec"]["template"]["spec"];
    let all = |field: &str| spec[field].as_array().cloned().unwrap_or_default();
    for kind in ["initContainers", "containers"] {
        for container in all(kind) {
            for mount in container["volumeMounts"].as_array().into_iter().flatten() {
                let folder = mount["mountPath"].as_str().context("a mount without a path")?;
                ensure!(format!("{folder}/libpintle.so") == MODULE, "{folder} is mounted");
                let volumes = all("volumes");
                let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]);
                let volume = volume.with_context(|| format!("no volume {}", mount["name"]))?;
                let image = &volume["image"]["reference"];
                let ours = image.is_null() || *image == format!("{IMAGE}-module");
                ensure!(ours, "the volume is of {image}");
            }
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
