//! What only one host can do, what the other one does instead, and why: the rows of the table in
//! `docs/problem-json.md`, "What a host cannot do", where the hosts differ. A panic and a host call
//! that fails are not among them: a real Envoy brings about neither, and the tests of both targets do so
//! on hosts in memory. What neither host can do is tested here as well.

use anyhow::{Context, Result, bail, ensure};
use pintle_core::testing::corpus::{Http, filler};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::expected::{MEDIA_TYPE, Problem, rest_is_kept, values};
use super::faults::{is_incomplete, is_of_envoy};
use super::service::head;
use super::site::{
    Answers, BY_FILTER, BY_LOCAL_REPLY, BY_ROUTE, EDITED, ERRORS, FRONTED, GUARDED, NARROW,
    NARROW_BYTES, Site, error, get,
};
use super::{PATIENCE, Test};
use crate::artefact::Artefact;
use crate::client::{Connection, Reply};
use crate::upstream::{Answer, Manner};

/// Paths and the timeouts of their routes, as Envoy reads these; the next one where an answer had not
/// begun within the one before.
pub(super) const TIMEOUTS: [(&str, &str); 4] = [
    ("/up-late/first", "0.5s"),
    ("/up-late/second", "2s"),
    ("/up-late/third", "8s"),
    ("/up-late/last", "30s"),
];
/// What Envoy says of a timeout.
const TIMEOUT_TEXT: &str = "upstream request timeout";

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "trailers that nothing announces",
        run: |site, http| Box::pin(unannounced_trailers(site, http)),
    },
    Test { name: "the length of a problem", run: |site, http| Box::pin(lengths(site, http)) },
    Test { name: "edits of a header-only error", run: |site, http| Box::pin(edits(site, http)) },
    Test {
        name: "a piece longer than the buffer",
        run: |site, http| Box::pin(long_piece(site, http)),
    },
    Test {
        name: "an upstream that is late half-way",
        run: |site, http| Box::pin(late(site, http)),
    },
    Test { name: "replies that pass by", run: |site, http| Box::pin(pass_by(site, http)) },
];

/// Something that a host cannot do.
pub(super) struct Limit {
    case: Case,
    artefact: Artefact,
    /// What it does instead.
    instead: &'static str,
    /// The fact behind it.
    why: &'static str,
}

/// A response that is not the same on both hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    /// An error without content, but with trailers.
    TrailersAlone,
    /// An error whose trailers nothing has announced, over HTTP/1.1 from the upstream.
    UnannouncedTrailers,
    /// An error of fields alone.
    FieldsAlone,
    /// An error with a piece of content that is longer than a connection buffers, to a client over
    /// HTTP/1.1.
    LongPiece,
    /// An error that breaks off half-way.
    BrokenOff,
    /// An error whose end the route does not wait for.
    TimedOut,
}

const LIMITS: &[Limit] = &[
    Limit {
        case: Case::TrailersAlone,
        artefact: Artefact::Wasm,
        instead: "it gets the fields of a problem, and no content",
        why: "the callback for trailers has no buffer to write content to where there was none",
    },
    Limit {
        case: Case::UnannouncedTrailers,
        artefact: Artefact::Wasm,
        instead: "it gets the fields of a problem, and no content",
        why: "content is written before trailers only where the response is held, and one that \
              announces none is not",
    },
    Limit {
        case: Case::FieldsAlone,
        artefact: Artefact::Wasm,
        instead: "edits of filters before are missing, those of the route are there twice, and those \
                  of local replies apply",
        why: "a local reply takes its place, as nothing gives content to a response without any",
    },
    Limit {
        case: Case::LongPiece,
        artefact: Artefact::Wasm,
        instead: "the stream is reset",
        why: "Envoy ends a response that is held when a piece comes that is longer than the buffer",
    },
    Limit {
        case: Case::BrokenOff,
        artefact: Artefact::Native,
        instead: "Envoy answers 502 or 503 in its own words",
        why: "the fields wait for the content, so that nothing was sent yet; what Envoy sends in \
              the place of a response that it has begun to read passes no filter again",
    },
    Limit {
        case: Case::TimedOut,
        artefact: Artefact::Native,
        instead: "Envoy answers 504 in its own words",
        why: "the same",
    },
];

impl Case {
    /// Whether it is beyond this host.
    pub(super) fn is_beyond(self, artefact: Artefact) -> bool {
        LIMITS.iter().any(|limit| limit.case == self && limit.artefact == artefact)
    }

