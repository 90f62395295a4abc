//! What is made of answers, and of there being none: the knobs, and the cache over time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Test;
use super::site::{Site, cached, denied, over_http2, passed, token_of, tokens, with};
use crate::authority::{text, token};
use crate::clusters::AUTH_EMPTY;
use crate::mesh::Exchange;
use crate::upstream::Answer;

const PAUSE: Duration = Duration::from_millis(50);

pub(super) const TESTS: &[Test] = &[
    Test::new(
        "a cluster that does not exist",
        || json!({"cluster": "missing"}),
        |site, at| Box::pin(unreachable(site, at, false)),
    ),
    Test::new("a cluster that does not exist, with a cache", no_cluster_cached, |site, at| {
        Box::pin(unreachable(site, at, false))
    }),
    Test::new("a cluster that does not exist, allowed", no_cluster_allowed, |site, at| {
        Box::pin(unreachable(site, at, true))
    }),
    Test::new(
        "a cluster without hosts",
        || json!({"cluster": AUTH_EMPTY}),
        |site, at| Box::pin(unreachable(site, at, false)),
    ),
    Test::new("a cluster without hosts, with a cache", no_hosts_cached, |site, at| {
        Box::pin(unreachable(site, at, false))
    }),
    Test::new(
        "a cluster that refuses connections",
        || json!({"cluster": "nowhere"}),
        |site, at| Box::pin(unreachable(site, at, false)),
    ),
    Test::new("a cluster that refuses connections, allowed", refused_allowed, |site, at| {
        Box::pin(unreachable(site, at, true))
    }),
    Test::new(
        "a bad answer, allowed",
        || json!({"on_bad_answer": "allow"}),
        |site, at| Box::pin(bad_answer_allowed(site, at)),
    ),
    Test::new("without a credential", cached, |site, at| Box::pin(no_credential(site, at))),
    Test::new(
        "in mode observe",
        || json!({"mode": "observe"}),
        |site, at| Box::pin(observed(site, at)),
    ),
    Test::new("a refusal is remembered for a while", negative, |site, at| {
        Box::pin(refusals(site, at))
    }),
    Test::new("a flood of refused credentials", small, |site, at| Box::pin(flood(site, at))),
    Test::new("an old token in place of an error", stale, |site, at| Box::pin(errors(site, at))),
    Test::new("a token is renewed ahead of need", ahead, |site, at| Box::pin(renewed(site, at))),
    Test::new("more wait than may", few_waiters, |site, at| Box::pin(overload(site, at))),
];

fn no_cluster_cached() -> Value {
    json!({"cluster": "missing", "cache": {"ttl": "10m"}})
}

fn no_cluster_allowed() -> Value {
    json!({"cluster": "missing", "on_unavailable": "allow"})
}

fn no_hosts_cached() -> Value {
    json!({"cluster": AUTH_EMPTY, "cache": {"ttl": "10m"}})
}

fn refused_allowed() -> Value {
    json!({"cluster": "nowhere", "on_unavailable": "allow", "cache": {"ttl": "10m"}})
}

fn negative() -> Value {
    json!({"cache": {"ttl": "10m", "negative_ttl": "10s"}})
}

fn small() -> Value {
    json!({"cache": {"ttl": "10m", "negative_ttl": "10m", "max_entries": 100}})
}

fn stale() -> Value {
    json!({"cache": {"ttl": "1s", "stale_if_error": "10m"}})
}

fn ahead() -> Value {
    json!({"cache": {"ttl": "30s", "refresh_ahead": true}})
}

fn few_waiters() -> Value {
    json!({"cache": {"ttl": "10m", "max_waiters": 2}})
}

async fn unreachable(site: &Site, at: &str, allowed: bool) -> Result<()> {
    for round in 0..3 {
        let requests = vec![with("Bearer unreachable"); 10];
        for done in site.crowd(at, &requests).await? {
            let result = if allowed { went_without(&done) } else { denied(&done, 503) };
            result.with_context(|| format!("round {round}"))?;
        }
    }
    ensure!(site.mesh.authority.count() == 0, "somebody was asked");
    Ok(())
}

