//! `cargo xtask bench`: what each way to run a filter costs, side by side on one Envoy.

mod auth;
mod callgrind;
mod cell;
mod compare;
mod cores;
mod instructions;
mod latency;
mod load;
mod machine;
mod memory;
mod micro;
mod number;
mod peers;
mod picture;
mod progress;
mod proof;
mod proxy;
mod report;
mod results;
mod scenario;
mod service;
mod soak;
mod statistics;
mod subject;
pub(crate) mod suite;
mod throughput;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::artefact::{self, Artefact};
use crate::cargo::Workspace;
use crate::envoy::{self, Envoy};

use cell::Cell;
use cores::Cores;
use load::Load;
use peers::Peers;
use progress::Progress;
use results::Results;
use scenario::{Measure, Scenario};
use subject::Subject;

/// The Envoy that reports are about.
const ENVOY: &str = "1.40.0";

/// What `cargo xtask bench` is told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// No instruction counts, fewer scenarios and subjects, shorter rounds: under three minutes.
    #[arg(long)]
    quick: bool,
    /// Only this scenario: the name of a file in bench/scenarios. May be repeated.
    #[arg(long, value_name = "SCENARIO")]
    only: Vec<String>,
    /// Only this subject, beside no filter at all. May be repeated.
    #[arg(long, value_name = "SUBJECT")]
    subject: Vec<Subject>,
    /// Prints the ratios to earlier results, and what got worse by more than the noise.
    #[arg(long, value_name = "OLD.json")]
    compare: Option<PathBuf>,
    /// Takes the results of an earlier run instead of measuring.
    #[arg(long, value_name = "RESULTS.json", conflicts_with_all = ["quick", "only", "subject"])]
    from: Option<PathBuf>,
    /// The Envoy to measure on: a version or a path. Default: 1.40.0 from PyPI.
    #[arg(long, default_value = ENVOY)]
    envoy: String,
}

/// What the measures stand on.
pub(crate) struct Bench {
    workspace: Workspace,
    envoy: Envoy,
    peers: Peers,
    /// None if it could not be had, or nothing is timed.
    load: Option<Load>,
    scenarios: Vec<Scenario>,
    subjects: Vec<Subject>,
    quick: bool,
    /// Whether nobody chose scenarios or subjects.
    whole: bool,
    /// Where the Envoys' files go.
    folder: PathBuf,
}

impl Bench {
    /// With every subject that can be built here.
    fn new(
        workspace: &Workspace,
        envoy: Envoy,
        peers: Peers,
        scenarios: Vec<Scenario>,
    ) -> Result<Self> {
        let folder = workspace.target.join("bench");
        std::fs::create_dir_all(&folder).context("creating target/bench")?;
        let (workspace, subjects) = (workspace.clone(), Subject::ALL.to_vec());
        let (load, quick, whole) = (None, false, true);
        Ok(Self { workspace, envoy, peers, load, scenarios, subjects, quick, whole, folder })
    }

    /// What takes part in a measure, scenario by scenario.
    fn cells(&self, measure: Measure) -> Vec<Cell<'_>> {
        let scenarios = self.scenarios.iter().filter(|scenario| scenario.takes(measure));
        scenarios.flat_map(|scenario| self.cells_of(scenario)).collect()
    }

    /// What takes part in a scenario, size by size: subjects stand in the order of [`Subject::ALL`].
    fn cells_of<'s>(&'s self, scenario: &'s Scenario) -> Vec<Cell<'s>> {
        let sizes = scenario.sizes().into_iter();
        let cell = |size, subject: &Subject| Cell { scenario, size, subject: *subject };
        let cells = sizes.flat_map(|size| self.subjects.iter().map(move |s| cell(size, s)));
        cells.filter(|cell| cell.exists() && self.peers.have(cell.subject)).collect()
    }
}