    /// Says what it is beyond.
    pub(super) fn tell(self) {
        for limit in LIMITS.iter().filter(|limit| limit.case == self) {
            println!("       {}: {}, since {}", limit.artefact.name(), limit.instead, limit.why);
        }
    }
}

/// A service that answers an error with trailers, and no `trailer` field.
pub(super) async fn unannounced(mut stream: TcpStream) -> Result<()> {
    let response = "HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\n\
                    transfer-encoding: chunked\r\n\r\n5\r\nno\"pe\r\n0\r\nx-sum: 1\r\n\r\n";
    loop {
        // No request here has content.
        head(&mut stream).await?;
        stream.write_all(response.as_bytes()).await?;
    }
}

async fn unannounced_trailers(site: &Site, http: Http) -> Result<()> {
    Case::UnannouncedTrailers.tell();
    let request = get("/unannounced", http);
    let Answers { plain, ours } = site.ask_both(ERRORS, &request, &Answer::default()).await?;
    ensure!(plain.reply.trailer("x-sum").is_some(), "without a filter: {:?}", plain.reply);
    let problem = Problem::of(&request, 404, &plain.reply.body)?;
    for (artefact, done) in ours {
        let check = || {
            if Case::UnannouncedTrailers.is_beyond(artefact) {
                is_of_fields(&done.reply)?;
            } else {
                problem.check(&done.reply)?;
            }
            rest_is_kept(&done.reply, &plain.reply)
        };
        check().with_context(|| artefact.name())?;
    }
    Ok(())
}

/// An error unless it has the fields of a problem and no content.
pub(super) fn is_of_fields(reply: &Reply) -> Result<()> {
    ensure!(reply.body.is_empty(), "it has content");
    let media_type = values(&reply.fields, "content-type");
    ensure!(media_type == [MEDIA_TYPE.as_bytes()], "it is no problem");
    Ok(())
}

async fn lengths(site: &Site, http: Http) -> Result<()> {
    Case::FieldsAlone.tell();
    let right = |reply: &Reply| Some(reply.body.len().to_string().into_bytes());
    for (layout, path, content) in
        [(ERRORS, "/up/a", "some"), (ERRORS, "/up/a", ""), (GUARDED, "/up/private", "")]
    {
        let answer = error(404, content);
        let Answers { ours, .. } = site.ask(layout, &get(path, http), &answer).await?;
        for (artefact, done) in ours {
            let alone = content.is_empty() && Case::FieldsAlone.is_beyond(artefact);
            let stated = layout == GUARDED || alone;
            let expected = stated.then(|| right(&done.reply)).flatten();
            let seen = done.reply.field("content-length");
            ensure!(
                seen == expected.as_deref(),
                "{}, {path}, {content:?}: content-length {:?}, not {expected:?}",
                artefact.name(),
                seen.map(<[u8]>::escape_ascii),
            );
        }
    }
    Ok(())
}

async fn edits(site: &Site, http: Http) -> Result<()> {
    Case::FieldsAlone.tell();
    for (content, alone) in [("", true), ("some", false)] {
        let request = get("/up-edited/a", http);
        let Answers { plain, ours } = site.ask_both(EDITED, &request, &error(404, content)).await?;
        let count = |reply: &Reply| {
            [BY_FILTER, BY_ROUTE, BY_LOCAL_REPLY].map(|name| values(&reply.fields, name).len())
        };
        let usual = [1, 1, 0];
        let seen = count(&plain.reply);
        ensure!(seen == usual, "without a filter: {seen:?}");
        let problem = Problem::of(&request, 404, content.as_bytes())?;
        for (artefact, done) in ours {
            let is_beyond = alone && Case::FieldsAlone.is_beyond(artefact);
            let expected = if is_beyond { [0, 2, 1] } else { usual };
            let seen = count(&done.reply);
            let name = artefact.name();
            ensure!(seen == expected, "{name}, {content:?}: {seen:?}, not {expected:?}");
            problem.check(&done.reply).with_context(|| name)?;
        }
    }
    Ok(())
}

