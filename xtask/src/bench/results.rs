//! What a run found: every sample, in the form that `bench/README.md` describes.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::cell::Cell;
use super::machine::Machine;
use super::scenario::Scenario;
use super::statistics::{Spread, median};
use super::subject::Subject;
use crate::cargo::Workspace;

/// The form of the file. Another form has another number.
const FORMAT: u32 = 1;

/// After so many requests of a soak, what grows is a leak and not the allocator's store.
const SETTLED_REQUESTS: u64 = 200_000;

/// One run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Results {
    format: u32,
    /// What it ran on, and what of.
    pub(crate) machine: Machine,
    /// Whether nothing was left out by choice.
    pub(crate) full: bool,
    /// How long it took.
    pub(crate) seconds: f64,
    /// The scenarios, in the order of reports.
    pub(crate) scenarios: Vec<Job>,
    /// Instructions per request.
    pub(crate) instructions: Vec<Instructions>,
    /// CPU time per request, and requests per second.
    pub(crate) throughput: Vec<Throughput>,
    /// What each subject can do through the upstream: the rates of latency are shares of the least.
    pub(crate) capacity: Vec<Throughput>,
    /// Latency at fixed rates.
    pub(crate) latency: Vec<Latency>,
    /// Resident memory by worker threads, and time to load.
    pub(crate) memory: Vec<Memory>,
    /// Resident memory over many requests.
    pub(crate) soak: Vec<Soak>,
    /// Bytes of each file that is loaded into Envoy.
    pub(crate) file_bytes: BTreeMap<Subject, u64>,
    /// `core` alone.
    pub(crate) micro: Vec<Micro>,
    /// What there was no tool for, and what to install.
    pub(crate) left_out: Vec<String>,
    /// What went wrong.
    pub(crate) failed: Vec<String>,
}

/// A scenario, for readers of the results alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Job {
    /// The name of its file.
    pub(crate) id: String,
    /// The name in reports.
    pub(crate) title: String,
    /// What is done.
    pub(crate) about: String,
    /// What sizes count, if there are any.
    pub(crate) varies: Option<String>,
    /// The sizes.
    pub(crate) sizes: Vec<u32>,
    /// Which of Envoy's filters do it.
    pub(crate) envoy_filters: Vec<String>,
}

/// What a figure is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The name of the scenario's file.
    pub(crate) scenario: String,
    /// How many of what the scenario varies.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) size: Option<u32>,
    /// Who does the job.
    pub(crate) subject: Subject,
}

/// Instructions that Envoy's worker thread executed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Instructions {
    /// What of.
    #[serde(flatten)]
    pub(crate) place: Place,
    /// How many of the subject stood in the chain.
    pub(crate) copies: u32,
    /// Requests per sample.
    pub(crate) requests: u32,
    /// Instructions per request, for the whole chain and all of Envoy around it.
    pub(crate) samples: Vec<f64>,
}

/// A closed loop: rounds in which every connection sends its next request once it has an answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Throughput {
    /// What of.
    #[serde(flatten)]
    pub(crate) place: Place,
    /// Connections, each with one request under way.
    pub(crate) connections: u32,
    /// In the order of time; round n of all subjects of a scenario stood next to each other.
    pub(crate) rounds: Vec<Round>,
}

/// One round of a closed loop.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Round {
    /// Requests answered.
    pub(crate) requests: u64,
    /// How long it took.
    pub(crate) seconds: f64,
    /// What Envoy's worker thread spent.
    pub(crate) cpu_seconds: f64,
}

/// An open loop: requests are due at a fixed rate, and latency counts from when they were due.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Latency {
    /// What of.
    #[serde(flatten)]
    pub(crate) place: Place,
    /// Per cent of what the slowest subject can do.
    pub(crate) load_percent: u32,
    /// Requests per second.
    pub(crate) rate: u32,
    /// In the order of time.
    pub(crate) rounds: Vec<LatencyRound>,
}

