//! Instructions per request on Envoy's worker thread, by callgrind on the real Envoy.
//!
//! Each subject has a process of its own: many wasm VMs in one process fail to start under valgrind,
//! and requests then pass unfiltered. The counts hardly depend on what else the machine does, so as
//! many cells are counted at once as there are cores.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use super::Bench;
use super::auth::Auth;
use super::callgrind;
use super::cell::Cell;
use super::progress::Progress;
use super::proof;
use super::proxy::{Proxy, Setup};
use super::results::{Instructions, Place, Results};
use super::scenario::{Asks, Measure};
use super::subject::Subject;
use crate::artefact::Artefact;
use crate::client::Connection;
use crate::stats;

/// A module with V8 under valgrind takes memory.
const MOST_AT_ONCE: usize = 4;

/// Until all code on the way of a request is compiled, and all pools are filled.
const WARM_UP: u32 = 150;

const SAMPLES: u32 = 3;

/// Requests per sample, where the difference to no filter is divided by the copies.
const REQUESTS: u32 = 300;

/// Requests per sample, where one copy makes all of the difference, and where there is none: the
/// difference must repeat as well.
const REQUESTS_OF_ONE: u32 = 1000;

/// Requests per sample of a Go plug-in, whose collector runs every 1,600 requests or so.
const REQUESTS_OF_GO: u32 = 3000;

/// Longer than a cell takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(900);

/// The module on proxy-wasm counts on its tick, once a second.
const TICK: Duration = Duration::from_millis(1500);
const TICKS_PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(200);

/// Counts in all cells, as many at once as there are cores.
pub(crate) async fn run(bench: &Bench, progress: &Progress, results: &mut Results) -> Result<()> {
    let mut cells = bench.cells(Measure::Instructions);
    if cells.is_empty() {
        return Ok(());
    }
    progress.heading("Instructions per request");
    if let Some(missing) = callgrind::missing().await {
        let missing = format!("instructions per request: {missing}");
        progress.say(&missing);
        results.left_out.push(missing);
        return Ok(());
    }
    let order: Vec<Place> = cells.iter().map(Place::from).collect();
    // What all others are compared with comes first.
    cells.sort_by_key(|cell| cell.subject != Subject::None);
    let lanes = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_AT_ONCE);
    let counts = cells.iter().map(|cell| async move { (cell, count(bench, cell).await) });
    let mut counts = stream::iter(counts).buffer_unordered(lanes);
    let mut done = 0;
    while let Some((cell, counted)) = counts.next().await {
        done += 1;
        let of = format!("({done} of {})", cells.len());
        match counted {
            Ok(counted) => {
                progress.say(format!("{cell}: {} {of}", shown(results, &counted)));
                results.instructions.push(counted);
            }
            Err(error) => {
                let failed = format!("instructions of {cell}: {error:#}");
                progress.say(format!("{failed} {of}"));
                results.failed.push(failed);
            }
        }
    }
    results.instructions.sort_by_key(|of| order.iter().position(|place| *place == of.place));
    Ok(())
}

fn shown(results: &Results, counted: &Instructions) -> String {
    match (results.per_filter(counted), counted.spread()) {
        (Some(more), _) => format!("{more:.0} instructions a filter"),
        (None, Some(spread)) => format!("{:.0} instructions a request", spread.median),
        (None, None) => "nothing counted".into(),
    }
}

async fn count(bench: &Bench, cell: &Cell<'_>) -> Result<Instructions> {
    let counted = tokio::time::timeout(PATIENCE, count_patiently(bench, cell)).await;
    counted.with_context(|| format!("not done within {PATIENCE:?}"))?
}

