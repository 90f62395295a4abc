//! CPU time per request, and requests per second: a closed loop, one worker, no upstream.
//!
//! Envoy answers by itself, so that the worker's time is spent on Envoy and the filter alone. All
//! subjects of a job run at the same time, each in an Envoy of its own, and take turns: what the
//! machine does meanwhile happens to all of them. A round is a number of requests, not a time: what
//! the worker spent between two readings then belongs to requests that were answered between them,
//! and Envoy's own counter has to agree. Opening and closing the connections is part of a round, and
//! well below 1 % of it.
//!
//! CPU time is the figure to trust. Requests per second are what this load generator gets out of one
//! worker; where the worker was not busy all the time, its CPU time shows it.

use std::time::Duration;

use anyhow::{Context, Error, Result, ensure};

use super::Bench;
use super::cell::Cell;
use super::load::{CONNECTIONS, Load, Pace};
use super::progress::Progress;
use super::proof;
use super::proxy::{Proxy, Setup};
use super::results::{Place, Results, Round, Throughput};
use super::scenario::Measure;
use super::statistics::{Spread, median};

/// Envoy's counter of requests.
const ARRIVED: &str = "http.ingress.downstream_rq_total";

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Plan {
    rounds: usize,
    round: Duration,
    warm_up: Duration,
}

const FULL: Plan =
    Plan { rounds: 9, round: Duration::from_millis(600), warm_up: Duration::from_millis(1000) };

const QUICK: Plan =
    Plan { rounds: 3, round: Duration::from_millis(700), warm_up: Duration::from_millis(500) };

/// Measures all cells that want it.
pub(crate) async fn run(bench: &Bench, progress: &Progress, results: &mut Results) -> Result<()> {
    let cells = bench.cells(Measure::Throughput);
    let Some(load) = bench.load.as_ref().filter(|_| !cells.is_empty()) else { return Ok(()) };
    progress.heading("CPU time per request, and throughput");
    let plan = if bench.quick { QUICK } else { FULL };
    for job in cells.chunk_by(same_job) {
        compete(bench, load, plan, job, progress, results).await;
    }
    Ok(())
}

/// Whether two cells are compared with each other.
pub(crate) fn same_job(one: &Cell<'_>, other: &Cell<'_>) -> bool {
    one.scenario.id == other.scenario.id && one.size == other.size
}

/// The order in which subjects have their turns in a round. Every other round runs backwards, and
/// every two start elsewhere, so that none always follows the same one.
pub(crate) fn turns(subjects: usize, round: usize) -> Vec<usize> {
    let mut turns: Vec<usize> = (0..subjects).collect();
    turns.rotate_left((round / 2) % subjects.max(1));
    if round % 2 == 1 {
        turns.reverse();
    }
    turns
}

async fn compete(
    bench: &Bench,
    load: &Load,
    plan: Plan,
    job: &[Cell<'_>],
    progress: &Progress,
    results: &mut Results,
) {
    let mut runners = Vec::new();
    for cell in job {
        match Runner::start(bench, load, plan, *cell).await {
            Ok(runner) => runners.push(runner),
            Err(error) => results.failed.push(failure(cell, &error)),
        }
    }
    for round in 0..plan.rounds {
        for turn in turns(runners.len(), round) {
            if let Some(runner) = runners.get_mut(turn) {
                runner.turn(load).await;
            }
        }
    }
    for runner in runners {
        let cell = runner.cell;
        match runner.finish().await {
            Ok(throughput) => {
                progress.say(format!("{cell}: {}", shown(&throughput)));
                results.throughput.push(throughput);
            }
            Err(error) => results.failed.push(failure(&cell, &error)),
        }
    }
}

/// A subject that takes part.
struct Runner<'s> {
    cell: Cell<'s>,
    proxy: Proxy,
    /// Per round.
    requests: u64,
    rounds: Vec<Round>,
    /// What ended it early.
    trouble: Option<Error>,
}

impl<'s> Runner<'s> {
    async fn start(bench: &Bench, load: &Load, plan: Plan, cell: Cell<'s>) -> Result<Self> {
        let setup = Setup { under: load.envoy_under(), ..Setup::default() };
        let proxy = Proxy::start(bench, &cell, "throughput", &setup).await?;
        proof::prove(&proxy, &cell).await?;
        let warm = load.run(&cell, &proxy, Pace::Until(plan.warm_up)).await?.faultless()?;
        let requests = (warm.rate() * plan.round.as_secs_f64()).max(1.0) as u64;
        Ok(Self { cell, proxy, requests, rounds: Vec::new(), trouble: None })
    }

    async fn turn(&mut self, load: &Load) {
        if self.trouble.is_none() {
            match self.round(load).await {
                Ok(round) => self.rounds.push(round),
                Err(error) => self.trouble = Some(error),
            }
        }
    }

    async fn round(&self, load: &Load) -> Result<Round> {
        let arrived = self.proxy.admin.stat(ARRIVED).await?;
        let tally = load.run(&self.cell, &self.proxy, Pace::Count(self.requests)).await?;
        let tally = tally.faultless()?;
        let arrived = self.proxy.admin.stat(ARRIVED).await?.saturating_sub(arrived);
        let requests = tally.requests;
        ensure!(arrived == requests, "oha counts {requests} requests, and Envoy {arrived}");
        ensure!(tally.cpu_seconds > 0.0, "the kernel counts no CPU time");
        Ok(tally.round())
    }

    async fn finish(self) -> Result<Throughput> {
        if let Some(error) = self.trouble {
            return Err(error);
        }
        proof::prove(&self.proxy, &self.cell).await.context("after the last round")?;
        self.proxy.stop().await?;
        let place = Place::from(&self.cell);
        Ok(Throughput { place, connections: CONNECTIONS, rounds: self.rounds })
    }
}

fn shown(throughput: &Throughput) -> String {
    let cpu = Spread::of(&throughput.cpu_us());
    let (Some(cpu), Some(rate)) = (cpu, median(&throughput.rate())) else { return String::new() };
    let noise = cpu.noise() * 100.0;
    format!("{:.2} us of CPU time per request (+-{noise:.1} %), {rate:.0} requests/s", cpu.median)
}

fn failure(cell: &Cell<'_>, error: &Error) -> String {
    format!("throughput of {cell}: {error:#}")
}

#[cfg(test)]
mod tests {
    use super::turns;

    #[test]
    fn none_always_follows_the_same_one() {
        let rounds: Vec<_> = (0..4).map(|round| turns(3, round)).collect();
        assert_eq!(rounds, [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1]]);
        assert_eq!(turns(0, 1), [0_usize; 0]);
    }
}
