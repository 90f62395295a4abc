//! What is embedded in rendered objects, on a real Envoy.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::examples::{Answers, Example, Rendered};
use super::rendered;
use crate::artefact::{Artefact, headers_file};
use crate::authority;
use crate::bootstrap::{self, Listener};
use crate::client;
use crate::clusters;
use crate::envoy::Envoy;
use crate::mesh::{Exchange, Mesh, Setup};
use crate::suite::{Ground, Tally};
use crate::upstream::Answer;

/// An example, and what it rendered.
pub(super) struct Loaded<'a> {
    pub(super) example: &'a Example,
    pub(super) found: Rendered,
}

/// A configuration on one artefact.
struct Run<'a> {
    example: &'a Example,
    artefact: Artefact,
    /// The object that it comes from.
    of: String,
    listener: Listener,
}

/// Has every artefact load each configuration, and `pintle-headers.wasm` those that are for it; filters of an
/// `EnvoyFilter` load as they were rendered, but for the place of the file.
pub(super) async fn run(
    ground: &Ground,
    envoy: &Envoy,
    loaded: &[Loaded<'_>],
    tally: &mut Tally,
) -> Result<()> {
    let mut runs = Vec::new();
    for loaded in loaded {
        runs.extend(runs_of(ground, envoy, loaded));
    }
    if runs.is_empty() {
        return Ok(());
    }
    let mut names = Vec::new();
    for loaded in loaded {
        for found in &loaded.found.configurations {
            names.extend(clusters::named_in(&found.document));
        }
    }
    names.sort();
    names.dedup();
    let listeners: Vec<Listener> = runs.iter().map(|run| run.listener.clone()).collect();
    let setup = Setup { clusters: names, ..Setup::default() };
    let mut mesh = Mesh::start_as(&ground.workspace, envoy, "chart", &listeners, setup).await?;
    for run in &runs {
        let what = format!("ci/{}.yaml: {}", run.example.values, run.listener.name);
        tally.record(run.artefact.name(), what, answers(&mesh, run).await);
    }
    mesh.alive()
}

fn runs_of<'a>(ground: &Ground, envoy: &Envoy, loaded: &Loaded<'a>) -> Vec<Run<'a>> {
    let example = loaded.example;
    let mut runs = Vec::new();
    let mut add = |artefact: Artefact, of: &str, how: &str, filter: Value| {
        let name = format!("{}-{}-{how}", example.values, of.replace(['/', ' '], "-"));
        let listener = Listener::new(name, vec![filter]);
        if envoy.artefacts().contains(&artefact) {
            runs.push(Run { example, artefact, of: of.to_owned(), listener });
        }
    };
    let headers = headers_file(&ground.workspace);
    for found in &loaded.found.configurations {
        let (of, document) = (found.within.as_str(), found.document.as_str());
        for artefact in Artefact::ALL {
            let file = artefact.file(&ground.workspace);
            add(artefact, of, artefact.name(), bootstrap::filter(artefact, &file, document));
        }
        if !document.contains("problem_json") && !document.contains("targetURLPrefixes") {
            let filter = bootstrap::filter(Artefact::Wasm, &headers, document);
            add(Artefact::Wasm, of, "headers", filter);
        }
    }
    for object in &loaded.found.objects {
        if let Some((artefact, filter)) =
            patched(object, |artefact| artefact.file(&ground.workspace))
        {
            add(artefact, &rendered::name(object), "as-rendered", filter);
        }
    }
    runs
}

/// The HTTP filter of an `EnvoyFilter`, its file where it was built: what Istio's agent makes of `remote`.
fn patched(
    object: &Value,
    file: impl Fn(Artefact) -> std::path::PathBuf,
) -> Option<(Artefact, Value)> {
    let patches = object["spec"]["configPatches"].as_array()?;
    let value = patches.iter().map(|patch| &patch["patch"]["value"]);
    let value = value.into_iter().find(|value| value["typed_config"].is_object())?;
    let mut filter = json!({"name": value["name"], "typed_config": value["typed_config"]});
    let local = |file: &Path| json!({"local": {"filename": file}});
    let typed = &mut filter["typed_config"];
    if typed["dynamic_module_config"].is_object() {
        typed["dynamic_module_config"]["module"] = local(&file(Artefact::Native));
        return Some((Artefact::Native, filter));
    }
    let vm = &mut typed["value"]["config"]["vm_config"];
    vm["code"] = local(&file(Artefact::Wasm));
    // Likewise taken out by the agent.
    if let Some(inline) = vm["environment_variables"]["key_values"].as_object_mut() {
        inline.remove("ISTIO_META_WASM_IMAGE_PULL_POLICY");
    }
    Some((Artefact::Wasm, filter))
}

async fn answers(mesh: &Mesh, run: &Run<'_>) -> Result<()> {
    let name = &run.listener.name;
    ensure!(mesh.has(name), "Envoy refused it: {}", mesh.refusal(name).await?);
    for answers in run.example.answers.iter().filter(|answers| answers.of == run.of) {
        answer(mesh, name, answers).await.with_context(|| format!("{answers:?}"))?;
    }
    Ok(())
}

async fn answer(mesh: &Mesh, listener: &str, expected: &Answers) -> Result<()> {
    let mut request = client::get(&expected.path);
    request.authority.clone_from(&expected.host);
    for (name, value) in &expected.headers {
        request.message.fields.push((name.as_bytes().into(), value.as_bytes().into()));
    }
    let answer = Answer { status: expected.upstream, ..Answer::default() };
    let Exchange { reply, arrivals, .. } = mesh.exchange(listener, &request, answer).await?;
    ensure!(reply.status == expected.status, "the status is {}", reply.status);
    for (name, value) in &expected.fields {
        let field = reply.field(name).map(String::from_utf8_lossy);
        ensure!(field.as_deref() == Some(value.as_str()), "{name} is {field:?}");
    }
    if expected.exchanged {
        let credential = expected.headers.get("authorization").context("there is no credential")?;
        let token = authority::token(credential.as_bytes());
        let fields = arrivals.iter().flat_map(|arrival| &arrival.seen.fields);
        let tokens = fields.filter(|(name, _)| name == b"x-auth-jwt");
        let tokens: Vec<_> = tokens.map(|(_, value)| String::from_utf8_lossy(value)).collect();
        ensure!(tokens == [token.as_str()], "the upstream got {tokens:?}, not {token}");
    }
    Ok(())
}
