//! What filters cost: instructions, or where none were counted, CPU time.

use crate::bench::results::{Place, Results};
use crate::bench::statistics::median;
use crate::bench::subject::Subject;

use super::bars::Bar;
use crate::bench::number::separated;

/// What a cost is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Per request.
    Instructions,
    /// Per request, in microseconds.
    CpuTime,
}

/// All costs of a run, in one unit.
pub(crate) struct Costs {
    /// Of all of them.
    pub(crate) unit: Unit,
    figures: Vec<(Place, f64)>,
}

impl Unit {
    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Instructions => "instructions per request",
            Self::CpuTime => "µs of CPU time per request",
        }
    }

    /// What is counted.
    pub(crate) const fn about(self) -> &'static str {
        match self {
            Self::Instructions => {
                "On Envoy's worker thread, counted by callgrind, less what a request costs without a \
                 filter. Less is better."
            }
            Self::CpuTime => {
                "On Envoy's worker thread, less what a request costs without a filter. Less is better."
            }
        }
    }

    /// A value without the unit.
    pub(crate) fn text(self, value: f64) -> String {
        match self {
            Self::Instructions => separated(value),
            Self::CpuTime => format!("{value:.2}"),
        }
    }
}

impl Costs {
    /// Those of a run.
    pub(crate) fn of(results: &Results) -> Self {
        match results.instructions.is_empty() {
            false => Self { unit: Unit::Instructions, figures: instructions(results) },
            true => Self { unit: Unit::CpuTime, figures: cpu_time(results) },
        }
    }

    /// Who did a job, at what cost, in the order of reports.
    pub(crate) fn at(&self, scenario: &str, size: Option<u32>) -> Vec<(Subject, f64)> {
        let here = |subject: Subject| {
            let place = Place { scenario: scenario.to_owned(), size, subject };
            let (_, cost) = self.figures.iter().find(|(other, _)| *other == place)?;
            Some((subject, *cost))
        };
        let subjects = Subject::ALL.into_iter().filter(|subject| *subject != Subject::None);
        subjects.filter_map(here).collect()
    }

    /// The sizes that there are figures for.
    pub(crate) fn sizes(&self, scenario: &str) -> Vec<u32> {
        let places = self.figures.iter().map(|(place, _)| place);
        let here = places.filter(|place| place.scenario == scenario);
        let mut sizes: Vec<u32> = here.filter_map(|place| place.size).collect();
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }

    /// A bar for each, with the ratio to Envoy's own written at its end.
    pub(crate) fn bars(&self, scenario: &str) -> Vec<Bar> {
        let figures = self.at(scenario, None);
        let envoy = figures.iter().find(|(subject, _)| *subject == Subject::Envoy);
        let envoy = envoy.map(|(_, cost)| *cost).filter(|cost| *cost > 0.0);
        let label = |cost: f64| match envoy.filter(|_| cost > 0.0) {
            Some(envoy) => format!("{} · {:.2}×", self.unit.text(cost), cost / envoy),
            None => self.unit.text(cost),
        };
        let bar = |(subject, cost)| Bar { subject, value: cost, label: label(cost) };
        figures.iter().copied().map(bar).collect()
    }
}

fn instructions(results: &Results) -> Vec<(Place, f64)> {
    let all = results.instructions.iter();
    all.filter_map(|of| Some((of.place.clone(), results.per_filter(of)?))).collect()
}

fn cpu_time(results: &Results) -> Vec<(Place, f64)> {
    let all = results.throughput.iter();
    let less_none = all.clone().filter_map(|of| {
        let none = all.clone().find(|other| other.place == of.place.of_none())?;
        Some((of.place.clone(), median(&of.cpu_us())? - median(&none.cpu_us())?))
    });
    less_none.collect()
}
