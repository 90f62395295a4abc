//! Content of all sizes and kinds, framed in every way, of errors and of what is none.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use pintle_core::testing::corpus::{FieldLines, Http, filler};

use super::Test;
use super::expected::{MAX_BODY_BYTES, Problem, rest_is_kept};
use super::limits::{Case, is_of_fields};
use super::site::{Answers, ERRORS, Site, error, get};
use crate::upstream::{Answer, Manner};

const SIZES: [(usize, &str); 8] = [
    (0, "0 B"),
    (1, "1 B"),
    (1 << 10, "1 KiB"),
    (MAX_BODY_BYTES - 1, "64 KiB - 1"),
    (MAX_BODY_BYTES, "64 KiB"),
    (MAX_BODY_BYTES + 1, "64 KiB + 1"),
    (1 << 20, "1 MiB"),
    (5 << 20, "5 MiB"),
];

/// Some text, in the gzip format.
const GZIP: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\x48\xcd\xc9\xc9\x07\x00\x86\xa6\x10\x36\x05\x00\x00\x00";

pub(super) const TESTS: &[Test] = &[
    Test { name: "errors of all sizes", run: |site, http| Box::pin(errors(site, http)) },
    Test { name: "trailers alone", run: |site, http| Box::pin(trailers_alone(site, http)) },
    Test { name: "no errors of all sizes", run: |site, http| Box::pin(no_errors(site, http)) },
    Test { name: "one byte at a time", run: |site, http| Box::pin(drops(site, http)) },
    Test { name: "every byte value", run: |site, http| Box::pin(every_byte(site, http)) },
    Test { name: "a cut within a character", run: |site, http| Box::pin(cut(site, http)) },
    Test { name: "content with a coding", run: |site, http| Box::pin(codings(site, http)) },
    Test { name: "every status", run: |site, http| Box::pin(statuses(site, http)) },
];

/// With its length stated and not, and with trailers, which an upstream over HTTP/2 sends to a client
/// over HTTP/1.1 as well.
fn framings(answer: Answer) -> Vec<(String, &'static str, Answer)> {
    let chunked = Answer { chunked: true, ..answer.clone() };
    let trailing = Answer { trailers: trailers(), ..chunked.clone() };
    vec![
        ("with content-length".into(), "/up/a", answer),
        ("without content-length".into(), "/up/a", chunked.clone()),
        ("with trailers".into(), "/up/a", trailing.clone()),
        ("without content-length, from HTTP/2".into(), "/up-http2/a", chunked),
        ("with trailers, from HTTP/2".into(), "/up-http2/a", trailing),
    ]
}

fn trailers() -> FieldLines {
    vec![(b"x-sum".into(), b"1".into()), (b"x-odd".into(), b"caf\xE9".into())]
}

async fn errors(site: &Site, http: Http) -> Result<()> {
    for (bytes, size) in SIZES {
        for status in [404, 500] {
            for (how, path, answer) in framings(error(status, filler(bytes))) {
                if bytes == 0 && !answer.trailers.is_empty() {
                    continue;
                }
                let done = site.problem(ERRORS, &get(path, http), &answer).await;
                done.with_context(|| format!("{status} of {size} {how}"))?;
            }
        }
    }
    Ok(())
}

/// Beside sizes of content, none at all, which is not the same on both hosts.
async fn trailers_alone(site: &Site, http: Http) -> Result<()> {
    Case::TrailersAlone.tell();
    for (how, path, answer) in framings(error(404, "")) {
        if answer.trailers.is_empty() {
            continue;
        }
        let request = get(path, http);
        let Answers { plain, ours } = site.ask_both(ERRORS, &request, &answer).await?;
        ensure!(plain.reply.trailers == answer.trailers, "without a filter: {:?}", plain.reply);
        let problem = Problem::of(&request, 404, b"")?;
        for (artefact, done) in ours {
            let check = || {
                if Case::TrailersAlone.is_beyond(artefact) {
                    is_of_fields(&done.reply)?;
                } else {
                    problem.check(&done.reply)?;
                }
                rest_is_kept(&done.reply, &plain.reply)
            };
            check().with_context(|| format!("{how}, {}", artefact.name()))?;
        }
    }
    Ok(())
}

async fn no_errors(site: &Site, http: Http) -> Result<()> {
    for (bytes, size) in SIZES {
        for (how, path, answer) in framings(error(200, filler(bytes))) {
            let done = site.unchanged(ERRORS, &get(path, http), &answer).await;
            done.with_context(|| format!("{size} {how}"))?;
        }
    }
    Ok(())
}

async fn drops(site: &Site, http: Http) -> Result<()> {
    let text = "a\u{e9}\u{20ac}\u{1f600}\"\\\n".repeat(50);
    for status in [200, 502] {
        for (how, path, answer) in framings(error(status, text.clone())) {
            let answer = Answer { manner: Manner::Drops(1), ..answer };
            let request = get(path, http);
            let done = match status {
                200 => site.unchanged(ERRORS, &request, &answer).await,
                _ => site.problem(ERRORS, &request, &answer).await,
            };
            done.with_context(|| format!("{status} {how}"))?;
        }
    }
    Ok(())
}

async fn every_byte(site: &Site, http: Http) -> Result<()> {
    let all: Vec<u8> = (0..=u8::MAX).collect();
    site.problem(ERRORS, &get("/up/all", http), &error(500, all)).await.context("all of them")?;
    for byte in 0..=u8::MAX {
        let answer = error(400, vec![byte]);
        let done = site.problem(ERRORS, &get("/up/one", http), &answer).await;
        done.with_context(|| format!("{byte:#04x}"))?;
    }
    Ok(())
}

async fn cut(site: &Site, http: Http) -> Result<()> {
    for before in 0..4 {
        let text = "x".repeat(before) + &"\u{1f600}".repeat(MAX_BODY_BYTES / 4 + 1);
        for (how, path, answer) in framings(error(500, text.clone())) {
            let done = site.problem(ERRORS, &get(path, http), &answer).await;
            done.with_context(|| format!("{before} bytes before, {how}"))?;
        }
    }
    Ok(())
}

async fn codings(site: &Site, http: Http) -> Result<()> {
    for (coding, reads) in
        [("gzip", false), ("GZIP, br", false), ("unknown", false), ("identity", true)]
    {
        for (how, path, mut answer) in framings(error(500, Bytes::from_static(GZIP))) {
            answer.fields.push((b"content-encoding".into(), coding.into()));
            let request = get(path, http);
            let done = site.problem_with(ERRORS, &request, &answer, |problem| match reads {
                true => problem,
                false => problem.without_detail(),
            });
            done.await.with_context(|| format!("{coding} {how}"))?;
            let fine = Answer { status: 200, ..answer };
            let done = site.unchanged(ERRORS, &request, &fine).await;
            done.with_context(|| format!("{coding} {how}, no error"))?;
        }
    }
    Ok(())
}

async fn statuses(site: &Site, http: Http) -> Result<()> {
    for status in [200, 201, 206, 301, 302, 399] {
        let answer = error(status, "as it is");
        let done = site.unchanged(ERRORS, &get("/up/a", http), &answer).await;
        done.with_context(|| status.to_string())?;
    }
    for status in 400..=599 {
        let answer = error(status, "what is wrong");
        let done = site.problem(ERRORS, &get("/up/a?b=c", http), &answer).await;
        done.with_context(|| status.to_string())?;
    }
    Ok(())
}
