//! `token_exchange` on a real Envoy with several workers and a real auth service that fails in every
//! way it can.
//!
//! A wait ends when what is waited for is there, or fails at a bound that no working proxy comes near.
//! What has to be done within a timeout or a life of the filter's has several seconds for it.

mod answers;
mod bodies;
mod changes;
mod clients;
mod crowds;
mod faults;
mod memory;
mod numbers;
mod secrets;
mod site;

use std::pin::Pin;
use std::time::Duration;

use anyhow::{Result, anyhow};
use serde_json::Value;

use self::site::Site;
use crate::artefact::Artefact;
use crate::bootstrap::Listener;
use crate::envoy::Envoy;
use crate::mesh::{Mesh, Setup};
use crate::suite::{Ground, Tally};

/// Worker threads.
const WORKERS: u32 = 4;
/// Longer than any one test takes.
const PATIENCE: Duration = Duration::from_secs(300);

/// A test on an Envoy that it shares with others, with a listener of its own.
struct Test {
    name: &'static str,
    /// Members of the configuration, beside those of [`site::document`].
    config: fn() -> Value,
    /// What `Pause` means to proxy-wasm: with `true` the body comes while the fields are held.
    stop_iteration: bool,
    run: for<'a> fn(&'a Site, &'a str) -> Running<'a>,
}

/// A test with an Envoy of its own.
struct OwnTest {
    name: &'static str,
    run: for<'a> fn(&'a Place<'a>) -> Running<'a>,
}

type Running<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// Where a test with an Envoy of its own runs.
struct Place<'a> {
    ground: &'a Ground,
    envoy: &'a Envoy,
    artefact: Artefact,
}

impl Test {
    const fn new(
        name: &'static str,
        config: fn() -> Value,
        run: for<'a> fn(&'a Site, &'a str) -> Running<'a>,
    ) -> Self {
        Self { name, config, stop_iteration: false, run }
    }
}

/// Everything, through each artefact.
pub(crate) async fn run(ground: &Ground, envoy: &Envoy) -> Result<Tally> {
    let mut tally = Tally::default();
    for artefact in envoy.artefacts() {
        let place = Place { ground, envoy, artefact };
        place.shared(&mut tally).await?;
        place.own(&mut tally).await;
    }
    Ok(tally)
}

impl Place<'_> {
    async fn shared(&self, tally: &mut Tally) -> Result<()> {
        let all = [
            crowds::TESTS,
            faults::TESTS,
            clients::TESTS,
            bodies::TESTS,
            answers::TESTS,
            numbers::TESTS,
        ];
        // The module has no such option.
        let native = self.artefact == Artefact::Native;
        let tests = all.into_iter().flatten().filter(|test| !(test.stop_iteration && native));
        let tests: Vec<&Test> = tests.filter(|test| self.ground.wants(test.name)).collect();
        if tests.is_empty() {
            return Ok(());
        }
        let listeners: Vec<Listener> = tests
            .iter()
            .map(|test| {
                let config = site::document(test.name, &(test.config)());
                let mut listener = self.listener(test.name, &config);
                if test.stop_iteration {
                    for filter in &mut listener.filters {
                        filter["typed_config"]["config"]["allow_on_headers_stop_iteration"] =
                            true.into();
                    }
                }
                listener
            })
            .collect();
        let mut site = self.start("exchange", &listeners, Setup::default()).await?;
        for test in tests {
            let result = bounded(async {
                (test.run)(&site, test.name).await?;
                site.settle(test.name).await
            });
            let result = result.await;
            let failed = result.is_err();
            tally.record(self.artefact.name(), test.name, result);
            site.mesh.alive()?;
            if failed {
                // What a failed test left behind is no fault of the next.
                site = self.start("exchange", &listeners, Setup::default()).await?;
            }
        }
        Ok(())
    }

    async fn own(&self, tally: &mut Tally) {
        let all = [changes::TESTS, memory::TESTS, secrets::TESTS];
        let tests = all.into_iter().flatten().filter(|test| self.ground.wants(test.name));
        for test in tests {
            let result = bounded((test.run)(self)).await;
            tally.record(self.artefact.name(), test.name, result);
        }
    }

    fn listener(&self, name: &str, config: &str) -> Listener {
        Listener::with(name, &self.ground.workspace, self.artefact, config)
    }

    async fn start(&self, label: &str, listeners: &[Listener], setup: Setup) -> Result<Site> {
        let label = format!("{label}-{}", self.artefact.name());
        let workspace = &self.ground.workspace;
        let setup = Setup { workers: WORKERS, ..setup };
        let mesh = Mesh::start_as(workspace, self.envoy, &label, listeners, setup).await?;
        Ok(Site { artefact: self.artefact, mesh })
    }
}

async fn bounded(test: impl Future<Output = Result<()>>) -> Result<()> {
    let late = || anyhow!("not done within {PATIENCE:?}");
    tokio::time::timeout(PATIENCE, test).await.map_err(|_| late()).flatten()
}
