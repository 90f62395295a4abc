//! Upstreams that die half-way through an error, and clients that go away half-way.

use anyhow::{Context, Result, bail, ensure};
use hyper::http::response;
use pintle_core::testing::corpus::{Http, Request, filler};
use tokio::time::error::Elapsed;

use super::expected::MEDIA_TYPE;
use super::limits::Case;
use super::site::{ERRORS, Site, error, get};
use super::{CHANCE, Test};
use crate::artefact::Artefact;
use crate::client::{Connection, Reply};
use crate::upstream::{Answer, Manner};

/// Less than the first piece, and more than a problem takes of it.
const SIZES: [usize; 2] = [10, 200_000];
/// What Envoy says of an upstream that dies within a response.
const DIED: &str = "upstream_reset_after_response_started";
/// What it says of a client that has gone: closed the connection, reset the stream.
const GONE: [&str; 2] = ["downstream_remote_disconnect", "http2.remote_reset"];

pub(super) const TESTS: &[Test] = &[
    Test { name: "an upstream that dies half-way", run: |site, http| Box::pin(dies(site, http)) },
    Test { name: "a client that goes half-way", run: |site, http| Box::pin(goes(site, http)) },
];

async fn dies(site: &Site, http: Http) -> Result<()> {
    Case::BrokenOff.tell();
    for bytes in SIZES {
        for (status, chunked) in [(500, false), (500, true), (200, false), (200, true)] {
            let answer =
                Answer { chunked, manner: Manner::BrokenOff, ..error(status, filler(bytes)) };
            for (artefact, listener) in site.listeners(ERRORS) {
                let what = || format!("{status}, {bytes} bytes, chunked: {chunked}, {listener}");
                half_way(site, artefact, &listener, http, &answer).await.with_context(what)?;
                healthy(site, http).await.with_context(what)?;
            }
        }
    }
    Ok(())
}

async fn half_way(
    site: &Site,
    artefact: Option<Artefact>,
    listener: &str,
    http: Http,
    answer: &Answer,
) -> Result<()> {
    let (case, request) = site.mesh.labelled(&get("/up/a", http));
    site.mesh.upstream.expect(&case, answer.clone());
    let mut connection = Connection::open(site.mesh.address(listener)?, http).await?;
    breaks_off(connection.send(&request).await, artefact, answer.status, http)?;
    let details = site.mesh.entry(&case).await?.details;
    ensure!(details.starts_with(DIED), "details {details}");
    ensure!(site.mesh.upstream.take(&case).len() == 1, "it was sent again");
    Ok(())
}

/// An error unless the client saw that something is missing or, of an error that the host had held, got
/// what Envoy says of an upstream that failed.
pub(super) fn breaks_off(
    outcome: Result<Reply>,
    artefact: Option<Artefact>,
    status: u16,
    http: Http,
) -> Result<()> {
    let held = status >= 400 && artefact.is_some_and(|a| Case::BrokenOff.is_beyond(a));
    if !held {
        return is_incomplete(outcome);
    }
    // The upstream speaks the version that the client does.
    let status = if http == Http::Two { 503 } else { 502 };
    is_of_envoy(&outcome?, status, "upstream connect error")
}

/// An error unless a reply broke off.
pub(super) fn is_incomplete(outcome: Result<Reply>) -> Result<()> {
    match outcome {
        Ok(reply) => bail!("it has an end, status {}, {} bytes", reply.status, reply.body.len()),
        Err(error) => {
            let waits = error.downcast_ref::<Elapsed>().is_some();
            ensure!(!waits, "it neither ends nor breaks off");
            Ok(())
        }
    }
}

/// An error unless it is this reply of Envoy's own, by the start of its text.
pub(super) fn is_of_envoy(reply: &Reply, status: u16, start: &str) -> Result<()> {
    ensure!(reply.status == status, "status {}, not {status}", reply.status);
    let text = String::from_utf8_lossy(&reply.body);
    ensure!(text.starts_with(start), "{text}");
    let media_type = reply.field("content-type").unwrap_or_default();
    ensure!(media_type == b"text/plain", "content-type: {}", media_type.escape_ascii());
    Ok(())
}

async fn goes(site: &Site, http: Http) -> Result<()> {
    for bytes in SIZES {
        for (status, chunked) in [(500, false), (500, true), (200, true)] {
            let answer =
                Answer { chunked, manner: Manner::Stalled, ..error(status, filler(bytes)) };
            for (artefact, listener) in site.listeners(ERRORS) {
                let what = || format!("{status}, {bytes} bytes, chunked: {chunked}, {listener}");
                let becomes_problem = status >= 400 && artefact.is_some();
                goes_away(site, &listener, http, &answer, becomes_problem)
                    .await
                    .with_context(what)?;
                healthy(site, http).await.with_context(what)?;
            }
        }
    }
    Ok(())
}

async fn goes_away(
    site: &Site,
    listener: &str,
    http: Http,
    answer: &Answer,
    becomes_problem: bool,
) -> Result<()> {
    let (case, request) = site.mesh.labelled(&get("/up/a", http));
    site.mesh.upstream.expect(&case, answer.clone());
    let connection = Connection::open(site.mesh.address(listener)?, http).await?;
    if let Some(head) = leaves(site, connection, &case, &request).await? {
        ensure!(head.status == answer.status, "status {}", head.status);
        let is_problem = head.headers.get("content-type").is_some_and(|t| t == MEDIA_TYPE);
        ensure!(is_problem == becomes_problem, "a problem: {is_problem}");
    }
    let details = site.mesh.entry(&case).await.context("Envoy did not notice")?.details;
    ensure!(GONE.contains(&details.as_str()), "details {details}");
    ensure!(site.mesh.upstream.take(&case).len() == 1, "it was sent again");
    Ok(())
}

/// Sends a request whose answer never ends, and goes once it has reached the upstream. The fields may
/// be there before, and then say what the content will be.
pub(super) async fn leaves(
    site: &Site,
    mut connection: Connection,
    case: &str,
    request: &Request,
) -> Result<Option<response::Parts>> {
    let waits = async {
        site.mesh.upstream.arrived(case).await?;
        tokio::time::sleep(CHANCE).await;
        anyhow::Ok(())
    };
    tokio::select! {
        response = connection.begin(request) => Ok(Some(response?.into_parts().0)),
        waited = waits => waited.map(|()| None),
    }
}

/// An error unless the next request is served.
async fn healthy(site: &Site, http: Http) -> Result<()> {
    site.problem(ERRORS, &get("/up/next", http), &error(404, "no such thing")).await
}
