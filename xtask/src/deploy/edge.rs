//! What clients cannot do on any listener of `deploy/envoy`, whatever they send.

use anyhow::{Context, Result, bail, ensure};

use super::site::{Around, Site, configurations, needs, prepare, until};
use crate::client;
use crate::envoy::Envoy;
use crate::suite::{Ground, Tally};
use crate::upstream::{CASE, Upstream};

/// Where a request goes.
const PATH: &str = "/seen";
/// Where it says that it goes.
const FORGED: &str = "/forged";

/// Tries every file.
pub(super) async fn run(
    ground: &Ground,
    envoy: &Envoy,
    around: &Around,
    tally: &mut Tally,
) -> Result<()> {
    for file in configurations(ground)? {
        let name = format!("{file}: clients forge neither paths nor fields");
        let needed = needs(ground, &file)?;
        let able = needed.iter().all(|artefact| envoy.artefacts().contains(artefact));
        if able && ground.wants(&name) {
            let place = needed.first().map_or("envoy", |artefact| artefact.name());
            tally.record(place, name, tried(ground, envoy, around, &file).await);
        }
    }
    Ok(())
}

/// Starts a file, and tries each of its listeners.
async fn tried(ground: &Ground, envoy: &Envoy, around: &Around, file: &str) -> Result<()> {
    let upstream = Upstream::start().await?;
    let around = &Around { upstream: upstream.address, ..around.clone() };
    let prepared = prepare(ground, envoy, &format!("edge-{file}"), file, around)?;
    let ports: Vec<u16> = prepared.ports.values().copied().collect();
    let mut site = prepared.start(envoy, &[]).await?;
    for port in ports {
        let at = || format!("port {port}");
        forged(&site, &upstream, port).await.with_context(at)?;
        underscored(&site, &upstream, port).await.with_context(at)?;
    }
    site.alive()
}

/// The access log and the upstream are told the path that a request has, and not the one that the client claims.
async fn forged(site: &Site, upstream: &Upstream, port: u16) -> Result<()> {
    let case = format!("forged-{port}");
    let path = format!("{PATH}-{port}");
    let fields = [("allow", "true"), (CASE, &case), ("x-envoy-original-path", FORGED)];
    let status = send(site, port, &path, &fields).await?;
    ensure!(status == 200, "status {status}");
    let logged = format!("GET {path} 200 ");
    until(|| async {
        let text = site.written()?;
        ensure!(text.lines().any(|line| line.starts_with(&logged)), "no {logged} in:\n{text}");
        ensure!(!text.contains(FORGED), "the log is told {FORGED}:\n{text}");
        Ok(())
    })
    .await?;
    let arrivals = upstream.take(&case);
    let [arrival] = arrivals.as_slice() else { bail!("{} arrived", arrivals.len()) };
    let told = arrival.seen.fields.iter().any(|(_, value)| value == FORGED.as_bytes());
    ensure!(!told, "the upstream is told {FORGED}");
    Ok(())
}

/// No field gets through that an upstream may take for one that says who the client is.
async fn underscored(site: &Site, upstream: &Upstream, port: u16) -> Result<()> {
    for field in ["x_user", "x_auth_jwt", "x-auth_jwt"] {
        let fields = [("allow", "true"), (CASE, field), (field, "mallory")];
        let status = send(site, port, PATH, &fields).await?;
        ensure!(status == 400, "{field}: status {status}");
        ensure!(upstream.take(field).is_empty(), "{field} has arrived");
    }
    Ok(())
}

async fn send(site: &Site, port: u16, path: &str, fields: &[(&str, &str)]) -> Result<u16> {
    let mut request = client::get(path);
    let line = |(name, value): &(&str, &str)| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    request.message.fields.extend(fields.iter().map(line));
    Ok(client::send(site.address(port)?, &request).await?.status)
}
