//! Latency by load and percentile.

use anyhow::Result;

use super::Picture;
use super::lines::{Line, Panel, Panels};
use super::page::Page;
use super::scale::Scale;
use crate::bench::number::separated;
use crate::bench::results::{Latency, LatencyRound, Results};
use crate::bench::statistics::median;
use crate::bench::subject::Subject;

/// What is seen of a round, and its name.
type Percentile = (&'static str, fn(&LatencyRound) -> f64);

const PERCENTILES: [Percentile; 4] = [
    ("p50: half are faster", |round| round.p50_us),
    ("p90: 9 of 10 are faster", |round| round.p90_us),
    ("p99: 99 of 100 are faster", |round| round.p99_us),
    ("p99.9: 999 of 1,000 are faster", |round| round.p999_us),
];

/// None where nothing was measured. A panel for each percentile: with one for each load, lines that
/// are ten times as high on the right as on the left lie upon each other.
pub(crate) fn draw(results: &Results) -> Result<Option<Picture>> {
    let Some(scenario) = results.latency.first().map(|of| of.place.scenario.as_str()) else {
        return Ok(None);
    };
    let here: Vec<&Latency> =
        results.latency.iter().filter(|of| of.place.scenario == scenario).collect();
    let mut loads: Vec<(u32, u32)> = here.iter().map(|of| (of.load_percent, of.rate)).collect();
    loads.sort_unstable();
    loads.dedup_by_key(|(load, _)| *load);
    let panel = |percentile: &Percentile| panel(&here, &loads, percentile);
    let panels = Panels::of(PERCENTILES.iter().map(panel).collect(), separated);
    let job = results.scenarios.iter().find(|job| job.id == scenario);
    let title = "Latency at fixed rates, in µs".to_owned();
    let rate = |(load, rate): &(u32, u32)| format!("{load} % is {}/s", separated((*rate).into()));
    let rates: Vec<String> = loads.iter().map(rate).collect();
    let page = Page {
        name: "latency",
        about: vec![
            format!("{}.", job.map_or(scenario, |job| &job.title)),
            format!("Load: share of what the slowest can do; {}.", rates.join(", ")),
            "Counted from when a request was due. Logarithmic scales, each panel its own.".into(),
        ],
        alt: format!("{title}: lines by subject against the load, percentile by percentile"),
        figures: panels.listed(),
        title,
        height: panels.height(),
    };
    page.draw(|area| panels.draw(area)).map(Some)
}

fn panel(all: &[&Latency], loads: &[(u32, u32)], (name, of): &Percentile) -> Panel {
    let line = |subject: Subject| {
        let points = loads.iter().filter_map(|(load, _)| {
            let mut here = all.iter().filter(|of| of.place.subject == subject);
            let rounds = &here.find(|of| of.load_percent == *load)?.rounds;
            let value = median(&rounds.iter().map(of).collect::<Vec<_>>())?;
            Some((f64::from(*load), value))
        });
        let points: Vec<(f64, f64)> = points.collect();
        (!points.is_empty()).then(|| Line { subject, points, label: subject.title().into() })
    };
    // Ours stand before the others.
    let lines: Vec<Line> = Subject::ALL.into_iter().rev().filter_map(line).collect();
    let values = lines.iter().flat_map(|line| line.points.iter().map(|(_, value)| *value));
    Panel {
        heading: (*name).into(),
        axis: "load".into(),
        across: loads.iter().map(|(load, _)| (f64::from(*load), format!("{load} %"))).collect(),
        scale: Scale::log(values),
        lines,
    }
}
