//! Latency at fixed rates: an open loop, one worker, a real upstream.
//!
//! Requests are due at a rate that is a share of what the slowest subject can do, whatever has
//! become of those before them, and a request that has to wait for a free connection has been under
//! way since it was due: latency is corrected for coordinated omission. Subjects take turns as they
//! do for throughput.
//!
//! What the figures hold beside Envoy and the filter:
//!
//! - The load generator (one thread that sends, one that keeps the time) and the upstream (one
//!   thread) share what cores Envoy leaves. On two cores that is one, and what they wait for each
//!   other is part of every latency, the same for all subjects. Envoy has a core of its own where
//!   cores can be chosen. If that load generator is slower than Envoy, what the slowest subject can
//!   do is its limit: a line of progress says how busy Envoy's worker was.
//! - `oha` keeps time by the millisecond: requests that fall due within the same one leave
//!   together. At a rate of 10,000 per second that is bursts of ten, of which the last waits for nine
//!   others. Percentiles above the median therefore show how fast a subject works off a short
//!   queue, as they do under real traffic, which is not evenly spaced either.
//! - If the load generator itself wakes late, the clock of what was due starts late with it.

use std::time::Duration;

use anyhow::{Context, Error, Result};

use super::Bench;
use super::cell::Cell;
use super::load::{CONNECTIONS, Load, Pace, Tally};
use super::progress::Progress;
use super::proof;
use super::proxy::{Proxy, Setup};
use super::results::{Latency, LatencyRound, Place, Results, Throughput};
use super::scenario::Measure;
use super::service::{CONTENT, Service};
use super::statistics::median;
use super::throughput::{same_job, turns};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// Per cent of what the slowest subject can do.
    loads: &'static [u32],
    /// Per load.
    rounds: usize,
    round: Duration,
    warm_up: Duration,
    /// Rounds that find out what a subject can do, and how long one takes.
    trials: usize,
    trial: Duration,
}

const FULL: Plan = Plan {
    loads: &[25, 50, 75],
    rounds: 3,
    round: Duration::from_secs(6),
    warm_up: Duration::from_secs(1),
    trials: 3,
    trial: Duration::from_secs(1),
};

const QUICK: Plan = Plan {
    loads: &[50],
    rounds: 1,
    round: Duration::from_secs(4),
    warm_up: Duration::from_millis(500),
    trials: 1,
    trial: Duration::from_millis(700),
};

/// Measures all cells that want it.
pub(crate) async fn run(bench: &Bench, progress: &Progress, results: &mut Results) -> Result<()> {
    let cells = bench.cells(Measure::Latency);
    let Some(load) = bench.load.as_ref().filter(|_| !cells.is_empty()) else { return Ok(()) };
    progress.heading("Latency at fixed rates, in microseconds");
    let service = match Service::upstream(load.cores.clone(), CONTENT).await {
        Ok(service) => service,
        Err(error) => {
            results.failed.push(format!("latency: {error:#}"));
            return Ok(());
        }
    };
    let setup =
        Setup { upstream: Some(service.address), under: load.envoy_under(), ..Setup::default() };
    let plan = if bench.quick { QUICK } else { FULL };
    for job in cells.chunk_by(same_job) {
        let mut runners = Vec::new();
        for cell in job {
            match Runner::start(bench, load, plan, &setup, *cell).await {
                Ok(runner) => runners.push(runner),
                Err(error) => results.failed.push(failure(cell, &error)),
            }
        }
        compete(load, plan, &mut runners, progress).await;
        for runner in runners {
            let cell = runner.cell;
            match runner.finish().await {
                Ok(Measured { capacity, latency, faults }) => {
                    results.capacity.push(capacity);
                    results.latency.extend(latency);
                    let faults = faults.into_iter().map(|fault| failure(&cell, &fault));
                    results.failed.extend(faults);
                }
                Err(error) => results.failed.push(failure(&cell, &error)),
            }
        }
    }
    Ok(())
}