/// An error unless the request reached the upstream with no token, its sender's least of all.
fn went_without(done: &Exchange) -> Result<()> {
    let (status, arrivals) = (done.reply.status, done.arrivals.len());
    ensure!((status, arrivals) == (200, 1), "status {status}, {arrivals} at the upstream");
    tokens(done, &[])
}

async fn bad_answer_allowed(site: &Site, at: &str) -> Result<()> {
    for (status, body) in [(204, ""), (200, ""), (302, "x")] {
        site.mesh.authority.plan(move |_| text(status, body));
        went_without(&site.ask(at, &with("Bearer bad")).await?)
            .with_context(|| format!("{status}"))?;
    }
    site.mesh.authority.plan(|_| text(500, ""));
    denied(&site.ask(at, &with("Bearer bad")).await?, 503)
}

async fn no_credential(site: &Site, at: &str) -> Result<()> {
    let mut request = with("x");
    request.message.fields.retain(|(name, _)| name != b"authorization");
    went_without(&site.ask(at, &request).await?)?;
    for repeated in [&["Bearer a", "Bearer b"][..], &["Bearer a,Bearer b"], &["Basic YTpi, x"]] {
        let mut request = request.clone();
        let fields = repeated.iter().map(|value| ("authorization".into(), (*value).into()));
        request.message.fields.extend(fields);
        let done = site.ask(at, &request).await?;
        denied(&done, 401).with_context(|| format!("{repeated:?}"))?;
    }
    ensure!(site.mesh.authority.count() == 0, "somebody was asked");
    Ok(())
}

async fn observed(site: &Site, at: &str) -> Result<()> {
    let done = site.ask(at, &with("Bearer observed")).await?;
    passed(&done, "made-up")?;
    ensure!(site.mesh.authority.count() == 0, "somebody was asked");
    site.counts(at, "observed", 1).await
}

async fn refusals(site: &Site, at: &str) -> Result<()> {
    let request = over_http2(with("Bearer refused"));
    let mut connection = site.connect(at).await?;
    let refused = |status: u16| {
        let field = (b"www-authenticate".to_vec(), b"Bearer error=\"invalid_token\"".to_vec());
        Answer { fields: vec![field], ..text(status, "secret reason") }
    };
    for status in [401, 403] {
        let before = site.mesh.authority.count();
        site.mesh.authority.plan(move |_| refused(status));
        // Of the one before nothing is left once there is a callout again.
        site.until("the refusal is forgotten", async || {
            let done = site.ask_on(&mut connection, &request).await?;
            ensure!(done.arrivals.is_empty(), "it reached the upstream");
            let calls = site.mesh.authority.count();
            tokio::time::sleep(PAUSE).await;
            Ok((calls > before, format!("{calls} calls")))
        })
        .await?;
        let calls = site.mesh.authority.count();
        for _ in 0..5 {
            let done = site.ask_on(&mut connection, &request).await?;
            denied(&done, status)?;
            let challenge = done.reply.field("www-authenticate").unwrap_or_default();
            ensure!(challenge == b"Bearer error=\"invalid_token\"", "{}", challenge.escape_ascii());
            ensure!(!done.reply.body.starts_with(b"secret"), "the body is relayed");
        }
        ensure!(site.mesh.authority.count() == calls, "a refusal was not remembered");
    }
    site.mesh.authority.reset();
    site.until("the refusal is forgotten", async || {
        let done = site.ask_on(&mut connection, &request).await?;
        tokio::time::sleep(PAUSE).await;
        Ok((done.reply.status == 200, format!("status {}", done.reply.status)))
    })
    .await
}

async fn flood(site: &Site, at: &str) -> Result<()> {
    let good: Vec<String> = (0..10).map(|n| format!("Bearer good-{n}")).collect();
    site.mesh.authority.plan(|call| {
        let credential = call.field("authorization").unwrap_or_default();
        match credential.starts_with(b"Bearer good") {
            true => text(200, token(credential)),
            false => text(401, "no"),
        }
    });
    let mut connection = site.connect(at).await?;
    for credential in &good {
        let done = site.ask_on(&mut connection, &over_http2(with(credential))).await?;
        passed(&done, &token_of(credential))?;
    }
    for n in 0..1000 {
        let request = over_http2(with(&format!("Bearer bad-{n}")));
        let reply = connection.send(&request).await?;
        ensure!(reply.status == 401, "status {}", reply.status);
    }
    let before = site.mesh.authority.count();
    for credential in &good {
        let done = site.ask_on(&mut connection, &over_http2(with(credential))).await?;
        passed(&done, &token_of(credential))?;
    }
    let asked = site.mesh.authority.count() - before;
    ensure!(asked == 0, "{asked} of {} good answers were pushed out", good.len());
    Ok(())
}

