//! Replies that Envoy makes up by itself.

use anyhow::{Context, Result, ensure};
use pintle_core::testing::corpus::{Http, Request, filler};

use super::Test;
use super::site::{Answers, BUFFERED, ERRORS, MAX_REQUEST_BYTES, Site, get};
use crate::authority::Act;
use crate::upstream::Answer;

/// Paths that Envoy answers itself, and how.
const REPLIES: [(&str, u16); 6] = [
    ("/none", 404),
    ("/no-host", 503),
    ("/refused", 503),
    ("/late", 504),
    ("/direct", 500),
    ("/direct-empty", 404),
];

/// More than one frame of HTTP/2 has by default: content that ends with its first piece is not buffered.
const TOO_MANY_BYTES: usize = 20_000;

pub(super) const TESTS: &[Test] = &[
    Test { name: "replies of Envoy's own", run: |site, http| Box::pin(own(site, http)) },
    Test { name: "413 of Envoy's own", run: |site, http| Box::pin(too_large(site, http)) },
];

async fn own(site: &Site, http: Http) -> Result<()> {
    site.mesh.authority.plan(|_| Act::Silence);
    for (path, status) in REPLIES {
        let request = get(&format!(r"{path}?a=\b"), http);
        // A direct response is for a path, whatever the query.
        let Answers { plain, .. } = site.ask(ERRORS, &request, &Answer::default()).await?;
        ensure!(plain.reply.status == status, "{path}: status {}", plain.reply.status);
        ensure!(plain.arrivals.is_empty(), "{path}: it reached the upstream");
        site.problem(ERRORS, &request, &Answer::default()).await.with_context(|| path)?;
    }
    Ok(())
}

async fn too_large(site: &Site, http: Http) -> Result<()> {
    for chunked in [false, true] {
        let mut request = Request { method: "POST".into(), ..get("/up/a", http) };
        request.message.chunked = chunked;
        request.message.body = filler(MAX_REQUEST_BYTES as usize);
        site.unchanged(BUFFERED, &request, &Answer::default()).await.context("all that may be")?;
        request.message.body = filler(TOO_MANY_BYTES);
        let Answers { plain, .. } = site.ask(BUFFERED, &request, &Answer::default()).await?;
        ensure!(plain.reply.status == 413, "status {}", plain.reply.status);
        ensure!(plain.arrivals.is_empty(), "it reached the upstream");
        site.problem(BUFFERED, &request, &Answer::default()).await.context("more than may be")?;
    }
    Ok(())
}