/// One round of an open loop.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LatencyRound {
    /// Requests that came to an end.
    pub(crate) requests: u64,
    /// Those of them that were not answered as they should be.
    pub(crate) errors: u64,
    /// How long it took.
    pub(crate) seconds: f64,
    /// What Envoy's worker thread spent.
    pub(crate) cpu_seconds: f64,
    /// Microseconds at percentiles: 50, 90, 99, 99.9.
    pub(crate) p50_us: f64,
    /// At the 90th.
    pub(crate) p90_us: f64,
    /// At the 99th.
    pub(crate) p99_us: f64,
    /// At the 99.9th.
    pub(crate) p999_us: f64,
}

/// Resident memory of Envoy after warm-up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// What of.
    #[serde(flatten)]
    pub(crate) place: Place,
    /// Worker threads.
    pub(crate) workers: u32,
    /// From the start of the process to the first answer, in ms; one per start.
    pub(crate) start_ms: Vec<f64>,
    /// Bytes; one per start.
    pub(crate) resident_bytes: Vec<u64>,
}

/// Resident memory over many requests.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Soak {
    /// What of.
    #[serde(flatten)]
    pub(crate) place: Place,
    /// In the order of time.
    pub(crate) points: Vec<SoakPoint>,
}

/// Memory at one time.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct SoakPoint {
    /// Requests so far.
    pub(crate) requests: u64,
    /// Bytes.
    pub(crate) resident_bytes: u64,
}

/// A benchmark of `core` alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Micro {
    /// The filter and the case.
    pub(crate) name: String,
    /// Nanoseconds per request.
    pub(crate) samples_ns: Vec<f64>,
    /// Heap allocations per request.
    pub(crate) allocations: f64,
}

impl Results {
    /// Nothing yet.
    pub(crate) fn new(machine: Machine, full: bool) -> Self {
        Self {
            format: FORMAT,
            machine,
            full,
            seconds: 0.0,
            scenarios: Vec::new(),
            instructions: Vec::new(),
            throughput: Vec::new(),
            capacity: Vec::new(),
            latency: Vec::new(),
            memory: Vec::new(),
            soak: Vec::new(),
            file_bytes: BTreeMap::new(),
            micro: Vec::new(),
            left_out: Vec::new(),
            failed: Vec::new(),
        }
    }

    /// Says what the scenarios are.
    pub(crate) fn describe(&mut self, scenarios: &[Scenario]) {
        self.scenarios = scenarios.iter().map(Job::of).collect();
    }

    /// Reads a file of this form.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
        let no_results = || format!("{} holds no results", file.display());
        let value: serde_json::Value = serde_json::from_slice(&text).with_context(no_results)?;
        let format = &value["format"];
        ensure!(*format == FORMAT, "{} has form {format}, not {FORMAT}", file.display());
        serde_json::from_value(value).with_context(no_results)
    }

    /// Writes them where they belong: those of a full run into the repository.
    pub(crate) fn write(&self, workspace: &Workspace) -> Result<()> {
        let file = self
            .folder(workspace)
            .join("results")
            .join(format!("{}-{}.json", self.machine.date, self.machine.commit));
        let folder = file.parent().unwrap_or(&workspace.root);
        std::fs::create_dir_all(folder)
            .with_context(|| format!("creating {}", folder.display()))?;
        let text = serde_json::to_string_pretty(self).context("rendering results")? + "\n";
        std::fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
        println!("wrote {}", file.strip_prefix(&workspace.root).unwrap_or(&file).display());
        Ok(())
    }

    /// Whether they may stand in the repository: those of a full run in which nothing failed, and for
    /// which no tool was missing that all could have.
    pub(crate) fn are_complete(&self) -> bool {
        let measured = !self.instructions.is_empty() && !self.latency.is_empty();
        self.full && self.failed.is_empty() && measured
    }

    /// `bench/` for complete results, a folder of its own for all others.
    pub(crate) fn folder(&self, workspace: &Workspace) -> std::path::PathBuf {
        match self.are_complete() {
            true => workspace.root.join("bench"),
            false => workspace.target.join("bench"),
        }
    }

    /// What a filter costs, in instructions per request: the chain less the empty one, by copies.
    pub(crate) fn per_filter(&self, of: &Instructions) -> Option<f64> {
        let none = self.instructions.iter().find(|other| other.place == of.place.of_none())?;
        let more = median(&of.samples)? - median(&none.samples)?;
        (of.copies > 0).then(|| more / f64::from(of.copies))
    }
}

