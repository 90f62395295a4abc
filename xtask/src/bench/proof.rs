//! A figure counts only if the subject ran: it is seen to do what no empty chain does.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pintle_core::testing::corpus;

use super::auth::TOKEN;
use super::cell::Cell;
use super::proxy::{PROOF_FIELD, PROOF_PATH, Proxy};
use super::scenario::{Proof, Response};
use super::subject::Subject;
use crate::client::{self, Reply};
use crate::log::Mark;

/// Modules that do nothing answer a request with content with this, so that they can be seen.
const IDLE_STATUS: u16 = 418;

/// How long a line may take to the log, and the time between two looks: the module on proxy-wasm and
/// Envoy itself write behind the answer.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// The loggers of filters, and the level at which [`Proxy::start`] sets them.
const LOGGERS: [&str; 3] = ["wasm", "dynamic_modules", "lua"];
const LEVEL: &str = "info";

/// Longer than a module goes without asking for the level.
const SETTLING: Duration = Duration::from_millis(1500);

/// An error unless the subject shows that it works; where there is none, unless nothing shows.
pub(crate) async fn prove(proxy: &Proxy, cell: &Cell<'_>) -> Result<()> {
    seen(proxy, cell).await.with_context(|| format!("{cell} does not do its job"))
}

/// An error unless a reply to the measured request is the scenario's, or plain where nobody does the
/// job.
pub(crate) fn expect_answer(cell: &Cell<'_>, reply: &Reply) -> Result<()> {
    if cell.subject.does_the_job() {
        return expect(&cell.scenario.response, reply);
    }
    let expected = cell.scenario.plain_status();
    ensure!(reply.status == expected, "the status is {}, not {expected}", reply.status);
    Ok(())
}

async fn seen(proxy: &Proxy, cell: &Cell<'_>) -> Result<()> {
    let mark = proxy.log.mark();
    let request = cell.scenario.request()?;
    let reply = client::send(proxy.address, &request).await?;
    if cell.subject == Subject::None {
        return unseen(proxy, cell, &reply, mark).await;
    }
    expect_answer(cell, &reply)?;
    if !cell.subject.does_the_job() {
        return idle(proxy, &request).await;
    }
    match &cell.scenario.proof {
        None => Ok(()),
        Some(Proof::Exchange(exchanges)) => {
            for exchange in exchanges {
                let reply = client::send(proxy.address, &exchange.request()?).await?;
                expect(&exchange.response, &reply).context("a request that proves it")?;
            }
            Ok(())
        }
        Some(Proof::Token) => {
            ensure!(goes_upstream(proxy, &request).await?, "the upstream would get no token");
            Ok(())
        }
        Some(Proof::Log(text)) => {
            ensure!(logged(proxy, mark, text, None).await?, "{text:?} is not in the log");
            Ok(())
        }
        Some(Proof::DebugLog(text)) => {
            let quiet = !proxy.log.text_since(mark)?.contains(text.as_str());
            ensure!(quiet, "{text:?} is in the log, at the usual level");
            set_level(proxy, "debug").await?;
            let logged = logged(proxy, mark, text, Some(&request)).await?;
            set_level(proxy, LEVEL).await?;
            tokio::time::sleep(SETTLING).await;
            ensure!(logged, "{text:?} is not in the log at level debug");
            Ok(())
        }
    }
}

/// What proves the others must prove nothing here.
async fn unseen(proxy: &Proxy, cell: &Cell<'_>, reply: &Reply, mark: Mark) -> Result<()> {
    let shows = match &cell.scenario.proof {
        None => cell.scenario.response.lacks(reply).is_none(),
        Some(Proof::Exchange(exchanges)) => {
            let mut shows = false;
            for exchange in exchanges {
                let reply = client::send(proxy.address, &exchange.request()?).await?;
                shows |= exchange.response.lacks(&reply).is_none();
            }
            shows
        }
        Some(Proof::Token) => goes_upstream(proxy, &cell.scenario.request()?).await?,
        Some(Proof::Log(text)) => proxy.log.text_since(mark)?.contains(text.as_str()),
        Some(Proof::DebugLog(text)) => {
            set_level(proxy, "debug").await?;
            client::send(proxy.address, &cell.scenario.request()?).await?;
            set_level(proxy, LEVEL).await?;
            proxy.log.text_since(mark)?.contains(text.as_str())
        }
    };
    ensure!(!shows, "what should prove that a filter ran happens without one");
    Ok(())
}

/// Whether the token of the auth service does.
async fn goes_upstream(proxy: &Proxy, request: &corpus::Request) -> Result<bool> {
    let request = corpus::Request { path: PROOF_PATH.into(), ..request.clone() };
    let reply = client::send(proxy.address, &request).await?;
    Ok(reply.status == 200 && reply.field(PROOF_FIELD) == Some(TOKEN.as_bytes()))
}

async fn idle(proxy: &Proxy, request: &corpus::Request) -> Result<()> {
    let mut request = request.clone();
    request.method = "POST".into();
    request.message.body = b"x".to_vec();
    let reply = client::send(proxy.address, &request).await?;
    ensure!(reply.status == IDLE_STATUS, "a request with content is answered {}", reply.status);
    Ok(())
}

/// Whether the text comes to stand in the log; `again` is sent before each look.
async fn logged(
    proxy: &Proxy,
    mark: Mark,
    text: &str,
    again: Option<&corpus::Request>,
) -> Result<bool> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(request) = again {
            client::send(proxy.address, request).await?;
        }
        if proxy.log.text_since(mark)?.contains(text) {
            return Ok(true);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(false)
}

async fn set_level(proxy: &Proxy, level: &str) -> Result<()> {
    let loggers = LOGGERS.map(|logger| format!("{logger}:{level}"));
    let mut request = client::get(&format!("/logging?paths={}", loggers.join(",")));
    request.method = "POST".into();
    let reply = client::send(proxy.admin.0, &request).await.context("setting the log level")?;
    ensure!(reply.status == 200, "setting the log level: {}", String::from_utf8_lossy(&reply.body));
    Ok(())
}

fn expect(response: &Response, reply: &Reply) -> Result<()> {
    match response.lacks(reply) {
        None => Ok(()),
        Some(what) => Err(anyhow::Error::msg(what)),
    }
}
