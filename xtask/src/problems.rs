//! `problem_json` on a real Envoy with several workers and a real upstream: what becomes a problem,
//! what is left alone, and that nothing piles up.
//!
//! Every request goes through a listener without a filter too. What comes back from there says what
//! must come back through the filter, and both artefacts must agree.

mod contents;
mod crowds;
mod denials;
mod expected;
mod faults;
mod fields;
mod headers_file;
mod left_alone;
mod limits;
mod own_replies;
mod service;
mod site;
mod streams;
mod upgrades;

use std::pin::Pin;
use std::time::Duration;

use anyhow::{Result, anyhow};
use pintle_core::testing::corpus::Http;

use self::site::Site;
use crate::artefact::Artefact;
use crate::envoy::Envoy;
use crate::suite::{Ground, Tally};

/// Worker threads.
const WORKERS: u32 = 4;
/// For one test to be done in: far more than any takes, as only a failure waits for its end.
const TEST_PATIENCE: Duration = Duration::from_secs(600);
/// For what must happen within a test: far more than it takes, for the same reason.
const PATIENCE: Duration = Duration::from_secs(60);
/// For what may happen and show more if it does. No test fails for want of it, so this is as short as
/// it may be to see something on most machines.
const CHANCE: Duration = Duration::from_millis(100);
/// Between two looks at what changes: much shorter than [`PATIENCE`], and long enough not to keep a core
/// busy.
const PAUSE: Duration = Duration::from_millis(20);

/// A test, over both versions of HTTP.
struct Test {
    name: &'static str,
    run: for<'a> fn(&'a Site, Http) -> Running<'a>,
}

/// A test over one of them.
struct OneTest {
    name: &'static str,
    run: for<'a> fn(&'a Site) -> Running<'a>,
}

type Running<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// Everything, through all artefacts that this Envoy can load.
pub(crate) async fn run(ground: &Ground, envoy: &Envoy) -> Result<Tally> {
    let mut tally = Tally::default();
    let artefacts = envoy.artefacts();
    let place = match artefacts.as_slice() {
        [one] => one.name(),
        _ => "both artefacts",
    };
    let all = [
        contents::TESTS,
        fields::TESTS,
        left_alone::TESTS,
        own_replies::TESTS,
        denials::TESTS,
        faults::TESTS,
        crowds::TESTS,
        streams::TESTS,
        limits::TESTS,
    ];
    let tests = all.into_iter().flatten().flat_map(|test| {
        [(Http::One, "HTTP/1.1"), (Http::Two, "HTTP/2")].map(|(http, version)| {
            let run: Box<dyn for<'a> Fn(&'a Site) -> Running<'a>> =
                Box::new(move |site| (test.run)(site, http));
            (format!("{} over {version}", test.name), run)
        })
    });
    let one = upgrades::TESTS.iter().map(|test| {
        let run: Box<dyn for<'a> Fn(&'a Site) -> Running<'a>> = Box::new(test.run);
        (test.name.to_owned(), run)
    });
    let tests: Vec<_> = tests.chain(one).filter(|(name, _)| ground.wants(name)).collect();
    if !tests.is_empty() {
        let mut site = Site::start(ground, envoy).await?;
        for (name, run) in tests {
            let result = bounded(async {
                run(&site).await?;
                site.settle().await
            });
            let result = result.await;
            let failed = result.is_err();
            tally.record(place, name, result);
            site.mesh.alive()?;
            if failed {
                // What a failed test left behind is no fault of the next.
                site = Site::start(ground, envoy).await?;
            }
        }
    }
    if artefacts.contains(&Artefact::Wasm) && ground.wants(headers_file::NAME) {
        let result = bounded(headers_file::run(ground, envoy)).await;
        tally.record(Artefact::Wasm.name(), headers_file::NAME, result);
    }
    for artefact in artefacts {
        memory(ground, envoy, artefact, &mut tally).await;
    }
    Ok(tally)
}

async fn memory(ground: &Ground, envoy: &Envoy, artefact: Artefact, tally: &mut Tally) {
    for test in streams::MEMORY.iter().filter(|test| ground.wants(test.name)) {
        let result = bounded(streams::memory(ground, envoy, artefact, test)).await;
        tally.record(artefact.name(), test.name, result);
    }
}

async fn bounded(test: impl Future<Output = Result<()>>) -> Result<()> {
    let late = || anyhow!("not done within {TEST_PATIENCE:?}");
    tokio::time::timeout(TEST_PATIENCE, test).await.map_err(|_| late()).flatten()
}
