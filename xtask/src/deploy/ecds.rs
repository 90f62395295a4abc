//! A filter whose configuration stands in a file that Envoy watches (`ecds-wasm.yaml`): what a bad file does.

use anyhow::{Context, Result, bail, ensure};

use super::site::{Around, Site, prepare, read, replace, until};
use crate::artefact::Artefact;
use crate::client;
use crate::envoy::Envoy;
use crate::suite::{Ground, Tally};
use crate::yaml;

const FILE: &str = "ecds-wasm.yaml";
const PORT: u16 = 10000;
/// Where the filter stands.
const RESOURCE: &str = "ecds/pintle.yaml";
/// What a file says, and what is wrong in its place.
const GOOD: &str = r#""name": "hello""#;
const BAD: &str = r#""name": "host""#;
const PLACE: &str = "/filters/1/headers/response/0/set/name";

/// Does what may happen to that file.
pub(super) async fn run(ground: &Ground, envoy: &Envoy, around: &Around, tally: &mut Tally) {
    if !envoy.artefacts().contains(&Artefact::Wasm) || !ground.wants("ecds") {
        return;
    }
    let name = "ecds: a file that is refused leaves what runs";
    tally.record("wasm", name, refused(ground, envoy, around).await);
    let name = "ecds: no request passes before there is a good file";
    tally.record("wasm", name, closed(ground, envoy, around).await);
    let name = "ecds: without a file Envoy does not start";
    tally.record("wasm", name, missing(ground, envoy, around).await);
    let name = "ecds: a configuration without filters lets all pass";
    tally.record("wasm", name, off(ground, envoy, around).await);
}

/// An update that is refused leaves what runs, is counted and logged with its place; a good one then takes over.
async fn refused(ground: &Ground, envoy: &Envoy, around: &Around) -> Result<()> {
    let prepared = prepare(ground, envoy, "ecds-refused", FILE, around)?;
    let resource = prepared.installed().join(RESOURCE);
    let good = read(&resource)?;
    ensure!(good.contains(GOOD), "it has no {GOOD}");
    let mut site = prepared.start(envoy, &[]).await?;
    hello(&site, "world").await?;
    ensure!(failures(&site).await? == 0, "the first one is counted as a failure");
    replace(&resource, &good.replace(GOOD, BAD))?;
    until(|| async {
        ensure!(failures(&site).await? == 1, "{} failures are counted", failures(&site).await?);
        let log = site.written()?;
        ensure!(log.contains(PLACE), "the log does not say {PLACE}:\n{log}");
        Ok(())
    })
    .await?;
    hello(&site, "world").await?;
    replace(&resource, &good.replace("world", "again"))?;
    until(|| hello(&site, "again")).await?;
    site.alive()
}

/// Where the first file is bad, no request passes until there is a good one.
async fn closed(ground: &Ground, envoy: &Envoy, around: &Around) -> Result<()> {
    let prepared = prepare(ground, envoy, "ecds-closed", FILE, around)?;
    let resource = prepared.installed().join(RESOURCE);
    let good = read(&resource)?;
    replace(&resource, &good.replace(GOOD, BAD))?;
    let mut site = prepared.start(envoy, &[]).await?;
    ensure!(site.admin.page("/ready").await? == "LIVE\n", "it is not ready");
    for path in ["/", "/private"] {
        let reply = client::send(site.address(PORT)?, &client::get(path)).await?;
        ensure!(reply.status == 500, "{path}: status {}", reply.status);
        ensure!(reply.body.is_empty(), "{path}: {:?}", reply.body);
    }
    until(|| async {
        let text = site.written()?;
        ensure!(text.contains("GET /private 500  -"), "the log has details:\n{text}");
        Ok(())
    })
    .await?;
    replace(&resource, &good)?;
    until(|| hello(&site, "world")).await?;
    let reply = client::send(site.address(PORT)?, &client::get("/private")).await?;
    ensure!(reply.status == 401, "status {}", reply.status);
    site.alive()
}

/// Where there is no file at all, Envoy does not start, and says so.
async fn missing(ground: &Ground, envoy: &Envoy, around: &Around) -> Result<()> {
    let prepared = prepare(ground, envoy, "ecds-missing", FILE, around)?;
    std::fs::remove_file(prepared.installed().join(RESOURCE)).context("removing it")?;
    let Err(error) = prepared.validate(envoy).await else { bail!("Envoy takes it") };
    let error = error.to_string();
    ensure!(error.contains("paths must refer to an existing path"), "{error}");
    Ok(())
}

/// The way to switch it off: `{}` in the file.
async fn off(ground: &Ground, envoy: &Envoy, around: &Around) -> Result<()> {
    let prepared = prepare(ground, envoy, "ecds-off", FILE, around)?;
    let resource = prepared.installed().join(RESOURCE);
    let mut document = yaml::one(&read(&resource)?)?;
    let mut site = prepared.start(envoy, &[]).await?;
    hello(&site, "world").await?;
    document["resources"][0]["typed_config"]["config"]["configuration"]["value"] = "{}".into();
    replace(&resource, &document.to_string())?;
    until(|| async {
        let reply = client::send(site.address(PORT)?, &client::get("/private")).await?;
        ensure!(reply.status == 200, "status {}", reply.status);
        Ok(())
    })
    .await?;
    site.alive()
}

async fn hello(site: &Site, word: &str) -> Result<()> {
    let reply = client::send(site.address(PORT)?, &client::get("/")).await?;
    match reply.field("hello") {
        Some(value) if value == word.as_bytes() && reply.status == 200 => Ok(()),
        value => {
            let value = value.map(String::from_utf8_lossy);
            bail!("status {}, hello: {value:?}, not {word}", reply.status)
        }
    }
}

/// Files that were refused.
async fn failures(site: &Site) -> Result<u64> {
    site.admin.stat("extension_config_discovery.http_filter.pintle.update_rejected").await
}