impl Instructions {
    /// Of the samples.
    pub(crate) fn spread(&self) -> Option<Spread> {
        Spread::of(&self.samples)
    }
}

impl Throughput {
    /// Microseconds of the worker thread per request.
    pub(crate) fn cpu_us(&self) -> Vec<f64> {
        self.rounds.iter().map(|round| round.cpu_seconds * 1e6 / round.requests as f64).collect()
    }

    /// The share of the time that the worker thread was busy.
    pub(crate) fn busy(&self) -> Vec<f64> {
        self.rounds.iter().map(|round| round.cpu_seconds / round.seconds).collect()
    }

    /// Requests per second.
    pub(crate) fn rate(&self) -> Vec<f64> {
        self.rounds.iter().map(|round| round.requests as f64 / round.seconds).collect()
    }
}

impl Soak {
    /// The bytes that were added once memory had settled, and over how many requests.
    pub(crate) fn growth(&self) -> Option<(f64, u64)> {
        let settled = self.points.iter().find(|point| point.requests >= SETTLED_REQUESTS)?;
        let last = self.points.last()?;
        let requests = last.requests.saturating_sub(settled.requests);
        let bytes = last.resident_bytes as f64 - settled.resident_bytes as f64;
        (requests > 0).then_some((bytes, requests))
    }
}

impl Place {
    /// The same with no filter at all, which has no size.
    pub(crate) fn of_none(&self) -> Self {
        Self { subject: Subject::None, size: None, ..self.clone() }
    }
}

impl From<&Cell<'_>> for Place {
    fn from(cell: &Cell<'_>) -> Self {
        let size = cell.size.filter(|_| cell.subject != Subject::None);
        Self { scenario: cell.scenario.id.clone(), size, subject: cell.subject }
    }
}

impl Job {
    fn of(scenario: &Scenario) -> Self {
        let document = scenario.config(Subject::Envoy).unwrap_or_default();
        let document = serde_json::from_str::<serde_json::Value>(document).unwrap_or_default();
        let filters = document["http_filters"].as_array().cloned().unwrap_or_default();
        let name = |filter: &serde_json::Value| {
            let name = filter["name"].as_str().unwrap_or_default();
            name.rsplit('.').next().unwrap_or_default().to_owned()
        };
        Self {
            id: scenario.id.clone(),
            title: scenario.title.clone(),
            about: scenario.about.clone(),
            varies: scenario.varies().map(str::to_owned),
            sizes: scenario.sizes().into_iter().flatten().collect(),
            envoy_filters: filters.iter().map(name).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, Soak, SoakPoint};
    use crate::bench::subject::Subject;

    #[test]
    fn growth_counts_once_memory_has_settled() {
        let growth = |points: &[(u64, u64)]| {
            let place =
                Place { scenario: "reference".into(), size: None, subject: Subject::Native };
            let point = |&(requests, resident_bytes): &_| SoakPoint { requests, resident_bytes };
            Soak { place, points: points.iter().map(point).collect() }.growth()
        };
        let points = [(0, 10), (100_000, 20), (200_000, 30), (300_000, 33)];
        assert_eq!(growth(&points), Some((3.0, 100_000)));
        assert_eq!(growth(&[(0, 10), (200_000, 30), (300_000, 29)]), Some((-1.0, 100_000)));
        assert_eq!(growth(&points[..3]), None);
        assert_eq!(growth(&[]), None);
    }
}
