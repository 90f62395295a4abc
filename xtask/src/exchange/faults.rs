//! An auth service that fails: nobody passes, nobody hangs, nothing of it is remembered.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use serde_json::{Value, json};

use super::Test;
use super::site::{Site, cached, denied, passed, token_of, with};
use crate::authority::{Act, Plan, text};
use crate::upstream::Answer;

/// How many ask at once.
const CROWD: usize = 20;
const TEN_MEGABYTES: usize = 10 << 20;

pub(super) const TESTS: &[Test] = &[
    Test::new("answers that are none", impatient, |site, at| Box::pin(no_answers(site, at))),
    Test::new("an answer that comes byte by byte", cached, |site, at| Box::pin(drip(site, at))),
    Test::new("killed while requests wait, and started again", cached, |site, at| {
        Box::pin(killed(site, at))
    }),
    Test::new("reset while requests wait", cached, |site, at| Box::pin(reset(site, at))),
    Test::new(
        "over HTTP/2",
        || json!({"cluster": "auth-h2", "cache": {"ttl": "10m"}}),
        |site, at| Box::pin(http2(site, at)),
    ),
];

/// With a timeout that is reached where there is no answer, and not where there is one.
fn impatient() -> Value {
    json!({"cache": {"ttl": "10m"}, "timeout": "4s"})
}

/// What a service may do instead of giving a token.
fn faults() -> Vec<(&'static str, Plan)> {
    let bytes = |bytes: &'static [u8]| Bytes::from_static(bytes);
    let field = |status, name: &str, value: &[u8]| Answer {
        fields: vec![(name.into(), value.into())],
        ..text(status, "")
    };
    let half = bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\nhalf of a tok");
    vec![
        ("nothing", Act::Silence.into()),
        ("the end at once", Act::Bytes(Bytes::new()).into()),
        ("a reset at once", Act::Reset(Bytes::new()).into()),
        ("garbage", Act::Bytes(bytes(b"\x00\xff\x16\x03\x01 no HTTP\r\n\r\n")).into()),
        ("half a head", Act::Bytes(bytes(b"HTTP/1.1 200 OK\r\ncontent-le")).into()),
        ("half a head and a reset", Act::Reset(bytes(b"HTTP/1.1 200 OK\r\nx-a: b")).into()),
        ("half a body", Act::Bytes(half.clone()).into()),
        ("half a body and a reset", Act::Reset(half.clone()).into()),
        ("half a body, slowly", Act::Drip(half, Duration::from_millis(200)).into()),
        (
            "chunks that are none",
            Act::Bytes(bytes(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\ntoken"))
                .into(),
        ),
        ("10 MB", text(200, vec![b'a'; TEN_MEGABYTES]).into()),
        (
            "10 MB in chunks",
            Answer { chunked: true, ..text(200, vec![b'a'; TEN_MEGABYTES]) }.into(),
        ),
        ("a token over the limit", text(200, vec![b'a'; (16 << 10) + 1]).into()),
        ("an empty body", text(200, "").into()),
        ("white space", text(200, " \r\n\t").into()),
        ("a line feed within", text(200, "a\nx-role: admin").into()),
        ("a carriage return and line feed within", text(200, "a\r\nx-role: admin").into()),
        ("a NUL within", text(200, "a\0b").into()),
        ("no content", text(204, "").into()),
        ("another success", text(201, "a-token").into()),
        ("a redirect", field(302, "location", b"http://elsewhere.example/").into()),
        ("not modified", text(304, "").into()),
        ("an error of its own", text(500, "a-token").into()),
        ("unavailable", field(503, "retry-after", b"9").into()),
        ("a gateway's timeout", text(504, "a-token").into()),
        ("an unknown status", text(599, "a-token").into()),
    ]
}

async fn no_answers(site: &Site, at: &str) -> Result<()> {
    let authority = &site.mesh.authority;
    for (what, plan) in faults() {
        let credential = format!("Bearer {}", what.replace([' ', ','], "-"));
        authority.reset();
        authority.plan(move |_| plan.clone());
        let requests = vec![with(&credential); CROWD];
        for done in site.crowd(at, &requests).await.with_context(|| what.to_owned())? {
            denied(&done, 503).with_context(|| what.to_owned())?;
        }
        ensure!(authority.count() > 0, "{what}: nobody asked");
        authority.reset();
        let done = site.ask(at, &with(&credential)).await?;
        passed(&done, &token_of(&credential)).with_context(|| format!("after {what}"))?;
    }
    Ok(())
}

async fn drip(site: &Site, at: &str) -> Result<()> {
    site.mesh.authority.plan(|_| {
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\nx-odd: caf\u{e9}\r\n\r\na-token\n";
        Act::Drip(Bytes::from_static(answer.as_bytes()), Duration::from_millis(5))
    });
    for done in site.crowd(at, &vec![with("Bearer drip"); CROWD]).await? {
        passed(&done, "a-token")?;
    }
    site.flew(1)
}

async fn killed(site: &Site, at: &str) -> Result<()> {
    let (known, lost) = ("Bearer known", "Bearer killed");
    let authority = &site.mesh.authority;
    passed(&site.ask(at, &with(known)).await?, &token_of(known))?;
    authority.hold();
    let requests = vec![with(lost); CROWD];
    let kill = async {
        let waiting = site.active(CROWD as u64).await;
        authority.kill().await;
        waiting
    };
    let (all, killed) = tokio::join!(site.crowd(at, &requests), kill);
    killed?;
    for done in all? {
        denied(&done, 503).context("cut off")?;
    }
    denied(&site.ask(at, &with(lost)).await?, 503).context("while it is down")?;
    authority.reset();
    authority.restart().await?;
    passed(&site.ask(at, &with(lost)).await?, &token_of(lost)).context("started again")
}

async fn reset(site: &Site, at: &str) -> Result<()> {
    let authority = &site.mesh.authority;
    authority.hold();
    authority.plan(|_| Act::Reset(Bytes::new()));
    let requests = vec![with("Bearer reset"); CROWD];
    let release = async {
        let waiting = site.active(CROWD as u64).await;
        authority.release();
        waiting
    };
    let (all, released) = tokio::join!(site.crowd(at, &requests), release);
    released?;
    for done in all? {
        denied(&done, 503)?;
    }
    site.flew(1)
}

async fn http2(site: &Site, at: &str) -> Result<()> {
    for done in site.crowd(at, &vec![with("Bearer h2"); CROWD]).await? {
        passed(&done, &token_of("Bearer h2"))?;
    }
    site.flew(1)?;
    site.mesh.authority.plan(|_| Act::Reset(Bytes::new()));
    denied(&site.ask(at, &with("Bearer h2-reset")).await?, 503)
}
