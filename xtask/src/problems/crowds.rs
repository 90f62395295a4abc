//! Many requests at the same time, each of which must be answered with its own.

use anyhow::{Context, Result, bail, ensure};
use futures_util::future::join_all;
use hyper::header::HeaderValue;
use pintle_core::testing::corpus::{Http, Request, filler};

use super::Test;
use super::expected::{MEDIA_TYPE, Problem};
use super::faults::{breaks_off, leaves};
use super::site::{ERRORS, Site, error, get};
use crate::artefact::Artefact;
use crate::client::{Connection, Reply};
use crate::upstream::{Answer, Manner};

/// Clients at the same time, more than workers.
const CLIENTS: usize = 24;
/// What each of them sends, one request after the other.
const REQUESTS: usize = 36;

pub(super) const TESTS: &[Test] =
    &[Test { name: "a crowd of all kinds", run: |site, http| Box::pin(crowd(site, http)) }];

/// What must come back.
enum End {
    /// A problem, with the content of the answer in it unless that cannot be read.
    Problem { reads: bool },
    /// The answer.
    Same,
    /// The fields of a problem, and no content.
    Fields,
    /// Something without its end.
    Broken,
    /// Nothing: the client goes before.
    Nothing,
}

async fn crowd(site: &Site, http: Http) -> Result<()> {
    let listeners = site.listeners(ERRORS);
    let ours: Vec<(Artefact, &str)> =
        listeners.iter().filter_map(|(artefact, at)| Some(((*artefact)?, at.as_str()))).collect();
    let clients = (0..CLIENTS).flat_map(|client| ours.iter().map(move |at| (client, *at)));
    let clients = clients.map(async |(client, (artefact, at))| {
        let mut kept = None;
        for number in 0..REQUESTS {
            let own = client * REQUESTS + number;
            let connection = match kept.take() {
                Some(connection) => connection,
                None => Connection::open(site.mesh.address(at)?, http).await?,
            };
            let done = exchange(site, artefact, connection, own, http).await;
            kept = done.with_context(|| format!("request {own} through {at}"))?;
        }
        Ok(())
    });
    join_all(clients).await.into_iter().collect()
}

/// One of them; the connection, where it is of use for another.
async fn exchange(
    site: &Site,
    artefact: Artefact,
    mut connection: Connection,
    n: usize,
    http: Http,
) -> Result<Option<Connection>> {
    let (request, answer, end) = kind(n, http);
    let (case, labelled) = site.mesh.labelled(&request);
    site.mesh.upstream.expect(&case, answer.clone());
    let kept = match end {
        End::Nothing => {
            // A host that holds the fields of an error has none yet.
            if let Some(head) = leaves(site, connection, &case, &labelled).await? {
                ensure!(head.status == answer.status, "status {}", head.status);
                let mark = head.headers.get("x-mark").map(HeaderValue::as_bytes);
                ensure!(mark == x_mark(&answer), "the fields are another one's");
                let is_problem = head.headers.get("content-type").is_some_and(|t| t == MEDIA_TYPE);
                ensure!(is_problem, "it is no problem");
            }
            // What has ended sends nothing more to the upstream.
            site.mesh.entry(&case).await.context("Envoy did not notice")?;
            None
        }
        End::Broken => {
            breaks_off(connection.send(&labelled).await, Some(artefact), answer.status, http)?;
            None
        }
        _ => {
            is(&connection.send(&labelled).await?, &request, &answer, &end)?;
            Some(connection)
        }
    };
    drop(site.mesh.upstream.take(&case));
    Ok(kept)
}

/// The field that tells an answer from all others.
fn x_mark(answer: &Answer) -> Option<&[u8]> {
    answer.fields.last().map(|(_, value)| value.as_slice())
}

fn is(reply: &Reply, request: &Request, answer: &Answer, end: &End) -> Result<()> {
    // That of Envoy's own replies is none of ours.
    let from_upstream = request.path.starts_with("/up");
    ensure!(
        !from_upstream || reply.field("x-mark") == x_mark(answer),
        "the fields are another one's"
    );
    match end {
        End::Problem { reads } => {
            let (status, content) = match from_upstream {
                true => (answer.status, answer.body.as_ref()),
                false => (404, &[][..]),
            };
            let problem = Problem::of(request, status, if *reads { content } else { &[] })?;
            problem.check(reply)
        }
        End::Same => {
            ensure!(reply.status == answer.status, "status {}", reply.status);
            ensure!(reply.body == answer.body, "other content, {} bytes", reply.body.len());
            Ok(())
        }
        End::Fields => {
            ensure!(reply.status == answer.status, "status {}", reply.status);
            ensure!(reply.field("content-type") == Some(MEDIA_TYPE.as_bytes()), "no problem");
            ensure!(reply.body.is_empty(), "it has content");
            Ok(())
        }
        End::Broken | End::Nothing => bail!("there is no reply"),
    }
}

/// What request `n` is, and what comes of it. Neighbours are of different kinds.
fn kind(n: usize, http: Http) -> (Request, Answer, End) {
    let text = format!("request {n}: \"no\"\n");
    let long = |bytes: usize| [text.as_bytes(), &filler(bytes)].concat();
    let request = get(&format!("/up/{n}"), http);
    let problem = End::Problem { reads: true };
    let (request, mut answer, end) = match n % 12 {
        0 => (request, error(404, text), problem),
        1 => {
            let drops = Manner::Drops(3);
            (request, Answer { chunked: true, manner: drops, ..error(500, text) }, problem)
        }
        2 => (request, error(200, text), End::Same),
        3 => (request, Answer { chunked: true, ..error(200, long(200_000)) }, End::Same),
        4 => (request, error(404, ""), problem),
        5 => {
            let mut answer = error(503, long(100));
            answer.fields.push((b"content-encoding".into(), b"gzip".into()));
            (request, answer, End::Problem { reads: false })
        }
        6 => (Request { method: "HEAD".into(), ..request }, error(404, text), End::Fields),
        7 => (request, error(500, long(300_000)), problem),
        8 => (get(&format!("/none/{n}"), http), error(200, text), problem),
        9 => {
            let manner = Manner::BrokenOff;
            (request, Answer { manner, ..error(500, text) }, End::Broken)
        }
        10 => {
            let mut answer = error(400, text);
            answer.fields = vec![(b"content-type".into(), MEDIA_TYPE.into())];
            (request, answer, End::Same)
        }
        _ => {
            let manner = Manner::Stalled;
            (request, Answer { chunked: true, manner, ..error(500, text) }, End::Nothing)
        }
    };
    answer.fields.push((b"x-mark".into(), n.to_string().into()));
    (request, answer, end)
}
