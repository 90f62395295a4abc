//! Traffic that must not break a filter: large, odd, repeated, interrupted.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use pintle_core::testing::corpus::{FieldLines, Http, Request, filler};
use tokio::time::Instant;

use crate::artefact::Artefact;
use crate::bootstrap::Listener;
use crate::client::{self, Connection};
use crate::envoy::Envoy;
use crate::mesh::{Exchange, Mesh};
use crate::payload::Payload;
use crate::suite::{Ground, Tally};
use crate::upstream::{Answer, CASE, digest};

const CONFIG: &str = r#"{"filters": [
    {"basic_auth": {"rules": [{"when": {"path": {"prefix": "/private"}}, "credentials": ["alice:wonderland"]}]}},
    {"headers": {
        "request": [{"set": {"name": "x-pintle-request", "value": "seen"}}],
        "response": [{"set": {"name": "x-pintle-response", "value": "seen"}}]
    }}
]}"#;

const BODIES: [(usize, &str); 3] = [(0, "0 B"), (1, "1 B"), (5 << 20, "5 MB")];
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(10);

/// Everything, through each artefact, over HTTP/1.1 and HTTP/2.
pub(crate) async fn run(ground: &Ground, envoy: &Envoy) -> Result<Tally> {
    let artefacts = envoy.artefacts();
    let listener = |a: &Artefact| Listener::with(a.name(), &ground.workspace, *a, CONFIG);
    let listeners: Vec<Listener> = artefacts.iter().map(listener).collect();
    let mesh = Mesh::start(&ground.workspace, envoy, "traffic", &listeners, &[]).await?;
    let mut run = Run { ground, mesh, tally: Tally::default() };
    for artefact in artefacts {
        for http in [Http::One, Http::Two] {
            run.all(artefact.name(), http).await?;
        }
    }
    Ok(run.tally)
}

struct Run<'a> {
    ground: &'a Ground,
    mesh: Mesh,
    tally: Tally,
}

impl Run<'_> {
    async fn all(&mut self, place: &'static str, http: Http) -> Result<()> {
        let version = match http {
            Http::One => "HTTP/1.1",
            Http::Two => "HTTP/2",
        };
        for (what, fields) in odd_fields() {
            let name = format!("{what} over {version}");
            if self.ground.wants(&name) {
                let result = both_ways(&self.mesh, place, http, fields).await;
                self.tally.record(place, name, result);
            }
        }
        for (bytes, size) in BODIES {
            for chunked in [false, true] {
                let how = if chunked { "without" } else { "with" };
                let name = format!("a body of {size} {how} content-length over {version}");
                if self.ground.wants(&name) {
                    let result = body(&self.mesh, place, http, bytes, chunked).await;
                    self.tally.record(place, name, result);
                }
            }
        }
        macro_rules! each {
            ($($name:literal => $run:ident),+ $(,)?) => {$(
                let name = format!("{} over {version}", $name);
                if self.ground.wants(&name) {
                    let result = $run(&self.mesh, place, http).await;
                    self.tally.record(place, name, result);
                }
            )+};
        }
        each! {
            "trailers both ways" => trailers,
            "a connection used again after a local reply" => reuse,
            "a denied request with a body" => denied_with_body,
            "a client that goes away mid-body" => abort,
        }
        self.mesh.alive()
    }
}

/// Fields that must come through as they are.
fn odd_fields() -> Vec<(&'static str, FieldLines)> {
    let numbered = |n: usize, bytes: usize| {
        (0..n).map(|i| (format!("x-field-{i:03}").into_bytes(), vec![b'v'; bytes])).collect()
    };
    let named = |name: &str, values: &[&[u8]]| -> FieldLines {
        values.iter().map(|value| (name.as_bytes().to_vec(), value.to_vec())).collect()
    };
    vec![
        ("100 fields", numbered(100, 8)),
        ("60 KiB of fields", numbered(60, 1024)),
        ("values that are not UTF-8", named("x-odd", &[b"caf\xE9", b"\xA1\xFF\xFE", b"\xC3"])),
        ("a repeated field", named("x-again", &[b"a", b"b", b"a", b"c"])),
        ("empty values", named("x-empty", &[b"", b"x", b""])),
    ]
}

async fn both_ways(mesh: &Mesh, listener: &str, http: Http, fields: FieldLines) -> Result<()> {
    let mut request = open("/public", http);
    request.message.fields.extend(fields.clone());
    // Envoy takes less from an upstream than from a client, unless it is told otherwise.
    let back: FieldLines = fields.iter().take(50).cloned().collect();
    let answer = Answer { fields: back.clone(), ..Answer::default() };
    let done = mesh.exchange(listener, &request, answer).await?;
    let arrival = ran(&done)?;
    contain(arrival, &fields).context("at the upstream")?;
    contain(&done.reply.fields, &back).context("at the client")
}

async fn body(mesh: &Mesh, listener: &str, http: Http, bytes: usize, chunked: bool) -> Result<()> {
    let content = filler(bytes);
    let mut request = open("/private/upload", http);
    request.method = "POST".into();
    request.message.body = content.clone();
    request.message.chunked = chunked;
    let answer = Answer { body: Bytes::from(content.clone()), chunked, ..Answer::default() };
    let done = mesh.exchange(listener, &request, answer).await?;
    ran(&done)?;
    let Some(arrival) = done.arrivals.first() else { bail!("nothing reached the upstream") };
    ensure!(arrival.complete, "the upstream did not see the end");
    ensure!(
        arrival.seen.body_bytes == bytes as u64,
        "{} bytes at the upstream",
        arrival.seen.body_bytes
    );
    ensure!(arrival.digest == digest(&content), "other bytes at the upstream");
    ensure!(done.reply.body == content, "other bytes at the client ({})", done.reply.body.len());
    Ok(())
}