/// Measures, or takes what was measured, and shows it.
pub(crate) async fn run(options: Options) -> Result<ExitCode> {
    let workspace = Workspace::find().await?;
    let old = options.compare.as_deref().map(Results::read).transpose()?;
    let results = match &options.from {
        Some(file) => Results::read(file)?,
        None => measure(&workspace, &options).await?,
    };
    if options.from.is_none() || old.is_none() {
        report::write(&workspace, &results)?;
    }
    if let Some(old) = old {
        print!("{}", compare::render(&old, &results));
    }
    Ok(if results.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn measure(workspace: &Workspace, options: &Options) -> Result<Results> {
    let scenarios = chosen(scenario::read_all(workspace)?, options)?;
    let mut envoys = envoy::find(workspace, Some(&options.envoy)).await?;
    let (Some(envoy), true) = (envoys.pop(), envoys.is_empty()) else {
        bail!("--envoy {}: the bench runs on one Envoy", options.envoy);
    };
    artefact::build(workspace).await?;
    let progress = Progress::start();
    let peers = Peers::build(workspace, &progress).await?;
    if let Some(what) = Artefact::ALL.into_iter().find_map(|artefact| envoy.lacks(artefact)) {
        bail!("the bench compares the artefacts, and Envoy {} lacks {what}", envoy.version);
    }
    let whole = options.only.is_empty() && options.subject.is_empty();
    let full = whole && !options.quick && options.envoy == ENVOY;
    let mut results = Results::new(machine::describe(workspace, &envoy).await?, full);
    let mut bench = Bench::new(workspace, envoy, peers, scenarios)?;
    bench.subjects.retain(|subject| takes_part(*subject, options));
    (bench.quick, bench.whole) = (options.quick, whole);
    bench.load = load(workspace, &progress, &mut results).await;
    results.describe(&bench.scenarios);
    results.left_out.extend(bench.peers.missing());
    results.left_out.iter().for_each(|what| progress.say(format!("left out: {what}")));
    micro::run(&bench, &progress, &mut results).await?;
    throughput::run(&bench, &progress, &mut results).await?;
    latency::run(&bench, &progress, &mut results).await?;
    memory::run(&bench, &progress, &mut results).await?;
    soak::run(&bench, &progress, &mut results).await?;
    if !bench.quick {
        instructions::run(&bench, &progress, &mut results).await?;
    }
    results.seconds = progress.seconds();
    results.write(workspace)?;
    Ok(results)
}

/// The load generator, and who runs where.
async fn load(workspace: &Workspace, progress: &Progress, results: &mut Results) -> Option<Load> {
    let mut load = match Load::find(workspace, progress).await {
        Ok(load) => load,
        Err(error) => {
            let left_out =
                format!("throughput and latency, for want of a load generator: {error:#}");
            results.left_out.push(left_out);
            return None;
        }
    };
    results.machine.tools.insert("oha".into(), load.version.clone());
    match Cores::share().await {
        Ok(cores) => load.cores = Some(cores),
        Err(error) => results.left_out.push(format!("a core for Envoy alone: {error:#}")),
    }
    Some(load)
}

fn chosen(all: Vec<Scenario>, options: &Options) -> Result<Vec<Scenario>> {
    if let Some(unknown) = options.only.iter().find(|id| all.iter().all(|s| s.id != **id)) {
        let names: Vec<&str> = all.iter().map(|scenario| scenario.id.as_str()).collect();
        bail!("--only {unknown}: there is no such scenario, but {}", names.join(", "));
    }
    let wanted = |scenario: &Scenario| match options.only.is_empty() {
        true => !options.quick || scenario.quick,
        false => options.only.contains(&scenario.id),
    };
    Ok(all.into_iter().filter(wanted).collect())
}

/// Nothing can be compared without the empty chain.
fn takes_part(subject: Subject, options: &Options) -> bool {
    match options.subject.is_empty() {
        true => !options.quick || subject.quick(),
        false => subject == Subject::None || options.subject.contains(&subject),
    }
}
