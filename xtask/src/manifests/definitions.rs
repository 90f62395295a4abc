//! What Istio, Envoy Gateway, the Gateway API and Kubernetes say that their resources are made of.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail, ensure};
use jsonschema::Validator;
use serde_json::Value;

use super::{annotations, kubernetes, rules, schema};
use crate::cargo::Workspace;
use crate::{tools, yaml};

const ISTIO: &str = "istio.io/api@v1.31.1";
const ENVOY_GATEWAY: &str = "github.com/envoyproxy/gateway@v1.9.1";

/// Where in these modules custom resource definitions stand.
const ISTIO_FILE: &str = "kubernetes/customresourcedefinitions.gen.yaml";
const ENVOY_GATEWAY_FOLDER: &str = "charts/gateway-crds-helm/templates";

/// Every kind of resource that our manifests may have, strictly: what its definition does not name is
/// refused, where Kubernetes would drop it silently.
pub(crate) struct Definitions {
    kinds: BTreeMap<Kind, Definition>,
    annotations: BTreeSet<String>,
    istio: PathBuf,
}

/// `apps/v1`, `Deployment`.
pub(super) type Kind = (String, String);

struct Definition {
    schema: Value,
    validator: OnceLock<Result<Validator, String>>,
}

impl Definitions {
    /// Reads them from the Go modules that they come with.
    pub(crate) async fn load(workspace: &Workspace) -> Result<Self> {
        let istio = tools::go_module(workspace, ISTIO).await?;
        let gateway = tools::go_module(workspace, ENVOY_GATEWAY).await?;
        let mut kinds = BTreeMap::new();
        read(&istio.join(ISTIO_FILE), &mut kinds)?;
        for file in files(&gateway.join(ENVOY_GATEWAY_FOLDER))? {
            read(&file, &mut kinds)?;
        }
        kinds.extend(kubernetes::kinds(workspace).await?);
        let annotations = annotations::known(&istio)?;
        let definition = |schema| Definition { schema, validator: OnceLock::new() };
        let kinds = kinds.into_iter().map(|(kind, schema)| (kind, definition(schema))).collect();
        Ok(Self { kinds, annotations, istio })
    }

    /// Every document of a YAML text is a resource of a known kind, and as its kind has to be.
    pub(crate) fn check(&self, text: &str) -> Result<()> {
        let documents = yaml::documents(text)?;
        ensure!(!documents.is_empty(), "there is no document in it");
        let problems: Vec<String> =
            documents.iter().flat_map(|document| self.problems(document)).collect();
        ensure!(problems.is_empty(), "{}", problems.join("\n"));
        Ok(())
    }

    /// What is wrong with a resource, each with its place.
    pub(super) fn problems(&self, resource: &Value) -> Vec<String> {
        let text = |field: &str| resource[field].as_str().unwrap_or_default().to_owned();
        let kind = (text("apiVersion"), text("kind"));
        let name = format!(
            "{} {}",
            kind.1,
            resource["metadata"]["name"].as_str().unwrap_or("without a name")
        );
        let Some(definition) = self.kinds.get(&kind) else {
            return vec![format!("{name}: there is no definition of {}, {}", kind.0, kind.1)];
        };
        let mut problems: Vec<String> = match definition.validator() {
            Ok(validator) => validator
                .iter_errors(resource)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect(),
            Err(error) => vec![error.clone()],
        };
        problems.extend(schema::repeated(&definition.schema, resource));
        problems.extend(rules::broken(resource));
        problems.extend(annotations::wrong(resource, &self.annotations));
        problems.iter().map(|problem| format!("{name}: {problem}")).collect()
    }

    /// The folder of Istio's API.
    pub(super) fn istio(&self) -> &Path {
        &self.istio
    }
}

impl Definition {
    fn validator(&self) -> &Result<Validator, String> {
        let build = || jsonschema::validator_for(&self.schema).map_err(|error| error.to_string());
        self.validator.get_or_init(build)
    }
}

/// The custom resource definitions in a file. A file of a chart also has lines for Helm, which only say
/// whether it is installed.
fn read(file: &Path, kinds: &mut BTreeMap<Kind, Value>) -> Result<()> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("{{"));
    let text = lines.collect::<Vec<_>>().join("\n");
    let documents =
        yaml::documents(&text).with_context(|| format!("reading {}", file.display()))?;
    for document in documents {
        if document["kind"] != "CustomResourceDefinition" {
            continue;
        }
        let spec = &document["spec"];
        let (Some(group), Some(kind)) = (spec["group"].as_str(), spec["names"]["kind"].as_str())
        else {
            bail!("{}: a definition without a kind", file.display());
        };
        for version in spec["versions"].as_array().into_iter().flatten() {
            let name = version["name"].as_str().context("a version without a name")?;
            let api_version = format!("{group}/{name}");
            let structural = version["schema"]["openAPIV3Schema"].clone();
            let schema = schema::resource(structural, &api_version, kind);
            // The standard channel is read after the experimental one, which has more.
            kinds.insert((api_version, kind.to_owned()), schema);
        }
    }
    Ok(())
}

/// The YAML files below a folder, in the order of their names.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("reading {}", folder.display()))?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
