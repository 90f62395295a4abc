//! A filter whose configuration stands in a file that Envoy watches (`ecds-wasm.yaml`): what a bad file does.

use anyhow::{Result, bail, ensure};

use super::site::{Around, Site, prepare, read, replace, until};
use crate::client;
use crate::envoy::Envoy;
use crate::suite::Ground;

const FILE: &str = "ecds-wasm.yaml";
const PORT: u16 = 10000;
/// What a file says, and what is wrong in its place.
const GOOD: &str = r#""name": "hello""#;
const BAD: &str = r#""name": "host""#;
const PLACE: &str = "/filters/1/headers/response/0/set/name";

/// An update that is refused leaves what runs, is counted and logged with its place; a good one then takes over.
pub(super) async fn refused(ground: &Ground, envoy: &Envoy, around: &Around) -> Result<()> {
    let prepared = prepare(ground, envoy, "ecds-refused", FILE, around)?;
    let resource = prepared.installed().join("ecds/pintle.yaml");
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
pub(super) async fn closed(ground: &Ground, envoy: &Envoy, around: &Around) -> Result<()> {
    let prepared = prepare(ground, envoy, "ecds-closed", FILE, around)?;
    let resource = prepared.installed().join("ecds/pintle.yaml");
    let good = read(&resource)?;
    replace(&resource, &good.replace(GOOD, BAD))?;
    let mut site = prepared.start(envoy, &[]).await?;
    for path in ["/", "/private"] {
        let reply = client::send(site.address(PORT)?, &client::get(path)).await?;
        ensure!(reply.status == 500, "{path}: status {}", reply.status);
    }
    replace(&resource, &good)?;
    until(|| hello(&site, "world")).await?;
    let reply = client::send(site.address(PORT)?, &client::get("/private")).await?;
    ensure!(reply.status == 401, "status {}", reply.status);
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