async fn count_patiently(bench: &Bench, cell: &Cell<'_>) -> Result<Instructions> {
    let copies = if cell.subject == Subject::None { 0 } else { cell.scenario.copies };
    let requests = match cell.subject {
        Subject::Go => REQUESTS_OF_GO,
        _ if copies > 1 => REQUESTS,
        _ => REQUESTS_OF_ONE,
    };
    let setup = Setup { copies, under: callgrind::command_line(), ..Setup::default() };
    let proxy = Proxy::start(bench, cell, "instructions", &setup).await?;
    proof::prove(&proxy, cell).await?;
    let before = settled(&proxy, cell).await?;
    let asked_before = proxy.auth.as_ref().map(Auth::calls);

    callgrind::count(&proxy).await?;
    let mut connection = Connection::open(proxy.address, cell.scenario.request()?.http).await?;
    // The first one was sent for the proof.
    let mut numbers = 1..;
    send(&mut connection, cell, &mut numbers, WARM_UP).await.context("warming up")?;
    let mut samples = Vec::new();
    for _ in 0..SAMPLES {
        callgrind::zero(&proxy).await?;
        send(&mut connection, cell, &mut numbers, requests).await?;
        samples.push(callgrind::dump(&proxy).await? as f64 / f64::from(requests));
    }
    drop(connection);

    let sent = u64::from(WARM_UP + SAMPLES * requests);
    if let (Some(auth), Some(before)) = (&proxy.auth, asked_before) {
        let (asked, expected) = (auth.calls() - before, calls(cell, sent * u64::from(copies)));
        ensure!(asked == expected, "the auth service was asked {asked} times, not {expected}");
    }
    prove_all(&proxy, cell, &before, sent * u64::from(copies)).await?;
    proof::prove(&proxy, cell).await.context("after counting")?;
    proxy.stop().await?;
    Ok(Instructions { place: cell.into(), copies, requests, samples })
}

async fn send(
    connection: &mut Connection,
    cell: &Cell<'_>,
    numbers: &mut std::ops::RangeFrom<u64>,
    times: u32,
) -> Result<()> {
    for number in numbers.take(times as usize) {
        let reply = connection.send(&cell.scenario.numbered(number)?).await?;
        proof::expect_answer(cell, &reply)?;
    }
    Ok(())
}

/// How often the auth service is asked while so many requests pass a filter.
fn calls(cell: &Cell<'_>, passed: u64) -> u64 {
    match cell.scenario.asks {
        Some(Asks::Once) if cell.subject.artefact().is_some() => 0,
        Some(_) if cell.subject.does_the_job() => passed,
        _ => 0,
    }
}

/// An error unless every filter that counts has counted in every copy.
async fn prove_all(
    proxy: &Proxy,
    cell: &Cell<'_>,
    before: &BTreeMap<String, u64>,
    times: u64,
) -> Result<()> {
    let deadline = Instant::now() + TICKS_PATIENCE;
    loop {
        let growth = stats::growth(before, &settled(proxy, cell).await?);
        if complete(before, &growth, times) {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "not every copy ran: counters grew by {growth:?}, not by {times}"
        );
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether each counter that grew did so `times`, and among them are those of all filters that let
/// the first proof pass.
fn complete(before: &BTreeMap<String, u64>, growth: &BTreeMap<String, u64>, times: u64) -> bool {
    let mut passed = before.keys().filter(|counter| counter.ends_with(".allowed"));
    before.is_empty() == growth.is_empty()
        && growth.values().all(|by| *by == times)
        && passed.all(|counter| growth.contains_key(counter))
}

/// The counters once all that was sent so far is in them.
async fn settled(proxy: &Proxy, cell: &Cell<'_>) -> Result<BTreeMap<String, u64>> {
    if cell.subject.artefact() == Some(Artefact::Wasm) {
        tokio::time::sleep(TICK).await;
    }
    counters(proxy, cell).await
}

/// What the filters of an artefact have counted. Others count nothing.
async fn counters(proxy: &Proxy, cell: &Cell<'_>) -> Result<BTreeMap<String, u64>> {
    let Some(artefact) = cell.subject.artefact() else { return Ok(BTreeMap::new()) };
    Ok(stats::counters(artefact, &proxy.admin.stats(stats::FILTER).await?))
}

#[cfg(test)]
mod tests {
    use super::complete;

    #[test]
    fn every_copy_counts_every_request() {
        let counters = |value: u64| [("basic_auth.allowed".to_owned(), value)].into();
        assert!(complete(&counters(10), &counters(1000), 1000));
        assert!(!complete(&counters(10), &counters(900), 1000), "nine of ten ran");
        assert!(!complete(&counters(10), &[].into(), 1000), "none ran");
        let other = [("headers.allowed".to_owned(), 1000)].into();
        assert!(!complete(&counters(10), &other, 1000), "another one ran");
        assert!(complete(&[].into(), &[].into(), 1000), "the filter does not count");
    }
}