async fn errors(site: &Site, at: &str) -> Result<()> {
    let request = over_http2(with("Bearer stale"));
    let token = token_of("Bearer stale");
    let mut connection = site.connect(at).await?;
    passed(&site.ask_on(&mut connection, &request).await?, &token)?;
    site.mesh.authority.plan(|_| text(500, "down"));
    site.until("the token is old, and the service is asked anew", async || {
        passed(&site.ask_on(&mut connection, &request).await?, &token)?;
        tokio::time::sleep(PAUSE).await;
        let calls = site.mesh.authority.count();
        Ok((calls >= 2, format!("{calls} calls")))
    })
    .await?;
    site.mesh.authority.kill().await;
    passed(&site.ask_on(&mut connection, &request).await?, &token).context("service killed")?;
    site.mesh.authority.restart().await?;
    // A refusal is no error: the old token is of no use any more.
    site.mesh.authority.plan(|_| text(401, "gone"));
    site.until("the refusal counts", async || {
        let done = site.ask_on(&mut connection, &request).await?;
        tokio::time::sleep(PAUSE).await;
        Ok((done.reply.status == 401, format!("status {}", done.reply.status)))
    })
    .await
}

async fn renewed(site: &Site, at: &str) -> Result<()> {
    let request = over_http2(with("Bearer ahead"));
    let authority = &site.mesh.authority;
    let asked = AtomicUsize::new(0);
    authority.plan(move |_| text(200, format!("token-{}", asked.fetch_add(1, Ordering::Relaxed))));
    let mut connection = site.connect(at).await?;
    passed(&site.ask_on(&mut connection, &request).await?, "token-0")?;
    authority.hold();
    site.until("the token is renewed", async || {
        passed(&site.ask_on(&mut connection, &request).await?, "token-0")?;
        tokio::time::sleep(PAUSE).await;
        let calls = authority.count();
        Ok((calls >= 2, format!("{calls} calls")))
    })
    .await?;
    // It is under way, and nobody waits for it, nor starts another.
    for _ in 0..5 {
        passed(&site.ask_on(&mut connection, &request).await?, "token-0")?;
    }
    ensure!(authority.count() == 2, "{} calls, not 2", authority.count());
    authority.release();
    site.until("the new token is there", async || {
        let done = site.ask_on(&mut connection, &request).await?;
        tokio::time::sleep(PAUSE).await;
        Ok((passed(&done, "token-1").is_ok(), "none".to_owned()))
    })
    .await?;
    ensure!(authority.count() == 2, "{} calls, not 2", authority.count());
    Ok(())
}

async fn overload(site: &Site, at: &str) -> Result<()> {
    let request = over_http2(with("Bearer overload"));
    site.mesh.authority.hold();
    let connection = site.connect(at).await?;
    let requests = vec![request; 10];
    let settle = async {
        // One leads, two wait, and the others are answered.
        let settled = site.active(3).await;
        let counted = site.counts(at, "denied.exchange_overloaded", 7).await;
        site.mesh.authority.release();
        settled.and(counted)
    };
    let (all, settled) = tokio::join!(site.crowd_on(&connection, &requests), settle);
    settled?;
    let (served, turned_away): (Vec<_>, Vec<_>) =
        all?.into_iter().partition(|done| done.reply.status == 200);
    ensure!(served.len() == 3, "{} were served, not 3", served.len());
    for done in served {
        passed(&done, &token_of("Bearer overload"))?;
    }
    for done in turned_away {
        denied(&done, 503)?;
        ensure!(done.entry.details == "pintle_exchange_overloaded", "{}", done.entry.details);
    }
    Ok(())
}
