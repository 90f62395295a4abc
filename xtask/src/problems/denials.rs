//! This library's own denials, in the form of problems: by the filter, and by `deny.format`.

use anyhow::{Context, Result, ensure};
use pintle_core::testing::corpus::{Http, Message, Request};

use super::Test;
use super::expected::{MEDIA_TYPE, Problem, alike, rest_is_kept, values};
use super::site::{
    Answers, GUARDED, GUARDED_AS_ACCEPTED, GUARDED_BY_PROBLEMS, GUARDED_IN_TEXT, Site, error, get,
};
use crate::client::Reply;
use crate::mesh::Exchange;
use crate::upstream::Answer;

/// Paths, how requests to them are denied, and the field that says what to do about it.
const DENIALS: [(&str, u16, &str, Option<&str>); 3] = [
    ("/up/private?q", 401, "pintle_no_credentials", Some("www-authenticate")),
    ("/up/allowed?q", 403, "pintle_field_missing", None),
    ("/up/orders?q", 503, "pintle_exchange_unavailable", Some("retry-after")),
];

pub(super) const TESTS: &[Test] = &[
    Test { name: "denials by the filter", run: |site, http| Box::pin(by_filter(site, http)) },
    Test { name: "denials by deny.format", run: |site, http| Box::pin(by_format(site, http)) },
    Test {
        name: "denials as the client accepts",
        run: |site, http| Box::pin(accepted(site, http)),
    },
    Test { name: "denials of gRPC calls", run: |site, http| Box::pin(grpc(site, http)) },
];

/// A request, and the credential that the auth service would be asked about.
fn denied(path: &str, http: Http) -> Request {
    let mut request = get(path, http);
    if path.starts_with("/up/orders") {
        request.message.fields.push((b"authorization".into(), b"Bearer x".into()));
    }
    request
}

/// Why a denial is a problem, or is none.
#[derive(Clone, Copy, PartialEq)]
enum Cause {
    Filter,
    /// `deny.format`; such problems say nothing of the query.
    Format,
    /// `deny.format: accept`, of which replies of both forms tell caches.
    Accept,
}

impl Cause {
    /// The reply without what tells caches.
    fn without_vary(self, reply: &Reply) -> Result<Reply> {
        let mut reply = reply.clone();
        if self == Self::Accept {
            ensure!(values(&reply.fields, "vary") == [b"accept"], "it does not vary by accept");
            reply.fields.retain(|(name, _)| name != b"vary");
        }
        Ok(reply)
    }

    /// What the instance of the problem is the path of.
    fn instance(self, request: &Request) -> Request {
        let mut request = request.clone();
        if self != Self::Filter {
            request.path.truncate(request.path.find('?').unwrap_or(request.path.len()));
        }
        request
    }
}

/// An error unless the denials of a layout are problems.
async fn are_problems(
    site: &Site,
    layout: &str,
    cause: Cause,
    change: impl Fn(&mut Request),
) -> Result<()> {
    for (path, status, details, field) in DENIALS {
        for method in ["GET", "HEAD"] {
            let mut request = Request { method: method.into(), ..denied(path, Http::One) };
            change(&mut request);
            let text = site.ask(GUARDED_IN_TEXT, &request, &Answer::default()).await?;
            let ours = site.ask(layout, &request, &Answer::default()).await?;
            for ((artefact, done), (_, text)) in ours.ours.iter().zip(&text.ours) {
                let check = || {
                    is_denial(text, status, details).context("in text")?;
                    is_denial(done, status, details)?;
                    if let Some(field) = field {
                        ensure!(done.reply.field(field).is_some(), "there is no {field}");
                    }
                    if method == "HEAD" {
                        ensure!(done.reply.body.is_empty(), "it has content");
                        let media_type = done.reply.field("content-type").unwrap_or_default();
                        ensure!(media_type == MEDIA_TYPE.as_bytes(), "it is no problem");
                    }
                    rest_is_kept(&cause.without_vary(&done.reply)?, &text.reply)
                };
                check().with_context(|| format!("{method} {path}, {}", artefact.name()))?;
                if method == "GET" {
                    let request = cause.instance(&request);
                    let problem = Problem::of(&request, status, &text.reply.body)?;
                    let checked = problem.check(&done.reply);
                    checked.with_context(|| format!("{path}, {}", artefact.name()))?;
                }
            }
        }
    }
    Ok(())
}

