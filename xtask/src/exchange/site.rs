//! One artefact on a running Envoy, and what tests do with it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use futures_util::future::join_all;
use pintle_core::testing::corpus::{Http, Request};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::artefact::Artefact;
use crate::authority::token;
use crate::client::{self, Connection};
use crate::clusters::AUTH;
use crate::mesh::{Exchange, Mesh};
use crate::stats;
use crate::upstream::Answer;

/// Longer than anything that is waited for takes, the ends of lives and the ticks on which proxy-wasm
/// counts among them.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// The field with the token.
pub(super) const TOKEN: &str = "x-auth-jwt";

/// One artefact on a running Envoy.
pub(super) struct Site {
    pub(super) artefact: Artefact,
    pub(super) mesh: Mesh,
}

/// A configuration of one `token_exchange`: what every test has, and `more`, which wins. The timeout is
/// one that no test comes near.
pub(super) fn document(test: &str, more: &Value) -> String {
    json!({"filters": [{"token_exchange": members(test, more)}]}).to_string()
}

/// The members of one `token_exchange`.
pub(super) fn members(test: &str, more: &Value) -> Value {
    let mut members = json!({
        "name": filter_name(test),
        "cluster": AUTH,
        "authority": "auth.example",
        "path": "/token",
        "timeout": "15s",
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        members[name] = value.clone();
    }
    members
}

/// What counters call the filter of a test.
pub(super) fn filter_name(test: &str) -> String {
    let name = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    test.chars().map(name).collect()
}

/// With a cache that outlives the test.
pub(super) fn cached() -> Value {
    json!({"cache": {"ttl": "10m"}})
}

/// A request with a credential, and a token that its sender made up.
pub(super) fn with(credential: &str) -> Request {
    let mut request = client::get("/orders?page=2");
    let fields = [("authorization", credential), (TOKEN, "made-up")];
    request.message.fields.extend(fields.map(|(name, value)| (name.into(), value.into())));
    request
}

/// The same over HTTP/2.
pub(super) fn over_http2(request: Request) -> Request {
    Request { http: Http::Two, ..request }
}

/// An error unless the request reached the upstream once, with this token and no other.
pub(super) fn passed(done: &Exchange, token: &str) -> Result<()> {
    let (reply, details) = (&done.reply, &done.entry.details);
    ensure!(reply.status == 200, "status {}, details {details}", reply.status);
    ensure!(done.arrivals.len() == 1, "{} requests at the upstream", done.arrivals.len());
    tokens(done, &[token])
}

/// An error unless the upstream saw these tokens.
pub(super) fn tokens(done: &Exchange, expected: &[&str]) -> Result<()> {
    for arrival in &done.arrivals {
        let fields = arrival.seen.fields.iter().filter(|(name, _)| name == TOKEN.as_bytes());
        let seen: Vec<_> = fields.map(|(_, value)| String::from_utf8_lossy(value)).collect();
        ensure!(seen == expected, "{TOKEN} at the upstream: {seen:?}, not {expected:?}");
    }
    Ok(())
}

/// An error unless the request was answered with this status, and nothing reached the upstream.
pub(super) fn denied(done: &Exchange, status: u16) -> Result<()> {
    let (reply, details) = (&done.reply, &done.entry.details);
    ensure!(done.arrivals.is_empty(), "it reached the upstream, details {details}");
    ensure!(reply.status == status, "status {}, not {status}, details {details}", reply.status);
    let waits = reply.field("retry-after").is_some();
    ensure!(waits == (status == 503), "retry-after: {:?}", reply.field("retry-after"));
    Ok(())
}

impl Site {
    /// Sends a request on a connection of its own.
    pub(super) async fn ask(&self, listener: &str, request: &Request) -> Result<Exchange> {
        self.mesh.exchange(listener, request, Answer::default()).await
    }

    /// Sends a request on a connection that is open.
    pub(super) async fn ask_on(
        &self,
        connection: &mut Connection,
        request: &Request,
    ) -> Result<Exchange> {
        self.mesh.exchange_on(connection, request, Answer::default()).await
    }

    /// Sends requests at the same time, each on a connection of its own: over all workers.
    pub(super) async fn crowd(
        &self,
        listener: &str,
        requests: &[Request],
    ) -> Result<Vec<Exchange>> {
        join_all(requests.iter().map(|r| self.ask(listener, r))).await.into_iter().collect()
    }

    /// Sends requests at the same time on one connection: to one worker.
    pub(super) async fn crowd_on(
        &self,
        connection: &Connection,
        requests: &[Request],
    ) -> Result<Vec<Exchange>> {
        let ask = async |request| {
            let mut connection = connection.share()?;
            self.ask_on(&mut connection, request).await
        };
        join_all(requests.iter().map(ask)).await.into_iter().collect()
    }

    /// A connection over HTTP/2, whose requests all come to one worker.
    pub(super) async fn connect(&self, listener: &str) -> Result<Connection> {
        Connection::open(self.mesh.address(listener)?, Http::Two).await
    }

    /// Returns when so many requests are in Envoy.
    pub(super) async fn active(&self, requests: u64) -> Result<()> {
        self.until("requests are in Envoy", async || {
            let active = self.mesh.admin.stat("http.ingress.downstream_rq_active").await?;
            Ok((active == requests, format!("{active}, not {requests}")))
        })
        .await
    }

    /// Returns when `done` says so; until then it says what there is.
    pub(super) async fn until(
        &self,
        what: &str,
        mut done: impl AsyncFnMut() -> Result<(bool, String)>,
    ) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (done, seen) = done().await?;
            if done {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{what}: {seen} within {PATIENCE:?}");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The counters and gauges of a test's filter, as the corpus calls them less the filter.
    pub(super) async fn counted(&self, test: &str) -> Result<BTreeMap<String, u64>> {
        let stats = self.mesh.admin.stats(stats::FILTER).await?;
        let mut all = stats::counters(self.artefact, &stats);
        all.extend(stats::gauges(self.artefact, &stats));
        let prefix = format!("{}.", filter_name(test));
        let own = |(name, value): (String, u64)| Some((name.strip_prefix(&prefix)?.into(), value));
        Ok(all.into_iter().filter_map(own).collect())
    }

    /// Returns when a counter or gauge of a test's filter is as expected.
    pub(super) async fn counts(&self, test: &str, name: &str, expected: u64) -> Result<()> {
        self.until(name, async || {
            let seen = self.counted(test).await?.get(name).copied().unwrap_or_default();
            Ok((seen == expected, format!("{seen}, not {expected}")))
        })
        .await
    }

    /// Makes ready for the next test; an error if this one left requests behind.
    pub(super) async fn settle(&self, test: &str) -> Result<()> {
        self.mesh.authority.restart().await?;
        self.mesh.authority.reset();
        self.active(0).await?;
        let unseen = self.mesh.upstream.total();
        ensure!(unseen == 0, "{unseen} requests at the upstream that nobody was to send there");
        self.counts(test, "waiting", 0).await
    }

    /// At most so many callouts for what one worker asks once: as many as stores that do not see each
    /// other's flights.
    pub(super) fn flights(&self) -> usize {
        match self.artefact {
            Artefact::Native => 1,
            Artefact::Wasm => super::WORKERS as usize,
        }
    }

    /// An error unless the auth service was called for these many flights.
    pub(super) fn flew(&self, flights: usize) -> Result<()> {
        let (calls, most) = (self.mesh.authority.count(), flights * self.flights());
        ensure!((flights..=most).contains(&calls), "{calls} callouts, not {flights} to {most}");
        Ok(())
    }
}

/// The token for a credential.
pub(super) fn token_of(credential: &str) -> String {
    token(credential.as_bytes())
}
