//! Configuration at run time: loads without a warning, a bad update is refused and what runs goes on
//! serving, a good one takes over.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use tokio::time::Instant;

use crate::artefact::Artefact;
use crate::bootstrap::Listener;
use crate::client;
use crate::envoy::Envoy;
use crate::mesh::Mesh;
use crate::suite::{Ground, Tally};
use crate::upstream::Answer;

/// Envoy hands a new listener to its workers in its own time.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

const BAD: &str =
    r#"{"filters": [{"headers": {"response": [{"set": {"name": "host", "value": "s3cret"}}]}}]}"#;
const BAD_PATH: &str = "/filters/0/headers/response/0/set/name";

/// Runs both artefacts through the same three configurations.
pub(crate) async fn run(ground: &Ground, envoy: &Envoy) -> Result<Tally> {
    let mut tally = Tally::default();
    for artefact in envoy.artefacts() {
        let place = artefact.name();
        let label = format!("updates-{place}");
        let start = [listener(ground, artefact, &says("one"))];
        let mut mesh = Mesh::start(&ground.workspace, envoy, &label, &start, &[]).await?;
        let quiet = quiet(&mesh, place).await;
        tally.record(place, "a configuration loads and serves without a warning", quiet);
        let bad = bad_update(&mut mesh, ground, artefact).await;
        tally.record(place, "a bad update is refused, and the running configuration serves", bad);
        let good = good_update(&mut mesh, ground, artefact).await;
        tally.record(place, "a good update takes over", good);
        mesh.alive()?;
    }
    Ok(tally)
}

async fn quiet(mesh: &Mesh, listener: &str) -> Result<()> {
    ensure!(word(mesh, listener).await? == "one", "the filter does not run");
    let log = std::fs::read_to_string(&mesh.log.0)?;
    let loud =
        |line: &&str| ["[warning]", "[error]", "[critical]"].iter().any(|l| line.starts_with(l));
    let loud: Vec<&str> = log.lines().filter(loud).collect();
    ensure!(loud.is_empty(), "Envoy logs:\n{}", loud.join("\n"));
    Ok(())
}

async fn bad_update(mesh: &mut Mesh, ground: &Ground, artefact: Artefact) -> Result<()> {
    let (taken, refused) = mesh.updates().await?;
    let update = mesh.update(&[listener(ground, artefact, BAD)]).await?;
    ensure!(!update.accepted, "Envoy took it");
    ensure!(mesh.updates().await? == (taken, refused + 1), "the update is not counted as rejected");
    ensure!(update.log.contains(BAD_PATH), "the log does not say {BAD_PATH}:\n{}", update.log);
    ensure!(!update.log.contains("s3cret"), "the log quotes the configuration:\n{}", update.log);
    let word = word(mesh, artefact.name()).await?;
    ensure!(word == "one", "the running configuration says {word:?} now");
    Ok(())
}

async fn good_update(mesh: &mut Mesh, ground: &Ground, artefact: Artefact) -> Result<()> {
    let update = mesh.update(&[listener(ground, artefact, &says("two"))]).await?;
    ensure!(update.accepted, "Envoy refused it:\n{}", update.log);
    let deadline = Instant::now() + PATIENCE;
    loop {
        match word(mesh, artefact.name()).await?.as_str() {
            "two" => return Ok(()),
            "one" if Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
            word => bail!("after {PATIENCE:?} a new connection gets {word:?}"),
        }
    }
}

/// A configuration that can be told from others by its replies.
fn says(word: &str) -> String {
    format!(
        r#"{{"filters": [{{"headers": {{"response": [{{"set": {{"name": "hello", "value": "{word}"}}}}]}}}}]}}"#
    )
}

async fn word(mesh: &Mesh, listener: &str) -> Result<String> {
    let done = mesh.exchange(listener, &client::get("/"), Answer::default()).await?;
    Ok(String::from_utf8_lossy(done.reply.field("hello").unwrap_or_default()).into_owned())
}

fn listener(ground: &Ground, artefact: Artefact, config: &str) -> Listener {
    Listener::with(artefact.name(), &ground.workspace, artefact, config)
}
