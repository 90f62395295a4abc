//! Fields: what stays, and what goes with the content that it is about.

use anyhow::{Context, Result, ensure};
use pintle_core::testing::corpus::{FieldLines, Http};

use super::Test;
use super::expected::{GONE, Problem, TRACEPARENT, values};
use super::site::{Answers, ERRORS, PLUGIN, Site, error, get};
use crate::upstream::Answer;

pub(super) const TESTS: &[Test] = &[
    Test { name: "other fields stay", run: |site, http| Box::pin(kept(site, http)) },
    Test { name: "fields about the content go", run: |site, http| Box::pin(gone(site, http)) },
    Test { name: "the document of the plug-in", run: |site, http| Box::pin(plugin(site, http)) },
];

/// Fields that mean something with a problem too.
const KEPT: [(&str, &str); 15] = [
    ("set-cookie", "a=1; Path=/; HttpOnly"),
    ("x-between", "1"),
    ("set-cookie", "b=2; Secure"),
    ("retry-after", "120"),
    ("www-authenticate", "Bearer realm=\"x\", error=\"invalid_token\""),
    ("www-authenticate", "Basic realm=\"y\""),
    ("access-control-allow-origin", "https://app.example"),
    ("access-control-allow-credentials", "true"),
    ("access-control-expose-headers", "retry-after, x-request-id"),
    ("vary", "origin"),
    ("cache-control", "no-store"),
    ("location", "/elsewhere"),
    ("link", "</help>; rel=help"),
    ("x-odd", "1, 2"),
    ("x-empty", ""),
];

fn lines(fields: &[(&str, &str)]) -> FieldLines {
    fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

async fn kept(site: &Site, http: Http) -> Result<()> {
    for chunked in [false, true] {
        for body in ["", "no"] {
            let mut fields = lines(&KEPT);
            fields.push((b"x-bytes".into(), b"caf\xE9".into()));
            let answer = Answer { fields, chunked, ..error(401, body) };
            let request = get("/up/a", http);
            let Answers { ours, .. } = site.ask(ERRORS, &request, &answer).await?;
            for (artefact, done) in ours {
                for (name, _) in KEPT {
                    let expected = values(&answer.fields, name);
                    let seen = values(&done.reply.fields, name);
                    ensure!(seen == expected, "{}: {name}: {seen:?}", artefact.name());
                }
            }
            site.problem(ERRORS, &request, &answer).await?;
        }
    }
    Ok(())
}

async fn gone(site: &Site, http: Http) -> Result<()> {
    for times in [1, 2] {
        let mut answer = error(404, "gone");
        for name in GONE.into_iter().filter(|name| *name != "content-encoding") {
            for _ in 0..times {
                answer.fields.push((name.into(), b"\"x\"".into()));
            }
        }
        site.problem(ERRORS, &get("/up/a", http), &answer).await?;
        let fine = Answer { status: 200, ..answer };
        site.unchanged(ERRORS, &get("/up/a", http), &fine).await.context("no error")?;
    }
    // A type too many, and none.
    let mut answer = error(404, "typed");
    answer.fields.push((b"content-type".into(), b"text/html; charset=iso-8859-1".into()));
    site.problem(ERRORS, &get("/up/a", http), &answer).await?;
    let none = Answer { fields: Vec::new(), ..answer };
    site.problem(ERRORS, &get("/up/a", http), &none).await
}

/// The whole configuration of the custom-errors plug-in.
async fn plugin(site: &Site, http: Http) -> Result<()> {
    let change = |problem: Problem| {
        let problem = problem.with("title", "as it was").with("trace_id", TRACEPARENT);
        problem.with("type", "https://example.com/not-found")
    };
    let there = get("/up/plugin/a?b=c", http);
    site.problem_with(PLUGIN, &there, &error(404, "no"), change).await.context("404")?;
    for status in [403, 504] {
        let done = site.unchanged(PLUGIN, &there, &error(status, "no")).await;
        done.with_context(|| status.to_string())?;
    }
    let elsewhere = get("/up/other?u=http://example.com/up/plugin", http);
    site.unchanged(PLUGIN, &elsewhere, &error(404, "no")).await.context("another path")?;
    let mut other = there;
    other.authority = "example.org".into();
    site.unchanged(PLUGIN, &other, &error(404, "no")).await.context("another host")
}
