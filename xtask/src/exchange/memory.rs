//! Whether memory grows with requests of which each has a credential of its own.

use anyhow::{Result, ensure};
use futures_util::future::join_all;
use pintle_core::testing::corpus::Http;
use serde_json::{Value, json};

use super::site::{Site, document, with};
use super::{OwnTest, Place};
use crate::client::Connection;
use crate::mesh::Setup;
use crate::process::resident_bytes;

/// A million of them is a matter of the bench.
const REQUESTS: usize = 50_000;
/// Of these, so many fill caches and slots before memory is looked at first.
const WARM_UP: usize = 20_000;
/// Connections that take turns.
const CONNECTIONS: usize = 16;
/// Bytes by which resident memory may grow after the warm-up, for what allocators do: with 100 bytes
/// lost to each request it is 3 MB, with one kilobyte 30 MB.
const MAX_GROWTH: u64 = 8 << 20;

pub(super) const TESTS: &[OwnTest] = &[
    OwnTest {
        name: "ever-new credentials with a cache",
        run: |place| {
            Box::pin(run(place, "cached", json!({"cache": {"ttl": "10m", "max_entries": 1000}})))
        },
    },
    OwnTest {
        name: "ever-new credentials without a cache",
        run: |place| Box::pin(run(place, "uncached", json!({}))),
    },
];

async fn run(place: &Place<'_>, label: &str, config: Value) -> Result<()> {
    if !cfg!(target_os = "linux") {
        println!("       not looked at: memory is read from /proc, which Linux alone has");
        return Ok(());
    }
    let listeners = [place.listener(label, &document(label, &config))];
    let mut site =
        place.start(&format!("exchange-memory-{label}"), &listeners, Setup::default()).await?;
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(site.mesh.address(label)?, Http::One).await?);
    }
    send(&site, &mut connections, 0, WARM_UP).await?;
    let before = resident_bytes(site.mesh.pid()?)?;
    send(&site, &mut connections, WARM_UP, REQUESTS).await?;
    let after = resident_bytes(site.mesh.pid()?)?;
    let growth = after.saturating_sub(before);
    println!(
        "       {label}: {:.1} MiB after {WARM_UP} requests, {:.1} MiB after {REQUESTS}",
        before as f64 / f64::from(1 << 20),
        after as f64 / f64::from(1 << 20)
    );
    ensure!(growth <= MAX_GROWTH, "{growth} bytes more after {} requests", REQUESTS - WARM_UP);
    site.mesh.alive()
}

async fn send(site: &Site, connections: &mut [Connection], from: usize, to: usize) -> Result<()> {
    let turn = connections.iter_mut().enumerate().map(async |(place, connection)| {
        for number in (from + place..to).step_by(CONNECTIONS) {
            let reply = connection.send(&with(&format!("Bearer {number:064}"))).await?;
            ensure!(reply.status == 200, "request {number}: status {}", reply.status);
            // Neither service is to be what grows.
            if number % 500 == 0 {
                drop((site.mesh.upstream.take(""), site.mesh.authority.take()));
            }
        }
        Ok(())
    });
    join_all(turn).await.into_iter().collect()
}
