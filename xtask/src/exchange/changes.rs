//! An Envoy that changes while requests wait: a new configuration, draining, the end.

use anyhow::{Context, Result, ensure};
use futures_util::future::join_all;
use serde_json::json;
use tokio::time::error::Elapsed;

use super::site::{Site, document, passed, token_of, with};
use super::{OwnTest, Place};
use crate::client;
use crate::mesh::{Exchange, Setup};

/// How many wait.
const CROWD: usize = 40;
const LISTENER: &str = "changes";

pub(super) const TESTS: &[OwnTest] = &[
    OwnTest { name: "a new configuration while requests wait", run: |p| Box::pin(update(p)) },
    OwnTest { name: "listeners drained while requests wait", run: |p| Box::pin(drained(p)) },
    OwnTest { name: "failing health checks while requests wait", run: |p| Box::pin(failing(p)) },
    OwnTest { name: "a listener removed while requests wait", run: |p| Box::pin(removed(p)) },
    OwnTest { name: "Envoy told to end while requests wait", run: |p| Box::pin(ended(p)) },
];

fn config(path: &str) -> String {
    document(LISTENER, &json!({"path": path, "cache": {"ttl": "10m"}}))
}

async fn start(place: &Place<'_>, label: &str) -> Result<Site> {
    let listeners = [place.listener(LISTENER, &config("/old"))];
    place.start(label, &listeners, Setup::default()).await
}

/// Has a crowd wait while `change` happens, then be answered.
async fn meanwhile(
    site: &Site,
    change: impl AsyncFnOnce(&Site) -> Result<()>,
) -> Result<Vec<Exchange>> {
    let credentials: Vec<String> = (0..CROWD).map(|n| format!("Bearer {}", n % 7)).collect();
    let requests: Vec<_> = credentials.iter().map(|credential| with(credential)).collect();
    site.mesh.authority.hold();
    let change = async {
        let waiting = site.active(CROWD as u64).await;
        let changed = change(site).await;
        site.mesh.authority.release();
        waiting.and(changed)
    };
    let (all, changed) = tokio::join!(site.crowd(LISTENER, &requests), change);
    changed?;
    let all = all?;
    for (done, credential) in all.iter().zip(&credentials) {
        passed(done, &token_of(credential))?;
    }
    Ok(all)
}

async fn update(place: &Place<'_>) -> Result<()> {
    let mut site = start(place, "exchange-update").await?;
    let new = [place.listener(LISTENER, &config("/new"))];
    meanwhile(&site, async |site| {
        let update = site.mesh.push(&new).await?;
        ensure!(update.accepted, "Envoy refused it:\n{}", update.log);
        Ok(())
    })
    .await?;
    let calls = site.mesh.authority.take();
    let old = calls.iter().all(|call| call.path == "/old");
    ensure!(old, "a request that waited asked by the new configuration");
    // Its address stays, so the one that is known leads to the new configuration in time.
    site.until("the new configuration serves", async || {
        let done = site.ask(LISTENER, &with("Bearer new")).await?;
        passed(&done, &token_of("Bearer new"))?;
        let paths: Vec<String> =
            site.mesh.authority.calls().into_iter().map(|call| call.path).collect();
        Ok((paths.iter().any(|path| path == "/new"), format!("{paths:?}")))
    })
    .await?;
    site.settle(LISTENER).await?;
    site.mesh.alive()
}

async fn drained(place: &Place<'_>) -> Result<()> {
    let mut site = start(place, "exchange-drain").await?;
    meanwhile(&site, async |site| site.mesh.admin.post("/drain_listeners").await.map(drop)).await?;
    site.settle(LISTENER).await?;
    site.mesh.alive()
}

async fn failing(place: &Place<'_>) -> Result<()> {
    let mut site = start(place, "exchange-failing").await?;
    meanwhile(&site, async |site| {
        site.mesh.admin.post("/healthcheck/fail").await?;
        site.mesh.admin.post("/drain_listeners?graceful").await.map(drop)
    })
    .await?;
    site.settle(LISTENER).await?;
    site.mesh.alive()
}

async fn removed(place: &Place<'_>) -> Result<()> {
    let mut site = start(place, "exchange-removed").await?;
    let other = [place.listener("other", &config("/other"))];
    meanwhile(&site, async |site| {
        let update = site.mesh.push(&other).await?;
        ensure!(update.accepted, "Envoy refused it:\n{}", update.log);
        Ok(())
    })
    .await?;
    site.settle(LISTENER).await?;
    site.mesh.alive()
}

async fn ended(place: &Place<'_>) -> Result<()> {
    let mut site = start(place, "exchange-ended").await?;
    let requests: Vec<_> = (0..CROWD).map(|n| with(&format!("Bearer {}", n % 7))).collect();
    site.mesh.authority.hold();
    let quit = async {
        site.active(CROWD as u64).await?;
        site.mesh.admin.post("/quitquitquit").await
    };
    // What becomes of them is the proxy's business, so long as they do not hang, or pass.
    let sent = requests
        .iter()
        .map(|request| async { client::send(site.mesh.address(LISTENER)?, request).await });
    let (all, quit) = tokio::join!(join_all(sent), quit);
    quit?;
    for sent in all {
        match sent {
            Ok(reply) => ensure!(reply.status != 200, "a request that waited passed"),
            Err(error) if error.is::<Elapsed>() => return Err(error.context("a request hung")),
            // Its connection ended.
            Err(_) => {}
        }
    }
    ensure!(site.mesh.upstream.total() == 0, "a request that waited reached the upstream");
    let status = site.mesh.ended().await?;
    ensure!(status.success(), "Envoy ended with {status}:\n{}", site.mesh.log.tail());
    let log = std::fs::read_to_string(&site.mesh.log.0).context("reading the log")?;
    ensure!(!log.contains("[critical]"), "Envoy logs:\n{log}");
    Ok(())
}
