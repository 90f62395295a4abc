//! `core` alone: how long each filter takes, and how often it takes heap memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::process::Command;

use super::Bench;
use super::progress::Progress;
use super::results::{Micro, Results};
use crate::guard;
use crate::mesh::make_empty;

/// In seconds, per job; a full run has what the benches have themselves.
const QUICK: [&str; 6] =
    ["--warm-up-time", "0.1", "--measurement-time", "0.3", "--sample-size", "10"];

/// Runs the benches of `pintle-bench`. A run for some scenarios or subjects does without: they are
/// about neither.
pub(crate) async fn run(bench: &Bench, progress: &Progress, results: &mut Results) -> Result<()> {
    if !bench.whole {
        return Ok(());
    }
    progress.heading("core alone");
    match measure(bench, progress).await {
        Ok(micro) => results.micro = micro,
        Err(error) => results.failed.push(format!("core alone: {error:#}")),
    }
    Ok(())
}

async fn measure(bench: &Bench, progress: &Progress) -> Result<Vec<Micro>> {
    progress.say("building the benches");
    guard::succeed(cargo_bench(bench, &["--no-run"]), "cargo bench").await?;
    progress.say("counting allocations");
    let counted = allocations(bench).await?;
    progress.say(format!("timing {} jobs", counted.len()));
    let folder = bench.folder.join("criterion");
    make_empty(&folder)?;
    time(bench, &folder).await?;
    let mut samples = samples(&folder)?;
    let micro = counted.into_iter().map(|Counted { name, allocations }| {
        let samples_ns =
            samples.remove(&name).with_context(|| format!("{name:?} was not timed"))?;
        Ok(Micro { name, samples_ns, allocations })
    });
    micro.collect()
}

/// A line of the bench `allocations`.
#[derive(Debug, PartialEq, Deserialize)]
struct Counted {
    name: String,
    allocations: f64,
}

/// Of each job, in the order of reports.
async fn allocations(bench: &Bench) -> Result<Vec<Counted>> {
    let mut command = cargo_bench(bench, &["--bench", "allocations"]);
    command.stderr(Stdio::inherit());
    let output = command.output().await.context("starting cargo bench")?;
    ensure!(output.status.success(), "counting allocations failed ({})", output.status);
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let counted = lines.map(|line| serde_json::from_slice(line).context("reading allocations"));
    counted.collect()
}

/// Has Criterion write its samples below `folder`.
async fn time(bench: &Bench, folder: &Path) -> Result<()> {
    let mut command = cargo_bench(bench, &["--bench", "filters"]);
    // A line for each job.
    command.env("CRITERION_HOME", folder).args(["--", "--output-format", "bencher"]);
    if bench.quick {
        command.args(QUICK);
    }
    guard::succeed(command, "timing core").await
}

fn cargo_bench(bench: &Bench, arguments: &[&str]) -> Command {
    let mut command = bench.workspace.cargo();
    command.args(["bench", "--quiet", "--package", "pintle-bench"]).args(arguments);
    command
}

/// What Criterion calls a job.
#[derive(Deserialize)]
struct Benchmark {
    full_id: String,
}

/// Of each sample: how many runs it was, and how many nanoseconds they took.
#[derive(Deserialize)]
struct Sample {
    iters: Vec<f64>,
    times: Vec<f64>,
}

impl Sample {
    fn nanoseconds(&self) -> Vec<f64> {
        self.times.iter().zip(&self.iters).map(|(time, runs)| time / runs).collect()
    }
}

/// Nanoseconds by job, from the folders `<filter>/<case>/new` that Criterion leaves.
fn samples(folder: &Path) -> Result<BTreeMap<String, Vec<f64>>> {
    let mut samples = BTreeMap::new();
    for filter in std::fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
        let filter = filter?.path();
        for case in std::fs::read_dir(&filter).with_context(|| format!("{}", filter.display()))? {
            let new = case?.path().join("new");
            let benchmark: Benchmark = read(&new.join("benchmark.json"))?;
            let sample: Sample = read(&new.join("sample.json"))?;
            samples.insert(benchmark.full_id, sample.nanoseconds());
        }
    }
    Ok(samples)
}

fn read<T: DeserializeOwned>(file: &Path) -> Result<T> {
    let opened = File::open(file).with_context(|| format!("opening {}", file.display()))?;
    serde_json::from_reader(opened).with_context(|| format!("reading {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::{Benchmark, Counted, Sample};

    #[test]
    fn what_the_benches_write_is_read() {
        let line = r#"{"allocations":2.0,"name":"basic_auth/wrong password, denied"}"#;
        let counted: Counted = serde_json::from_str(line).unwrap();
        let name = "basic_auth/wrong password, denied".to_owned();
        assert_eq!(counted, Counted { name: name.clone(), allocations: 2.0 });

        let benchmark = r#"{"group_id": "basic_auth", "function_id": "wrong password, denied",
            "value_str": null, "throughput": null, "full_id": "basic_auth/wrong password, denied",
            "directory_name": "basic_auth/wrong password, denied",
            "title": "basic_auth/wrong password, denied"}"#;
        assert_eq!(serde_json::from_str::<Benchmark>(benchmark).unwrap().full_id, name);

        let sample = r#"{"sampling_mode": "Flat", "iters": [10.0, 20.0], "times": [50.0, 60.0]}"#;
        let sample: Sample = serde_json::from_str(sample).unwrap();
        assert_eq!(sample.nanoseconds(), [5.0, 3.0]);
    }
}
