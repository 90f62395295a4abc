//! What the results say of a place.

use std::collections::BTreeSet;

use crate::bench::results::{Job, Latency, LatencyRound, Memory, Place, Results, Throughput};
use crate::bench::statistics::{Spread, median};
use crate::bench::subject::Subject;

/// A figure of each round of an open loop.
pub(crate) type Percentile = (&'static str, fn(&LatencyRound) -> f64);

/// The percentiles of latency.
pub(crate) const PERCENTILES: [Percentile; 4] = [
    ("p50", |round| round.p50_us),
    ("p90", |round| round.p90_us),
    ("p99", |round| round.p99_us),
    ("p99.9", |round| round.p999_us),
];

/// The figures of a run, by place.
#[derive(Clone, Copy)]
pub(crate) struct Figures<'r>(pub(crate) &'r Results);

impl<'r> Figures<'r> {
    /// The sizes of a scenario that there are figures of, or one that is none.
    pub(super) fn sizes(self, job: &Job) -> Vec<Option<u32>> {
        let sizes: BTreeSet<Option<u32>> = self
            .places()
            .filter(|place| place.scenario == job.id && place.subject != Subject::None)
            .map(|place| place.size)
            .collect();
        sizes.into_iter().collect()
    }

    /// Who there are figures of, at any size, in the order of reports.
    pub(super) fn subjects(self, job: &Job) -> Vec<Subject> {
        let seen: BTreeSet<Subject> = self
            .places()
            .filter(|place| place.scenario == job.id)
            .map(|place| place.subject)
            .collect();
        Subject::ALL.into_iter().filter(|subject| seen.contains(subject)).collect()
    }

    /// Instructions per request, for the whole job.
    pub(crate) fn instructions(self, place: &Place) -> Option<f64> {
        if place.subject == Subject::None {
            return None;
        }
        let of = self.0.instructions.iter().find(|of| of.place == *place)?;
        self.0.per_filter(of).filter(|figure| figure.is_finite())
    }

    /// How many stood in the chain while instructions were counted.
    pub(super) fn copies(self, place: &Place) -> Option<u32> {
        Some(self.0.instructions.iter().find(|of| of.place == *place)?.copies)
    }

    /// Instructions per request of Envoy without the filter.
    pub(super) fn instructions_of_none(self, place: &Place) -> Option<f64> {
        let none = self.0.instructions.iter().find(|of| of.place == place.of_none())?;
        median(&none.samples)
    }

    /// Instructions in proportion to Envoy's own filters, where both cost something.
    pub(super) fn to_envoy(self, place: &Place) -> Option<f64> {
        let own = self.instructions(&with(place, Subject::Envoy))?;
        let this = self.instructions(place)?;
        (own > 0.0 && this > 0.0).then(|| this / own)
    }

    /// The closed loop.
    pub(super) fn throughput(self, place: &Place) -> Option<&'r Throughput> {
        self.0.throughput.iter().find(|of| of.place == *place)
    }

    /// Microseconds of the worker thread per request.
    pub(crate) fn cpu_us(self, place: &Place) -> Option<Spread> {
        spread(&self.throughput(place)?.cpu_us())
    }

    /// Requests per second.
    pub(super) fn rate(self, place: &Place) -> Option<Spread> {
        spread(&self.throughput(place)?.rate())
    }

    /// A figure of the closed loop in proportion to that of another subject, round by round: what
    /// drifts while a scenario is measured drops out. Of rounds that did not stand next to each
    /// other the medians are compared, and the ends are as far apart as these rounds allow.
    pub(super) fn paired(
        self,
        place: &Place,
        to: Subject,
        figure: fn(&Throughput) -> Vec<f64>,
    ) -> Option<Spread> {
        let of = figure(self.throughput(place)?);
        let other = figure(self.throughput(&with(place, to))?);
        if of.len() == other.len() && self.ran_together(place, to) {
            let ratios: Vec<f64> = of.iter().zip(&other).map(|(of, other)| of / other).collect();
            return spread(&ratios);
        }
        let (of, other) = (spread(&of)?, spread(&other)?);
        let ratio = Spread {
            min: of.min / other.max,
            median: of.median / other.median,
            max: of.max / other.min,
        };
        [ratio.min, ratio.median, ratio.max].into_iter().all(f64::is_finite).then_some(ratio)
    }

    /// Whether rounds stood next to each other: an empty chain ran beside the first size only.
    fn ran_together(self, place: &Place, to: Subject) -> bool {
        let job = self.0.scenarios.iter().find(|job| job.id == place.scenario);
        let first = job.and_then(|job| job.sizes.first()).copied();
        to != Subject::None || place.size.is_none() || place.size == first
    }

    /// The open loop at a share of what the slowest subject can do.
    pub(super) fn latency(self, place: &Place, percent: u32) -> Option<&'r Latency> {
        self.0.latency.iter().find(|of| of.place == *place && of.load_percent == percent)
    }

    /// Memory by worker threads.
    pub(super) fn memory(self, place: &Place, workers: u32) -> Option<&'r Memory> {
        self.0.memory.iter().find(|of| of.place == *place && of.workers == workers)
    }

    /// Bytes that Envoy holds, by worker threads.
    pub(super) fn resident_bytes(self, place: &Place, workers: u32) -> Option<f64> {
        Some(resident(self.memory(place, workers)?)?.median)
    }

    fn places(self) -> impl Iterator<Item = &'r Place> {
        let results = self.0;
        let instructions = results.instructions.iter().map(|of| &of.place);
        let throughput = results.throughput.iter().map(|of| &of.place);
        let latency = results.latency.iter().map(|of| &of.place);
        let memory = results.memory.iter().map(|of| &of.place);
        instructions.chain(throughput).chain(latency).chain(memory)
    }
}