/// An error unless the denials of a layout, which are as the client accepts them, are text.
async fn are_text(site: &Site, layout: &str, change: impl Fn(&mut Request)) -> Result<()> {
    for (path, status, details, _) in DENIALS {
        let mut request = denied(path, Http::One);
        change(&mut request);
        let text = site.ask(GUARDED_IN_TEXT, &request, &Answer::default()).await?;
        let ours = site.ask(layout, &request, &Answer::default()).await?;
        for ((artefact, done), (_, text)) in ours.ours.iter().zip(&text.ours) {
            is_denial(done, status, details)
                .and_then(|()| Cause::Accept.without_vary(&done.reply))
                .and_then(|reply| alike(&reply, &text.reply))
                .with_context(|| format!("{path}, {}", artefact.name()))?;
        }
    }
    Ok(())
}

fn is_denial(done: &Exchange, status: u16, details: &str) -> Result<()> {
    ensure!(done.reply.status == status, "status {}, not {status}", done.reply.status);
    ensure!(done.entry.details == details, "details {}, not {details}", done.entry.details);
    ensure!(done.arrivals.is_empty(), "it reached the upstream");
    Ok(())
}

async fn by_filter(site: &Site, http: Http) -> Result<()> {
    are_problems(site, GUARDED, Cause::Filter, |request| request.http = http).await?;
    // What passes is what the upstream says, and its errors are problems too.
    let mut request = get("/up/allowed", http);
    request.message.fields.push((b"allow".into(), b"true".into()));
    site.unchanged(GUARDED, &request, &Answer::default()).await?;
    site.problem(GUARDED, &request, &error(404, "no such thing")).await
}

async fn by_format(site: &Site, http: Http) -> Result<()> {
    let over = |request: &mut Request| request.http = http;
    are_problems(site, GUARDED_BY_PROBLEMS, Cause::Format, over).await?;
    let answer = error(404, "no such thing");
    site.unchanged(GUARDED_BY_PROBLEMS, &get("/up/a", http), &answer).await.context("an error")
}

async fn accepted(site: &Site, http: Http) -> Result<()> {
    let accept = |value: &'static str| {
        move |request: &mut Request| {
            request.http = http;
            request.message.fields.push((b"accept".into(), value.into()));
        }
    };
    for value in ["application/problem+json", "text/html, application/json;q=0.9", "application/*"]
    {
        let accepts = accept(value);
        are_problems(site, GUARDED_AS_ACCEPTED, Cause::Accept, accepts).await.context(value)?;
    }
    for value in ["*/*", "text/html", "application/json;q=0"] {
        are_text(site, GUARDED_AS_ACCEPTED, accept(value)).await.context(value)?;
    }
    are_text(site, GUARDED_AS_ACCEPTED, |request| request.http = http).await.context("no accept")
}

async fn grpc(site: &Site, http: Http) -> Result<()> {
    for layout in [GUARDED, GUARDED_BY_PROBLEMS] {
        for (path, ..) in DENIALS {
            let mut call = denied(path, http);
            call.method = "POST".into();
            call.message = Message { body: vec![0; 5], chunked: true, ..call.message };
            call.message.fields.push((b"content-type".into(), b"application/grpc".into()));
            let text = site.ask(GUARDED_IN_TEXT, &call, &Answer::default()).await?;
            let Answers { ours, .. } = site.ask(layout, &call, &Answer::default()).await?;
            for ((artefact, done), (_, text)) in ours.iter().zip(&text.ours) {
                ensure!(done.reply.field("grpc-status").is_some(), "no gRPC status for {path}");
                alike(&done.reply, &text.reply)
                    .with_context(|| format!("{layout}: {path}, {}", artefact.name()))?;
            }
        }
    }
    Ok(())
}
