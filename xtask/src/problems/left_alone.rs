//! Responses that no problem takes the place of.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use pintle_core::testing::corpus::{Http, Message, Request};

use super::Test;
use super::expected::{MEDIA_TYPE, rest_is_kept, values};
use super::site::{Answers, ERRORS, Site, WANTED, WANTED_ERRORS, error, get};
use crate::upstream::{Answer, Manner};

pub(super) const TESTS: &[Test] = &[
    Test { name: "204 and 304", run: |site, http| Box::pin(no_content(site, http)) },
    Test { name: "HEAD", run: |site, http| Box::pin(head(site, http)) },
    Test { name: "problems already", run: |site, http| Box::pin(problems(site, http)) },
    Test { name: "server-sent events", run: |site, http| Box::pin(events(site, http)) },
    Test { name: "gRPC", run: |site, http| Box::pin(grpc(site, http)) },
    Test { name: "errors of other paths", run: |site, http| Box::pin(unwanted(site, http)) },
];

fn typed(status: u16, media_type: &str, body: impl Into<Bytes>) -> Answer {
    let fields = vec![(b"content-type".into(), media_type.into())];
    Answer { fields, ..error(status, body) }
}

async fn no_content(site: &Site, http: Http) -> Result<()> {
    for status in [204, 304] {
        let mut answer = error(status, "");
        answer.fields.push((b"etag".into(), b"\"x\"".into()));
        let done = site.unchanged(ERRORS, &get("/up/a", http), &answer).await;
        done.with_context(|| status.to_string())?;
    }
    Ok(())
}

async fn head(site: &Site, http: Http) -> Result<()> {
    for (status, path) in [
        (200, "/up/a"),
        (304, "/up/a"),
        (404, "/up/a"),
        (500, "/up/a"),
        (0, "/none"),
        (0, "/direct"),
    ] {
        for chunked in [false, true] {
            let request = Request { method: "HEAD".into(), ..get(path, http) };
            let mut answer = Answer { chunked, ..error(status.max(200), "not for HEAD") };
            answer.fields.push((b"etag".into(), b"\"x\"".into()));
            let shown = || format!("{status} of {path}, chunked: {chunked}");
            if (200..400).contains(&status) {
                site.unchanged(ERRORS, &request, &answer).await.with_context(shown)?;
                continue;
            }
            let Answers { plain, ours } =
                site.ask(ERRORS, &request, &answer).await.with_context(shown)?;
            for (artefact, done) in ours {
                let reply = &done.reply;
                let check = || {
                    ensure!(reply.status == plain.reply.status, "status {}", reply.status);
                    ensure!(reply.body.is_empty(), "it has content");
                    let types = values(&reply.fields, "content-type");
                    ensure!(types == [MEDIA_TYPE.as_bytes()], "content-type: {types:?}");
                    // That of the GET is not known.
                    let lengths = values(&reply.fields, "content-length");
                    ensure!(lengths.is_empty(), "content-length: {lengths:?}");
                    let tags = values(&reply.fields, "etag");
                    ensure!(tags.is_empty(), "etag: {tags:?}");
                    rest_is_kept(reply, &plain.reply)
                };
                check().with_context(|| format!("{}, {}", shown(), artefact.name()))?;
            }
        }
    }
    Ok(())
}

async fn problems(site: &Site, http: Http) -> Result<()> {
    for media_type in
        [MEDIA_TYPE, "Application/Problem+JSON", "application/problem+json; charset=utf-8"]
    {
        let mut answer = typed(404, media_type, r#"{"type": "about:blank", "own": 1}"#);
        answer.fields.push((b"etag".into(), b"\"x\"".into()));
        let done = site.unchanged(ERRORS, &get("/up/a", http), &answer).await;
        done.context(media_type)?;
    }
    // These only look like it.
    for media_type in ["application/problem+jsonx", "application/json", "text/problem+json"] {
        let answer = typed(404, media_type, r#"{"own": 1}"#);
        let done = site.problem(ERRORS, &get("/up/a", http), &answer).await;
        done.context(media_type)?;
    }
    Ok(())
}

async fn events(site: &Site, http: Http) -> Result<()> {
    let text = "data: one\n\ndata: two\n\n";
    for status in [200, 500] {
        for media_type in ["text/event-stream", "Text/Event-Stream;charset=utf-8"] {
            let answer = Answer {
                chunked: true,
                manner: Manner::Drops(11),
                ..typed(status, media_type, text)
            };
            let done = site.unchanged(ERRORS, &get("/up/a", http), &answer).await;
            done.with_context(|| format!("{status} {media_type}"))?;
        }
    }
    Ok(())
}

async fn grpc(site: &Site, http: Http) -> Result<()> {
    // By its request.
    let mut call = get("/up/pets.Pets/Get", http);
    call.method = "POST".into();
    call.message = Message {
        fields: [call.message.fields, vec![(b"content-type".into(), b"application/grpc".into())]]
            .concat(),
        body: vec![0; 5],
        chunked: true,
        trailers: Vec::new(),
    };
    let trailers = vec![(b"grpc-status".into(), b"5".into())];
    let failed = Answer { chunked: true, trailers, ..typed(200, "application/grpc", vec![0; 5]) };
    site.unchanged(ERRORS, &call, &failed).await.context("a call that fails")?;
    for status in [404, 503] {
        let answer = error(status, "no gRPC here");
        let done = site.unchanged(ERRORS, &call, &answer).await;
        done.with_context(|| format!("{status} to a call"))?;
    }
    site.unchanged(ERRORS, &Request { path: "/none".into(), ..call }, &Answer::default())
        .await
        .context("a call without a route")?;
    // By its response.
    for media_type in ["application/grpc", "application/grpc+proto", "application/grpc-web-text"] {
        let answer = typed(500, media_type, vec![0; 5]);
        let done = site.unchanged(ERRORS, &get("/up/a", http), &answer).await;
        done.context(media_type)?;
    }
    Ok(())
}

async fn unwanted(site: &Site, http: Http) -> Result<()> {
    for path in ["/up/other", "/none", "/no-host", "/direct"] {
        let answer = error(500, "as it is");
        let done = site.unchanged(WANTED_ERRORS, &get(path, http), &answer).await;
        done.context(path)?;
    }
    site.problem(WANTED_ERRORS, &get(WANTED, http), &error(500, "no")).await.context(WANTED)
}
