//! `deploy/envoy` and `deploy/monitoring`: every file is loaded by a real Envoy, or checked against one, and does what
//! its documentation shows.

mod auth;
mod compose;
mod curl;
mod document;
mod ecds;
mod edge;
mod monitoring;
mod production;
mod schema;
mod shown;
mod site;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use self::auth::Auth;
use self::document::{Act, Session, Step};
use self::site::{Around, FOLDER, Prepared, needs, prepare, read};
use crate::artefact::Artefact;
use crate::client;
use crate::envoy::Envoy;
use crate::suite::{Ground, Tally};

/// What shows how the configurations are started, and what they answer.
const DOCUMENTS: [&str; 2] = ["deploy/envoy/README.md", "docs/envoy.md"];

/// Files of `deploy/envoy` that are no configurations of Envoy, or parts of one; each has its own test.
const OTHERS: [&str; 3] = ["README.md", "compose.yaml", "ecds/pintle.yaml"];

/// Runs all of it.
pub(crate) async fn run(ground: &Ground, envoy: &Envoy) -> Result<Tally> {
    let mut tally = Tally::default();
    let folder =
        ground.workspace.target.join("xtask").join(format!("deploy-auth-{}", envoy.version));
    let auth = Auth::start(&folder, auth::NAME).await?;
    let stranger = Auth::start(&folder, "other.example.com").await?;
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    let mut around = Around { upstream: nobody, auth: auth.address, trusted: auth.trusted.clone() };
    let echo = prepare(ground, envoy, "echo", "echo.yaml", &around)?.start(envoy, &[]).await?;
    around.upstream = echo.address(8080)?;

    let documents = documents(ground)?;
    if ground.wants("files") {
        tally.record("files", "every file in deploy/envoy is shown", all_shown(ground, &documents));
    }
    for (document, sessions) in &documents {
        for (number, session) in sessions.iter().enumerate() {
            let label =
                format!("{}-{number}", if *document == DOCUMENTS[0] { "readme" } else { "docs" });
            walk(ground, envoy, &around, (*document, &label), session, &mut tally).await?;
        }
    }
    edge::run(ground, envoy, &around, &mut tally).await?;
    production::run(ground, envoy, &around, &mut tally).await;
    ecds::run(ground, envoy, &around, &mut tally).await;
    let strange =
        Around { auth: stranger.address, trusted: stranger.trusted.clone(), ..around.clone() };
    for artefact in envoy.artefacts() {
        if ground.wants("auth service") {
            let name = "an auth service with another's certificate is not asked";
            tally.record(artefact.name(), name, unasked(ground, envoy, artefact, &strange).await);
        }
    }
    if ground.wants("compose") {
        compose::run(ground, envoy, &around, &mut tally).await?;
    }
    if ground.wants("monitoring") {
        monitoring::run(ground, envoy, &mut tally).await?;
    }
    Ok(tally)
}

/// All documents, and what they show.
fn documents(ground: &Ground) -> Result<Vec<(&'static str, Vec<Session>)>> {
    let read = |name: &'static str| {
        let text = read(&ground.workspace.root.join(name))?;
        Ok((name, document::sessions(&text).context(name)?))
    };
    DOCUMENTS.into_iter().map(read).collect()
}

/// No configuration is without a session, and none is shown that is not there.
fn all_shown(ground: &Ground, documents: &[(&str, Vec<Session>)]) -> Result<()> {
    let folder = ground.workspace.root.join(FOLDER);
    let mut there = BTreeSet::new();
    files(&folder, "", &mut there)?;
    let others: BTreeSet<String> = OTHERS.map(str::to_owned).into();
    let sessions = documents.iter().flat_map(|(_, sessions)| sessions);
    let tried = |session: &&Session| session.steps.iter().any(|s| matches!(s.act, Act::Curl(_)));
    let shown: BTreeSet<String> =
        sessions.filter(tried).flat_map(|session| session.configurations.clone()).collect();
    let all: BTreeSet<String> = shown.union(&others).cloned().collect();
    ensure!(there == all, "there are {there:?}, but {all:?} are tested");
    let table = read(&folder.join("README.md"))?;
    for file in there.iter().filter(|file| *file != "README.md") {
        ensure!(table.contains(&format!("({file})")), "README.md has no link to {file}");
    }
    Ok(())
}

/// The files below a folder, as paths in it.
fn files(folder: &Path, within: &str, found: &mut BTreeSet<String>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry.with_context(|| folder.display().to_string())?;
        let name = format!("{within}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            files(&entry.path(), &format!("{name}/"), found)?;
        } else {
            found.insert(name);
        }
    }
    Ok(())
}

/// Does what a session shows, with each of its configurations that this Envoy can run.
async fn walk(
    ground: &Ground,
    envoy: &Envoy,
    around: &Around,
    (document, label): (&str, &str),
    session: &Session,
    tally: &mut Tally,
) -> Result<()> {
    for file in &session.configurations {
        let name = format!("{document}: {file} does what is shown");
        let needed = needs(ground, file).with_context(|| name.clone())?;
        let able = needed.iter().all(|artefact| envoy.artefacts().contains(artefact));
        if able && ground.wants(&name) {
            let place = needed.first().map_or("envoy", |artefact| artefact.name());
            let result = match prepare(ground, envoy, &format!("{label}-{file}"), file, around) {
                Ok(prepared) => shown(envoy, prepared, session).await,
                Err(error) => Err(error),
            };
            tally.record(place, name, result);
        }
    }
    Ok(())
}

async fn shown(envoy: &Envoy, prepared: Prepared, session: &Session) -> Result<()> {
    if let [Step { line, act: Act::Validate, shown }] = session.steps.as_slice() {
        let printed = prepared.validate(envoy).await?;
        return shown::among(shown, &printed).with_context(|| format!("line {line}"));
    }
    let mut site = prepared.start(envoy, &session.arguments).await?;
    site.quiet()?;
    let mut waited = false;
    for step in &session.steps {
        site.step(step, waited).await.with_context(|| format!("line {}", step.line))?;
        waited = matches!(&step.act, Act::Shell(line) if line.starts_with("sleep "));
    }
    site.private()?;
    site.alive()
}

/// Whoever has a certificate of another name gets no credential.
async fn unasked(
    ground: &Ground,
    envoy: &Envoy,
    artefact: Artefact,
    around: &Around,
) -> Result<()> {
    let file = match artefact {
        Artefact::Wasm => "token-exchange-wasm.yaml",
        Artefact::Native => "token-exchange-module.yaml",
    };
    let prepared = prepare(ground, envoy, &format!("stranger-{file}"), file, around)?;
    let mut site = prepared.start(envoy, &[]).await?;
    let mut request = client::get("/");
    request.message.fields.push((b"authorization".into(), b"Bearer abc".into()));
    let reply = client::send(site.address(10000)?, &request).await?;
    ensure!(reply.status == 503, "status {}", reply.status);
    let refused = site.admin.stat("cluster.auth.ssl.fail_verify_san").await?;
    ensure!(refused > 0, "no certificate was refused");
    site.alive()
}
