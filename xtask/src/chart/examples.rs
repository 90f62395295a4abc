//! Every file in the chart's `ci`: what it renders, and what that answers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use pintle_cli::find::{self, Found};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::helm::{CHART, Helm};
use super::proxy::{self, Loaded};
use super::{FILES, HELM, rendered};
use crate::envoy::Envoy;
use crate::manifests::{self, Definitions};
use crate::suite::{Ground, Tally};
use crate::yaml;

const TABLE: &str = include_str!("examples.toml");

/// One of the files.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Example {
    /// Its name, without `.yaml`.
    pub(super) values: String,
    /// What it renders, in any order: `WasmPlugin shop/pintle`.
    objects: Vec<String>,
    /// Of an object: JSON pointers, and what stands there.
    #[serde(default)]
    holds: BTreeMap<String, BTreeMap<String, Value>>,
    /// Of an object: JSON pointers to nothing.
    #[serde(default)]
    absent: BTreeMap<String, Vec<String>>,
    /// What the user is told.
    #[serde(default)]
    notes: Vec<String>,
    /// What the configurations answer on a real Envoy.
    pub(super) answers: Vec<Answers>,
}

/// A request, and what is answered.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answers {
    /// The object with the configuration.
    pub(super) of: String,
    #[serde(default = "everywhere")]
    pub(super) path: String,
    #[serde(default = "somewhere")]
    pub(super) host: String,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// The status with which the upstream answers.
    #[serde(default = "ok")]
    pub(super) upstream: u16,
    /// That which the client gets.
    pub(super) status: u16,
    /// Whether the upstream gets the auth service's token for the credential.
    #[serde(default)]
    pub(super) exchanged: bool,
    /// Response fields that the client gets.
    #[serde(default)]
    pub(super) fields: BTreeMap<String, String>,
}

fn everywhere() -> String {
    "/".into()
}

fn somewhere() -> String {
    "example.com".into()
}

fn ok() -> u16 {
    200
}

/// Renders each, checks it, and runs what is embedded in it.
pub(super) async fn run(
    ground: &Ground,
    envoy: &Envoy,
    helm: &Helm,
    definitions: &Definitions,
    tally: &mut Tally,
) -> Result<()> {
    #[derive(Deserialize)]
    struct Table {
        example: Vec<Example>,
    }
    let Table { example: examples } = toml::from_str(TABLE).context("reading examples.toml")?;
    let folder = ground.workspace.root.join(CHART).join("ci");
    tally.record(FILES, "every file in ci is an example of the test", complete(&folder, &examples));
    let mut loaded = Vec::new();
    for example in &examples {
        let name = format!("ci/{}.yaml", example.values);
        if !ground.wants(&name) {
            continue;
        }
        let file = folder.join(format!("{}.yaml", example.values));
        let result = render(helm, definitions, example, &file).await;
        let result = result.map(|found| loaded.push(Loaded { example, found }));
        tally.record(HELM, format!("{name} renders what it says"), result.map(drop));
    }
    proxy::run(ground, envoy, &loaded, tally).await
}

fn complete(folder: &Path, examples: &[Example]) -> Result<()> {
    let mut files = BTreeSet::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
        files.insert(PathBuf::from(entry?.file_name()));
    }
    let named: BTreeSet<PathBuf> =
        examples.iter().map(|example| format!("{}.yaml", example.values).into()).collect();
    ensure!(files == named, "the files {files:?}, and the examples {named:?}");
    Ok(())
}

/// What one renders, checked; and the configurations in it.
async fn render(
    helm: &Helm,
    definitions: &Definitions,
    example: &Example,
    file: &Path,
) -> Result<Rendered> {
    helm.lint(file).await?;
    let text = helm.template(file, &[]).await?;
    definitions.check(&text)?;
    let objects = yaml::documents(&text)?;
    let problems = manifests::discovery(&objects);
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    let named: BTreeMap<String, &Value> =
        objects.iter().map(|object| (rendered::name(object), object)).collect();
    let names: BTreeSet<&String> = named.keys().collect();
    ensure!(names == example.objects.iter().collect(), "it renders {names:?}");
    ensure!(named.len() == objects.len(), "two objects have the same name");
    for answers in &example.answers {
        ensure!(named.contains_key(&answers.of), "there is no {} to answer", answers.of);
    }
    for (name, places) in &example.holds {
        let object = named.get(name).with_context(|| format!("there is no {name}"))?;
        for (place, expected) in places {
            let value = object.pointer(place).unwrap_or(&Value::Null);
            ensure!(rendered::same(value, expected), "{name}: {place} is {value}, not {expected}");
        }
    }
    for (name, places) in &example.absent {
        let object = named.get(name).with_context(|| format!("there is no {name}"))?;
        for place in places {
            let value = object.pointer(place);
            ensure!(value.is_none(), "{name}: {place} is {value:?}");
        }
    }
    let notes = helm.notes(file).await?;
    for part in &example.notes {
        ensure!(notes.contains(part), "the notes do not say {part:?}:\n{notes}");
    }
    let configurations = find::configurations(&text)
        .map_err(|unreadable| anyhow::anyhow!("looking for configurations: {unreadable:?}"))?;
    same_configurations(&written(file)?, &configurations)?;
    Ok(Rendered { objects, configurations })
}

/// What came of an example.
pub(super) struct Rendered {
    pub(super) objects: Vec<Value>,
    pub(super) configurations: Vec<Found>,
}

/// The configurations in a values file: of each policy, or the one.
fn written(file: &Path) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
    let values = yaml::documents(&text)?;
    let values = values.first().context("no values")?;
    let Some(policies) = values["policies"].as_object() else {
        return Ok(vec![values["config"].clone()]);
    };
    let own = |policy: &Value| policy.get("config").unwrap_or(&values["config"]).clone();
    Ok(policies.values().map(own).collect())
}

fn same_configurations(written: &[Value], found: &[Found]) -> Result<()> {
    ensure!(written.len() == found.len(), "{} configurations, not {}", found.len(), written.len());
    for found in found {
        let value: Value = serde_json::from_str(&found.document)
            .with_context(|| format!("{}: its configuration", found.within))?;
        ensure!(value.as_object().is_some_and(|value: &Map<_, _>| !value.is_empty()));
        ensure!(
            written.iter().any(|written| rendered::same(written, &value)),
            "{}: nobody wrote {value}",
            found.within
        );
    }
    Ok(())
}