async fn trailers(mesh: &Mesh, listener: &str, http: Http) -> Result<()> {
    let there: FieldLines =
        vec![(b"x-sum".into(), b"1".into()), (b"x-odd".into(), b"caf\xE9".into())];
    let mut request = open("/public", http);
    request.method = "POST".into();
    request.message.fields.push((b"te".into(), b"trailers".into()));
    request.message.body = filler(10);
    request.message.chunked = true;
    request.message.trailers = there.clone();
    let answer = Answer { chunked: true, trailers: there.clone(), ..Answer::default() };
    let done = mesh.exchange(listener, &request, answer).await?;
    ran(&done)?;
    let arrived =
        done.arrivals.first().map(|arrival| arrival.seen.trailers.clone()).unwrap_or_default();
    contain(&arrived, &there).context("at the upstream")?;
    contain(&done.reply.trailers, &there).context("at the client")
}

async fn reuse(mesh: &Mesh, listener: &str, http: Http) -> Result<()> {
    let mut connection = Connection::open(mesh.address(listener)?, http).await?;
    for round in 0..3 {
        let mut denied = open("/private", http);
        denied.message.fields.clear();
        let done = mesh.exchange_on(&mut connection, &denied, Answer::default()).await?;
        ensure!(done.reply.status == 401, "round {round}: status {}, not 401", done.reply.status);
        ensure!(done.arrivals.is_empty(), "round {round}: it reached the upstream");
        ensure!(
            done.reply.field("x-pintle-response").is_some(),
            "no response step ran over the reply"
        );
        let done =
            mesh.exchange_on(&mut connection, &open("/private", http), Answer::default()).await?;
        ran(&done).with_context(|| format!("round {round}"))?;
    }
    Ok(())
}

async fn denied_with_body(mesh: &Mesh, listener: &str, http: Http) -> Result<()> {
    for bytes in [1, 32 << 10] {
        let mut request = open("/private", http);
        request.message.fields.clear();
        request.method = "POST".into();
        request.message.body = filler(bytes);
        let done = mesh.exchange(listener, &request, Answer::default()).await?;
        ensure!(done.reply.status == 401, "status {}, not 401", done.reply.status);
        ensure!(done.arrivals.is_empty(), "it reached the upstream");
    }
    Ok(())
}

async fn abort(mesh: &Mesh, listener: &str, http: Http) -> Result<()> {
    let mut request = open("/private/upload", http);
    request.method = "POST".into();
    request.message.body = filler(100_000);
    request.message.chunked = true;
    let (case, request) = mesh.labelled(&request);
    let mut connection = Connection::open(mesh.address(listener)?, http).await?;
    let sending = connection.send_as(&request, Payload::stalled);
    if let Ok(reply) = tokio::time::timeout(Duration::from_millis(200), sending).await {
        bail!("a reply before the end of the request: {reply:?}");
    }
    drop(connection);
    mesh.entry(&case).await.context("Envoy did not notice")?;
    let arrivals = mesh.upstream.take(&case);
    ensure!(arrivals.len() == 1, "{} requests at the upstream", arrivals.len());
    // Over HTTP/2 the upstream's library takes a cancelled stream for one that has ended.
    ensure!(http == Http::Two || !arrivals[0].complete, "the upstream saw an end");
    // The next one is served, and nothing of the first is left behind in the proxy.
    ran(&mesh.exchange(listener, &open("/private", http), Answer::default()).await?)?;
    let deadline = Instant::now() + PATIENCE;
    while mesh.admin.stat("http.ingress.downstream_rq_active").await? > 0 {
        ensure!(Instant::now() < deadline, "a request is still active");
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// A request with the right credentials.
fn open(path: &str, http: Http) -> Request {
    let mut request = client::get(path);
    request.http = http;
    request
        .message
        .fields
        .push((b"authorization".into(), b"Basic YWxpY2U6d29uZGVybGFuZA==".into()));
    request
}

/// The fields at the upstream; an error unless the request went through the filters both ways.
fn ran(done: &Exchange) -> Result<&FieldLines> {
    let reply = &done.reply;
    ensure!(reply.status == 200, "status {}, details {}", reply.status, done.entry.details);
    ensure!(reply.field("x-pintle-response") == Some(b"seen"), "no filter ran over the response");
    let [arrival] = done.arrivals.as_slice() else {
        bail!("{} requests at the upstream", done.arrivals.len())
    };
    let seen = &arrival.seen.fields;
    ensure!(
        seen.iter().any(|(name, _)| name == b"x-pintle-request"),
        "no filter ran over the request"
    );
    ensure!(seen.iter().any(|(name, _)| name == CASE.as_bytes()), "fields are missing");
    Ok(seen)
}

/// All values of each name are there, in order.
fn contain(seen: &FieldLines, expected: &FieldLines) -> Result<()> {
    for (name, _) in expected {
        let values = |of: &FieldLines| -> Vec<Vec<u8>> {
            of.iter().filter(|(n, _)| n == name).map(|(_, value)| value.clone()).collect()
        };
        let (seen, expected) = (values(seen), values(expected));
        let list = |values: &[Vec<u8>]| -> Vec<String> {
            values.iter().map(|value| value.escape_ascii().to_string()).collect()
        };
        ensure!(
            seen == expected,
            "{}: {:?} instead of {:?}",
            name.escape_ascii(),
            list(&seen),
            list(&expected)
        );
    }
    Ok(())
}