/// All loads, the lowest first.
async fn compete(load: &Load, plan: Plan, runners: &mut [Runner<'_>], progress: &Progress) {
    for trial in 0..plan.trials {
        for turn in turns(runners.len(), trial) {
            if let Some(runner) = runners.get_mut(turn) {
                runner.trial(load, plan.trial).await;
            }
        }
    }
    let rates = runners.iter().filter(|runner| runner.trouble.is_none()).filter_map(|runner| {
        Some((median(&runner.capacity.rate())?, median(&runner.capacity.busy())?, runner.cell))
    });
    let Some((slowest, busy, cell)) = rates.min_by(|a, b| a.0.total_cmp(&b.0)) else { return };
    let busy = busy * 100.0;
    progress.say(format!(
        "{cell} is the slowest with {slowest:.0} requests/s, its worker busy for {busy:.0} %"
    ));
    for percent in plan.loads {
        let rate = (slowest * f64::from(*percent) / 100.0).max(1.0) as u32;
        for runner in runners.iter_mut() {
            let place = Place::from(&runner.cell);
            runner.loads.push(Latency { place, load_percent: *percent, rate, rounds: Vec::new() });
        }
        for round in 0..plan.rounds {
            for turn in turns(runners.len(), round) {
                if let Some(runner) = runners.get_mut(turn) {
                    runner.turn(load, plan.round).await;
                }
            }
        }
        for runner in runners.iter() {
            progress.say(runner.shown());
        }
    }
}

/// What came of a subject.
struct Measured {
    capacity: Throughput,
    latency: Vec<Latency>,
    /// What was wrong with single rounds.
    faults: Vec<String>,
}

/// A subject that takes part.
struct Runner<'s> {
    cell: Cell<'s>,
    proxy: Proxy,
    /// Its trials.
    capacity: Throughput,
    /// The last one is under way.
    loads: Vec<Latency>,
    /// Rounds in which not all was answered as it should be.
    faults: Vec<String>,
    /// What ended it early.
    trouble: Option<Error>,
}

impl<'s> Runner<'s> {
    async fn start(
        bench: &Bench,
        load: &Load,
        plan: Plan,
        setup: &Setup,
        cell: Cell<'s>,
    ) -> Result<Self> {
        let proxy = Proxy::start(bench, &cell, "latency", setup).await?;
        proof::prove(&proxy, &cell).await?;
        load.run(&cell, &proxy, Pace::Until(plan.warm_up)).await?.faultless()?;
        let place = Place::from(&cell);
        let capacity = Throughput { place, connections: CONNECTIONS, rounds: Vec::new() };
        let (loads, faults) = (Vec::new(), Vec::new());
        Ok(Self { cell, proxy, capacity, loads, faults, trouble: None })
    }

    /// Finds out what it can do.
    async fn trial(&mut self, load: &Load, time: Duration) {
        if self.trouble.is_some() {
            return;
        }
        match load.run(&self.cell, &self.proxy, Pace::Until(time)).await.and_then(Tally::faultless)
        {
            Ok(tally) => self.capacity.rounds.push(tally.round()),
            Err(error) => self.trouble = Some(error),
        }
    }

    /// A round of the load that is under way.
    async fn turn(&mut self, load: &Load, time: Duration) {
        let (None, Some(at)) = (&self.trouble, self.loads.last_mut()) else { return };
        let requests = (f64::from(at.rate) * time.as_secs_f64()).ceil() as u64;
        let pace = Pace::Rate(requests, at.rate);
        match load.run(&self.cell, &self.proxy, pace).await {
            Ok(tally) => {
                at.rounds.push(LatencyRound::from(&tally));
                if let Err(error) = tally.faultless() {
                    self.faults.push(format!("at {} requests/s: {error:#}", at.rate));
                }
            }
            Err(error) => self.trouble = Some(error),
        }
    }

    async fn finish(self) -> Result<Measured> {
        if let Some(error) = self.trouble {
            return Err(error);
        }
        proof::prove(&self.proxy, &self.cell).await.context("after the last round")?;
        self.proxy.stop().await?;
        Ok(Measured { capacity: self.capacity, latency: self.loads, faults: self.faults })
    }

    /// The load that is under way.
    fn shown(&self) -> String {
        let Some(at) = self.loads.last() else { return String::new() };
        let middle = |of: fn(&LatencyRound) -> f64| {
            median(&at.rounds.iter().map(of).collect::<Vec<_>>()).unwrap_or_default()
        };
        format!(
            "{} at {} % ({} requests/s): p50 {:.0}, p90 {:.0}, p99 {:.0}, p99.9 {:.0}",
            self.cell,
            at.load_percent,
            at.rate,
            middle(|round| round.p50_us),
            middle(|round| round.p90_us),
            middle(|round| round.p99_us),
            middle(|round| round.p999_us),
        )
    }
}

impl From<&Tally> for LatencyRound {
    fn from(tally: &Tally) -> Self {
        let [p50_us, p90_us, p99_us, p999_us] = tally.percentiles_us;
        Self {
            requests: tally.requests,
            errors: tally.errors,
            seconds: tally.seconds,
            cpu_seconds: tally.cpu_seconds,
            p50_us,
            p90_us,
            p99_us,
            p999_us,
        }
    }
}

fn failure(cell: &Cell<'_>, what: &impl std::fmt::Display) -> String {
    format!("latency of {cell}: {what:#}")
}
