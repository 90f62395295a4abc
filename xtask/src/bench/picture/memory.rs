//! Resident memory by worker threads.

use anyhow::Result;

use super::bars::{self, Bar, Layout};
use super::page::{Page, WIDTH};
use super::{Picture, palette, text};
use crate::bench::results::{Memory, Results};
use crate::bench::statistics::median;
use crate::bench::subject::Subject;

const ROW: i32 = 24;
/// Between panels, in pixels.
const GUTTER: i32 = 14;
const HEAD: i32 = text::LINE + 4;

struct Panel {
    heading: String,
    bars: Vec<Bar>,
}

/// None where nothing was measured.
pub(crate) fn draw(results: &Results) -> Result<Option<Picture>> {
    // One job stands for all: beside Envoy and the module, a configuration is small.
    let Some(scenario) = results.memory.first().map(|of| of.place.scenario.as_str()) else {
        return Ok(None);
    };
    let here: Vec<&Memory> =
        results.memory.iter().filter(|of| of.place.scenario == scenario).collect();
    let panels = panels(&here);
    let columns = panels.len() as i32;
    let column = |names| (WIDTH - names - GUTTER * (columns - 1)) / columns;
    let layout = Layout::of(panels.iter().flat_map(|panel| &panel.bars), column, ROW);
    let rows = panels.iter().map(|panel| panel.bars.len()).max().unwrap_or(0);
    let job = results.scenarios.iter().find(|job| job.id == scenario);
    let title = "How much memory Envoy holds, in MiB".to_owned();
    let page = Page {
        name: "memory",
        about: vec![
            format!("{}.", job.map_or(scenario, |job| &job.title)),
            "Resident set after warm-up, by worker threads. +: more than without a filter.".into(),
        ],
        alt: format!("{title}: bars by subject and worker threads"),
        figures: figures(&panels),
        title,
        height: HEAD + layout.height(rows) + 8,
    };
    let page = page.draw(|area| {
        if let Some(first) = panels.first() {
            layout.name(area, (layout.names, HEAD), &first.bars)?;
        }
        let lefts = (layout.names..).step_by((layout.width() + GUTTER) as usize);
        for (panel, left) in panels.iter().zip(lefts) {
            text::HEADING.write(
                area,
                std::slice::from_ref(&panel.heading),
                (left, 0),
                palette::INK,
            )?;
            layout.draw(area, (left, HEAD), &panel.bars)?;
        }
        Ok(())
    });
    page.map(Some)
}

/// One for each number of workers; all have the same subjects.
fn panels(all: &[&Memory]) -> Vec<Panel> {
    let mut workers: Vec<u32> = all.iter().map(|of| of.workers).collect();
    workers.sort_unstable();
    workers.dedup();
    let takes_part = |subject: &Subject| all.iter().any(|of| of.place.subject == *subject);
    let subjects: Vec<Subject> = Subject::ALL.into_iter().filter(takes_part).collect();
    let panel = |workers| {
        let resident = |subject| resident(all, workers, subject);
        let none = resident(Subject::None);
        let bar = |subject: &Subject| {
            let value = resident(*subject);
            let label = match (value, none.filter(|_| *subject != Subject::None)) {
                (Some(value), Some(none)) => format!("{value:.1} · {:+.1}", value - none),
                (Some(value), None) => format!("{value:.1}"),
                (None, _) => "–".into(),
            };
            Bar { subject: *subject, value: value.unwrap_or(0.0), label }
        };
        let heading = if workers == 1 { "1 worker".into() } else { format!("{workers} workers") };
        Panel { heading, bars: subjects.iter().map(bar).collect() }
    };
    workers.into_iter().map(panel).collect()
}

/// In MiB.
fn resident(all: &[&Memory], workers: u32, subject: Subject) -> Option<f64> {
    let of = all.iter().find(|of| of.workers == workers && of.place.subject == subject)?;
    let bytes: Vec<f64> = of.resident_bytes.iter().map(|bytes| *bytes as f64).collect();
    Some(median(&bytes)? / f64::from(1 << 20))
}

fn figures(panels: &[Panel]) -> String {
    let panel = |panel: &Panel| format!("{}: {}.", panel.heading, bars::listed(&panel.bars));
    panels.iter().map(panel).collect::<Vec<_>>().join(" ")
}