/// A place of a scenario. An empty chain has no size.
pub(super) fn place(job: &Job, size: Option<u32>, subject: Subject) -> Place {
    let size = size.filter(|_| subject != Subject::None);
    Place { scenario: job.id.clone(), size, subject }
}

/// The same place with another subject.
pub(super) fn with(place: &Place, subject: Subject) -> Place {
    let size = place.size.filter(|_| subject != Subject::None);
    Place { scenario: place.scenario.clone(), size, subject }
}

/// Where the samples lie that are numbers.
pub(crate) fn spread(samples: &[f64]) -> Option<Spread> {
    let finite: Vec<f64> = samples.iter().copied().filter(|sample| sample.is_finite()).collect();
    Spread::of(&finite)
}

/// A percentile over the rounds.
pub(crate) fn percentile(of: &Latency, figure: fn(&LatencyRound) -> f64) -> Option<Spread> {
    spread(&of.rounds.iter().map(figure).collect::<Vec<f64>>())
}

/// Bytes over the starts.
pub(crate) fn resident(of: &Memory) -> Option<Spread> {
    spread(&of.resident_bytes.iter().map(|bytes| *bytes as f64).collect::<Vec<f64>>())
}

#[cfg(test)]
mod tests {
    use super::{Figures, place};
    use crate::bench::number::number;
    use crate::bench::report::sample;
    use crate::bench::results::Throughput;
    use crate::bench::subject::Subject;

    #[test]
    fn ratios_are_taken_round_by_round() {
        let results = sample::results();
        let figures = Figures(&results);
        let native = place(&results.scenarios[0], None, Subject::Native);
        let ratio = figures.paired(&native, Subject::None, Throughput::cpu_us).unwrap();
        for ratio in [ratio.min, ratio.median, ratio.max] {
            assert!((ratio - 1.1).abs() < 1e-9, "{ratio}");
        }
        assert_eq!(figures.paired(&native, Subject::Go, Throughput::cpu_us), None);
    }

    #[test]
    fn an_empty_chain_ran_beside_the_first_size_only() {
        let mut results = sample::results();
        results.throughput.retain(|of| of.place.scenario == "reference");
        for of in &mut results.throughput {
            of.place.scenario = "rules".into();
        }
        let figures = Figures(&results);
        let ends = |size| {
            let mut there = results.clone();
            for of in &mut there.throughput {
                of.place.size = Some(size).filter(|_| of.place.subject != Subject::None);
            }
            let native = place(&there.scenarios[1], Some(size), Subject::Native);
            let ratio = Figures(&there).paired(&native, Subject::None, Throughput::cpu_us);
            ratio.map(|ratio| [ratio.min, ratio.median, ratio.max].map(number))
        };
        assert_eq!(ends(1).unwrap(), ["1.10", "1.10", "1.10"]);
        assert_eq!(ends(1_000).unwrap(), ["1.08", "1.10", "1.12"]);
        let none = place(&results.scenarios[1], Some(1_000), Subject::None);
        assert_eq!(number(figures.cpu_us(&none).unwrap().median), "30.0");
    }
}
