//! Requests with content: held, whole, until there is a token.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use pintle_core::testing::corpus::{FieldLines, Http, Message, Request, filler};
use serde_json::{Value, json};

use super::Test;
use super::site::{Site, cached, denied, passed, token_of, with};
use crate::authority::{Act, text};
use crate::mesh::Exchange;
use crate::upstream::digest;

/// More than Envoy buffers by default (1 MiB) among them.
const SIZES: [(usize, &str); 3] = [(0, "0 B"), (1 << 10, "1 KB"), (5 << 20, "5 MB")];
/// For something that must not happen to happen in.
const CHANCE: Duration = Duration::from_millis(100);

pub(super) const TESTS: &[Test] = &[
    Test::new("a body is held, over HTTP/1.1", uncached, |site, at| {
        Box::pin(held(site, at, Http::One))
    }),
    Test::new("a body is held, over HTTP/2", uncached, |site, at| {
        Box::pin(held(site, at, Http::Two))
    }),
    Test {
        stop_iteration: true,
        ..Test::new(
            "a body is held while fields alone stop, over HTTP/1.1",
            uncached,
            |site, at| Box::pin(held(site, at, Http::One)),
        )
    },
    Test {
        stop_iteration: true,
        ..Test::new("a body is held while fields alone stop, over HTTP/2", uncached, |site, at| {
            Box::pin(held(site, at, Http::Two))
        })
    },
    Test::new("a body of a request that is refused", uncached, |site, at| {
        Box::pin(refused(site, at))
    }),
    Test {
        stop_iteration: true,
        ..Test::new(
            "a body of a request that is refused while fields alone stop",
            uncached,
            |site, at| Box::pin(refused(site, at)),
        )
    },
    Test::new("a body behind a token that is known", cached, |site, at| Box::pin(known(site, at))),
    Test::new("gRPC", uncached, |site, at| Box::pin(grpc(site, at))),
];

fn uncached() -> Value {
    json!({})
}

/// All sizes, their length stated and not, and with trailers.
fn messages() -> Vec<(String, Message)> {
    let mut all = Vec::new();
    for (bytes, size) in SIZES {
        for (chunked, how) in [(false, "with content-length"), (true, "without content-length")] {
            let message = Message { body: filler(bytes), chunked, ..Message::default() };
            all.push((format!("{size} {how}"), message));
        }
        let message = Message {
            body: filler(bytes),
            chunked: true,
            trailers: trailers(),
            ..Message::default()
        };
        all.push((format!("{size} with trailers"), message));
    }
    all
}

fn trailers() -> FieldLines {
    vec![(b"x-sum".into(), b"1".into()), (b"x-odd".into(), b"caf\xE9".into())]
}

fn upload(credential: &str, http: Http, message: &Message) -> Request {
    let mut request = Request { http, method: "POST".into(), ..with(credential) };
    let fields = std::mem::take(&mut request.message.fields);
    request.message = message.clone();
    request.message.fields = fields;
    request.message.fields.push((b"te".into(), b"trailers".into()));
    request
}

async fn held(site: &Site, at: &str, http: Http) -> Result<()> {
    for (what, message) in messages() {
        let credential = format!("Bearer {}", what.replace(' ', "-"));
        let request = upload(&credential, http, &message);
        let done = held_back(site, at, &request).await.with_context(|| what.clone())?;
        passed(&done, &token_of(&credential)).with_context(|| what.clone())?;
        unchanged(&done, &message).with_context(|| what.clone())?;
    }
    Ok(())
}

/// Sends a request, and looks that nothing reaches the upstream before the answer.
async fn held_back(site: &Site, at: &str, request: &Request) -> Result<Exchange> {
    let authority = &site.mesh.authority;
    let before = authority.count();
    authority.hold();
    let look = async {
        let arrived = authority.arrived(before + 1).await;
        tokio::time::sleep(CHANCE).await;
        let early = site.mesh.upstream.total();
        authority.release();
        arrived?;
        ensure!(early == 0, "it reached the upstream before the answer");
        Ok(())
    };
    let (done, looked) = tokio::join!(site.ask(at, request), look);
    looked?;
    done
}

fn unchanged(done: &Exchange, message: &Message) -> Result<()> {
    let Some(arrival) = done.arrivals.first() else { bail!("nothing reached the upstream") };
    ensure!(arrival.complete, "the upstream did not see the end");
    let (bytes, sent) = (arrival.seen.body_bytes, message.body.len() as u64);
    ensure!(bytes == sent, "{bytes} bytes at the upstream, not {sent}");
    ensure!(arrival.digest == digest(&message.body), "other bytes at the upstream");
    for line in &message.trailers {
        ensure!(arrival.seen.trailers.contains(line), "trailers: {:?}", arrival.seen.trailers);
    }
    Ok(())
}

async fn refused(site: &Site, at: &str) -> Result<()> {
    for status in [403, 500] {
        site.mesh.authority.plan(move |_| text(status, "no"));
        for http in [Http::One, Http::Two] {
            // With more than that the proxy may reset a client that has not sent it all.
            for bytes in [0, 1 << 10, 32 << 10] {
                let message = Message { body: filler(bytes), chunked: true, ..Message::default() };
                let request = upload("Bearer refused", http, &message);
                let expected = if status == 500 { 503 } else { status };
                let done = held_back(site, at, &request).await?;
                denied(&done, expected).with_context(|| format!("{bytes} bytes, {http:?}"))?;
            }
        }
    }
    Ok(())
}

async fn known(site: &Site, at: &str) -> Result<()> {
    let credential = "Bearer known-body";
    passed(&site.ask(at, &with(credential)).await?, &token_of(credential))?;
    for http in [Http::One, Http::Two] {
        for (what, message) in messages() {
            let done = site.ask(at, &upload(credential, http, &message)).await?;
            passed(&done, &token_of(credential)).with_context(|| what.clone())?;
            unchanged(&done, &message).with_context(|| what.clone())?;
        }
    }
    Ok(())
}

async fn grpc(site: &Site, at: &str) -> Result<()> {
    let message = Message { body: vec![0; 5], chunked: true, ..Message::default() };
    let mut call = upload("Bearer grpc", Http::Two, &message);
    call.path = "/pets.Pets/Get".into();
    call.message.fields.push((b"content-type".into(), b"application/grpc".into()));
    let done = held_back(site, at, &call).await?;
    passed(&done, &token_of("Bearer grpc"))?;
    unchanged(&done, &message)?;
    // UNAUTHENTICATED, PERMISSION_DENIED and UNAVAILABLE of the gRPC protocol's table.
    for (status, expected) in [(401, "16"), (403, "7"), (500, "14")] {
        site.mesh.authority.plan(move |_| text(status, "no"));
        let done = held_back(site, at, &call).await?;
        let seen = done.reply.field("grpc-status").unwrap_or_default();
        ensure!(seen == expected.as_bytes(), "{status}: {}", seen.escape_ascii());
        ensure!(done.reply.status == 200 && done.arrivals.is_empty(), "{:?}", done.reply);
    }
    site.mesh.authority.plan(|_| Act::Reset(Bytes::new()));
    let done = held_back(site, at, &call).await?;
    let seen = done.reply.field("grpc-status").unwrap_or_default();
    ensure!(seen == b"14", "reset: {}", seen.escape_ascii());
    Ok(())
}
