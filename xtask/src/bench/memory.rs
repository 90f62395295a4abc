//! What a subject holds in memory, how long it takes to load, and how big its file is.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use pintle_core::testing::corpus;

use super::Bench;
use super::cell::Cell;
use super::number::mib;
use super::progress::Progress;
use super::proof;
use super::proxy::{Proxy, Setup};
use super::results::{Memory, Place, Results};
use super::scenario::Measure;
use super::statistics::median;
use super::subject::Subject;
use super::worker::resident_bytes;
use crate::artefact::{Artefact, headers_file};
use crate::client::{self, Connection};
use crate::stats;

/// Worker threads.
const WORKERS: [u32; 3] = [1, 2, 4];
/// Starts of each subject with each number of workers. Resident memory repeats to within 5 %; a start
/// on a quiet machine, to within 2 ms or 2 %.
const STARTS: u32 = 5;

/// The warm-up: the kernel spreads connections over the workers, so that each gets about 2,000
/// requests. Memory is level long before.
const CONNECTIONS_PER_WORKER: u32 = 16;
const REQUESTS_PER_CONNECTION: u32 = 125;
/// How often the warm-up is repeated for the sake of a worker that no connection has reached.
const WARM_UPS: u32 = 5;
/// By worker thread, the connections that it took.
const CONNECTIONS_OF_WORKERS: &str = r"^listener\..*\.worker_.*\.downstream_cx_total$";

/// Memory after the warm-up is level at once; this is for what threads free behind the last answer.
const SETTLING: Duration = Duration::from_millis(200);

/// Records sizes of files, and of every subject resident memory after a warm-up of all workers.
///
/// The time to load is the time from the start of the process to the first answer through the
/// filter, as a user waits for it. Most of it is Envoy's own, so the difference to no filter is what a
/// subject takes; subjects therefore take turns, start by start. Envoy listens on its admin address
/// before it loads filters and answers there once it is ready, so asking adds next to nothing.
/// `envoy --mode validate` takes within 4 ms as long, repeats no better, and leaves out what the
/// workers do. What takes a millisecond or two cannot be told from nothing by this.
pub(crate) async fn run(bench: &Bench, progress: &Progress, results: &mut Results) -> Result<()> {
    results.file_bytes = file_bytes(bench)?;
    let cells = bench.cells(Measure::Memory);
    if cells.is_empty() {
        return Ok(());
    }
    progress.heading("Resident memory, and time to load");
    let workers = if bench.quick { &WORKERS[..1] } else { &WORKERS };
    for &workers in workers {
        by_turns(bench, &cells, workers, progress, results).await;
    }
    Ok(())
}

/// Has all workers of a proxy answer requests, and looks at every answer.
pub(super) async fn warm_up(proxy: &Proxy, cell: &Cell<'_>, workers: u32) -> Result<()> {
    let request = cell.scenario.request()?;
    let before = proxy.admin.stats(CONNECTIONS_OF_WORKERS).await?;
    for _ in 0..WARM_UPS {
        for _ in 0..workers * CONNECTIONS_PER_WORKER {
            let mut connection = Connection::open(proxy.address, request.http).await?;
            for _ in 0..REQUESTS_PER_CONNECTION {
                proof::expect_answer(cell, &connection.send(&request).await?)?;
            }
        }
        let after = proxy.admin.stats(CONNECTIONS_OF_WORKERS).await?;
        if stats::growth(&before, &after).len() == workers as usize {
            return Ok(());
        }
    }
    bail!("the warm-up did not reach every worker")
}

/// Bytes that a proxy holds when it has come to rest.
pub(super) async fn settled_bytes(proxy: &Proxy) -> Result<u64> {
    tokio::time::sleep(SETTLING).await;
    resident_bytes(proxy.pid)
}

/// All cells once, and again; one that fails is left out from then on.
async fn by_turns(
    bench: &Bench,
    cells: &[Cell<'_>],
    workers: u32,
    progress: &Progress,
    results: &mut Results,
) {
    let of = |cell: &Cell<'_>| Memory {
        place: Place::from(cell),
        workers,
        start_ms: Vec::new(),
        resident_bytes: Vec::new(),
    };
    let starts = if bench.quick { 1 } else { STARTS };
    progress.say(format!("starts with {}: {starts} of each subject", threads(workers)));
    let mut series: Vec<_> = cells.iter().map(|cell| (cell, of(cell))).collect();
    for _ in 0..starts {
        let mut sound = Vec::new();
        for (cell, mut memory) in series {
            match sample(bench, cell, workers).await {
                Ok((start, bytes)) => {
                    memory.start_ms.push(start.as_secs_f64() * 1e3);
                    memory.resident_bytes.push(bytes);
                    sound.push((cell, memory));
                }
                Err(error) => {
                    results.failed.push(format!("memory of {}: {error:#}", with(cell, workers)));
                }
            }
        }
        series = sound;
    }
    for (cell, memory) in series {
        let bytes: Vec<f64> = memory.resident_bytes.iter().map(|&bytes| bytes as f64).collect();
        let held = mib(median(&bytes).unwrap_or_default());
        let start = median(&memory.start_ms).unwrap_or_default();
        progress.say(format!(
            "{}: {held:.1} MiB, first answer after {start:.1} ms",
            with(cell, workers)
        ));
        results.memory.push(memory);
    }
}

/// One start: how long it took to the first answer, and what is held after the warm-up.
async fn sample(bench: &Bench, cell: &Cell<'_>, workers: u32) -> Result<(Duration, u64)> {
    let request = cell.scenario.request()?;
    let setup = Setup { workers, ..Setup::default() };
    let proxy = Proxy::start(bench, cell, "memory", &setup).await?;
    let start = proxy.start + answer(&proxy, cell, &request).await?;
    proof::prove(&proxy, cell).await?;
    warm_up(&proxy, cell, workers).await?;
    let bytes = settled_bytes(&proxy).await?;
    proxy.stop().await?;
    Ok((start, bytes))
}

/// How long one answer takes.
async fn answer(proxy: &Proxy, cell: &Cell<'_>, request: &corpus::Request) -> Result<Duration> {
    let asked = Instant::now();
    let reply = client::send(proxy.address, request).await.context("the first request")?;
    proof::expect_answer(cell, &reply).context("the first request")?;
    Ok(asked.elapsed())
}

/// The sizes of what is loaded into Envoy.
fn file_bytes(bench: &Bench) -> Result<BTreeMap<Subject, u64>> {
    let mut sizes = BTreeMap::new();
    for &subject in &bench.subjects {
        if let Some(file) = file(bench, subject) {
            let metadata = file.metadata().with_context(|| file.display().to_string())?;
            sizes.insert(subject, metadata.len());
        }
    }
    Ok(sizes)
}

fn file(bench: &Bench, subject: Subject) -> Option<PathBuf> {
    match subject {
        Subject::Native => Some(Artefact::Native.file(&bench.workspace)),
        Subject::Wasm => Some(Artefact::Wasm.file(&bench.workspace)),
        Subject::WasmHeaders => Some(headers_file(&bench.workspace)),
        _ => bench.peers.file(subject).map(PathBuf::from),
    }
}

fn with(cell: &Cell<'_>, workers: u32) -> String {
    format!("{cell}, {}", threads(workers))
}

fn threads(workers: u32) -> String {
    format!("{workers} worker{}", if workers == 1 { "" } else { "s" })
}
