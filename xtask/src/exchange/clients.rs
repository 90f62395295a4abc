//! Clients that go away, while their request leads and while it waits for another's callout.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pintle_core::testing::corpus::{Http, Request};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::Test;
use super::site::{Site, cached, denied, passed, token_of, with};
use crate::artefact::Artefact;
use crate::authority::Act;
use crate::client::{Connection, Reply};
use crate::mesh::Exchange;
use crate::upstream::Answer;

/// How many ask at once.
const CROWD: usize = 60;
/// How many ask and all go away.
const EVERYBODY: usize = 10;
/// What the first of two lets pass before it goes away.
const SPENT: Duration = Duration::from_millis(600);

pub(super) const TESTS: &[Test] = &[
    Test::new("the client of the leader goes away, over HTTP/1.1", cached, |site, at| {
        Box::pin(leader(site, at, Http::One))
    }),
    Test::new("the client of the leader goes away, over HTTP/2", cached, |site, at| {
        Box::pin(leader(site, at, Http::Two))
    }),
    Test::new("one leader after another goes away", cached, |site, at| Box::pin(leaders(site, at))),
    Test::new("a request that leads after another has the time that is left", hasty, |site, at| {
        Box::pin(time_left(site, at))
    }),
    Test::new("a client that waits goes away", cached, |site, at| Box::pin(waiter(site, at))),
    Test::new("all clients go away", cached, |site, at| Box::pin(everybody(site, at))),
    Test::new("every second of many clients goes away", cached, |site, at| {
        Box::pin(every_second(site, at))
    }),
];

/// With a timeout that is reached, long after both requests are there.
fn hasty() -> Value {
    json!({"cache": {"ttl": "10m"}, "timeout": "8s"})
}

/// A request that is under way; its client goes away with the handle.
struct Pending {
    case: String,
    reply: JoinHandle<Result<Reply>>,
}

impl Pending {
    /// Sends a request on a connection of its own.
    async fn send(site: &Site, at: &str, request: &Request) -> Result<Self> {
        let connection = Connection::open(site.mesh.address(at)?, request.http).await?;
        Ok(Self::send_on(site, connection, request))
    }

    fn send_on(site: &Site, mut connection: Connection, request: &Request) -> Self {
        let (case, request) = site.mesh.labelled(request);
        site.mesh.upstream.expect(&case, Answer::default());
        Self { case, reply: tokio::spawn(async move { connection.send(&request).await }) }
    }

    /// The client goes away; an error if anything of its request reaches the upstream.
    async fn abandon(self, site: &Site) -> Result<()> {
        self.reply.abort();
        site.mesh.entry(&self.case).await.context("Envoy did not notice")?;
        let arrivals = site.mesh.upstream.take(&self.case).len();
        ensure!(arrivals == 0, "{arrivals} requests of a client that went away at the upstream");
        Ok(())
    }

    /// An error unless the request passes with this token.
    async fn passes(self, site: &Site, token: &str) -> Result<()> {
        passed(&self.done(site).await?, token)
    }

    /// An error unless the request is answered with this status.
    async fn ends_denied(self, site: &Site, status: u16) -> Result<()> {
        denied(&self.done(site).await?, status)
    }

    async fn done(self, site: &Site) -> Result<Exchange> {
        let reply = self.reply.await.context("a task of a client")?;
        let arrivals = site.mesh.upstream.take(&self.case);
        let entry = site.mesh.entry(&self.case).await?;
        Ok(Exchange { case: self.case, reply: reply?, arrivals, entry, logs: Vec::new() })
    }
}

/// The callouts that abandoned leaders leave: on the module a callout goes with its stream.
fn again(site: &Site, leaders: usize) -> usize {
    match site.artefact {
        Artefact::Native => 1 + leaders,
        Artefact::Wasm => 1,
    }
}

async fn leader(site: &Site, at: &str, http: Http) -> Result<()> {
    let credential = if http == Http::One { "Bearer leader-1" } else { "Bearer leader-2" };
    let request = Request { http, ..with(credential) };
    site.mesh.authority.hold();
    // Over HTTP/2 all are on one worker, over HTTP/1.1 on several.
    let shared = site.connect(at).await?;
    let send = async || match http {
        Http::One => Pending::send(site, at, &request).await,
        Http::Two => Ok(Pending::send_on(site, shared.share()?, &request)),
    };
    let first = send().await?;
    site.mesh.authority.arrived(1).await?;
    let (second, third) = (send().await?, send().await?);
    site.active(3).await?;
    first.abandon(site).await?;
    site.mesh.authority.arrived(again(site, 1)).await?;
    site.mesh.authority.release();
    second.passes(site, &token_of(credential)).await?;
    third.passes(site, &token_of(credential)).await?;
    let (calls, expected) = (site.mesh.authority.count(), again(site, 1));
    let most = if http == Http::One { expected - 1 + site.flights() } else { expected };
    ensure!((expected..=most).contains(&calls), "{calls} callouts, not {expected} to {most}");
    Ok(())
}

