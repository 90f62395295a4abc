//! The figures of a run, one by one, with how much of each is noise.

use crate::bench::number::{kib, mib};
use crate::bench::report::figures::{PERCENTILES, percentile, resident, spread};
use crate::bench::results::{Instructions, Place, Results};
use crate::bench::statistics::Spread;
use crate::bench::subject::Subject;

/// Valgrind's counts repeat to within 0.1 % of a whole chain.
const CHAIN_NOISE: f64 = 0.001;

/// What memory may grow by over a soak, in KiB: an arena that the allocator takes now or later.
const SOAK_NOISE_KIB: f64 = 1024.0;

/// A figure that can be compared.
#[derive(Debug)]
pub(super) struct Figure {
    /// What it is of.
    pub(super) name: String,
    /// What is counted.
    pub(super) unit: Unit,
    /// The median of the samples.
    pub(super) value: f64,
    /// How far off it may be, in its unit.
    pub(super) noise: f64,
    /// What it was measured with, where runs may differ in that: copies in a chain, or requests per
    /// second that were due.
    pub(super) with: f64,
}

/// What is counted. Less is better, but for a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Instructions per request and filter; without a filter, per request.
    Instructions,
    /// µs of CPU time per request.
    Cpu,
    /// Requests per second.
    Rate,
    /// µs.
    Latency,
    /// MiB.
    Memory,
    /// ms.
    Start,
    /// KiB.
    Growth,
    /// KiB.
    File,
    /// ns per request.
    Micro,
    /// Heap allocations per request.
    Allocations,
}

impl Unit {
    /// The heading of a table.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Instructions => "instructions per request",
            Self::Cpu => "CPU, µs per request",
            Self::Rate => "requests/s",
            Self::Latency => "latency, µs",
            Self::Memory => "resident memory, MiB",
            Self::Start => "start, ms",
            Self::Growth => "growth of memory, KiB",
            Self::File => "file, KiB",
            Self::Micro => "core alone, ns per request",
            Self::Allocations => "core alone, allocations per request",
        }
    }

    /// Whether another machine has another figure.
    pub(super) const fn depends_on_machine(self) -> bool {
        !matches!(self, Self::Instructions | Self::File | Self::Allocations)
    }

    /// The least share of a figure that is noise. Samples of one run lie closer together than the
    /// medians of two runs do: between those the machine was used, and Envoy was laid out elsewhere
    /// in memory. Hence floors that are above what rounds differ by on a quiet machine.
    const fn floor(self) -> f64 {
        match self {
            // Counts repeat to within 0.1 %; hash keys and addresses are random.
            Self::Instructions => 0.01,
            // Frequency and temperature of the processor.
            Self::Cpu | Self::Rate => 0.03,
            // Queues multiply what CPU time differs by.
            Self::Latency => 0.10,
            // The allocator's arenas come in steps.
            Self::Memory => 0.03,
            // Disk caches.
            Self::Start => 0.20,
            // An absolute floor stands in for it.
            Self::Growth => 0.0,
            // Not noise, but not worth a mark.
            Self::File => 0.01,
            // Nanoseconds depend on where code lies.
            Self::Micro => 0.05,
            // They are exact.
            Self::Allocations => 0.0,
        }
    }

    fn figure(self, name: String, spread: Option<Spread>) -> Option<Figure> {
        let Spread { median: value, .. } = spread?;
        let noise = spread?.noise().max(self.floor()) * value.abs();
        value.is_finite().then_some(Figure { name, unit: self, value, noise, with: 0.0 })
    }
}

/// All that were measured, by unit.
pub(super) fn all(results: &Results) -> Vec<Figure> {
    let instructions = results.instructions.iter().map(|of| counted(results, of));
    let cpu =
        results.throughput.iter().map(|of| Unit::Cpu.figure(name(&of.place), spread(&of.cpu_us())));
    let rate =
        results.throughput.iter().map(|of| Unit::Rate.figure(name(&of.place), spread(&of.rate())));
    let latency = results.latency.iter().flat_map(|of| {
        PERCENTILES.into_iter().map(move |(at, figure)| {
            let name = format!("{} {at} at {} %", name(&of.place), of.load_percent);
            let latency = Unit::Latency.figure(name, percentile(of, figure))?;
            Some(Figure { with: of.rate.into(), ..latency })
        })
    });
    let workers = |place: &Place, n| format!("{} workers {n}", name(place));
    let memory = results.memory.iter().map(|of| {
        let resident = resident(of).map(|spread| scaled(spread, mib));
        Unit::Memory.figure(workers(&of.place, of.workers), resident)
    });
    let start = results
        .memory
        .iter()
        .map(|of| Unit::Start.figure(workers(&of.place, of.workers), spread(&of.start_ms)));
    let growth = results.soak.iter().map(|of| {
        let (bytes, _) = of.growth()?;
        let (name, value) = (name(&of.place), kib(bytes));
        Some(Figure { name, unit: Unit::Growth, value, noise: SOAK_NOISE_KIB, with: 0.0 })
    });
    let files = results.file_bytes.iter().map(|(subject, bytes)| {
        let size = kib(*bytes as f64);
        Unit::File.figure(subject.title().to_owned(), spread(&[size]))
    });
    let micro = results
        .micro
        .iter()
        .map(|of| Unit::Micro.figure(of.name.clone(), Spread::of_most(&of.samples_ns)));
    let allocations = results
        .micro
        .iter()
        .map(|of| Unit::Allocations.figure(of.name.clone(), spread(&[of.allocations])));
    instructions
        .chain(cpu)
        .chain(rate)
        .chain(latency)
        .chain(memory)
        .chain(start)
        .chain(growth)
        .chain(files)
        .chain(micro)
        .chain(allocations)
        .flatten()
        .collect()
}

/// A filter is a small part of a chain: what the counts of both chains are off by adds up.
fn counted(results: &Results, of: &Instructions) -> Option<Figure> {
    if of.place.subject == Subject::None {
        return Unit::Instructions.figure(name(&of.place), spread(&of.samples));
    }
    let value = results.per_filter(of)?;
    let none = results.instructions.iter().find(|other| other.place == of.place.of_none())?;
    let chain = of.spread()?;
    let off = far(chain) + far(none.spread()?);
    let off = off.max(CHAIN_NOISE * chain.median) / f64::from(of.copies);
    let noise = off.max(Unit::Instructions.floor() * value.abs());
    let with = of.copies.into();
    Some(Figure { name: name(&of.place), unit: Unit::Instructions, value, noise, with })
}

/// How far samples lie from the middle at most.
fn far(spread: Spread) -> f64 {
    spread.noise() * spread.median.abs()
}

fn scaled(spread: Spread, scale: fn(f64) -> f64) -> Spread {
    Spread { min: scale(spread.min), median: scale(spread.median), max: scale(spread.max) }
}

fn name(place: &Place) -> String {
    let subject = place.subject.title();
    match place.size {
        Some(size) => format!("{}-{size} {subject}", place.scenario),
        None => format!("{} {subject}", place.scenario),
    }
}