/// Over HTTP/2 the window of the client's stream counts instead, which is longer than any piece.
async fn long_piece(site: &Site, http: Http) -> Result<()> {
    Case::LongPiece.tell();
    let request = get("/up-http2/a", http);
    let text = filler(8 * NARROW_BYTES as usize);
    let answer = Answer { chunked: true, ..error(500, text.clone()) };
    for (artefact, listener) in site.listeners(NARROW) {
        let (case, labelled) = site.mesh.labelled(&request);
        site.mesh.upstream.expect(&case, answer.clone());
        let mut connection = Connection::open(site.mesh.address(&listener)?, http).await?;
        let outcome = connection.send(&labelled).await;
        let done = match artefact {
            Some(artefact) if http == Http::One && Case::LongPiece.is_beyond(artefact) => {
                is_incomplete(outcome)
            }
            Some(_) => outcome.and_then(|r| Problem::of(&request, 500, &text)?.check(&r)),
            None => outcome.and_then(|reply| {
                ensure!(reply.body == text, "other content");
                Ok(())
            }),
        };
        done.with_context(|| listener.clone())?;
        site.mesh.entry(&case).await?;
        ensure!(site.mesh.upstream.take(&case).len() == 1, "{listener}: it was sent again");
    }
    Ok(())
}

async fn late(site: &Site, http: Http) -> Result<()> {
    Case::TimedOut.tell();
    for (artefact, listener) in site.listeners(ERRORS) {
        late_through(site, artefact, &listener, http).await.with_context(|| listener.clone())?;
    }
    Ok(())
}

/// Where the answer has not begun in time, which is a matter of the machine, the timeout is an error as
/// any other. That shows, and then a longer one is tried.
async fn late_through(
    site: &Site,
    artefact: Option<Artefact>,
    listener: &str,
    http: Http,
) -> Result<()> {
    let answer = Answer { chunked: true, manner: Manner::Stalled, ..error(500, filler(200_000)) };
    for (path, _) in TIMEOUTS {
        let request = get(path, http);
        let (case, labelled) = site.mesh.labelled(&request);
        site.mesh.upstream.expect(&case, answer.clone());
        let mut connection = Connection::open(site.mesh.address(listener)?, http).await?;
        let outcome = connection.send(&labelled).await;
        site.mesh.entry(&case).await?;
        drop(site.mesh.upstream.take(&case));
        let too_soon = outcome.as_ref().is_ok_and(|reply| match artefact {
            None => is_of_envoy(reply, 504, TIMEOUT_TEXT).is_ok(),
            Some(_) => Problem::of(&request, 504, TIMEOUT_TEXT.as_bytes())
                .is_ok_and(|problem| problem.check(reply).is_ok()),
        });
        if !too_soon {
            return match artefact.is_some_and(|a| Case::TimedOut.is_beyond(a)) {
                true => is_of_envoy(&outcome?, 504, TIMEOUT_TEXT),
                false => is_incomplete(outcome),
            };
        }
    }
    bail!("no answer has begun within any of {TIMEOUTS:?}")
}

/// What never passes a filter of ours, whatever the host.
async fn pass_by(site: &Site, http: Http) -> Result<()> {
    let Answers { plain, .. } = site.ask(FRONTED, &get("/up/a", http), &Answer::default()).await?;
    ensure!(plain.reply.status == 503, "a filter before: status {}", plain.reply.status);
    site.unchanged(FRONTED, &get("/up/a", http), &Answer::default()).await?;
    if http == Http::Two {
        return Ok(());
    }
    let long = "x".repeat(200 << 10);
    for (what, status) in [
        ("GET /up/a HTTP/1.1\r\n\r\n", "400"),
        ("GET /up/a HTTP/1.0\r\n\r\n", "426"),
        (&format!("GET /up/a HTTP/1.1\r\nhost: a\r\nlong: {long}\r\n\r\n"), "431"),
        ("GET /up/a HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: other\r\n\r\n", "403"),
    ] {
        for (_, listener) in site.listeners(ERRORS) {
            let reply = async {
                let mut stream = TcpStream::connect(site.mesh.address(&listener)?).await?;
                stream.write_all(what.as_bytes()).await?;
                anyhow::Ok(head(&mut stream).await?.0)
            };
            let reply = tokio::time::timeout(PATIENCE, reply).await;
            let reply = reply.with_context(|| format!("not done within {PATIENCE:?}"));
            let reply = reply.flatten().with_context(|| format!("{status}, {listener}"))?;
            let is_same = reply.split(' ').nth(1) == Some(status) && !reply.contains(MEDIA_TYPE);
            ensure!(is_same, "{listener}: not {status} as it was, but {reply}");
        }
    }
    Ok(())
}
