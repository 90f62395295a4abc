//! Many requests at once, and many credentials: how often the auth service is asked.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures_util::future::join_all;
use pintle_core::testing::corpus::{Http, Request};
use serde_json::json;

use super::site::{Site, TOKEN, cached, over_http2, passed, token_of, with};
use super::{Test, WORKERS};
use crate::artefact::Artefact;
use crate::authority::{Act, Plan, text, token};
use crate::client::Connection;
use crate::stats::growth;

const REQUESTS: usize = 200;
const CREDENTIALS: usize = 1000;
const ROUNDS: usize = 50;
/// Connections over which the rounds go; several for each worker.
const CONNECTIONS: usize = 16;
/// On proxy-wasm, where workers find answers of each other in 1,024 slots. Of 1,000 credentials
/// (1 - 1/1,024)^999 = 38 % are expected to have a slot to themselves, and are asked about once. The
/// others are asked about once by each worker at worst. That is 2,860 with 4 workers; a tenth is added
/// for luck.
const MOST_CALLOUTS: usize = CREDENTIALS * (38 + 62 * WORKERS as usize) / 100 * 11 / 10;

pub(super) const TESTS: &[Test] = &[
    Test::new("200 requests at once with one credential", cached, |site, at| {
        Box::pin(at_once(site, at))
    }),
    Test::new("200 requests at once on one worker", cached, |site, at| {
        Box::pin(on_one_worker(site, at))
    }),
    Test::new("1,000 credentials in 50 rounds", cached, |site, at| Box::pin(rounds(site, at))),
    Test::new(
        "200 requests at once without a cache",
        || json!({}),
        |site, at| Box::pin(uncached(site, at)),
    ),
];

async fn at_once(site: &Site, at: &str) -> Result<()> {
    let credential = "Bearer at-once";
    site.mesh.authority.hold();
    let requests = vec![with(credential); REQUESTS];
    let (all, released) = tokio::join!(site.crowd(at, &requests), release(site, REQUESTS));
    released?;
    for done in all? {
        passed(&done, &token_of(credential))?;
    }
    site.flew(1)
}

async fn on_one_worker(site: &Site, at: &str) -> Result<()> {
    let credential = "Bearer on-one-worker";
    // As many streams as Envoy lets a connection have from the start.
    let streams = 100;
    site.mesh.authority.hold();
    let connection = site.connect(at).await?;
    let requests = vec![over_http2(with(credential)); streams];
    let crowd = site.crowd_on(&connection, &requests);
    let (all, released) = tokio::join!(crowd, release(site, streams));
    released?;
    for done in all? {
        passed(&done, &token_of(credential))?;
    }
    let calls = site.mesh.authority.count();
    ensure!(calls == 1, "{calls} callouts, not 1");
    site.counts(at, "coalesced", streams as u64 - 1).await
}

async fn uncached(site: &Site, at: &str) -> Result<()> {
    // The answers come in another order than the questions.
    site.mesh.authority.plan(|call| {
        let credential = call.field("authorization").unwrap_or_default();
        let delay = Duration::from_millis(5 * (call.number as u64 * 7 % 11));
        Plan { delay, act: Act::Answer(text(200, token(credential))) }
    });
    let credentials: Vec<String> = (0..REQUESTS).map(|n| format!("Bearer {}", n / 2)).collect();
    let requests: Vec<Request> = credentials.iter().map(|credential| with(credential)).collect();
    let all = site.crowd(at, &requests).await?;
    for (done, credential) in all.iter().zip(&credentials) {
        passed(done, &token_of(credential))?;
    }
    let calls = site.mesh.authority.count();
    ensure!(calls == REQUESTS, "{calls} callouts, not {REQUESTS}");
    Ok(())
}

async fn rounds(site: &Site, at: &str) -> Result<()> {
    let before = accepted(site).await?;
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(site.mesh.address(at)?, Http::One).await?);
    }
    let requests: Vec<Request> = (0..CREDENTIALS).map(|n| with(&format!("Bearer {n}"))).collect();
    for round in 0..ROUNDS {
        let turn = connections.iter_mut().enumerate().map(async |(place, connection)| {
            // Every credential comes to every connection in the end.
            let own = requests.iter().skip((place + round) % CONNECTIONS).step_by(CONNECTIONS);
            for request in own {
                let reply = connection.send(request).await?;
                ensure!(reply.status == 200, "status {}", reply.status);
            }
            Ok(())
        });
        join_all(turn).await.into_iter().collect::<Result<()>>()?;
        own_tokens(site).with_context(|| format!("round {round}"))?;
    }
    let workers = growth(&before, &accepted(site).await?).len();
    ensure!(workers > 1, "{workers} workers accepted {CONNECTIONS} connections");
    let calls = site.mesh.authority.count();
    println!(
        "       {CREDENTIALS} credentials, {ROUNDS} rounds, {workers} workers: {calls} callouts"
    );
    match site.artefact {
        Artefact::Native => ensure!(calls == CREDENTIALS, "{calls} callouts, not {CREDENTIALS}"),
        Artefact::Wasm => ensure!(
            (CREDENTIALS..=MOST_CALLOUTS).contains(&calls),
            "{calls} callouts, not {CREDENTIALS} to {MOST_CALLOUTS}"
        ),
    }
    Ok(())
}

/// How many connections each worker has accepted, on all listeners of the tests.
async fn accepted(site: &Site) -> Result<BTreeMap<String, u64>> {
    site.mesh.admin.stats(r"\.worker_.*\.downstream_cx_total$").await
}

/// An error unless a whole round reached the upstream, everybody with the token for their own
/// credential.
fn own_tokens(site: &Site) -> Result<()> {
    let arrivals = site.mesh.upstream.take("");
    ensure!(arrivals.len() == CREDENTIALS, "{} requests at the upstream", arrivals.len());
    for arrival in arrivals {
        let values = |name: &str| -> Vec<&[u8]> {
            let named = arrival.seen.fields.iter().filter(|(n, _)| n == name.as_bytes());
            named.map(|(_, value)| value.as_slice()).collect()
        };
        let (credentials, tokens) = (values("authorization"), values(TOKEN));
        let [credential] = credentials[..] else { bail!("{credentials:?}") };
        let expected = token(credential);
        ensure!(tokens == [expected.as_bytes()], "another's token: {tokens:?}, not {expected}");
    }
    Ok(())
}

/// Lets the answers go once all requests wait for them.
async fn release(site: &Site, requests: usize) -> Result<()> {
    let waiting = site.active(requests as u64).await;
    site.mesh.authority.release();
    waiting
}