async fn leaders(site: &Site, at: &str) -> Result<()> {
    let request = Request { http: Http::Two, ..with("Bearer leaders") };
    site.mesh.authority.hold();
    let shared = site.connect(at).await?;
    let mut pending = Vec::new();
    for n in 0..6 {
        pending.push(Pending::send_on(site, shared.share()?, &request));
        site.active(n + 1).await?;
    }
    let last = pending.pop().context("six of them")?;
    for (n, leader) in pending.into_iter().enumerate() {
        site.mesh.authority.arrived(again(site, n)).await.with_context(|| format!("leader {n}"))?;
        leader.abandon(site).await?;
    }
    site.mesh.authority.arrived(again(site, 5)).await?;
    site.mesh.authority.release();
    last.passes(site, &token_of("Bearer leaders")).await
}

async fn time_left(site: &Site, at: &str) -> Result<()> {
    let request = Request { http: Http::Two, ..with("Bearer time-left") };
    let authority = &site.mesh.authority;
    authority.plan(|_| Act::Silence);
    let shared = site.connect(at).await?;
    let first = Pending::send_on(site, shared.share()?, &request);
    site.active(1).await?;
    let second = Pending::send_on(site, shared.share()?, &request);
    site.active(2).await?;
    tokio::time::sleep(SPENT).await;
    first.abandon(site).await?;
    second.ends_denied(site, 503).await?;
    let calls = authority.count();
    ensure!(calls == again(site, 1), "{calls} callouts, not {}", again(site, 1));
    for (n, call) in authority.calls().iter().enumerate() {
        let stated = call.field("x-envoy-expected-rq-timeout-ms").unwrap_or_default();
        let stated: u64 = String::from_utf8_lossy(stated).parse().context("Envoy's timeout")?;
        // Both were there before half a second was spent.
        ensure!(if n == 0 { stated == 8000 } else { stated <= 7500 }, "callout {n}: {stated} ms");
    }
    Ok(())
}

async fn waiter(site: &Site, at: &str) -> Result<()> {
    let request = Request { http: Http::Two, ..with("Bearer waiter") };
    site.mesh.authority.hold();
    let shared = site.connect(at).await?;
    let mut pending = Vec::new();
    for n in 0..4 {
        pending.push(Pending::send_on(site, shared.share()?, &request));
        site.active(n + 1).await?;
    }
    pending.remove(2).abandon(site).await?;
    site.active(3).await?;
    site.mesh.authority.release();
    for pending in pending {
        pending.passes(site, &token_of("Bearer waiter")).await?;
    }
    let calls = site.mesh.authority.count();
    ensure!(calls == 1, "{calls} callouts, not 1");
    Ok(())
}

async fn everybody(site: &Site, at: &str) -> Result<()> {
    let request = with("Bearer everybody");
    site.mesh.authority.hold();
    let mut pending = Vec::new();
    for n in 1..=EVERYBODY {
        pending.push(Pending::send(site, at, &request).await?);
        site.active(n as u64).await?;
    }
    site.mesh.authority.arrived(1).await?;
    for pending in pending {
        pending.abandon(site).await?;
    }
    site.active(0).await?;
    site.counts(at, "waiting", 0).await?;
    site.mesh.authority.release();
    let done = site.ask(at, &request).await?;
    passed(&done, &token_of("Bearer everybody"))?;
    let calls = site.mesh.authority.count();
    let expected = match site.artefact {
        // Of all that led, one after another, nothing is left; at least the first of them asked.
        Artefact::Native => 2..=EVERYBODY + 1,
        // The callouts went on without their clients.
        Artefact::Wasm => 1..=site.flights(),
    };
    ensure!(expected.contains(&calls), "{calls} callouts, not {expected:?}");
    Ok(())
}

async fn every_second(site: &Site, at: &str) -> Result<()> {
    site.mesh.authority.hold();
    let credentials: Vec<String> = (0..3).map(|n| format!("Bearer second-{n}")).collect();
    let mut pending = Vec::new();
    for n in 0..CROWD {
        let credential = credentials[n % credentials.len()].as_str();
        pending.push((credential, Pending::send(site, at, &with(credential)).await?));
    }
    site.active(CROWD as u64).await?;
    let mut rest = Vec::new();
    for (n, (credential, pending)) in pending.into_iter().enumerate() {
        if n % 2 == 0 {
            pending.reply.abort();
        } else {
            rest.push((credential, pending));
        }
    }
    site.active(rest.len() as u64).await?;
    site.mesh.authority.release();
    for (credential, pending) in rest {
        pending.passes(site, &token_of(credential)).await?;
    }
    let (calls, flights) = (site.mesh.authority.count(), credentials.len());
    let most = match site.artefact {
        // Each that went away may have led, and another asked in its place.
        Artefact::Native => flights + CROWD / 2,
        Artefact::Wasm => flights * site.flights(),
    };
    ensure!((flights..=most).contains(&calls), "{calls} callouts, not {flights} to {most}");
    Ok(())
}
