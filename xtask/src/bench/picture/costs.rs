//! What filters cost: instructions, or where none were counted, CPU time.

use std::collections::BTreeSet;

use super::bars::Bar;
use crate::bench::number::separated;
use crate::bench::report::figures::Figures;
use crate::bench::results::{Job, Place, Results};
use crate::bench::subject::Subject;

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
    /// Scenarios with one copy in the chain: all that only the first one causes is its cost.
    single: BTreeSet<String>,
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

    /// Whether figures are steady enough for ratios. Differences between times are not.
    pub(crate) const fn has_ratios(self) -> bool {
        matches!(self, Self::Instructions)
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
        let single = results.instructions.iter().filter(|of| of.copies == 1);
        let single = single.map(|of| of.place.scenario.clone()).collect();
        match results.instructions.is_empty() {
            false => Self { unit: Unit::Instructions, figures: instructions(results), single },
            true => Self { unit: Unit::CpuTime, figures: cpu_time(results), single },
        }
    }

    /// What a panel of a job is called.
    pub(crate) fn heading(&self, job: &Job) -> String {
        match self.single.contains(&job.id) {
            true => format!("{} (one copy)", job.title),
            false => job.title.clone(),
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

    /// A bar for each, with the ratio to Envoy's own written at its end where there are ratios.
    pub(crate) fn bars(&self, scenario: &str) -> Vec<Bar> {
        let figures = self.at(scenario, None);
        let envoy = figures.iter().find(|(subject, _)| *subject == Subject::Envoy);
        let envoy = envoy.map(|(_, cost)| *cost).filter(|cost| *cost > 0.0);
        let label = |cost: f64| match envoy.filter(|_| self.unit.has_ratios() && cost > 0.0) {
            Some(envoy) => format!("{} · {:.2}×", self.unit.text(cost), cost / envoy),
            None => self.unit.text(cost),
        };
        let bar = |(subject, cost)| Bar { subject, value: cost, label: label(cost) };
        figures.iter().copied().map(bar).collect()
    }
}

fn instructions(results: &Results) -> Vec<(Place, f64)> {
    let places = results.instructions.iter().map(|of| &of.place);
    let cost = |place: &Place| Figures(results).instructions(place);
    places.filter_map(|place| Some((place.clone(), cost(place)?))).collect()
}

fn cpu_time(results: &Results) -> Vec<(Place, f64)> {
    let median = |place: &Place| Some(Figures(results).cpu_us(place)?.median);
    let places = results.throughput.iter().map(|of| &of.place);
    let less_none = places
        .filter_map(|place| Some((place.clone(), median(place)? - median(&place.of_none())?)));
    less_none.collect()
}
